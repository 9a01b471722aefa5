"""Options of the commands that split a screen, written once."""

from typing import Annotated

import typer

from phenotrain.recipe import ExportedEncoder
from phenotrain.splits import Protocol, WithoutControls

AskedProtocol = Annotated[
    Protocol | None,
    typer.Option("--protocol", help="What to hold out.", show_default="the first that is possible"),
]
Controls = Annotated[
    WithoutControls,
    typer.Option("--without-controls", help="What to do with plates of treated wells without a control."),
]
ChosenEncoder = Annotated[
    ExportedEncoder | None,
    typer.Option(
        "--encoder",
        help="Encoder of the bundle: as SimCLR trained it, as it was before, or the better of both on labelled sites "
        "that are not tested on.",
        show_default="the recipe's, trained",
    ),
]
