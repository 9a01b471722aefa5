"""The subcommands `plate` and `report`."""

import asyncio
import json
import signal
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Annotated

import typer

from phenoclient.calls import EmbeddingKind
from phenoclient.client import AsyncClient
from phenoclient.console import (
    ApiKey,
    AsJson,
    Timeout,
    Url,
    client_of,
    errors_as_exit_codes,
    tell,
    wants_json,
)
from phenoclient.exit_codes import ExitCode
from phenoclient.plate.asking import PATIENCE_S, Run
from phenoclient.plate.learned import LearnedWells
from phenoclient.plate.pacing import LARGEST_WINDOW
from phenoclient.plate.plate import Plate, PlateOptions, PlateOutcome, open_plate, predict_plate
from phenoclient.plate.progress_bar import ProgressBar
from phenoclient.plate.reading.layouts import LAYOUTS, Layout, layout_of_pattern
from phenoclient.plate.reading.plate_map import PlateMap, columns_of, read_plate_map
from phenoclient.plate.report import well_table_beside, write_report
from phenoclient.retry import NO_RETRIES
from phenoclient.settings import DEFAULT_URL, TIMEOUT_S

_NUM_FAILURES_SHOWN = 10
_NUM_STOPS = 2


def plate(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of the plate's images.")],
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="RESULTS", help="Table to write, .csv or .parquet.", show_default="FOLDER.csv, here"
        ),
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help=f"How files are named: {', '.join(LAYOUTS)}.", show_default="found out"
        ),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(
            "--pattern",
            metavar="PATTERN",
            help="How files are named otherwise, such as '{well}_s{site}_w{channel}.tif'.",
        ),
    ] = None,
    channels: Annotated[
        str | None,
        typer.Option(
            metavar="ID=STAIN,...",
            help="Which channel shows which stain.",
            show_default="by the channels' names, or by their numbers in the bundle's order",
        ),
    ] = None,
    plane: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Plane in depth to take, where there are several.")
    ] = None,
    timepoint: Annotated[
        str | None, typer.Option(metavar="NAME", help="Time point to take, where there are several.")
    ] = None,
    plate_map: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Table of wells with treatment and treatment_conc, to be joined; the one that training reads serves.",
        ),
    ] = None,
    map_columns: Annotated[
        str | None,
        typer.Option(
            metavar="WORD=COLUMN,...",
            help="Which columns of the plate map tell what, such as treatment=cell_type,treatment_conc=um.",
            show_default="by their names",
        ),
    ] = None,
    control: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What the plate map calls the untreated wells, such as DMSO.",
            show_default="what the bundle calls them",
        ),
    ] = None,
    embedding: Annotated[
        EmbeddingKind | None,
        typer.Option(help="Also write this vector, a column a number; a second request a site."),
    ] = None,
    max_in_flight: Annotated[
        int, typer.Option(min=1, help="Most requests at once; how many it is, the service decides.")
    ] = LARGEST_WINDOW,
    patience: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Longest wait for a service that is away or full.")
    ] = PATIENCE_S,
    timeout: Timeout = TIMEOUT_S,
    as_json: AsJson = False,
) -> None:
    """Ask about every site of a plate; write a table with one row a site; print where it is.

    The same command goes on where it was stopped or killed.
    """
    with errors_as_exit_codes():
        options = PlateOptions(_layout(layout, pattern), channels, embedding, plane, timepoint)
        client = client_of(AsyncClient, url, api_key, timeout, NO_RETRIES)
        results = out or Path(f"{folder.resolve().name}.csv")
        for option, value in (("--control", control), ("--map-columns", map_columns)):
            if value is not None and plate_map is None:
                raise typer.BadParameter(f"{option} is given without --plate-map. Expected both, or neither.")
        columns = columns_of(map_columns)

        def read_map(plate: Plate) -> PlateMap | None:
            if plate_map is None:
                return None
            return read_plate_map(plate_map, plate.bundle.control, control, columns).fitted(plate.found.sites)

        outcome = asyncio.run(_predict(client, folder, options, results, read_map, max_in_flight, patience))
    _tell_of_the_end(outcome)
    _print_outcome(outcome, as_json=as_json)
    if not outcome.is_complete:
        raise typer.Exit(ExitCode.INTERRUPTED)
    if outcome.failures or outcome.file_failures:
        raise typer.Exit(ExitCode.SITES_FAILED)


def report(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="Table that `phenoclient plate` wrote.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="HTML", help="Page to write.", show_default="RESULTS with .html"),
    ] = None,
    treatment: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Treatment to draw; may be given again.", show_default="all"),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Folder of the plate's images now.", show_default="where they were"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Draw a plate's results: heat maps by well, dose response, outlier wells, extreme sites."""
    with errors_as_exit_codes():
        page = write_report(
            results, out or results.with_suffix(".html"), treatments=treatment or None, images=images
        )
    wells = well_table_beside(page, results)
    if wants_json(as_json):
        typer.echo(json.dumps({"report": str(page), "wells": str(wells)}))
    else:
        typer.echo(f"report: {page}; a table of its wells: {wells}")


def _layout(name: str | None, pattern: str | None) -> Layout | None:
    if name is not None and pattern is not None:
        raise typer.BadParameter("--layout and --pattern are both given. Expected one of them.")
    if pattern is not None:
        return layout_of_pattern(pattern)
    if name is not None and name not in LAYOUTS:
        raise typer.BadParameter(f"--layout {name}. Expected one of {', '.join(LAYOUTS)}, or --pattern.")
    return None if name is None else LAYOUTS[name]


async def _predict(
    client: AsyncClient,
    folder: Path,
    options: PlateOptions,
    results: Path,
    read_map: Callable[[Plate], PlateMap | None],
    max_in_flight: int,
    patience_s: float,
) -> PlateOutcome:
    async with client:
        plate = await open_plate(client, folder, options)
        plate_map = read_map(plate)
        _tell_of_the_plate(plate, plate_map)
        with ProgressBar() as bar:

            def start(run: Run, num_sites: int, num_done: int) -> None:
                bar.start(run, num_sites, num_done)
                _stop_on_signals(run)

            return await predict_plate(
                client,
                plate,
                results,
                plate_map=plate_map,
                max_in_flight=max_in_flight,
                patience_s=patience_s,
                on_start=start,
                on_progress=bar.update,
            )


def _stop_on_signals(run: Run) -> None:
    """The first Ctrl-C (or SIGTERM) lets what is in flight finish, the second does not wait for it."""
    loop = asyncio.get_running_loop()
    stops = count(1)

    def stop() -> None:
        run.stop()
        if next(stops) == _NUM_STOPS:  # the next one is the system's: it ends a process that hangs
            for name in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(name)

    for name in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(name, stop)
        except NotImplementedError:
            return  # Windows has no such handlers: Ctrl-C ends at once there, and the journal stands


def _tell_of_the_plate(plate: Plate, plate_map: PlateMap | None) -> None:
    found = plate.found
    tell(f"{len(found.sites)} sites in layout {found.layout.name}; {plate.stain_files.described}")
    for note in found.notes:
        tell(note)
    if found.file_failures:
        tell(
            f"{len(found.file_failures)} files belong to no site: {next(iter(found.file_failures.values())).reason}"
        )
    for remark in plate_map.remarks(found.sites) if plate_map is not None else ():
        tell(remark)
    learned = LearnedWells.of(plate.bundle.manifest)
    named = found.sites if plate_map is None else map(plate_map.named, found.sites)
    for remark in learned.remarks(named) if learned is not None else ():
        tell(remark)


def _print_outcome(outcome: PlateOutcome, *, as_json: bool) -> None:
    """The result, on standard output: which tables were written, and how many sites are in each."""
    num_answered = outcome.num_sites - len(outcome.failures)
    if wants_json(as_json):
        written = {
            "is_complete": outcome.is_complete,
            "num_sites": outcome.num_sites,
            "num_resumed": outcome.num_resumed,
            "num_failed": len(outcome.failures),
            "num_files_without_site": len(outcome.file_failures),
            "results": str(outcome.results) if outcome.is_complete else None,
            "failed": str(outcome.failed) if outcome.is_complete else None,
            "journal": str(outcome.journal),
        }
        typer.echo(json.dumps(written))
    elif outcome.is_complete:
        earlier = f", {outcome.num_resumed} of them by an earlier run" if outcome.num_resumed else ""
        typer.echo(f"{num_answered} of {outcome.num_sites} sites answered{earlier}: {outcome.results}")


def _tell_of_the_end(outcome: PlateOutcome) -> None:
    """What is to be known beside the result, on standard error."""
    if outcome.num_damaged:
        tell(f"{outcome.journal}: {outcome.num_damaged} damaged lines of an earlier run count for nothing")
    if not outcome.is_complete:
        tell(f"stopped; the answers so far are in {outcome.journal}. The same command goes on from there.")
        return
    sites = [("_".join(filter(None, identity)), failure) for identity, failure in outcome.failures.items()]
    files = [(path.as_posix(), failure) for path, failure in outcome.file_failures.items()]
    for name, failure in [*sites, *files][:_NUM_FAILURES_SHOWN]:
        tell(f"failed: {name}: {failure.code}: {failure.reason}")
    if sites:
        tell(f"{len(sites)} sites failed, all listed in {outcome.failed}; run again to ask about them again")
    if files:
        tell(f"{len(files)} files belong to no site, all listed in {outcome.failed}")
