"""What the randomisation test found; apart from the test itself, so that reading it needs no Keras."""

from dataclasses import dataclass
from typing import Final

from phenotrain.explain.estimates import MIN_JUDGED_WELLS, Estimate

MAX_CORRELATION: Final = 0.5
"""The test passes where the mean |rho| is below this once head and last block, and more, are randomised."""


@dataclass(frozen=True)
class Stage:
    """One step of the cascade: the part that is randomised on top of those before it.

    Attributes:
        name: What the part is, such as `last block`.
        correlation: Mean over sites and draws of |Spearman's rho| between the map before and after. A randomised
            map without any rank, the same everywhere, counts as 0.
        signed: Mean of rho itself.
    """

    name: str
    correlation: Estimate
    signed: float | None


@dataclass(frozen=True)
class Randomisation:
    """Cascading randomisation from the head to the stem (Adebayo et al. 2018, "Sanity checks for saliency maps").

    Attributes:
        stages: In the order in which they are randomised, each with all before it.
        chance: Mean |rho| between each map and itself with its cells shuffled: what unrelated maps give.
        num_draws: Randomisations of the whole cascade.
        num_blank: Sites left out because their map is the same everywhere.
    """

    stages: tuple[Stage, ...]
    chance: float | None
    num_draws: int
    num_blank: int

    @property
    def passes(self) -> bool | None:
        """Whether the maps are others from the second stage on (or from the first where there is no second).

        None with too few wells for a verdict.
        """
        if any(stage.correlation.num_wells < MIN_JUDGED_WELLS for stage in self.stages):
            return None
        later = self.stages[1:] or self.stages
        values = [stage.correlation.value for stage in later]
        return bool(values) and all(value is not None and value < MAX_CORRELATION for value in values)
