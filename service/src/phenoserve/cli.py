"""The command `phenoserve`: serve a bundle, verify one, or tune the service to this machine."""

import inspect
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from phenoserve.bundle import BundleError
from phenoserve.engine import RUNTIME_VERSION, Device, EngineError
from phenoserve.engine.golden_replay import VerifyReport
from phenoserve.engine.golden_replay import verify as verify_bundle
from phenoserve.http.request.keys import ApiKeysError
from phenoserve.logs import set_up_logging
from phenoserve.process.serve import ENV_FILE_VARIABLE, Inherited, ListenError
from phenoserve.process.serve import serve as serve_bundle
from phenoserve.settings import Settings
from phenoserve.tune import TuneReport
from phenoserve.tune import tune as tune_bundle

FAILURE: Final = 1
USAGE_ERROR: Final = 2

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_show_locals=False,
)
BundleArgument = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="Folder of the bundle.", envvar="PHENOSERVE_BUNDLE")
]
EnvFileOption = Annotated[
    Path | None,
    typer.Option(
        help="File of settings as NAME=VALUE lines, such as `phenoserve tune` writes.",
        envvar=ENV_FILE_VARIABLE,
    ),
]


JsonOption = Annotated[
    bool,
    typer.Option("--json", help="Print the result as JSON, as is done where the output is no terminal."),
]
InheritedOption = Annotated[int | None, typer.Option(hidden=True, help="Set by the supervisor.")]


def _print_version(asked: bool) -> bool:
    if asked:
        runtime = f"onnxruntime {RUNTIME_VERSION}, Python {platform.python_version()}"
        typer.echo(f"phenoserve {metadata.version('phenoserve')} ({runtime})")
        raise typer.Exit
    return asked


@app.callback()
def _prepare(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end."),
    ] = False,
) -> None:
    """Serves what phenotrain learned from fluorescence microscopy."""


def _with_settings_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command one flag a setting, named, typed and described by `Settings` alone."""
    own = [
        parameter
        for parameter in inspect.signature(command).parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    flags = [_flag(name) for name in Settings.model_fields]
    command.__signature__ = inspect.Signature([*own, *flags])  # pyright: ignore[reportFunctionMemberAccess] (set for typer)
    command.__annotations__ |= {flag.name: flag.annotation for flag in flags}
    return command


def _flag(name: str) -> inspect.Parameter:
    field = Settings.model_fields[name]
    variable = f"PHENOSERVE_{name.upper()}"
    default = "unset" if field.default is None else field.default
    option = typer.Option(
        f"--{name.replace('_', '-')}", help=f"{field.description} [{variable}; {default}]", show_default=False
    )
    annotation = Annotated[field.annotation | None, option]  # pyright: ignore[reportOptionalOperand] (a field has a type)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


@app.command()
@_with_settings_flags
def serve(
    bundle: BundleArgument,
    env_file: EnvFileOption = None,
    listener_fd: InheritedOption = None,
    ready_fd: InheritedOption = None,
    **flags: Any,
) -> None:
    """Serve a bundle over HTTP until SIGTERM or Ctrl-C.

    Every flag is also a variable of the environment, named in brackets with its default, and may stand in the
    env file; a flag wins over the environment, which wins over the file.
    """
    settings = _settings(env_file, {name: value for name, value in flags.items() if value is not None})
    set_up_logging(settings)
    # What traces call it, unless somebody says otherwise.
    os.environ.setdefault("OTEL_SERVICE_NAME", "phenoserve")
    inherited = None if listener_fd is None or ready_fd is None else Inherited(listener_fd, ready_fd)
    try:
        exit_code = serve_bundle(bundle, settings, typer.echo, inherited)
    except (BundleError, EngineError, ApiKeysError, ListenError, OSError) as error:
        _fail(str(error), FAILURE)
    raise typer.Exit(exit_code)


@app.command()
def tune(
    bundle: BundleArgument,
    out: Annotated[Path, typer.Option(help="Env file to write.")] = Path("phenoserve.env"),
    device: Annotated[Device, typer.Option(help="Where to measure.", envvar="PHENOSERVE_DEVICE")] = "auto",
    seconds: Annotated[
        float, typer.Option(min=0.01, max=60, help="Seconds of each measurement; there are a few dozen.")
    ] = 1.0,
    as_json: JsonOption = False,
) -> None:
    """Measure on an idle machine how a bundle runs fastest, and write it as settings for `serve --env-file`."""
    if not out.absolute().parent.is_dir() or out.is_dir():
        _fail(f"--out {out} cannot be written. Expected a file in a folder that exists.", USAGE_ERROR)
    try:
        report = tune_bundle(bundle, device, seconds)
        out.write_text(report.env_file(), "utf-8")
    except (BundleError, EngineError, OSError) as error:
        _fail(str(error), FAILURE)
    if not _wants_json(as_json):
        _print_tuning(report)
        typer.echo(f"Written to {out}. Serve with: phenoserve serve {bundle} --env-file {out}")
        return
    _print_json({"env_file": str(out), **asdict(report)})


@app.command()
def verify(
    bundle: BundleArgument,
    device: Annotated[
        Device, typer.Option(help="Where to replay the golden stacks.", envvar="PHENOSERVE_DEVICE")
    ] = "auto",
    as_json: JsonOption = False,
) -> None:
    """Verify a bundle's files and replay its golden stacks; exit with 1 if anything is off."""
    try:
        reports = verify_bundle(bundle, device)
    except (BundleError, EngineError) as error:
        _fail(str(error), FAILURE)
    if _wants_json(as_json):
        _print_json({"is_ok": all(report.ok for report in reports), "replays": [*map(_replay, reports)]})
    else:
        for report in reports:
            _print_report(report)
    if not all(report.ok for report in reports):
        _fail("The bundle does not answer its golden stacks as it must.", FAILURE)


def _print_tuning(report: TuneReport) -> None:
    height, width = report.field_px
    table = Table(title=f"{report.active_device}, fields of {height} by {width} px", title_justify="left")
    for heading in ("inferences", "threads each", "stacks each", "stacks a second", "ms an inference", ""):
        table.add_column(heading)
    for found in report.measured:
        candidate = found.candidate
        table.add_row(
            str(candidate.num_inferences),
            str(candidate.num_threads),
            str(candidate.batch),
            f"{found.stacks_per_s:.2f}",
            f"{1e3 * found.batch_s:.1f}",
            "best" if candidate == report.best else "",
        )
    Console().print(table)
    for threads, seconds in report.alone_s.items():
        typer.echo(f"A lone stack on {threads} threads: {1e3 * seconds:.1f} ms")


def _replay(report: VerifyReport) -> dict[str, Any]:
    manifest = report.bundle.manifest
    return {
        "bundle": {"name": manifest.name, "version": manifest.version, "digest": report.bundle.digest},
        "precision": report.bundle.precision,
        "device": report.active_device,
        "is_ok": report.ok,
        "differences": [{**asdict(difference), "is_ok": difference.ok} for difference in report.differences],
    }


def _wants_json(as_json: bool) -> bool:
    return as_json or not sys.stdout.isatty()


def _print_json(result: Mapping[str, Any]) -> None:
    typer.echo(json.dumps(result, indent=2, ensure_ascii=False))


def _print_report(report: VerifyReport) -> None:
    manifest = report.bundle.manifest
    title = f"{manifest.name} {manifest.version}, {report.bundle.precision} on {report.active_device}"
    table = Table(title=title, title_justify="left")
    for heading in ("golden stack", "output", "largest difference", "nearest to its limit", "limit", ""):
        table.add_column(heading, no_wrap=heading == "output")
    for difference in report.differences:
        table.add_row(
            str(difference.stack),
            difference.output,
            f"{difference.max_difference:.2e}",
            f"{difference.difference:.2e}",
            f"{difference.allowed:.2e}",
            "ok" if difference.ok else "OFF",
        )
    Console().print(table)


def _settings(env_file: Path | None, flags: dict[str, Any]) -> Settings:
    if env_file is not None and not env_file.is_file():
        _fail(f"The env file {env_file} is no file. Write one with `phenoserve tune`.", USAGE_ERROR)
    try:
        return Settings(_env_file=env_file, **flags)  # pyright: ignore[reportCallIssue] (pydantic-settings takes it)
    except ValidationError as error:
        faults = [
            f"{name} is {fault['input']!r}: {fault['msg']}"
            f" (flag --{name.replace('_', '-')}, or PHENOSERVE_{name.upper()})"
            for fault in error.errors()
            for name in [str(fault["loc"][0])]
        ]
        _fail("; ".join(faults), USAGE_ERROR)


def _fail(message: str, exit_code: int) -> NoReturn:
    typer.echo(f"phenoserve: {message}", err=True)
    raise typer.Exit(exit_code)
