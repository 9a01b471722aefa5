"""The field `calibration` of the manifest: what stands beside the arrays of `calibration.npz`."""

from collections.abc import Callable
from typing import Annotated, Any, Final

from pydantic import Field, model_serializer, model_validator

from phenoserve.answers import EMBEDDING_SIZE
from phenoserve.bundle.parts import Name, Part
from phenoserve.bundle.stain_order import StainOrderSpec

CALIBRATION_FILE: Final = "calibration.npz"

Share = Annotated[float, Field(gt=0, lt=1)]
Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class PredictionSets(Part):
    """Class-conditional prediction sets by thresholds (the LAC score of Sadinle et al. 2019).

    Attributes:
        coverage: Share of the sites of every treatment whose set is meant to hold it, between 0 and 1.
        thresholds: For every treatment, the least probability at which it is in the set, 0 to 1; 0 is always.
        num_sites: For every treatment, the sites that its threshold was fitted on.
    """

    coverage: Share
    thresholds: dict[Name, Probability]
    num_sites: dict[Name, Annotated[int, Field(ge=0)]]

    @model_validator(mode="after")
    def _is_about_the_same_treatments(self) -> "PredictionSets":
        if set(self.thresholds) != set(self.num_sites):
            raise ValueError(
                f"Expected thresholds and num_sites of the same treatments. Received: {sorted(self.thresholds)} "
                f"and {sorted(self.num_sites)}"
            )
        return self


class OutOfDistribution(Part):
    """When a stack is unlike what the model learned from (k nearest neighbours, Sun et al. 2022).

    Attributes:
        num_neighbours: Reference embeddings that a distance is averaged over.
        num_components: Whitened components that distances are taken in; None in format 2, which only scaled every
            number of the embedding.
        max_distance: Largest distance in distribution, in standard deviations of a component.
        false_positive_rate: Share of the validation controls that `max_distance` was chosen to leave outside.
        num_references: Reference embeddings of training sites in the file.
        num_control_sites: Validation control sites whose distances are in the file.
    """

    num_neighbours: Count
    num_components: Annotated[int, Field(ge=1, le=EMBEDDING_SIZE)] | None = None
    max_distance: Positive
    false_positive_rate: Share
    num_references: Count
    num_control_sites: Count

    @model_serializer(mode="wrap")
    def _without_what_it_lacks(self, dump: Callable[["OutOfDistribution"], dict[str, Any]]) -> dict[str, Any]:
        fields = dump(self)
        if self.num_components is None:
            del fields["num_components"]
        return fields

    @model_validator(mode="after")
    def _has_enough_neighbours(self) -> "OutOfDistribution":
        if self.num_neighbours > self.num_references:
            raise ValueError(
                f"Expected at least num_neighbours = {self.num_neighbours} references. "
                f"Received: num_references = {self.num_references}"
            )
        return self


class CalibrationSpec(Part):
    """What is calibrated, beside the arrays.

    Attributes:
        temperature: What the classifier head's logits are divided by inside the graph (Guo et al. 2017): a
            statement, not to be applied again.
        prediction_sets: The sets of treatments that a stack is compatible with.
        out_of_distribution: When a stack is unlike the training sites.
        stain_order: When two channels look swapped; None before format 5, and where the stack has one channel.
    """

    temperature: Positive
    prediction_sets: PredictionSets
    out_of_distribution: OutOfDistribution
    stain_order: StainOrderSpec | None = None

    @model_serializer(mode="wrap")
    def _without_what_it_lacks(self, dump: Callable[["CalibrationSpec"], dict[str, Any]]) -> dict[str, Any]:
        fields = dump(self)
        if self.stain_order is None:
            del fields["stain_order"]
        return fields
