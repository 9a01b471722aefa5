"""What an evaluation found, as values: JSON-able, with a headline in one sentence."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

Level = Literal["site", "well"]

SIGNIFICANCE: Final = 0.05


@dataclass(frozen=True)
class Interval:
    """95 % percentile interval of a bootstrap over wells."""

    low: float
    high: float


@dataclass(frozen=True)
class Classification:
    """How well one model tells all classes apart, at one level.

    Attributes:
        model: Name of the model.
        level: `site`, or `well` (mean probability of the well's sites).
        num_units: Sites or wells that were scored.
        accuracy: Share of units whose most probable class is the true one.
        balanced_accuracy: Mean over classes of the share of the class's units that is right.
        interval: Of the balanced accuracy, from wells drawn with replacement within each class.
        p_value: One-sided, from true labels permuted among the wells of each plate; None at site level.
        confusion: Counts, `(true class, predicted class)` in the order of the classes.
    """

    model: str
    level: Level
    num_units: int
    accuracy: float
    balanced_accuracy: float
    interval: Interval
    p_value: float | None
    confusion: tuple[tuple[int, ...], ...]


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
        interval: Of the AUROC.
    """

    model: str
    level: Level
    treatment: str
    dose: float | None
    num_units: int
    num_unmatched: int
    num_controls: int
    auroc: float | None
    interval: Interval | None


@dataclass(frozen=True)
class RoleMetrics:
    """The results on one side of the split.

    Attributes:
        held_out: What the sites are, such as `Held-out experiment HUVEC-2`.
        num_top_doses: Doses of each treatment that were scored together; 0 when all were.
        num_sites: Sites scored.
        num_wells: Wells scored.
        classification: One entry a model and level.
        versus_control: One entry a model, level and treatment, over the scored doses.
        by_dose: One entry a model, treatment and dose, at well level, over all doses.
    """

    held_out: str
    num_top_doses: int
    num_sites: int
    num_wells: int
    classification: tuple[Classification, ...]
    versus_control: tuple[Comparison, ...]
    by_dose: tuple[Comparison, ...]

    def classified(self, model: str, level: Level) -> Classification:
        """Return the classification of one model at one level."""
        return next(c for c in self.classification if (c.model, c.level) == (model, level))

    def compared(self, model: str, level: Level, treatment: str) -> Comparison:
        """Return the comparison of one treatment with its controls."""
        key = (model, level, treatment)
        return next(c for c in self.versus_control if (c.model, c.level, c.treatment) == key)


@dataclass(frozen=True)
class Metrics:
    """The results on both held-out sides.

    Attributes:
        treatments: Classes in logit order.
        control: The control among them.
        chance: Balanced accuracy of a guess, one over the number of classes.
        simulated: Whether the images are simulated.
        test: Results on the test sites, the ones to quote.
        validation: Results on the validation sites.
    """

    treatments: tuple[str, ...]
    control: str
    chance: float
    simulated: bool
    test: RoleMetrics
    validation: RoleMetrics

    @property
    def at_chance(self) -> bool:
        """Whether the classifier's test result is compatible with guessing, by its interval or its p."""
        found = self.test.classified("classifier", "well")
        return found.interval.low <= self.chance or found.p_value is None or found.p_value > SIGNIFICANCE

    @property
    def headline(self) -> str:
        """The test result in one sentence, with interval, chance level and p."""
        found = self.test.classified("classifier", "well")
        num = self.test.num_top_doses
        doses = "all doses" if num == 0 else "top dose" if num == 1 else f"top {num} doses"
        note = " (simulated data)" if self.simulated else ""
        verdict = "not distinguishable from chance, " if self.at_chance else ""
        return (
            f"{self.test.held_out}, {doses}: {verdict}well-level balanced accuracy "
            f"{found.balanced_accuracy:.2f} [{found.interval.low:.2f}, {found.interval.high:.2f}], "
            f"chance {self.chance:.2f}, {p_text(found.p_value)}{note}."
        )

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON-able values, the headline first; NaN becomes None."""
        return {"headline": self.headline, "at_chance": self.at_chance, **_plain(asdict(self))}


def p_text(p_value: float | None) -> str:
    """Write a p-value to the precision that permutations give."""
    if p_value is None:
        return "p not computed"
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
