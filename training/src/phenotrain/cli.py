"""The command `phenotrain`."""

from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from phenotrain.cache.cli import cache
from phenotrain.profiles.cli import profile
from phenotrain.protocols.cli import evaluate, splits
from phenotrain.protocols.options import AskedProtocol, ChosenEncoder, Controls
from phenotrain.quantize.cli import quantize
from phenotrain.simulate.cli import simulate
from phenotrain.tensorflow_start import start_tensorflow
from phenotrain.terminal import AsJson, data_folder, messages

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(asked: bool) -> bool:
    if asked:
        versions = (metadata.version(name) for name in ("phenoserve-training", "tensorflow"))
        typer.echo("phenotrain {} (tensorflow {})".format(*versions))
        raise typer.Exit
    return asked


@app.callback()
def _prepare(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end."),
    ] = False,
) -> None:
    """Learn from fluorescence microscopy plates how cells respond to drugs, and export a bundle."""


app.command()(simulate)
app.command()(cache)
app.command()(splits)
app.command()(evaluate)
app.command()(profile)
app.command()(quantize)


@app.command()
def run(
    dataset: Annotated[
        str, typer.Argument(help="Name of a shipped description, or the path of a .toml file.")
    ],
    data: Annotated[Path, typer.Argument(help="Folder of the table and the images.", callback=data_folder)],
    bundle: Annotated[Path, typer.Argument(help="Folder to write the bundle to; must not exist.")],
    recipe: Annotated[
        str, typer.Option(help="default, reference, laptop, demo, or the path of a .toml file.")
    ] = "default",
    work: Annotated[
        Path | None,
        typer.Option(
            help="Folder of cache and checkpoints, to go on after a kill.", show_default="BUNDLE.work"
        ),
    ] = None,
    cache_folder: Annotated[
        Path | None,
        typer.Option(
            "--cache", help="Folder of the cache, as `phenotrain cache` makes it.", show_default="WORK/cache"
        ),
    ] = None,
    treatment: Annotated[
        list[str] | None,
        typer.Option(help="A treatment to learn; repeatable.", show_default="those of the description"),
    ] = None,
    protocol: AskedProtocol = None,
    test_experiment: Annotated[
        str | None, typer.Option(help="Experiment to test on.", show_default="the last by name")
    ] = None,
    test_plate: Annotated[
        str | None,
        typer.Option(help="Plate to test on, under leave-one-plate-out.", show_default="the last by name"),
    ] = None,
    without_controls: Controls = "refuse",
    weights: Annotated[
        str | None,
        typer.Option(
            help="DenseNet121 to start from: imagenet, none, or a file.", show_default="the recipe's"
        ),
    ] = None,
    encoder: ChosenEncoder = None,
    name: Annotated[str | None, typer.Option(help="Name of the bundle.", show_default="its folder's")] = None,
    version: Annotated[str, typer.Option(help="Version of the bundle.")] = "1",
    skip_incomplete: Annotated[
        bool, typer.Option("--skip-incomplete", help="Leave out sites with an unusable file, and list them.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that decode images.", show_default="one a core")
    ] = None,
    held_out: Annotated[
        Path | None,
        typer.Option(help="Also write the test sites, their files and probabilities to this CSV file."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Learn from a screen and export a bundle that `phenoserve serve` takes."""
    console = messages()
    # TensorFlow takes seconds to import, too long for `--help`.
    start_tensorflow(console)
    from phenotrain.command import run_command
    from phenotrain.protocols.choose import Asked

    raise typer.Exit(
        run_command(
            console,
            dataset=dataset,
            data=data,
            bundle=bundle,
            recipe=recipe,
            work=work or bundle.with_name(f"{bundle.name}.work"),
            treatments=tuple(treatment or ()),
            asked=Asked(protocol, test_experiment, test_plate, without_controls),
            weights=weights,
            encoder=encoder,
            name=name or bundle.resolve().name,
            version=version,
            cache=cache_folder,
            skip_incomplete=skip_incomplete,
            num_workers=workers,
            held_out=held_out,
            as_json=as_json,
        )
    )
