"""Options of the commands that split a screen, written once."""

from typing import Annotated

import typer

from phenotrain.splits import Protocol, WithoutControls

AskedProtocol = Annotated[
    Protocol | None,
    typer.Option("--protocol", help="What to hold out.", show_default="the first that is possible"),
]
Controls = Annotated[
    WithoutControls,
    typer.Option("--without-controls", help="What to do with plates of treated wells without a control."),
]
