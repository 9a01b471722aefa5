"""The command `phenotrain cache`."""

from pathlib import Path
from typing import Annotated

import typer

from phenotrain.cache.build import build_cache
from phenotrain.cache.errors import CacheError
from phenotrain.datasets import Description, DescriptionError, load_description
from phenotrain.plates import PlateError, read_sites
from phenotrain.splits import without_controls_text
from phenotrain.task import Task
from phenotrain.terminal import AsJson, data_folder, fail, messages, show_result


def cache(
    dataset: Annotated[
        str, typer.Argument(help="Name of a shipped description, or the path of a .toml file.")
    ],
    data: Annotated[
        Path, typer.Argument(help="Data root: the folder of the table and the images.", callback=data_folder)
    ],
    out: Annotated[Path, typer.Argument(help="Folder of the cache; an unfinished one is gone on with.")],
    downsample: Annotated[
        int, typer.Option(min=1, help="Side of the square that is pooled, px; the recipe's.")
    ] = 2,
    skip_incomplete: Annotated[
        bool, typer.Option("--skip-incomplete", help="Leave out sites with an unusable file, and list them.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of processes.", show_default="one a core")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read every site of a screen once and store its pooled field for training."""
    console = messages()
    try:
        description = load_description(dataset)
        warning = _missing_controls(description, data)
        if warning is not None:
            console.print(warning, style="yellow")
        made = build_cache(
            description,
            data,
            out,
            downsample=downsample,
            num_workers=workers,
            skip_incomplete=skip_incomplete,
            console=console,
        )
    except (CacheError, DescriptionError, PlateError) as error:
        raise typer.Exit(fail(console, error)) from error
    num_channels, height, width = made.field_shape
    num_left_out = made.left_out["site_id"].nunique()
    left_out = f"; {num_left_out} sites left out, listed in {out / 'left_out.csv'}" if num_left_out else ""
    show_result(
        {
            "cache": str(out),
            "num_sites": len(made),
            "field": {"channels": num_channels, "height": height, "width": width},
            "num_left_out": num_left_out,
        },
        f"{len(made)} sites of {num_channels} x {height} x {width} in {out}{left_out}",
        as_json=as_json,
    )
    if note := made.names_note():
        console.print(note, style="yellow", markup=False, highlight=False)


def _missing_controls(description: Description, data: Path) -> str | None:
    """What learning will say of treated plates without controls, said before their images are read."""
    sites, task = read_sites(description, data), description.task
    present = [str(name) for name in sites["treatment"].unique()]
    treated = [name for name in task.treatments or present if name != task.control]
    return without_controls_text(sites, Task(task.control, (task.control, *treated)))
