"""What a report is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from phenotrain.doses import UnitOf, as_recorded
from phenotrain.evaluate import DoseTable, Metrics
from phenotrain.report.section import Section


class Overlay(NamedTuple):
    """One picture of the gallery: a held-out site with its heatmap.

    Attributes:
        title: What it shows, such as `IFN-gamma 0.1, predicted IFN-gamma 0.93`.
        png: The picture.
        is_misclassified: Whether the predicted treatment is wrong; the report then says so on the picture.
    """

    title: str
    png: bytes
    is_misclassified: bool


@dataclass(frozen=True)
class ReportContext:
    """Everything that the report and the model card show.

    Attributes:
        name: Name of the bundle.
        headline: The result in one sentence.
        metrics: Results on the test and the validation sites.
        dataset_name: Name of the dataset.
        dataset_licence: Its licence, as its description states it.
        simulated: Whether its images are simulated; every page then says so.
        split: The split's description, as in the manifest.
        left_out: Sites that could not be used: `site_id, file, reason`; empty when none.
        training_log: One row an epoch: `epoch, loss, contrastive_accuracy, learning_rate`; may be empty.
        recipe: The training recipe, nested mappings of plain values.
        overlays: Pictures of the gallery, in order.
        packages: Versions of the packages that made the bundle.
        dose_probability: What `phenotrain.evaluate.dose_probability` found.
        unit_of: Gives the unit of a treatment's and series' doses.
        sections: Further parts, in order; each brings its own heading, figures and numbers.
        encoder: Which encoder the bundle holds, in a sentence; empty where there is no bundle.
    """

    name: str
    headline: str
    metrics: Metrics
    dataset_name: str
    dataset_licence: str
    simulated: bool
    split: Mapping[str, Any]
    left_out: pd.DataFrame
    training_log: pd.DataFrame
    recipe: Mapping[str, Any]
    overlays: Sequence[Overlay]
    packages: Mapping[str, str]
    dose_probability: DoseTable
    unit_of: UnitOf = as_recorded
    sections: Sequence[Section] = ()
    encoder: str = ""
