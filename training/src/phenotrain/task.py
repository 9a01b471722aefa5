"""What a model is to tell apart."""

from collections.abc import Sequence
from dataclasses import dataclass

from phenotrain.datasets import Description


@dataclass(frozen=True)
class Task:
    """What the model is to tell apart.

    Attributes:
        control: Name of the control.
        treatments: All classes in logit order, the control first.
    """

    control: str
    treatments: tuple[str, ...]

    @classmethod
    def of(cls, description: Description, treatments: Sequence[str] = ()) -> "Task":
        """Takes the treatments to learn, the description's own when none are given.

        Raises:
            ValueError: If neither names any.
        """
        described = description.task
        treated = tuple(treatments) or described.treatments
        if not treated:
            raise ValueError(
                f"The description {description.name!r} names no treatments to learn. Name them with `--treatment`."
            )
        return cls(
            described.control, (described.control, *(name for name in treated if name != described.control))
        )

    @property
    def treated(self) -> tuple[str, ...]:
        """The treatments without the control, in the order of the binary heads."""
        return tuple(name for name in self.treatments if name != self.control)
