"""The whole line: plates in, a verified bundle out."""

import ctypes
import gc
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from phenoserve.bundle import Bundle, BundleContents, InputSpec, Tolerance, write_bundle
from phenoserve.bundle.manifest import Identifier
from phenoserve.engine import Engine, record_golden
from phenoserve.verify import replay_golden
from phenotrain.cache import FieldCache, build_cache
from phenotrain.datasets import Description
from phenotrain.encoder import build_encoder
from phenotrain.evaluate import Metrics, dose_probability, evaluate
from phenotrain.gallery import gallery, golden_rows
from phenotrain.labelled import Task
from phenotrain.learn import Learned, learn
from phenotrain.onnx_export import check_parity, to_onnx
from phenotrain.plates import read_sites
from phenotrain.progress import uncounted_step
from phenotrain.provenance import package_versions, provenance_of
from phenotrain.recipe import Recipe
from phenotrain.report import ReportContext, build_report, card_markdown
from phenotrain.splits import Split, split_sites
from phenotrain.training_log import EpochRow, read_log

TOLERANCE = Tolerance(absolute=1e-3, relative=1e-3)
"""What other processors and drivers may differ by: the outputs are of order 1, and 1e-5 apart from CPU to CPU."""


@dataclass(frozen=True)
class RunRequest:
    """What to learn from what, and where it goes.

    Attributes:
        description: The dataset's description.
        data: Its root folder.
        recipe: All numbers.
        bundle: Folder that the bundle is written to; must not exist.
        work: Folder of checkpoints and logs, and of the cache; a killed run goes on from there.
        cache: Folder of the cache, when it is to lie elsewhere or is there already.
        name: Name of the bundle.
        version: Version of the bundle.
        treatments: Treatments to learn besides the control; the description's own when empty.
        test_experiment: Experiment to test on; the last by name when not given.
        skip_incomplete: Leave out sites with an unusable file, and list them in the report.
        num_workers: Processes that decode images; one a core when not given.
    """

    description: Description
    data: Path
    recipe: Recipe
    bundle: Path
    work: Path
    name: str
    version: str = "1"
    cache: Path | None = None
    treatments: tuple[str, ...] = ()
    test_experiment: str | None = None
    skip_incomplete: bool = False
    num_workers: int | None = None


@dataclass(frozen=True)
class RunResult:
    """What a run made.

    Attributes:
        bundle: The bundle as read back.
        metrics: Results on the held-out sites.
        held_out: The test sites that carry a learned treatment or the control: the sites table's columns, `files`
            (a JSON list, one a channel) and `predicted`.
    """

    bundle: Bundle
    metrics: Metrics
    held_out: pd.DataFrame


def run(request: RunRequest, console: Console) -> RunResult:
    """Caches, splits, learns, evaluates, exports and verifies.

    Args:
        request: What to learn from what.
        console: Where progress and findings are shown.

    Returns:
        The bundle and how good it is.

    Raises:
        phenoserve.bundle.BundleError: If the bundle cannot be written.
        phenotrain.cache.CacheError: If the cache folder holds another dataset's cache.
        phenotrain.plates.PlateError: If the table or images cannot be used.
        phenotrain.encoder.WeightsUnavailableError: If the encoder's initial weights cannot be had.
        phenotrain.onnx_export.ExportError: If the exported graph does not answer as Keras does.
    """
    recipe, task = request.recipe, _task(request)
    cache = build_cache(
        request.description,
        request.data,
        request.cache or request.work / "cache",
        downsample=recipe.downsample,
        num_workers=request.num_workers,
        skip_incomplete=request.skip_incomplete,
        progress=console.is_terminal,
    )
    split = _split(request, cache.sites)
    console.print(
        f"{len(cache)} sites of {len(cache.stains)} stains; {split.protocol}: {_counts(split.roles)}"
    )
    learned = learn(cache, split.roles, task, recipe, request.work, console)
    metrics = evaluate(
        cache.sites,
        split.roles,
        task.treatments,
        task.control,
        learned.predictions,
        num_top_doses=recipe.heads.num_top_doses,
        seed=recipe.seed,
        simulated=cache.simulated,
    )
    console.print(metrics.headline)
    bundle = _export(request, cache, split, task, learned, metrics, console)
    return RunResult(bundle, metrics, _held_out(cache, split, task, learned))


def check(request: RunRequest) -> None:
    """Finds within seconds what would otherwise end a run after hours.

    Args:
        request: What to learn from what.

    Raises:
        ValueError: If the name, the version, a stain's name, the treatments, the test experiment or the protocol cannot
            be used; the message says which.
        FileExistsError: If the bundle's folder exists.
        phenotrain.plates.PlateError: If the table cannot be used.
        phenotrain.encoder.WeightsUnavailableError: If the encoder's initial weights cannot be had.
    """
    if request.bundle.exists():
        raise FileExistsError(
            f"{request.bundle} exists, and a bundle is never edited. Choose another folder, or delete this one."
        )
    for what, text in (("name", request.name), ("version", request.version)):
        try:
            TypeAdapter(Identifier).validate_python(text)
        except ValidationError as error:
            raise ValueError(
                f"The bundle's {what} {text!r} cannot be used: expected 1 to 100 letters, digits and `._+-`, the first "
                f"a letter or a digit. Pass another with `--{what}`."
            ) from error
    InputSpec.of(request.description.stains, request.recipe.downsample)
    _split(request, read_sites(request.description, request.data))
    if request.recipe.encoder.weights != "none":
        build_encoder(len(request.description.stains), request.recipe.encoder)


def _split(request: RunRequest, sites: pd.DataFrame) -> Split:
    recipe, task = request.recipe, _task(request)
    return split_sites(
        sites,
        control=task.control,
        treatments=task.treatments,
        seed=recipe.seed,
        test_fraction=recipe.split.test_share,
        validation_fraction=recipe.split.validation_share,
        test_experiment=request.test_experiment,
        protocol=recipe.split.protocol,
    )


def _task(request: RunRequest) -> Task:
    described = request.description.task
    treated = request.treatments or described.treatments
    if not treated:
        raise ValueError(
            f"The description {request.description.name!r} names no treatments to learn. Name them with `--treatment`."
        )
    return Task(
        described.control, (described.control, *(name for name in treated if name != described.control))
    )


def _export(
    request: RunRequest,
    cache: FieldCache,
    split: Split,
    task: Task,
    learned: Learned,
    metrics: Metrics,
    console: Console,
) -> Bundle:
    _release_memory()
    rows = golden_rows(cache.sites, split.roles, task)
    stacks = [cache.read_raw(row) for row in rows]
    with uncounted_step("Export to ONNX", console):
        model_onnx = to_onnx(learned.graph)
        differences = check_parity(learned.graph, model_onnx, stacks)
    console.print(f"ONNX against Keras: largest difference {max(differences.values()):.1e}")
    with uncounted_step("Report and bundle", console):
        provenance = provenance_of(cache, request.recipe, dict(split.description))
        context = ReportContext(
            name=request.name,
            headline=metrics.headline,
            metrics=metrics,
            dataset_name=provenance.dataset.name,
            dataset_licence=provenance.dataset.licence,
            simulated=cache.simulated,
            split=split.description,
            left_out=cache.left_out,
            training_log=pd.DataFrame(read_log(request.work / "simclr"), columns=list(EpochRow._fields)),
            recipe=provenance.recipe,
            overlays=gallery(cache, split.roles, task, learned.predictions, model_onnx),
            packages=package_versions(),
            dose_probability=_dose_probability(cache, split, task, learned),
        )
        contents = BundleContents(
            name=request.name,
            version=request.version,
            input=InputSpec.of(cache.stains, request.recipe.downsample),
            treatments=task.treatments,
            control=task.control,
            tolerance=TOLERANCE,
            provenance=provenance,
            model_onnx=model_onnx,
            forest=learned.forest,
            golden=record_golden(model_onnx, learned.forest, task.treatments, stacks),
            card=card_markdown(context),
            report=build_report(context),
        )
        bundle = write_bundle(request.bundle, contents)
    replayed = replay_golden(Engine.load(bundle, device="cpu"))
    worst = max(difference.max_difference for difference in replayed)
    console.print(f"Golden stacks replayed from the bundle: largest difference {worst:.1e}")
    return bundle


def _release_memory() -> None:
    # glibc keeps what training has freed; the conversion's peak of 2 GiB would come on top of it.
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def _dose_probability(cache: FieldCache, split: Split, task: Task, learned: Learned) -> pd.DataFrame:
    control = task.treatments.index(task.control)
    treated = 1.0 - learned.predictions.classifier.probabilities[:, control]
    return dose_probability(cache.sites, np.flatnonzero(split.roles == "test"), task.control, treated)


def _held_out(cache: FieldCache, split: Split, task: Task, learned: Learned) -> pd.DataFrame:
    known = cache.sites["treatment"].isin(task.treatments).to_numpy(dtype=bool)
    rows = np.flatnonzero((split.roles == "test") & known)
    table = cache.sites.iloc[rows].reset_index(drop=True)
    predicted = np.array(task.treatments)[learned.predictions.classifier.probabilities[rows].argmax(axis=1)]
    files = [json.dumps([str(path.resolve()) for path in cache.files(int(row))]) for row in rows]
    return table.assign(predicted=predicted, files=files)


def _counts(roles: np.ndarray) -> str:
    return ", ".join(f"{int((roles == role).sum())} {role}" for role in ("train", "validation", "test"))
