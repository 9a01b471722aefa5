"""Building a cache: from a data root to pooled fields, in parallel, and again where it stopped."""

from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console

from phenotrain.cache import layout
from phenotrain.cache.field_cache import FieldCache
from phenotrain.cache.identity import fingerprint_of, signature_of
from phenotrain.cache.layout import CacheMeta
from phenotrain.cache.ledger import Ledger
from phenotrain.cache.prepare import open_or_create
from phenotrain.cache.scheduling import choose_num_workers, run_jobs
from phenotrain.cache.tables import faults_to_csv
from phenotrain.cache.worker import Job, Plan
from phenotrain.datasets import Description
from phenotrain.plates import Fault, IncompleteSitesError, read_sites, site_files
from phenotrain.progress import step_bar

_ADVICE = "Repair them and run again (what is stored stays), or leave their sites out with --skip-incomplete."


def build_cache(
    description: Description,
    data_root: Path,
    out: Path,
    *,
    downsample: int,
    num_workers: int | None = None,
    skip_incomplete: bool = False,
    limit: int | None = None,
    console: Console | None = None,
) -> FieldCache:
    """Pool every site of a screen once, and store the fields where training can map them.

    Killed at any moment, the same call goes on where it stopped. On a finished cache it only compares: sites
    whose files changed in size or modification time are read again. The result is the same whatever the
    number of workers.

    Args:
        description: What the dataset looks like.
        data_root: Folder of its table and images.
        out: Folder of the cache; made if it does not exist.
        downsample: Side of the square that is pooled, px.
        num_workers: Number of processes; by default one a usable core, fewer for small screens. With 1,
            everything runs in this process.
        skip_incomplete: Leave out sites with an unusable file, and list them in `left_out.csv`, rather than
            fail.
        limit: Take only so many sites, evenly spread over the table.
        console: Where progress is shown; nowhere when not given.

    Returns:
        The finished cache.

    Raises:
        TableError: If the table is unusable.
        IncompleteSitesError: If files are unusable and `skip_incomplete` is not set, after everything else
            has been stored; or if no site at all is usable.
        CacheMismatchError: If `out` holds the cache of something else.
        CacheError: If `out` cannot be used.
        ValueError: If `downsample`, `num_workers` or `limit` is below 1.
    """
    for name, value in (("downsample", downsample), ("num_workers", num_workers), ("limit", limit)):
        if value is not None and value < 1:
            raise ValueError(f"{name} is {value}; expected at least 1")
    data_root = data_root.absolute()
    sites = _spread(read_sites(description, data_root), limit)
    files = site_files(description, sites)
    meta = open_or_create(description, data_root, out, sites, files, downsample)

    stale = _stale_slots(out, data_root, files)
    if meta.fingerprint and not stale:
        finished = FieldCache.open(out)
        if len(finished.left_out) and not skip_incomplete:
            raise IncompleteSitesError(_recorded_faults(finished), _ADVICE)
        return finished
    with Ledger(out, len(files)) as ledger:
        meta = meta.model_copy(update={"fingerprint": ""})
        layout.write_meta(out, meta)
        ledger.reset([*stale, *np.flatnonzero(ledger.states == layout.OMITTED).tolist()])
        faults = _fill(meta, out, ledger, sites, files, num_workers, console)
        if faults and not skip_incomplete:
            raise IncompleteSitesError(faults, _ADVICE)
        if not (ledger.states == layout.STORED).any():
            raise IncompleteSitesError(faults, "No site is left. Check the data root and the path template.")
        ledger.omit_the_rest()
        layout.write_atomically(out / layout.LEFT_OUT, faults_to_csv(faults))
        fingerprint = fingerprint_of(meta, ledger.states, ledger.digests)
    layout.write_meta(out, meta.model_copy(update={"fingerprint": fingerprint}))
    return FieldCache.open(out)


def _spread(sites: pd.DataFrame, limit: int | None) -> pd.DataFrame:
    if limit is None or limit >= len(sites):
        return sites
    return sites.iloc[np.arange(limit) * len(sites) // limit].reset_index(drop=True)


def _stale_slots(out: Path, data_root: Path, files: list[tuple[str, ...]]) -> list[int]:
    """Find the slots whose files are no longer those that were read; a finished cache may be read-only."""
    states = layout.load_array(out / layout.STATE, len(files))
    signatures = layout.load_array(out / layout.SIGNATURES, len(files))
    return [
        slot
        for slot in np.flatnonzero(states != layout.PENDING).tolist()
        if signature_of(data_root, files[slot]) != int(signatures[slot])
    ]


def _recorded_faults(cache: FieldCache) -> list[Fault]:
    return [Fault(*row) for row in cache.left_out.itertuples(index=False, name=None)]


def _fill(
    meta: CacheMeta,
    out: Path,
    ledger: Ledger,
    sites: pd.DataFrame,
    files: list[tuple[str, ...]],
    num_workers: int | None,
    console: Console | None,
) -> list[Fault]:
    plan = Plan(
        meta.data_root,
        out / layout.FIELDS,
        ledger.fields_offset,
        meta.form,
        meta.downsample,
        meta.description.stack_stains,
    )
    site_ids = sites["site_id"].tolist()
    pending = np.flatnonzero(ledger.states == layout.PENDING).tolist()
    jobs = [Job(slot, site_ids[slot], files[slot]) for slot in pending]
    faults: list[Fault] = []
    num_done = len(files) - len(jobs)
    with step_bar("Caching sites", console or Console(quiet=True)) as on_site:
        on_site(num_done, len(files))
        for outcomes in run_jobs(plan, jobs, num_workers or choose_num_workers(len(jobs))):
            ledger.add(outcomes)
            faults += [fault for outcome in outcomes for fault in outcome.faults]
            num_done += len(outcomes)
            on_site(num_done, len(files))
    ledger.save()
    return sorted(faults)
