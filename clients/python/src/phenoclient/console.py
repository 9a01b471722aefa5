"""What the subcommands of `phenoclient` share: common options, messages, and errors as exit statuses."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeAlias, TypeVar

import httpx
import typer

from phenoclient.client import AsyncClient, Client
from phenoclient.errors import (
    KeyMissingError,
    KeyRefusedError,
    PhenoclientError,
    TooLargeError,
    UnsupportedMediaError,
    UnusableStackError,
)
from phenoclient.exit_codes import ExitCode, exit_code_of
from phenoclient.retry import DEFAULT_RETRY_POLICY, RetryPolicy
from phenoclient.settings import CONNECT_TIMEOUT_S

Url: TypeAlias = Annotated[str, typer.Option(envvar="PHENOCLIENT_URL", help="Address of the service.")]
ApiKey: TypeAlias = Annotated[
    str | None, typer.Option(envvar="PHENOCLIENT_API_KEY", help="Key, where the service asks for one.")
]
Timeout: TypeAlias = Annotated[
    float, typer.Option(min=0.001, metavar="SECONDS", help="Longest wait for the service to answer.")
]

AsJson: TypeAlias = Annotated[
    bool,
    typer.Option("--json", help="Print JSON, as is done where the output is no terminal."),
]

_ABOUT_THE_STACK = (TooLargeError, UnsupportedMediaError, UnusableStackError)
"""Errors of the service that name no file, as it has seen none"""

AnyClient = TypeVar("AnyClient", Client, AsyncClient)


def client_of(
    kind: type[AnyClient],
    url: str,
    api_key: str | None,
    timeout_s: float,
    retries: RetryPolicy = DEFAULT_RETRY_POLICY,
) -> AnyClient:
    """A client of the service that the options name.

    Raises:
        SettingsError: If the address, the key, or a proxy or certificates of the environment cannot be used.
    """
    timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, CONNECT_TIMEOUT_S))
    return kind(url, api_key=api_key, timeout=timeout, retries=retries)


def names_of(text: str | None) -> list[str] | None:
    """The names in the text of an option, separated by commas; None where the option was not given."""
    return None if text is None else [name.strip() for name in text.split(",")]


def check_folders(*paths: Path | None) -> None:
    """Ends the command with `ExitCode.FILE`, before any work is done, where a file to write has no folder."""
    for path in paths:
        if path is not None and not path.absolute().parent.is_dir():
            tell(f"{path}: its folder is not there. Expected a file in an existing folder.")
            raise typer.Exit(ExitCode.FILE)


def write(path: Path, content: bytes) -> None:
    """Writes a file, or ends the command with `ExitCode.FILE`."""
    try:
        path.write_bytes(content)
    except OSError as error:
        tell(f"{path}: cannot be written ({error.strerror}).")
        raise typer.Exit(ExitCode.FILE) from error


@contextmanager
def errors_as_exit_codes(stack: str | None = None) -> Generator[None]:
    """Ends the command with an error's message and its exit status.

    Args:
        stack: Name of the stack that is asked about, for the errors that are about it; None where there is none.
    """
    try:
        yield
    except PhenoclientError as error:
        about = f"{stack}: " if stack is not None and isinstance(error, _ABOUT_THE_STACK) else ""
        tell(f"{about}{error}{_hint(error)}")
        raise typer.Exit(exit_code_of(error)) from error


def wants_json(as_json: bool) -> bool:
    """Whether answers are printed as JSON: where it was asked for, and where standard output is no terminal."""
    return as_json or not sys.stdout.isatty()


def _hint(error: PhenoclientError) -> str:
    if isinstance(error, KeyMissingError | KeyRefusedError):
        return " On the command line: --api-key KEY, or the variable PHENOCLIENT_API_KEY."
    return ""


def tell(message: str) -> None:
    """Says something in one line on standard error."""
    typer.echo(f"phenoclient: {' '.join(message.split())}", err=True)
