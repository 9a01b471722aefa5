"""The commands `phenotrain splits` and `phenotrain evaluate`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from phenotrain.protocols.options import ChosenEncoder, Controls
from phenotrain.splits import Protocol
from phenotrain.tensorflow_start import start_tensorflow
from phenotrain.terminal import AsJson, data_folder, messages

_Dataset = Annotated[str, typer.Argument(help="Name of a shipped description, or the path of a .toml file.")]
_Treatments = Annotated[
    list[str] | None,
    typer.Option(
        "--treatment", help="A treatment to learn; repeatable.", show_default="those of the description"
    ),
]


def splits(
    dataset: _Dataset,
    data: Annotated[
        Path, typer.Argument(help="Folder of the table; images are not read.", callback=data_folder)
    ],
    protocol: Annotated[
        Protocol | None, typer.Option(help="One protocol only.", show_default="all that are possible")
    ] = None,
    without_controls: Controls = "refuse",
    treatment: _Treatments = None,
    recipe: Annotated[
        str, typer.Option(help="Recipe whose seed and shares are used; see `run`.")
    ] = "default",
    as_json: AsJson = False,
) -> None:
    """Print what every split protocol would hold out, with its counts, from the table alone."""
    from phenotrain.protocols.splits_command import splits_command

    raise typer.Exit(
        splits_command(
            Console(),
            messages(),
            dataset=dataset,
            data=data,
            protocol=protocol,
            without_controls=without_controls,
            treatments=tuple(treatment or ()),
            recipe=recipe,
            as_json=as_json,
        )
    )


def evaluate(
    dataset: _Dataset,
    data: Annotated[Path, typer.Argument(help="Folder of the table and the images.", callback=data_folder)],
    out: Annotated[Path, typer.Argument(help="Folder to write report.html and metrics.json to.")],
    protocol: Annotated[
        Protocol | None,
        typer.Option(
            help="What to hold out; `reference` shows the reference project's leaking split beside an honest one.",
            show_default="the first that is possible",
        ),
    ] = None,
    without_controls: Controls = "refuse",
    recipe: Annotated[
        str, typer.Option(help="default, reference, laptop, demo, or the path of a .toml file.")
    ] = "default",
    work: Annotated[
        Path | None,
        typer.Option(
            help="Folder of cache and checkpoints, to go on after a kill, or from what `run` learned there.",
            show_default="OUT.work",
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder of the cache, as `phenotrain cache` makes it.", show_default="WORK/cache"),
    ] = None,
    treatment: _Treatments = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="DenseNet121 to start from: imagenet, none, or a file.", show_default="the recipe's"
        ),
    ] = None,
    encoder: ChosenEncoder = None,
    skip_incomplete: Annotated[
        bool, typer.Option("--skip-incomplete", help="Leave out sites with an unusable file, and list them.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that decode images.", show_default="one a core")
    ] = None,
    held_out: Annotated[
        Path | None,
        typer.Option(
            help="Also write the test sites of every fold, their files and probabilities to this CSV file."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Learn and score every fold of a protocol; write a report, no bundle."""
    console = messages()
    # TensorFlow takes seconds to import, too long for `--help`.
    start_tensorflow(console)
    from phenotrain.protocols.choose import Asked
    from phenotrain.protocols.evaluate_command import evaluate_command

    raise typer.Exit(
        evaluate_command(
            console,
            dataset=dataset,
            data=data,
            out=out,
            asked=Asked(protocol, without_controls=without_controls),
            recipe=recipe,
            work=work or out.with_name(f"{out.name}.work"),
            cache=cache,
            treatments=tuple(treatment or ()),
            weights=weights,
            encoder=encoder,
            skip_incomplete=skip_incomplete,
            num_workers=workers,
            held_out=held_out,
            as_json=as_json,
        )
    )
