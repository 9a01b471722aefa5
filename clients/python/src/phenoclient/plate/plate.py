"""A whole plate: find its sites, ask about each, write the tables."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from phenoclient.calls import EmbeddingKind
from phenoclient.client import AsyncClient
from phenoclient.errors import PlateError, StackArgumentError
from phenoclient.plate.asking import PATIENCE_S, Progress, Question, Run, signature_of
from phenoclient.plate.journal import Journal
from phenoclient.plate.learned import LearnedWells
from phenoclient.plate.pacing import LARGEST_WINDOW
from phenoclient.plate.reading.finding import FoundSites, find_sites
from phenoclient.plate.reading.layouts import Layout
from phenoclient.plate.reading.plate_map import PlateMap
from phenoclient.plate.reading.sites import Failure, Site
from phenoclient.plate.reading.stains import StainFiles, assign_stains
from phenoclient.plate.rows import failure_row, folder_beside, site_row, source_row
from phenoclient.plate.tables import CSV, PARQUET, check_writable, write_table
from phenoclient.results import ServedBundle


@dataclass(frozen=True)
class PlateOptions:
    """What to ask about a plate.

    Attributes:
        layout: How the files are named; None finds it among `LAYOUTS`.
        channels: Which channel shows which stain, see `assign_stains`; None goes by order.
        embedding: Vector to write a column a number of: `embedding` or `projection`; it takes a second request a site.
            None for none.
        plane: Plane in depth to take, where the file names tell several.
        timepoint: Time point to take, likewise.
    """

    layout: Layout | None = None
    channels: str | None = None
    embedding: EmbeddingKind | None = None
    plane: str | None = None
    timepoint: str | None = None


@dataclass(frozen=True)
class Plate:
    """A plate that is ready to be asked about.

    Attributes:
        folder: Where its images lie.
        options: What is asked.
        found: Its sites.
        bundle: The bundle that is served.
        stain_files: Which file shows which stain.
        failures: By `Site.identity`, the sites that cannot be sent and why.
    """

    folder: Path
    options: PlateOptions
    found: FoundSites
    bundle: ServedBundle
    stain_files: StainFiles
    failures: dict[tuple[str, ...], Failure] = field(default_factory=dict[tuple[str, ...], Failure])

    @property
    def binding(self) -> dict[str, str]:
        """What the answers depend on; a journal is bound to it."""
        return {
            "bundle digest": self.bundle.digest,
            "folder": str(self.folder.resolve()),
            "layout": self.found.layout.name,
            "stains": self.stain_files.described,
            "order of stains from": self.stain_files.source,
            "stack order": ",".join(self.stain_files.stains or ("the service's",)),
            "embedding": self.options.embedding or "none",
            "plane": self.options.plane or "any",
            "timepoint": self.options.timepoint or "any",
        }


@dataclass(frozen=True)
class PlateOutcome:
    """How a run ended.

    Attributes:
        is_complete: Whether every site was answered or failed; False when the run was stopped and wrote no table.
        num_sites: Sites of the plate.
        num_resumed: Those that an earlier run had answered.
        failures: By `Site.identity`, the sites without an answer and why.
        file_failures: By path, the files of the folder that belong to no site and why; in the same table.
        results: Path of the table of answered sites.
        failed: Path of the table of sites without an answer; written too, with no rows, where there is none.
        journal: Path of the journal.
        num_damaged: Lines of it that an earlier run had written and that could not be read; their sites count as not
            answered.
    """

    is_complete: bool
    num_sites: int
    num_resumed: int
    failures: dict[tuple[str, ...], Failure]
    file_failures: dict[Path, Failure]
    results: Path
    failed: Path
    journal: Path
    num_damaged: int


async def open_plate(client: AsyncClient, folder: Path, options: PlateOptions | None = None) -> Plate:
    """Finds a plate's sites and decides, by the bundle served, which file shows which stain.

    Args:
        client: Client of the service.
        folder: Where the images lie.
        options: What to ask; None for the defaults of `PlateOptions`.

    Raises:
        PlateError: If no file matches the layout, or channels and stains do not fit.
        PhenoclientError: If the service does not answer.
    """
    options = options or PlateOptions()
    bundle = await client.bundle()
    found = await asyncio.to_thread(
        find_sites, folder, options.layout, plane=options.plane, timepoint=options.timepoint
    )
    stain_files = assign_stains(found.sites, bundle.channels, options.channels)
    missing = {site.identity: stain_files.missing(site) for site in found.sites}
    failures = {identity: failure for identity, failure in missing.items() if failure is not None}
    return Plate(folder, options, found, bundle, stain_files, failures | found.failures)


async def predict_plate(
    client: AsyncClient,
    plate: Plate,
    results: Path,
    *,
    plate_map: PlateMap | None = None,
    max_in_flight: int = LARGEST_WINDOW,
    patience_s: float = PATIENCE_S,
    on_start: Callable[[Run, int, int], None] = lambda _run, _num_sites, _num_done: None,
    on_progress: Callable[[Progress], None] = lambda _progress: None,
) -> PlateOutcome:
    """Asks about every site that has no answer yet, and writes the tables once all are done.

    Answers are kept in `{results}.journal`, so the same call goes on where an earlier one was stopped or killed. A site
    is asked again only if a file of it has changed since, or if it failed.

    Args:
        client: Client with `retries=NO_RETRIES`; when to send again is decided here.
        plate: From `open_plate`.
        results: Table to write, `.csv` or `.parquet`. `{stem}.failed.csv` beside it lists sites without an answer, and
            files without a site.
        plate_map: Treatments and doses of wells to join; None for none.
        max_in_flight: Most requests in flight at once, 1 or more; the service decides how many up to it.
        patience_s: Seconds to wait for a service that is away or has no room before giving up.
        on_start: Called with the run, the number of sites and how many are done, before any request.
        on_progress: Called whenever a site is done.

    Raises:
        PlateError: If the journal is of another run or in use, a table cannot be written, other results would list
            their failures in the same file, the plate map holds no
            well of the plate, or another bundle answers.
        PhenoclientError: If the service refuses every request alike, or stays away for longer than the patience.
    """
    check_writable(results)
    _check_failures_apart(results)
    if plate_map is not None:
        plate_map = plate_map.fitted(plate.found.sites)
    journal_path = _journal_of(results)
    with Journal(journal_path, plate.binding) as journal:
        sites = [site for site in plate.found.sites if site.identity not in plate.failures]
        remaining = [site for site in sites if not _is_answered(plate, site, journal)]
        for site in remaining:
            journal.forget(site.identity)
        question = Question(plate.folder, plate.stain_files, plate.bundle.digest, plate.options.embedding)
        run = Run(
            client,
            question,
            journal,
            max_in_flight=max_in_flight,
            patience_s=patience_s,
            on_progress=on_progress,
        )
        num_sites = len(plate.found.sites)
        on_start(run, num_sites, num_sites - len(remaining))
        is_complete = await run.ask(remaining)
        failures = plate.failures | run.failures
        failed = results.with_name(f"{results.stem}.failed.csv")
        if is_complete:
            await asyncio.to_thread(_write_tables, plate, plate_map, journal, failures, results, failed)
    num_resumed = len(sites) - len(remaining)
    return PlateOutcome(
        is_complete,
        num_sites,
        num_resumed,
        failures,
        plate.found.file_failures,
        results,
        failed,
        journal_path,
        journal.num_damaged,
    )


def _check_failures_apart(results: Path) -> None:
    """Makes sure that no other results list their failures where these do."""
    if results.stem.lower().endswith(".failed"):
        raise PlateError(
            f"{results}: ends in .failed{results.suffix}, as lists of failures do. Expected another name."
        )
    for ending in (CSV, PARQUET):
        other = results.with_suffix(ending)
        if ending != results.suffix.lower() and (other.exists() or _journal_of(other).exists()):
            raise PlateError(
                f"{results}: {other.name}, or its journal, lies beside it, and both would list failures in "
                f"{results.stem}.failed.csv. Expected one of them: choose another --out, or move that one away."
            )


def _journal_of(results: Path) -> Path:
    return results.with_name(f"{results.name}.journal")


def _is_answered(plate: Plate, site: Site, journal: Journal) -> bool:
    signature = journal.signatures.get(site.identity)
    if signature is None:
        return False
    try:
        return signature == signature_of([plate.folder / path for path in plate.stain_files.paths(site)])
    except StackArgumentError:
        return False  # asking about it says what is wrong with the file


def _write_tables(
    plate: Plate,
    plate_map: PlateMap | None,
    journal: Journal,
    failures: dict[tuple[str, ...], Failure],
    results: Path,
    failed: Path,
) -> None:
    def known(site: Site) -> dict[str, Any]:
        return site_row(site) | ({} if plate_map is None else plate_map.row(site))

    learned, folder = LearnedWells.of(plate.bundle.manifest), folder_beside(plate.folder, results)

    def row(site: Site) -> dict[str, Any]:
        named = site if plate_map is None else plate_map.named(site)
        learned_from = None if learned is None else learned.state(named)
        source = source_row(site, folder, plate.stain_files, plate.bundle, learned_from)
        return {**known(site), **source, **journal.entry(site.identity).answer}

    sites = plate.found.sites
    answered = [site for site in sites if site.identity not in failures]
    columns = list(row(answered[0]) if answered else known(sites[0]))
    write_table(results, map(row, answered), columns)
    named = {identity: _without_folder(failure, plate.folder) for identity, failure in failures.items()}
    failed_rows = [
        failure_row(site, named[site.identity], known(site)) for site in sites if site.identity in named
    ]
    failed_rows += [
        {
            "code": failure.code,
            "reason": _without_folder(failure, plate.folder).reason,
            "files": path.as_posix(),
        }
        for path, failure in plate.found.file_failures.items()
    ]
    write_table(failed, failed_rows, [*known(sites[0]), "code", "reason", "files"])


def _without_folder(failure: Failure, folder: Path) -> Failure:
    """The failure with files named from the plate's folder on, as everywhere in the tables."""
    return replace(failure, reason=failure.reason.replace(f"{folder}{os.sep}", ""))
