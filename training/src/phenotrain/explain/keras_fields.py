"""The Keras networks after standardisation, for tests that change standardised fields."""

from typing import Final

import numpy as np
import tensorflow as tf

from phenotrain.explain.perturbation import ProbabilityOf
from phenotrain.graph import ServedGraph
from phenotrain.standardise import standardise

_MAX_BATCH_PX: Final = 2**19


def standardised(fields: np.ndarray) -> np.ndarray:
    """Standardise pooled fields as the graph does, `(field, channel, y, x)` to the same shape."""
    return standardise(tf.constant(fields.transpose(0, 2, 3, 1))).numpy().transpose(0, 3, 1, 2)


def probability_of(graph: ServedGraph) -> ProbabilityOf:
    """Return the part of a graph that follows standardisation.

    Args:
        graph: The trained graph.

    Returns:
        A function of standardised fields `(field, channel, y, x)` that gives `(field, treatment)`, a few fields at a
        time.
    """
    forward = tf.function(
        lambda fields: tf.nn.softmax(
            graph.classifier_head(
                tf.reduce_mean(graph.encoder(fields, training=False), axis=[1, 2]), training=False
            )
        ),
        reduce_retracing=True,
    )

    def probabilities(fields: np.ndarray) -> np.ndarray:
        size = max(1, _MAX_BATCH_PX // (fields.shape[2] * fields.shape[3]))
        channels_last = fields.transpose(0, 2, 3, 1).astype(np.float32)
        parts = [
            forward(tf.constant(channels_last[start : start + size])) for start in range(0, len(fields), size)
        ]
        return np.concatenate([part.numpy() for part in parts])

    return probabilities
