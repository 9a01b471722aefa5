"""From what was learned to a verified bundle with its report."""

import ctypes
import gc
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console

from phenoserve.bundle import Bundle, BundleContents, InputSpec, Tolerance, write_bundle
from phenoserve.engine import Engine, record_golden
from phenoserve.verify import replay_golden
from phenotrain.cache import FieldCache
from phenotrain.calibration_check import check_calibration
from phenotrain.doses import top_doses
from phenotrain.evaluate import DoseTable, Metrics, dose_probability
from phenotrain.evaluate.dose_fit import DoseFit, fit_doses
from phenotrain.evaluate.predictions import CLASSIFIER
from phenotrain.explain.collect import explain_findings
from phenotrain.gallery import gallery, golden_rows
from phenotrain.labelled import Task
from phenotrain.learn import Learned
from phenotrain.onnx_export import check_parity, to_onnx
from phenotrain.profiles.errors import ProfileError
from phenotrain.profiles.findings import find_profiles
from phenotrain.progress import uncounted_step
from phenotrain.provenance import package_versions, provenance_of
from phenotrain.recipe import Recipe
from phenotrain.report import ReportContext, Section, build_report, card_markdown
from phenotrain.report.calibration import calibration_section
from phenotrain.report.dose_fit import dose_fit_section
from phenotrain.report.explanation import explanation_section
from phenotrain.report.profiles import profiles_section
from phenotrain.report.section import render
from phenotrain.splits import Split
from phenotrain.training_log import EpochRow

TOLERANCE = Tolerance(absolute=1e-3, relative=1e-3)
"""What other processors and drivers may differ by: the outputs are of order 1, and 1e-5 apart from CPU to CPU."""


@dataclass(frozen=True)
class Export:
    """All that a bundle is made of.

    Attributes:
        cache: Pooled fields, and where the original files lie.
        split: Role of every site, and what is said about it.
        task: Treatments and control.
        recipe: All numbers.
        learned: Networks, heads, forest, calibration and predictions.
        metrics: Results on the held-out sites.
        name: Name of the bundle.
        version: Version of the bundle.
        training_log: SimCLR's epochs.
    """

    cache: FieldCache
    split: Split
    task: Task
    recipe: Recipe
    learned: Learned
    metrics: Metrics
    name: str
    version: str
    training_log: Sequence[EpochRow]

    @property
    def scored(self) -> np.ndarray:
        """Rows of the test sites of the learned treatments at the doses learned from, and of their controls."""
        known = self.cache.sites["treatment"].isin(self.task.treatments).to_numpy(dtype=bool)
        rows = np.flatnonzero(known)
        at_top = top_doses(self.cache.sites.iloc[rows], self.task.control, self.recipe.heads.num_top_doses)
        is_test = self.split.roles[rows] == "test"
        return rows[at_top & is_test]


def export(made: Export, folder: Path, console: Console) -> Bundle:
    """Converts, checks, examines, reports and writes.

    Args:
        made: What was learned.
        folder: Folder of the bundle; must not exist.
        console: Where progress and findings are shown.

    Returns:
        The bundle as read back, its golden stacks replayed.

    Raises:
        phenoserve.bundle.BundleError: If the bundle cannot be written.
        phenotrain.onnx_export.ExportError: If the exported graph does not answer as Keras does.
    """
    _release_memory()
    cache, task, learned = made.cache, made.task, made.learned
    stacks = [cache.read_raw(row) for row in golden_rows(cache.sites, made.split.roles, task)]
    with uncounted_step("Export to ONNX", console):
        model_onnx = to_onnx(learned.graph)
        differences = check_parity(learned.graph, model_onnx, stacks)
    console.print(f"ONNX against Keras: largest difference {max(differences.values()):.1e}")
    with uncounted_step("Findings", console):
        sections = _sections(made, model_onnx)
    with uncounted_step("Report and bundle", console):
        provenance = provenance_of(cache, made.recipe, dict(made.split.description))
        context = ReportContext(
            name=made.name,
            headline=made.metrics.headline,
            metrics=made.metrics,
            dataset_name=provenance.dataset.name,
            dataset_licence=provenance.dataset.licence,
            simulated=cache.simulated,
            split=made.split.description,
            left_out=cache.left_out,
            training_log=pd.DataFrame(made.training_log, columns=list(EpochRow._fields)),
            recipe=provenance.recipe,
            overlays=gallery(cache, made.split.roles, task, learned.predictions, model_onnx),
            packages=package_versions(),
            dose_probability=_dose_probability(made),
            sections=sections,
        )
        contents = BundleContents(
            name=made.name,
            version=made.version,
            input=InputSpec.of(cache.stains, made.recipe.downsample),
            treatments=task.treatments,
            control=task.control,
            tolerance=TOLERANCE,
            provenance=provenance,
            model_onnx=model_onnx,
            forest=learned.forest,
            calibration=learned.calibration,
            golden=record_golden(model_onnx, learned.forest, task.treatments, stacks),
            card=card_markdown(context),
            report=build_report(context),
        )
        bundle = write_bundle(folder, contents)
    replayed = replay_golden(Engine.load(bundle, device="cpu"))
    worst = max(difference.max_difference for difference in replayed)
    console.print(f"Golden stacks replayed from the bundle: largest difference {worst:.1e}")
    return bundle


def _sections(made: Export, model_onnx: bytes) -> list[Section]:
    calibration = check_calibration(
        made.cache,
        made.scored,
        made.task,
        made.learned.predictions.classifier.probabilities,
        made.learned.embeddings,
        made.learned.calibration,
        model_onnx,
        seed=made.recipe.seed,
    )
    explanations = explain_findings(
        made.learned.graph,
        model_onnx,
        made.cache,
        made.split.roles,
        made.task,
        made.learned.predictions.classifier.probabilities,
        num_top_doses=made.recipe.heads.num_top_doses,
        seed=made.recipe.seed,
    )
    fits = _dose_fits(made)
    sections = [dose_fit_section(fits)] if fits else []
    return [
        *sections,
        calibration_section(calibration, made.metrics.test.classified(CLASSIFIER, "well").smallest_class),
        *_profiles(made),
        explanation_section(explanations),
    ]


def _dose_fits(made: Export) -> list[DoseFit]:
    """Curves through the wells whose label was not learned from: the test wells, and treatments that are no class."""
    cache, control = made.cache, made.task.control
    is_class = cache.sites["treatment"].isin(made.task.treatments).to_numpy(dtype=bool)
    rows = np.flatnonzero((made.split.roles == "test") | ~is_class)
    treated = 1.0 - made.learned.predictions.classifier.probabilities[:, made.task.treatments.index(control)]
    fits = fit_doses(
        cache.sites, rows, control, treated, "P(treated)", is_probability=True, seed=made.recipe.seed
    )
    measurement = cache.description.task.measurement
    if measurement is not None and measurement in cache.sites:
        values = pd.to_numeric(cache.sites[measurement], errors="coerce").to_numpy(dtype=float)
        measured = rows[np.isfinite(values[rows])]
        fits += fit_doses(
            cache.sites, measured, control, values, measurement, is_probability=False, seed=made.recipe.seed
        )
    return fits


def _profiles(made: Export) -> list[Section]:
    try:
        findings = find_profiles(
            made.cache.sites,
            made.learned.embeddings,
            made.split.roles,
            made.task.control,
            seed=made.recipe.seed,
            num_top_doses=made.recipe.heads.num_top_doses or 3,
        )
    except ProfileError as error:
        # A screen with few controls still gets its bundle; the report says what could not be computed.
        return [
            Section(
                "profiles", "Profiles", render("reason.html.j2", reason=str(error)), {"reason": str(error)}
            )
        ]
    return [profiles_section(findings)]


def _dose_probability(made: Export) -> DoseTable:
    control = made.task.treatments.index(made.task.control)
    treated = 1.0 - made.learned.predictions.classifier.probabilities[:, control]
    test = np.flatnonzero(made.split.roles == "test")
    return dose_probability(made.cache.sites, test, made.task.control, treated)


def _release_memory() -> None:
    # glibc keeps what training has freed; the conversion's peak of 2 GiB would come on top of it.
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
