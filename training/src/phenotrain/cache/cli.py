"""The command `phenotrain cache`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from phenotrain.cache.build import build_cache
from phenotrain.cache.errors import CacheError
from phenotrain.datasets import DescriptionError, load_description
from phenotrain.plates import PlateError


def cache(
    dataset: Annotated[
        str, typer.Argument(help="Name of a shipped description, or the path of a .toml file.")
    ],
    data: Annotated[Path, typer.Argument(help="Data root: the folder of the table and the images.")],
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
) -> None:
    """Read every site of a screen once and store its pooled field for training."""
    console = Console(stderr=True)
    try:
        made = build_cache(
            load_description(dataset),
            data,
            out,
            downsample=downsample,
            num_workers=workers,
            skip_incomplete=skip_incomplete,
            progress=True,
        )
    except (CacheError, DescriptionError, PlateError) as error:
        console.print(str(error), style="red", markup=False, highlight=False)
        raise typer.Exit(1) from error
    num_channels, height, width = made.field_shape
    num_left_out = made.left_out["site_id"].nunique()
    console.print(
        f"{len(made)} sites of {num_channels} x {height} x {width} in {out}", markup=False, highlight=False
    )
    if note := made.names_note():
        console.print(note, style="yellow", markup=False, highlight=False)
    if num_left_out:
        console.print(
            f"{num_left_out} sites left out, listed in {out / 'left_out.csv'}", style="yellow", markup=False
        )
