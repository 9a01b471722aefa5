"""The field `calibration` of the manifest: what stands beside the arrays of `calibration.npz`."""

import math
from typing import Annotated, ClassVar, Final

from pydantic import Field, model_validator

from phenoserve.bundle.outputs import EMBEDDING_SIZE
from phenoserve.bundle.parts import Name, Part
from phenoserve.bundle.stain_order import StainOrderSpec

CALIBRATION_FILE: Final = "calibration.npz"

Share = Annotated[float, Field(gt=0, lt=1)]
Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
_MAX_NAMED: Final = 4


def least_number(rate: float) -> int:
    """Fewest exchangeable values of which a new one is beyond the most extreme with a probability of at most `rate`.

    Of n + 1 exchangeable values each is the most extreme with probability 1 / (n + 1): 9 for 0.1, 19 for 0.05, 39
    for 0.025. Fewer give a threshold that promises less than it states.

    Args:
        rate: Above 0 and below 1.
    """
    return math.ceil(1 / rate - 1e-9) - 1


class PredictionSets(Part):
    """Class-conditional prediction sets by thresholds (the LAC score of Sadinle et al. 2019).

    Attributes:
        coverage: Share of the sites of every treatment whose set is meant to hold it, between 0 and 1.
        thresholds: For every treatment, the least probability at which it is in the set, 0 to 1; None where too few
            wells were there to set one.
        num_sites: For every treatment, the sites that its threshold was fitted on.
        num_wells: The wells that they lie in; None before format 6, which counted sites alone.
    """

    absent_if_none: ClassVar = ("num_wells",)

    coverage: Share
    thresholds: dict[Name, Probability | None]
    num_sites: dict[Name, Annotated[int, Field(ge=0)]]
    num_wells: dict[Name, Annotated[int, Field(ge=0)]] | None = None

    @property
    def least(self) -> int:
        """Fewest wells of a treatment (sites, before format 6) that give a threshold."""
        return least_number(1 - self.coverage)

    @property
    def reason(self) -> str | None:
        """Why no set is given: the treatments with too few wells, in a sentence; None where sets are given."""
        units, counts = ("sites", self.num_sites) if self.num_wells is None else ("wells", self.num_wells)
        few = [name for name in self.thresholds if counts[name] < self.least or not self._is_set(name)]
        if not few:
            return None
        found = ", ".join(
            f"{_sites(self.num_sites[name], None if self.num_wells is None else self.num_wells[name])} of {name}"
            for name in few[:_MAX_NAMED]
        )
        more = f", and {len(few) - _MAX_NAMED} more" if len(few) > _MAX_NAMED else ""
        return (
            f"No prediction set: a coverage of {self.coverage:g} takes {self.least} {units} of every treatment to "
            f"calibrate on, and there were {found}{more}. Learn from more wells, or set a lower calibration.coverage "
            "in the recipe."
        )

    def _is_set(self, name: str) -> bool:
        """Whether there is a threshold; before format 6, too few sites were written as a threshold of 0."""
        threshold = self.thresholds[name]
        return threshold is not None and (self.num_wells is not None or threshold > 0)

    @model_validator(mode="after")
    def _is_about_the_same_treatments(self) -> "PredictionSets":
        counted = {
            "num_sites": self.num_sites,
            **({} if self.num_wells is None else {"num_wells": self.num_wells}),
        }
        for name, counts in counted.items():
            if set(self.thresholds) != set(counts):
                raise ValueError(
                    f"Expected thresholds and {name} of the same treatments. Received: {sorted(self.thresholds)} "
                    f"and {sorted(counts)}"
                )
        return self

    @model_validator(mode="after")
    def _has_the_thresholds_that_it_can(self) -> "PredictionSets":
        for name, threshold in self.thresholds.items():
            is_due = self.num_wells is None or self.num_wells[name] >= self.least
            if (threshold is not None) != is_due:
                raise ValueError(
                    f"Expected a threshold of {name} exactly where it has {self.least} wells or more. "
                    f"Received: {threshold} and num_wells = {self.num_wells and self.num_wells[name]}"
                )
        return self


class OutOfDistribution(Part):
    """When a stack is unlike what the model learned from (k nearest neighbours, Sun et al. 2022).

    Attributes:
        num_neighbours: Reference embeddings that a distance is averaged over.
        num_components: Whitened components that distances are taken in; None in format 2, which only scaled every
            number of the embedding.
        max_distance: Largest distance in distribution, in standard deviations of a component; None where too few
            wells were there to set it.
        false_positive_rate: Share of the validation sites that `max_distance` was chosen to leave outside.
        num_references: Reference embeddings of training sites in the file.
        num_control_sites: Validation control sites whose distances are in the file.
        num_validation_sites: Validation sites of all treatments, which `max_distance` was chosen on; None before
            format 6, which chose it on the control sites.
        num_validation_wells: The wells that they lie in; None likewise.
    """

    absent_if_none: ClassVar = ("num_components", "num_validation_sites", "num_validation_wells")

    num_neighbours: Count
    num_components: Annotated[int, Field(ge=1, le=EMBEDDING_SIZE)] | None = None
    max_distance: Positive | None
    false_positive_rate: Share
    num_references: Count
    num_control_sites: Count
    num_validation_sites: Count | None = None
    num_validation_wells: Count | None = None

    @property
    def least(self) -> int:
        """Fewest wells (control sites, before format 6) that give a limit of the distance."""
        return least_number(self.false_positive_rate)

    @property
    def reason(self) -> str | None:
        """Why nothing is said of the distribution, in a sentence; None where it is."""
        num = self.num_control_sites if self.num_validation_wells is None else self.num_validation_wells
        if num >= self.least:
            return None
        if self.num_validation_sites is None:
            found, units = f"{num} control sites", "control sites"
        else:
            found, units = _sites(self.num_validation_sites, self.num_validation_wells), "wells"
        return (
            "Not said whether the stack is in distribution: a false-positive rate of "
            f"{self.false_positive_rate:g} takes {self.least} {units} to calibrate on, and there were {found}. "
            "Validate on more wells, or set a higher calibration.false_positive_rate in the recipe."
        )

    @model_validator(mode="after")
    def _has_the_limit_that_it_can(self) -> "OutOfDistribution":
        if (self.num_validation_sites is None) != (self.num_validation_wells is None):
            raise ValueError(
                "Expected num_validation_sites and num_validation_wells together. Received: one of them"
            )
        is_due = self.num_validation_wells is None or self.num_validation_wells >= self.least
        if (self.max_distance is not None) != is_due:
            raise ValueError(
                f"Expected a max_distance exactly where there are {self.least} validation wells or more. "
                f"Received: {self.max_distance} and num_validation_wells = {self.num_validation_wells}"
            )
        return self

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
        stain_order: When two channels look swapped; None before format 5, where the stack has one channel, and where
            wells are too few to share the false-positive rate among two tests.
    """

    absent_if_none: ClassVar = ("stain_order",)

    temperature: Positive
    prediction_sets: PredictionSets
    out_of_distribution: OutOfDistribution
    stain_order: StainOrderSpec | None = None


def _sites(num_sites: int, num_wells: int | None) -> str:
    sites = "1 site" if num_sites == 1 else f"{num_sites} sites"
    wells = "" if num_wells is None else " of 1 well" if num_wells == 1 else f" of {num_wells} wells"
    return sites + wells
