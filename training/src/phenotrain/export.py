"""From what was learned to a verified bundle with its report."""

import ctypes
import gc
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console

from phenoserve.bundle import Bundle, BundleContents, InputSpec, Tolerance, write_bundle
from phenoserve.engine import Engine, record_golden
from phenoserve.engine.golden_replay import replay_golden
from phenotrain.cache import FieldCache
from phenotrain.calibration_check import check_calibration
from phenotrain.doses import dose_rank
from phenotrain.evaluate import DoseTable, Metrics, dose_probability, treated_log_odds
from phenotrain.evaluate.dose_fit import DoseFit, fit_doses
from phenotrain.evaluate.predictions import CLASSIFIER
from phenotrain.evaluate.units import scored_sites
from phenotrain.explain.collect import explain_findings
from phenotrain.gallery import gallery, golden_rows
from phenotrain.labelled import Task
from phenotrain.learn import Learned
from phenotrain.learned_wells import learned_wells
from phenotrain.onnx_export import check_parity, to_onnx
from phenotrain.profiles.errors import ProfileError
from phenotrain.profiles.findings import find_profiles
from phenotrain.progress import uncounted_step
from phenotrain.provenance import package_versions, provenance_of
from phenotrain.recipe import Recipe
from phenotrain.report import Overlay, ReportContext, Section, build_report, card_markdown
from phenotrain.report.calibration import calibration_section
from phenotrain.report.dose_fit import dose_fit_section
from phenotrain.report.encoder import encoder_section
from phenotrain.report.explanation import explanation_section
from phenotrain.report.profiles import profiles_section
from phenotrain.report.section import render
from phenotrain.splits import Split
from phenotrain.training_log import EpochRow

TOLERANCE = Tolerance(absolute=1e-3, relative=1e-3)
"""What other processors and drivers may differ by: the outputs are of order 1, and 1e-5 apart from CPU to CPU."""

RECOVERABLE = (ArithmeticError, LookupError, OSError, RuntimeError, ValueError)
"""What a part of the report may fail with and be left out, named, where the bundle can do without it."""


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
        return scored_rows(self.cache.sites, self.split.roles, self.task, self.recipe.heads.num_top_doses)


def scored_rows(sites: pd.DataFrame, roles: np.ndarray, task: Task, num_top_doses: int) -> np.ndarray:
    """Rows of the test sites that the headline rests on: all doses where the top ones miss a class."""
    ranks = dose_rank(sites, task.control)
    return np.flatnonzero(
        scored_sites(sites, roles == "test", task.treatments, task.control, ranks, num_top_doses)[0]
    )


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
        sections = [encoder_section(learned.encoder), *_sections(made, model_onnx, console)]
    with uncounted_step("Report and bundle", console):
        # The manifest's recipe names the encoder that the bundle holds, whatever it was chosen from.
        recipe = made.recipe.with_encoder(export=learned.encoder.exported)
        learned_from = {"learned_wells": learned_wells(cache.sites, made.split.roles)}
        provenance = provenance_of(cache, recipe, {**made.split.description, **learned_from})
        overlays: list[Overlay] = []

        def pictures() -> list[Section]:
            overlays.extend(gallery(cache, made.split.roles, task, learned.predictions, model_onnx))
            return []

        sections += optional("pictures", "Pictures", pictures, console)
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
            overlays=overlays,
            packages=package_versions(),
            dose_probability=_dose_probability(made),
            unit_of=cache.description.table.unit_of,
            sections=sections,
            encoder=learned.encoder.text,
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


def _sections(made: Export, model_onnx: bytes, console: Console) -> list[Section]:
    def calibration() -> list[Section]:
        found = check_calibration(
            made.cache,
            made.scored,
            made.task,
            made.learned.predictions.classifier.probabilities,
            made.learned.embeddings,
            made.learned.calibration,
            model_onnx,
            seed=made.recipe.seed,
        )
        smallest = made.metrics.test.classified(CLASSIFIER, "well").smallest_class
        return [calibration_section(found, smallest)]

    def explanation() -> list[Section]:
        found = explain_findings(
            made.learned.graph,
            model_onnx,
            made.cache,
            made.split.roles,
            made.task,
            made.learned.predictions.classifier.probabilities,
            num_top_doses=made.recipe.heads.num_top_doses,
            seed=made.recipe.seed,
        )
        return [explanation_section(found)]

    def dose_response() -> list[Section]:
        fits = _dose_fits(made)
        return [dose_fit_section(fits, made.cache.description.table.unit_of)] if fits else []

    return [
        section
        for key, title, make in (
            ("dose_fit", "Dose response", dose_response),
            ("calibration", "Calibration", calibration),
            ("profiles", "Profiles", lambda: _profiles(made)),
            ("explanation", "Explanations", explanation),
        )
        for section in optional(key, title, make, console)
    ]


def optional(key: str, title: str, make: Callable[[], list[Section]], console: Console) -> list[Section]:
    """Makes a part of the report that a bundle can do without: hours of learning do not end with it.

    Args:
        key: The section's key in `metrics.json`.
        title: Its heading.
        make: Makes the sections.
        console: Where a failure is shown.

    Returns:
        The sections, or one in their place that says why they are not there.
    """
    try:
        return make()
    except RECOVERABLE as error:
        reason = f"Could not be computed: {error} ({type(error).__name__})"
        if isinstance(error, ProfileError):  # too few controls is a finding about the screen, not a failure
            reason = str(error)
        console.print(f"The report goes without its part '{title}'. {reason}", markup=False, highlight=False)
        return [Section(key, title, render("reason.html.j2", reason=reason), {"reason": reason})]


def _dose_fits(made: Export) -> list[DoseFit]:
    """Curves through the wells whose label was not learned from: the test wells, and treatments that are no class."""
    cache, control = made.cache, made.task.control
    is_class = cache.sites["treatment"].isin(made.task.treatments).to_numpy(dtype=bool)
    rows = np.flatnonzero((made.split.roles == "test") | ~is_class)
    fits = fit_doses(
        cache.sites,
        rows,
        control,
        _log_odds(made),
        "log odds of treated",
        is_log_odds=True,
        seed=made.recipe.seed,
    )
    measurement = cache.description.task.measurement
    if measurement is not None and measurement in cache.sites:
        values = pd.to_numeric(cache.sites[measurement], errors="coerce").to_numpy(dtype=float)
        measured = rows[np.isfinite(values[rows])]
        fits += fit_doses(
            cache.sites, measured, control, values, measurement, is_log_odds=False, seed=made.recipe.seed
        )
    return fits


def _profiles(made: Export) -> list[Section]:
    if made.split.description["leaks"]:
        raise ProfileError(
            "Profiles are of whole wells, and this split has sites of one well on both sides. Split by well, plate or "
            "experiment."
        )
    findings = find_profiles(
        made.cache.sites,
        made.learned.embeddings,
        made.split.roles,
        made.task.control,
        seed=made.recipe.seed,
        num_top_doses=made.recipe.heads.num_top_doses,
    )
    return [profiles_section(findings, made.cache.description.table.unit_of)]


def _dose_probability(made: Export) -> DoseTable:
    test = np.flatnonzero(made.split.roles == "test")
    return dose_probability(made.cache.sites, test, made.task.control, _log_odds(made))


def _log_odds(made: Export) -> np.ndarray:
    control = made.task.treatments.index(made.task.control)
    return treated_log_odds(made.learned.predictions.classifier.probabilities, control)


def _release_memory() -> None:
    # glibc keeps what training has freed; the conversion's peak of 2 GiB would come on top of it.
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
