"""What an evaluation found, as values: JSON-able, with a headline in one sentence."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from phenotrain.evaluate.estimates import SIGNIFICANCE, Difference, Estimate, MetricName
from phenotrain.evaluate.headline import headline_of
from phenotrain.evaluate.predictions import CLASSIFIER, shown_order
from phenotrain.evaluate.units import Level


@dataclass(frozen=True)
class Classification:
    """How well one model tells all classes apart, at one level.

    Attributes:
        model: Name of the model.
        level: `site`, or `well` (mean probability of the well's sites).
        dose_rank: The dose that was scored, counted from each treatment's top one; None for the headline's
            doses together.
        num_units: Sites or wells that were scored.
        accuracy: Share of units whose most probable class is the true one.
        estimates: Every metric; None where it is not defined (no treated unit has a same-plate control).
        p_value: Of the balanced accuracy, one-sided, from true labels permuted among the wells of each plate.
        smallest_p: The smallest p that any answers could reach on these wells and plates.
        confusion: Counts, `(true class, predicted class)` in the order of the classes.
    """

    model: str
    level: Level
    dose_rank: int | None
    num_units: int
    accuracy: float
    estimates: Mapping[MetricName, Estimate | None]
    p_value: float
    smallest_p: float
    confusion: tuple[tuple[int, ...], ...]

    @property
    def smallest_class(self) -> int:
        """Units of the class that has fewest."""
        return min(sum(row) for row in self.confusion)

    @property
    def balanced_accuracy(self) -> Estimate:
        """The mean over classes of the share of the class's units that is right."""
        found = self.estimates["balanced_accuracy"]
        if found is None:
            raise ValueError(f"The balanced accuracy of {self.model!r} is missing; it is always defined.")
        return found


@dataclass(frozen=True)
class Comparison:
    """How well one model tells a treatment from the controls of the same plates.

    Attributes:
        model: Name of the model; it ranks by its own versus-control answer where it has one, else by the
            probability of the treatment among treatment and control.
        level: `site` or `well`.
        treatment: Name of the treatment.
        dose: Concentration as recorded, or None for all doses that are scored together.
        num_units: Treated sites or wells with a control on their plate.
        num_unmatched: Treated sites or wells left out because their plate has no control in this role.
        num_controls: Control sites or wells on those plates.
        auroc: Mean over treated units of the share of same-plate controls that rank below it (ties half);
            None without a matched unit.
        average_precision: Mean over treated units of the precision at their rank on their plate, where the
            plate's controls together weigh as much as its treated units; None without a matched unit.
    """

    model: str
    level: Level
    treatment: str
    dose: float | None
    num_units: int
    num_unmatched: int
    num_controls: int
    auroc: Estimate | None
    average_precision: Estimate | None


@dataclass(frozen=True)
class RoleMetrics:
    """The results on one side of the split.

    Attributes:
        held_out: What the sites are, such as `Held-out experiment HUVEC-2`.
        num_top_doses: Doses of each treatment that were scored together; 0 when all were.
        num_sites: Sites scored.
        num_wells: Wells scored.
        classification: One entry a model and level, over the scored doses.
        versus_control: One entry a model, level and treatment, over the scored doses.
        by_dose_rank: One entry a model, level and dose rank that every treatment has.
        by_dose: One entry a model, treatment and dose, at well level, over all doses.
        differences: The classifier against every other model, over the scored doses, at both levels.
    """

    held_out: str
    num_top_doses: int
    num_sites: int
    num_wells: int
    classification: tuple[Classification, ...]
    versus_control: tuple[Comparison, ...]
    by_dose_rank: tuple[Classification, ...]
    by_dose: tuple[Comparison, ...]
    differences: tuple[Difference, ...]

    @property
    def models(self) -> list[str]:
        """The models in the order in which reports show them."""
        return shown_order(dict.fromkeys(found.model for found in self.classification))

    def classified(self, model: str, level: Level) -> Classification:
        """Return the classification of one model at one level."""
        return next(c for c in self.classification if (c.model, c.level) == (model, level))

    def at_dose_rank(self, model: str, level: Level, rank: int) -> Classification:
        """Return the classification of one model at one level and dose rank."""
        key = (model, level, rank)
        return next(c for c in self.by_dose_rank if (c.model, c.level, c.dose_rank) == key)

    def compared(self, model: str, level: Level, treatment: str) -> Comparison:
        """Return the comparison of one treatment with its controls."""
        key = (model, level, treatment)
        return next(c for c in self.versus_control if (c.model, c.level, c.treatment) == key)

    def difference(self, other: str, level: Level = "well") -> Difference | None:
        """Return the classifier's lead over another model, None where that model is not among them."""
        return next((d for d in self.differences if (d.other, d.level) == (other, level)), None)


@dataclass(frozen=True)
class Metrics:
    """The results on the held-out sides.

    Attributes:
        treatments: Classes in logit order.
        control: The control among them.
        simulated: Whether the images are simulated.
        test: Results on the test sites, the ones to quote.
        validation: Results on the validation sites; None where no site has that role.
        confounded: What could tell classes apart beside their effect, as `confounding` says it.
        exported_encoder: Whether the classifier answers from the `trained` encoder or from the `untrained` one.
    """

    treatments: tuple[str, ...]
    control: str
    simulated: bool
    test: RoleMetrics
    validation: RoleMetrics | None
    confounded: tuple[str, ...] = ()
    exported_encoder: Literal["trained", "untrained"] = "trained"

    @property
    def chance(self) -> float:
        """Balanced accuracy that the classifier's test answers reach with labels permuted within plates."""
        return self.test.classified(CLASSIFIER, "well").balanced_accuracy.chance

    @property
    def at_chance(self) -> bool | None:
        """Whether the classifier's test result is compatible with guessing, by its interval or its p.

        None where the test set cannot tell: no answers on its wells could reach a p of `SIGNIFICANCE`.
        """
        found = self.test.classified(CLASSIFIER, "well")
        accuracy = found.balanced_accuracy
        if found.smallest_p > SIGNIFICANCE:
            return None
        return accuracy.contains_chance or accuracy.value < accuracy.chance or found.p_value > SIGNIFICANCE

    @property
    def headline(self) -> str:
        """The test result in one sentence: interval, chance, p, and whether it beats the intensity baseline."""
        return headline_of(self)

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON-able values, the headline first; NaN becomes None."""
        return {
            "headline": self.headline,
            "at_chance": self.at_chance,
            "chance": self.chance,
            **_plain(asdict(self)),
        }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
