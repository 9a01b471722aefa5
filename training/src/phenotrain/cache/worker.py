"""What runs in a worker process: sites read, pooled, and written to their slots."""

import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np

from phenotrain.cache.identity import signature_of
from phenotrain.cache.pooling import pool
from phenotrain.plates import Fault, FieldForm, read_site


@dataclass(frozen=True)
class Plan:
    """What all slots of a build have in common.

    Args:
        data_root: Folder of the images.
        fields: The `fields.npy` to write to.
        offset: Bytes before slot 0.
        form: What every file must look like.
        downsample: Side of the pooled square, px.
        stack_stains: The stains where one file holds the whole stack of a site; else none.
    """

    data_root: Path
    fields: Path
    offset: int
    form: FieldForm
    downsample: int
    stack_stains: tuple[str, ...]


@dataclass(frozen=True)
class Job:
    """One site to be stored.

    Args:
        slot: Its place in `fields.npy`.
        site_id: Its name.
        files: Its files under the data root.
    """

    slot: int
    site_id: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Args:
        slot: As in the job.
        signature: Of the files, taken before they were read.
        digest: SHA-256 of the files; empty if there are faults.
        faults: Why the site was not stored; empty if it was.
    """

    slot: int
    signature: int
    digest: bytes
    faults: tuple[Fault, ...]


def store_sites(plan: Plan, jobs: Sequence[Job]) -> list[Outcome]:
    """Read, pool and write some sites.

    Writing a slot twice gives the same bytes, so a job may be repeated after a kill.

    Args:
        plan: What they have in common.
        jobs: The sites.

    Returns:
        One outcome a job, in order.

    Raises:
        OSError: If `fields.npy` cannot be written.
    """
    outcomes: list[Outcome] = []
    with plan.fields.open("r+b") as stream:
        for job in jobs:
            signature = signature_of(plan.data_root, job.files)
            read = read_site(
                plan.data_root, job.site_id, job.files, plan.form, stack_stains=plan.stack_stains
            )
            if read.stack is not None:
                pooled = np.ascontiguousarray(pool(read.stack, plan.downsample))
                stream.seek(plan.offset + job.slot * pooled.nbytes)
                stream.write(pooled.data)
            outcomes.append(Outcome(job.slot, signature, read.digest, read.faults))
    return outcomes


def start_worker() -> None:
    """Prepare a worker process: Ctrl-C is the parent's to answer, and its death ends the worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)  # an ordinary exit would wait for a task queue that nobody fills any more
