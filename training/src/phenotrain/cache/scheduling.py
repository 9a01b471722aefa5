"""Jobs spread over worker processes, outcomes as they come."""

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from phenoserve.engine.cores import available_cores
from phenotrain.cache.errors import CacheError
from phenotrain.cache.worker import Job, Outcome, Plan, start_worker, store_sites
from phenotrain.files import local_disk_hint

_JOBS_A_CHUNK = 4
_CHUNKS_A_WORKER = 4
_TICK_S = 1.0
_SITES_A_WORKER = 100


def choose_num_workers(num_jobs: int) -> int:
    """Choose how many processes are worth starting.

    Args:
        num_jobs: Number of sites to store.

    Returns:
        One a usable core, but fewer where there is too little to do to repay their start.
    """
    return max(1, min(available_cores(), num_jobs // _SITES_A_WORKER))


def run_jobs(plan: Plan, jobs: Sequence[Job], num_workers: int) -> Iterator[list[Outcome]]:
    """Run jobs and yield their outcomes in whatever order they finish.

    Args:
        plan: What the jobs have in common.
        jobs: What to do.
        num_workers: Number of processes; with 1 the jobs run in this one.

    Yields:
        Outcomes of a few jobs; an empty list once a second while none finish, so that the caller can save.

    Raises:
        CacheError: If `fields.npy` cannot be written, or a worker process dies.
    """
    chunks = [jobs[start : start + _JOBS_A_CHUNK] for start in range(0, len(jobs), _JOBS_A_CHUNK)]
    try:
        if num_workers == 1:
            for chunk in chunks:
                yield store_sites(plan, chunk)
        else:
            yield from _run_in_processes(plan, chunks, min(num_workers, len(chunks)))
    except OSError as error:
        raise CacheError(
            f"{plan.fields} cannot be written ({error}); what is stored stays, run again to go on"
            f"{local_disk_hint(error, '--cache')}"
        ) from error
    except BrokenProcessPool as error:
        raise CacheError(
            "a worker process died, perhaps for lack of memory; what is stored stays, run again with fewer"
            " workers"
        ) from error


def _run_in_processes(
    plan: Plan, chunks: Sequence[Sequence[Job]], num_workers: int
) -> Iterator[list[Outcome]]:
    # "spawn": a fork of a process that runs threads (TensorFlow, a progress bar) may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_workers, mp_context=context, initializer=start_worker) as executor:
        waiting = iter(chunks)
        running: set[Future[list[Outcome]]] = set()
        try:
            while True:
                for chunk in waiting:
                    running.add(executor.submit(store_sites, plan, chunk))
                    if len(running) >= num_workers * _CHUNKS_A_WORKER:
                        break
                if not running:
                    return
                done, running = wait(running, timeout=_TICK_S, return_when=FIRST_COMPLETED)
                yield [outcome for future in done for outcome in future.result()]
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
