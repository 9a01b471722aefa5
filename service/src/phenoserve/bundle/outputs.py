"""What a model puts out for stacks: the graph's five outputs and the forest's probabilities."""

from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Final

import numpy as np
from jaxtyping import Float32, Float64

EMBEDDING_SIZE: Final = 1024
PROJECTION_SIZE: Final = 128

GRAPH_OUTPUT_AXES: Final = MappingProxyType(
    {
        "embedding": ("batch", "embedding"),
        "projection": ("batch", "projection"),
        "logits": ("batch", "treatment"),
        "versus_control": ("batch", "treated"),
        "heatmap": ("batch", "treatment", "y", "x"),
    }
)
"""Every output of the graph and the words of its axes, in the order of the format."""


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """The outputs for a batch of stacks; row i of every array belongs to stack i.

    Attributes:
        embedding: Globally pooled encoder features, `(batch, 1024)`.
        projection: Projection head output of unit L2 norm, `(batch, 128)`.
        logits: Classifier head over all treatments and the control, before softmax, `(batch, treatment)`.
        versus_control: One binary head a treatment against the control, before sigmoid, `(batch, treated)`.
        heatmap: Grad-CAM of every treatment after ReLU, on the feature map, `(batch, treatment, y, x)`.
        forest: Probabilities of the random forest on `embedding`, `(batch, treatment)`; a row sums to 1.
    """

    embedding: Float32[np.ndarray, "batch 1024"]
    projection: Float32[np.ndarray, "batch 128"]
    logits: Float32[np.ndarray, "batch treatment"]
    versus_control: Float32[np.ndarray, "batch treated"]
    heatmap: Float32[np.ndarray, "batch treatment heatmap_y heatmap_x"]
    forest: Float64[np.ndarray, "batch treatment"]

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by their output's name, in the order of the attributes."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def row(self, index: int) -> "Outputs":
        """Return the outputs for stack `index` alone, still with a batch axis (of one)."""
        return Outputs(**{name: array[index : index + 1] for name, array in self.arrays().items()})
