"""What the caller asks of a splitting rule."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Request:
    """What the caller asked of a rule; each rule uses what concerns it."""

    seed: int
    test_fraction: float
    validation_fraction: float
    tested_on: str | None = None
    """The experiment or the plate that is tested on, where the rule names one."""
    deal: int = 0
    """Which of the rule's deals: 0 is spread evenly over doses and plates, those after it are drawn."""

    def rng(self) -> np.random.Generator:
        """The generator of this deal's draws."""
        return np.random.default_rng([self.seed, self.deal] if self.deal else self.seed)
