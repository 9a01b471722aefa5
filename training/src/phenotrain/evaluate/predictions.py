"""What any number of models say about the sites of a screen, by the model's name."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

CLASSIFIER: Final = "classifier"
FOREST: Final = "forest"

MAJORITY: Final = "majority class"
INTENSITY: Final = "intensity and cell count"
UNTRAINED: Final = "untrained encoder"
TRAINED: Final = "trained encoder"
SUPERVISED: Final = "supervised encoder"
RXRX2_EMBEDDINGS: Final = "RxRx2 embeddings"

SHOWN_ORDER: Final = (
    CLASSIFIER,
    FOREST,
    SUPERVISED,
    TRAINED,
    UNTRAINED,
    RXRX2_EMBEDDINGS,
    INTENSITY,
    MAJORITY,
)
"""Names that a report shows in this order, the served models first; others follow in the order given."""


@dataclass(frozen=True)
class ModelPredictions:
    """What one model says about every site, row i for row i of the sites table.

    Attributes:
        probabilities: Of every class, in logit order, summing to 1, `(num_sites, num_classes)`.
        versus_control: Of each treatment against the control alone, `(num_sites, num_classes - 1)`, the
            treatments in logit order; when None, the treatment's probability among treatment and control.
    """

    probabilities: np.ndarray
    versus_control: np.ndarray | None = None

    def treated_scores(self, control: int) -> np.ndarray:
        """Say how much more each unit looks like each treatment than like the control.

        Args:
            control: Column of the control among the classes.

        Returns:
            `(num_units, num_classes - 1)`, between 0 and 1; 0.5 where neither has any probability.
        """
        if self.versus_control is not None:
            return self.versus_control
        of_treatment = np.delete(self.probabilities, control, axis=1)
        both = of_treatment + self.probabilities[:, [control]]
        return np.divide(of_treatment, both, out=np.full_like(both, 0.5), where=both > 0)

    def replaced(self, rows: np.ndarray, others: "ModelPredictions") -> "ModelPredictions":
        """Return these predictions with those of `rows` taken from `others`, row i for `rows[i]`."""
        probabilities = self.probabilities.copy()
        probabilities[rows] = others.probabilities
        versus_control = None
        if self.versus_control is not None and others.versus_control is not None:
            versus_control = self.versus_control.copy()
            versus_control[rows] = others.versus_control
        return ModelPredictions(probabilities, versus_control)


@dataclass(frozen=True)
class Predictions:
    """The predictions of one or more models for the same sites.

    Attributes:
        models: By the model's name; `classifier` is the one that the headline is about.
    """

    models: Mapping[str, ModelPredictions]

    def __getitem__(self, model: str) -> ModelPredictions:
        return self.models[model]

    def __iter__(self) -> Iterator[str]:
        return iter(self.models)

    @property
    def classifier(self) -> ModelPredictions:
        """The classifier head, which is what the service answers with."""
        return self.models[CLASSIFIER]

    def joined(self, others: "Predictions") -> "Predictions":
        """Return these models and `others`' beside them; a name in both is `others`'."""
        return Predictions({**self.models, **others.models})


def shown_order(models: Iterator[str] | Mapping[str, object] | tuple[str, ...]) -> list[str]:
    """Sort models' names for a table: served models, encoders, simple baselines, then the rest as given."""
    names = list(models)
    known = [name for name in SHOWN_ORDER if name in names]
    return known + [name for name in names if name not in known]
