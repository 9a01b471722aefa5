"""The command `phenoclient`: answers on standard output, as JSON lines where piped; all else on standard error."""

import io
import json
import logging
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import numpy as np
import stamina
import typer
from jaxtyping import Float32
from rich.console import Console
from stamina.typing import RetryDetails

from phenoclient.calls import EmbeddingKind
from phenoclient.client import Client
from phenoclient.console import (
    ApiKey,
    AsJson,
    Timeout,
    Url,
    check_folders,
    client_of,
    errors_as_exit_codes,
    names_of,
    tell,
    wants_json,
    write,
)
from phenoclient.images import holds_one_channel, tiff_of
from phenoclient.plate.command import plate, report
from phenoclient.readable import readable, readable_bundle
from phenoclient.results import Embedding, Explanation, Prediction
from phenoclient.settings import DEFAULT_URL, TIMEOUT_S

app = typer.Typer(
    name="phenoclient",
    help="Send stacks of fluorescence channels to a phenoserve service; print its answers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

_NAMED = {
    "ome": "the names in its OME-XML header",
    "imagej": "the labels in its ImageJ header",
    "pages": "the names of its pages or files",
}
"""Where an order comes from that the user did not state, and that is not the bundle's."""

Files: TypeAlias = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE",
        help="Stacks, or the single-channel files (TIFF or PNG) of one stack: in channel order, unless their names "
        "are the bundle's stains.",
    ),
]
Channels: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="NAME,NAME,...", help="Stain of every channel, in the stack's order."),
]
OneStack: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--one-stack/--each-file",
        help="Take the files as the channels of one stack, or each file as a stack. "
        "Without either: one stack when there are several files and each holds a single channel.",
        show_default=False,
    ),
]


def _print_version(asked: bool) -> bool:
    if asked:
        typer.echo(f"phenoclient {metadata.version('phenoserve-client')}")
        raise typer.Exit
    return asked


@app.callback()
def _prepare(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end."),
    ] = False,
) -> None:
    logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what matters is in the errors
    stamina.instrumentation.set_on_retry_hooks([_tell_of_retry])


@app.command(short_help="Print the probability of every treatment.")
def predict(
    files: Files,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    channels: Channels = None,
    one_stack: OneStack = None,
    timeout: Timeout = TIMEOUT_S,
    as_json: AsJson = False,
) -> None:
    """Print the probability of every treatment, and the set of those the stack is compatible with."""
    reasons: dict[str, None] = {}
    with errors_as_exit_codes(), client_of(Client, url, api_key, timeout) as client:
        for stack in _stacks(files, one_stack=one_stack):
            with errors_as_exit_codes(_stack_name(stack)):
                answer = client.predict(stack, channels=names_of(channels))
            _print_answer(stack, answer, as_json=as_json)
            if answer.in_distribution is False:
                tell(_out_of_distribution(stack, answer))
            reasons |= dict.fromkeys(
                reason for reason in (answer.prediction_set_reason, answer.distribution_reason) if reason
            )
        # They are the bundle's, so one for all stacks will do.
        for reason in reasons:
            tell(reason)


@app.command()
def embed(
    files: Files,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    channels: Channels = None,
    one_stack: OneStack = None,
    timeout: Timeout = TIMEOUT_S,
    kind: Annotated[EmbeddingKind, typer.Option(help="Encoder features, or projection head.")] = "embedding",
    npy: Annotated[
        Path | None,
        typer.Option(help="Also write the embeddings to this file, float32 (stack, dim)."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the embedding."""
    check_folders(npy)
    with errors_as_exit_codes(), client_of(Client, url, api_key, timeout) as client:
        embeddings: list[Float32[np.ndarray, " dim"]] = []
        for stack in _stacks(files, one_stack=one_stack):
            with errors_as_exit_codes(_stack_name(stack)):
                answer = client.embed(stack, kind=kind, channels=names_of(channels))
            _print_answer(stack, answer, as_json=as_json)
            embeddings.append(answer.embedding)
        if npy is not None:
            content = io.BytesIO()
            np.save(content, np.stack(embeddings), allow_pickle=False)
            write(npy, content.getvalue())


@app.command(short_help="Print where the evidence for a treatment lies.")
def explain(
    files: Files,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    channels: Channels = None,
    one_stack: OneStack = None,
    timeout: Timeout = TIMEOUT_S,
    treatment: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Treatment to explain.", show_default="the predicted one"),
    ] = None,
    stains: Annotated[
        bool,
        typer.Option(
            "--stains", help="Also tell how much each stain adds; takes 2^C times as long for C stains."
        ),
    ] = False,
    png: Annotated[
        Path | None, typer.Option(help="Also write the overlay on every stain to this file.")
    ] = None,
    tiff: Annotated[
        Path | None, typer.Option(help="Also write the float32 map, at the field's size, to this file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print where in the field, and in which stains, the evidence for a treatment lies (Grad-CAM, Shapley values)."""
    check_folders(png, tiff)
    with errors_as_exit_codes(), client_of(Client, url, api_key, timeout) as client:
        stacks = _stacks(files, one_stack=one_stack)
        if len(stacks) > 1 and (png or tiff):
            raise typer.BadParameter(f"--png and --tiff take one stack. Received {len(stacks)}.")
        names = names_of(channels)
        for stack in stacks:
            with errors_as_exit_codes(_stack_name(stack)):
                answer = client.explain(stack, treatment=treatment, stains=stains, channels=names)
            _print_answer(stack, answer, as_json=as_json)
            if png is not None:
                overlay = client.explain_overlay(
                    stack, treatment=answer.treatment, stains=stains, channels=names
                )
                write(png, overlay)
            if tiff is not None:
                heatmap = client.explain_map(stack, treatment=answer.treatment, channels=names)
                write(tiff, tiff_of(heatmap[np.newaxis]))


@app.command(short_help="Print which bundle is served.")
def bundle(
    url: Url = DEFAULT_URL, api_key: ApiKey = None, timeout: Timeout = TIMEOUT_S, as_json: AsJson = False
) -> None:
    """Print which bundle is served: its stains in order, its treatments and its control; all of it as JSON."""
    with errors_as_exit_codes(), client_of(Client, url, api_key, timeout) as client:
        served = client.bundle()
    if wants_json(as_json):
        typer.echo(json.dumps(asdict(served), allow_nan=False))
    else:
        Console(markup=False, highlight=False).print(readable_bundle(served))


app.command(short_help="Ask about every site of a plate; write a table.")(plate)
app.command(short_help="Draw the results of a plate as a page.")(report)


def _stacks(files: list[Path], *, one_stack: bool | None) -> list[Path | list[Path]]:
    """The stacks that the files make up; see the option `--one-stack/--each-file`."""
    if one_stack is None:
        one_stack = len(files) > 1 and _are_channels(files)
    return [files] if one_stack else [*files]


def _are_channels(files: list[Path]) -> bool:
    kinds = {holds_one_channel(file) for file in files}
    if len(kinds) == 1:
        return kinds.pop()
    raise typer.BadParameter(
        "Some of the files hold a single channel and some hold more. Expected the channels of one stack "
        "(--one-stack), or files that are each a stack (--each-file): say which."
    )


def _print_answer(
    stack: Path | list[Path], answer: Prediction | Embedding | Explanation, *, as_json: bool
) -> None:
    name = _stack_name(stack)
    if wants_json(as_json):
        line = json.dumps({"files": _file_names(stack), **asdict(answer)}, default=_plain, allow_nan=False)
        typer.echo(line)
    else:
        Console(markup=False, highlight=False).print(readable(name, answer))
    summary = answer.stack
    if summary.channel_order in _NAMED:
        tell(f"{name}: channels taken as {', '.join(summary.channels)}, by {_NAMED[summary.channel_order]}.")
    for notice in summary.notices:
        tell(f"{name}: {notice.code}: {notice.detail}")


def _out_of_distribution(stack: Path | list[Path], answer: Prediction) -> str:
    distance = answer.distance
    how_far = (
        ""
        if distance is None
        else f": its distance is {distance.value:.4g}, and {distance.percentile:.4g} % of the validation controls are "
        "as near or nearer"
    )
    return (
        f"{_stack_name(stack)} is unlike what the model learned from{how_far}. Do not rely on its "
        "probabilities: see whether the image is in focus, of the model's cells and stains, and its channels in order."
    )


def _stack_name(stack: Path | list[Path]) -> str:
    first, *others = _file_names(stack)
    return f"{first} with {len(others)} more" if others else first


def _file_names(stack: Path | list[Path]) -> list[str]:
    return [str(file) for file in (stack if isinstance(stack, list) else [stack])]


def _plain(array: np.ndarray) -> list[Any]:
    return array.tolist()


def _tell_of_retry(details: RetryDetails) -> None:
    tell(f"{details.caused_by}; sending again in {details.wait_for:.1f} s")
