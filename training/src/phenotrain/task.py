"""What a model is to tell apart."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from phenotrain.datasets import Description
from phenotrain.datasets.spelling import not_among
from phenotrain.errors import ScreenError


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

    def require_in(self, sites: pd.DataFrame) -> None:
        """Refuses labels that no site of a table carries.

        Args:
            sites: Sites table.

        Raises:
            ScreenError: If the control or a treatment is not in it; each is told with the nearest labels.
        """
        labels = sites["treatment"].astype(str).unique()
        unknown = [
            not_among("control" if name == self.control else "treatment", name, labels)
            for name in self.treatments
            if name not in set(labels)
        ]
        if unknown:
            raise ScreenError(
                f"{' '.join(unknown)} Write labels as the table does, in the description's [task] or by `--treatment`."
            )
