"""What the caller asks of a splitting rule."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """What the caller asked of a rule; each rule uses what concerns it."""

    seed: int
    test_fraction: float
    validation_fraction: float
    test_experiment: str | None
