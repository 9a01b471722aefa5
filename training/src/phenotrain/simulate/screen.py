"""The whole screen: every site drawn in parallel and written in RxRx2's layout."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from itertools import groupby
from pathlib import Path
from typing import Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from phenoserve.engine.cores import available_cores
from phenotrain.progress import step_bar
from phenotrain.simulate.layout import SitePlan, plan_screen, write_metadata
from phenotrain.simulate.render import render_site
from phenotrain.simulate.spec import ScreenSpec
from phenotrain.simulate.truth import STATEMENT_FILE, write_effects, write_statement

# Huffman coding without matching: on noisy images it is both the fastest and the smallest.
_PNG_LEVEL: Final = 1
_PNG_STRATEGY: Final = 2


def simulate_screen(
    out: Path, spec: ScreenSpec, *, num_workers: int | None = None, console: Console | None = None
) -> None:
    """Simulate a screen and write it in RxRx2's layout, with the truth beside the images.

    `SIMULATED.json` is written first and `metadata.csv` last: no image ever lies there without the statement
    that it is simulated, and a folder without the table is one whose simulation did not finish. Workers are
    fresh processes, so a script that calls this at its top level needs an `if __name__ == "__main__"` guard.

    Args:
        out: Folder to write; it is made if it is missing.
        spec: The screen.
        num_workers: Number of processes; None for one a core that this process may use. The files do not
            depend on it.
        console: Where progress is shown; nowhere when not given.

    Raises:
        FileExistsError: If `out` is a file, or a folder that is not empty.
        ValueError: If `num_workers` is less than 1.
    """
    workers = available_cores() if num_workers is None else num_workers
    if workers < 1:
        raise ValueError(f"num_workers is {num_workers}; give at least 1, or None for one a core")
    _refuse_occupied(out)
    plans = plan_screen(spec)
    out.mkdir(parents=True, exist_ok=True)
    write_statement(out / STATEMENT_FILE, spec)
    for plan in plans:
        for kind in ("images", "truth"):
            (out / kind / plan.folder).mkdir(parents=True, exist_ok=True)
    write_effects(out / "truth" / "truth.csv", spec)
    wells = [tuple(sites) for _, sites in groupby(plans, key=lambda plan: plan.address[:-1])]
    num_done = 0
    with step_bar("Simulating sites", console or Console(quiet=True)) as on_site:
        on_site(num_done, len(plans))
        for num_sites in _write_wells(out, spec, wells, workers):
            num_done += num_sites
            on_site(num_done, len(plans))
    write_metadata(out / "metadata.csv", plans)


def _refuse_occupied(out: Path) -> None:
    if out.is_dir() and any(out.iterdir()):
        finished = (out / "metadata.csv").exists()
        state = (
            "it holds files already"
            if finished
            else "it holds files already, maybe of a run that did not finish"
        )
        raise FileExistsError(
            f"cannot simulate into {out}: {state}; give a new folder, or remove this one first"
        )
    if out.exists() and not out.is_dir():
        raise FileExistsError(
            f"cannot simulate into {out}: it is not a folder; give the name of a new folder"
        )


def _write_wells(
    out: Path, spec: ScreenSpec, wells: list[tuple[SitePlan, ...]], workers: int
) -> Iterator[int]:
    """Write every well, and give the number of sites of each as it is done."""
    if workers == 1:
        for sites in wells:
            yield _write_well(out, spec, sites)
        return
    # Forking would copy whatever threads the caller runs; spawned workers start clean on every platform.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(wells)), mp_context=context) as pool:
        pending: list[Future[int]] = [pool.submit(_write_well, out, spec, sites) for sites in wells]
        try:
            for done in as_completed(pending):
                yield done.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _write_well(out: Path, spec: ScreenSpec, sites: tuple[SitePlan, ...]) -> int:
    for plan in sites:
        images = render_site(
            spec.seed, spec.field_px, plan, effect=spec.effect, responding_share=spec.responding_share
        )
        for channel, image in enumerate(images.stack, start=1):
            _write_png(out / plan.image_path(channel), image)
        _write_png(out / plan.mask_path, images.mask)
    return len(sites)


def _write_png(path: Path, image: NDArray[np.uint8]) -> None:
    path.write_bytes(imagecodecs.png_encode(image, level=_PNG_LEVEL, strategy=_PNG_STRATEGY))
