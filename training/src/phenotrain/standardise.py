"""Per-image, per-channel standardisation, the same in training and in the exported graph."""

import tensorflow as tf

EPSILON = 1e-4
"""Added to the deviation, in grey levels: a blank channel becomes zeros rather than noise."""


def standardise(fields: tf.Tensor) -> tf.Tensor:
    """Gives every channel of every image zero mean and unit deviation over the whole field.

    Args:
        fields: Intensities, `(site, y, x, channel)`, float32, in grey levels.

    Returns:
        `(x - mean) / (std + EPSILON)`, same shape.
    """
    centred = fields - _field_mean(fields)
    # A 16-bit mean is rounded in float32; without the second pass a constant channel would come out as ±1.
    centred -= _field_mean(centred)
    return centred / (tf.sqrt(_field_mean(tf.square(centred))) + EPSILON)


def _field_mean(fields: tf.Tensor) -> tf.Tensor:
    # Along one axis, then the other: TensorFlow adds the pixels up one by one in float32, and over a whole field
    # at once that loses three digits (a constant 12345.678 over 257 x 253 pixels averages to 12350.7).
    return tf.reduce_mean(tf.reduce_mean(fields, axis=2, keepdims=True), axis=1, keepdims=True)
