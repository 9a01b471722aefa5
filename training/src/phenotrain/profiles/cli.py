"""The command `phenotrain profile`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from phenotrain.terminal import AsJson, messages


def profile(
    dataset: Annotated[
        str, typer.Argument(help="Name of a shipped description, or the path of a .toml file.")
    ],
    data: Annotated[
        Path, typer.Argument(help="Folder of the table and the images.", exists=True, file_okay=False)
    ],
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.", exists=True, file_okay=False)],
    out: Annotated[
        Path, typer.Argument(help="Folder to write to; a killed run goes on there.", file_okay=False)
    ],
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a finished cache: its sites are embedded, without those it left out.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    batch: Annotated[
        Literal["plate", "experiment"], typer.Option(help="What the correction takes for a batch.")
    ] = "plate",
    treatment: Annotated[
        list[str] | None,
        typer.Option(help="A treatment to judge; repeatable.", show_default="all of the table"),
    ] = None,
    top_doses: Annotated[
        int, typer.Option(min=0, help="Doses of each treatment behind the similarities; 0 takes all.")
    ] = 3,
    components: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Most dimensions of a corrected profile.",
            show_default="a quarter of the training controls",
        ),
    ] = None,
    draws: Annotated[int, typer.Option(min=19, help="Pseudo-treatments behind each p.")] = 999,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    device: Annotated[
        Literal["auto", "cpu", "cuda"], typer.Option(help="Where the bundle's graph runs.")
    ] = "auto",
    as_json: AsJson = False,
) -> None:
    """Write batch-corrected well profiles: activity, batch effect and similarity of treatments."""
    console = messages()
    # scikit-learn, copairs and ONNX Runtime take seconds to import, too long for `--help`.
    from phenotrain.profiles.command import ProfileRequest, profile_command

    request = ProfileRequest(
        dataset=dataset,
        data=data,
        bundle=bundle,
        out=out,
        cache=cache,
        batch=batch,
        treatments=tuple(treatment or ()),
        num_top_doses=top_doses,
        max_components=components,
        num_draws=draws,
        seed=seed,
        device=device,
    )
    raise typer.Exit(profile_command(console, request, as_json=as_json))
