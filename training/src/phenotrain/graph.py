"""The served graph: raw pixels in, embedding, projection, logits and Grad-CAM of every treatment out."""

import keras
import tensorflow as tf

from phenotrain.heads import head_gradient
from phenotrain.standardise import standardise

OUTPUTS: tuple[str, ...] = ("embedding", "projection", "logits", "versus_control", "heatmap")
"""The graph's outputs, in the order in which `ServedGraph` returns them."""


class ServedGraph(tf.Module):
    """DESIGN's graph as one TensorFlow function.

    Args:
        encoder: Standardised fields `(site, y, x, channel)` to feature maps `(site, y', x', 1024)`.
        projection_head: Embeddings to projections.
        classifier_head: Embeddings to the logits of all treatments.
        versus_control_head: Embeddings to one logit a treatment without the control.
        downsample: Integer average pooling of the raw field.
    """

    def __init__(
        self,
        encoder: keras.Model,
        projection_head: keras.Model,
        classifier_head: keras.Model,
        versus_control_head: keras.Model,
        downsample: int,
    ) -> None:
        super().__init__(name="phenoserve")
        self.encoder = encoder
        self.projection_head = projection_head
        self.classifier_head = classifier_head
        self.versus_control_head = versus_control_head
        self.downsample = downsample

    @property
    def signature(self) -> tf.TensorSpec:
        """The input: `(batch, channel, y, x)` float32."""
        return tf.TensorSpec((None, self.encoder.input_shape[-1], None, None), tf.float32, name="stack")

    def __call__(self, stack: tf.Tensor) -> dict[str, tf.Tensor]:
        """Answers a batch of stacks.

        Args:
            stack: Intensities as read from the file, `(batch, channel, y, x)` float32, `y, x >= 32 * downsample`.

        Returns:
            `embedding (batch, 1024)`, `projection (batch, 128)` of unit norm, `logits (batch, treatment)`,
            `versus_control (batch, treated)`, `heatmap (batch, treatment, y', x')`.
        """
        # Pooled first, a constant channel would be one but for rounding, which standardising makes large.
        stack -= stack[:, :, :1, :1]
        fields = pool(tf.transpose(stack, [0, 2, 3, 1]), self.downsample)
        feature_map = self.encoder(standardise(fields), training=False)
        embedding = tf.reduce_mean(feature_map, axis=[1, 2])
        return {
            "embedding": embedding,
            "projection": tf.math.l2_normalize(self.projection_head(embedding, training=False), axis=1),
            "logits": self.classifier_head(embedding, training=False),
            "versus_control": self.versus_control_head(embedding, training=False),
            "heatmap": grad_cam(feature_map, head_gradient(self.classifier_head, embedding)),
        }


def pool(fields: tf.Tensor, downsample: int) -> tf.Tensor:
    """Averages blocks of `downsample` by `downsample` pixels; what is left at the far edges is dropped.

    Args:
        fields: `(site, y, x, channel)` float32.
        downsample: Side of a block, in pixels.

    Returns:
        `(site, y // downsample, x // downsample, channel)`.
    """
    if downsample == 1:
        return fields
    return tf.nn.avg_pool2d(fields, ksize=downsample, strides=downsample, padding="VALID")


def grad_cam(feature_map: tf.Tensor, embedding_gradient: tf.Tensor) -> tf.Tensor:
    """Grad-CAM of every output at once (Selvaraju et al. 2017, Eqs. 1 and 2) under global average pooling.

    With h the mean of the map over its Z positions, the gradient by each position is the gradient by h over Z,
    and so is its mean over positions, the paper's weight alpha.

    Args:
        feature_map: `(site, y', x', 1024)`.
        embedding_gradient: Gradient of each output by the embedding, `(site, 1024, output)`.

    Returns:
        `(site, output, y', x')`, not negative.
    """
    num_positions = tf.cast(tf.shape(feature_map)[1] * tf.shape(feature_map)[2], feature_map.dtype)
    maps = tf.einsum("syxe,set->styx", feature_map, embedding_gradient / num_positions)
    return tf.nn.relu(maps)
