"""What a command says: its result on standard output, all else on standard error."""

import json
import sys
from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

import typer
from rich.console import Console, RenderableType

AsJson: TypeAlias = Annotated[
    bool,
    typer.Option("--json", help="Print the result as JSON, as is done where the output is no terminal."),
]


def messages() -> Console:
    """Returns where progress, findings and errors go: standard error, lines left whole where nobody watches."""
    return Console(stderr=True, markup=False, highlight=False, soft_wrap=not sys.stderr.isatty())


def wants_json(as_json: bool) -> bool:
    """Whether a result is printed as JSON: where it was asked for, and where standard output is no terminal."""
    return as_json or not sys.stdout.isatty()


def show_result(result: Mapping[str, Any], *readable: RenderableType, as_json: bool) -> None:
    """Prints a command's result on standard output.

    Args:
        result: What JSON can hold.
        readable: The same for eyes.
        as_json: Whether JSON was asked for.
    """
    if wants_json(as_json):
        typer.echo(json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        Console(markup=False, highlight=False).print(*readable, sep="\n", soft_wrap=True)


def fail(console: Console, error: Exception) -> int:
    """Tells of an error that the user can mend.

    Args:
        console: Where it goes.
        error: What went wrong.

    Returns:
        The command's exit code, 1.
    """
    console.print(str(error), style="red")
    return 1
