"""The whole line: plates in, a verified bundle out."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pandas as pd
from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from phenoserve.bundle import Bundle, InputSpec
from phenoserve.bundle.manifest import Identifier
from phenotrain.baselines.published import published_embeddings
from phenotrain.cache import build_cache
from phenotrain.datasets import Description
from phenotrain.encoder import build_encoder
from phenotrain.errors import ScreenError
from phenotrain.evaluate import Metrics, evaluate
from phenotrain.export import Export, export
from phenotrain.labelled import Task, check_steps
from phenotrain.learn import learn
from phenotrain.plates import read_sites
from phenotrain.protocols.choose import DEFAULT, Asked, sites_text, split_of
from phenotrain.protocols.held_out import held_out_table
from phenotrain.recipe import Recipe
from phenotrain.splits import Split

SMALLEST_FIELD_PX: Final = 32
"""Side of a pooled field that makes one cell of DenseNet121's feature map."""


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
        asked: What to hold out.
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
    asked: Asked = DEFAULT
    skip_incomplete: bool = False
    num_workers: int | None = None


@dataclass(frozen=True)
class RunResult:
    """What a run made.

    Attributes:
        bundle: The bundle as read back.
        metrics: Results on the held-out sites.
        held_out: The test sites, as `phenotrain.protocols.held_out.held_out_table` has them.
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
        phenotrain.errors.PhenotrainError: If what is left of the screen, or its fields, cannot be learned from.
        phenotrain.onnx_export.ExportError: If the exported graph does not answer as Keras does.
    """
    recipe, task = request.recipe, Task.of(request.description, request.treatments)
    cache = build_cache(
        request.description,
        request.data,
        request.cache or request.work / "cache",
        downsample=recipe.downsample,
        num_workers=request.num_workers,
        skip_incomplete=request.skip_incomplete,
        console=console,
    )
    if note := cache.names_note():
        console.print(note, style="yellow", markup=False, highlight=False)
    # Sites that were left out for their files are not in the table that `check` saw.
    split = plan(request, cache.sites)
    check_field(cache.field_shape, recipe.downsample)
    console.print(
        f"{len(cache)} sites of {len(cache.stains)} stains; {split.protocol}: {sites_text(split.roles)}. "
        f"{split.description['rule']}",
        markup=False,
        highlight=False,
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
    metrics = replace(metrics, exported_encoder=learned.encoder.exported)
    bundle = export(
        Export(
            cache=cache,
            split=split,
            task=task,
            recipe=recipe,
            learned=learned,
            metrics=metrics,
            name=request.name,
            version=request.version,
            training_log=learned.training_log,
        ),
        request.bundle,
        console,
    )
    return RunResult(
        bundle, metrics, held_out_table(cache, split.roles, task, learned.predictions.classifier)
    )


def check(request: RunRequest) -> Split:
    """Finds within seconds what would otherwise end a run after hours.

    Args:
        request: What to learn from what.

    Returns:
        How the screen is split where no site is left out for its files.

    Raises:
        ValueError: If the name, the version, a folder, a stain's name, the treatments, what to test on, the
            protocol, the recipe's batches or `embeddings.csv` cannot be used, or a role lacks what heads learn from;
            the message says which.
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
    for what, path in (("work", request.work), ("cache", request.cache)):
        if path is not None:
            require_outside(what, path, request.bundle)
    InputSpec.of(request.description.stains, request.recipe.downsample)
    sites = read_sites(request.description, request.data)
    split = plan(request, sites)
    published_embeddings(request.data, sites)
    if request.recipe.encoder.weights != "none":
        build_encoder(len(request.description.stains), request.recipe.encoder)
    return split


def require_outside(option: str, path: Path, bundle: Path) -> None:
    """Refuses to put anything into the bundle's folder, which must not exist before the run has ended.

    Raises:
        ValueError: If `path` lies in it; `option` names what to change.
    """
    if path.resolve().is_relative_to(bundle.resolve()):
        raise ValueError(
            f"{path} lies in the bundle's folder {bundle}, which must not exist before the run has ended. Choose "
            f"another place with `--{option}`."
        )


def plan(request: RunRequest, sites: pd.DataFrame) -> Split:
    """Splits a screen as a request asks, and finds out whether it can be learned from so.

    Args:
        request: What to learn.
        sites: Sites table.

    Returns:
        The split.

    Raises:
        phenotrain.batches.BatchError: If a plate has too few sites or wells for a step of SimCLR.
        phenotrain.errors.ScreenError: If the screen cannot be split or learned from so.
    """
    task = Task.of(request.description, request.treatments)
    split = split_of(sites, task, request.recipe, request.asked)
    check_steps(sites, split.roles, task, request.recipe)
    return split


def check_field(field_shape: tuple[int, ...], downsample: int) -> None:
    """Refuses fields of which the encoder makes no feature map.

    Args:
        field_shape: Of a pooled field, `(channel, y, x)`.
        downsample: What it was pooled by.

    Raises:
        ScreenError: If a side is smaller than one cell of the feature map.
    """
    _, height, width = field_shape
    if min(height, width) < SMALLEST_FIELD_PX:
        raise ScreenError(
            f"Expected fields of {SMALLEST_FIELD_PX} px or more on each side after pooling by {downsample}; these are "
            f"{height} x {width}. Lower `downsample` in the recipe."
        )
