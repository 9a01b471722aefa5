"""Per-image, per-channel standardisation, the same in training and in the exported graph."""

import tensorflow as tf

LEAST_DEVIATION = 1e-20
"""What a deviation of zero is divided as. Its square lies near the least that float32 holds, so that no channel whose
pixels differ comes near it: the service refuses channels that deviate by less than 1e-15."""


def standardise(fields: tf.Tensor) -> tf.Tensor:
    """Gives every channel of every image zero mean and unit deviation over the whole field.

    The unit of the intensities does not matter, nor does a constant added to all of them. A constant channel becomes
    zeros exactly: relative to one of its own pixels it is zeros before anything is rounded.

    Args:
        fields: Intensities, `(site, y, x, channel)`, float32, in any unit.

    Returns:
        `(x - mean) / std`, same shape; zeros where `std` is 0.
    """
    fields -= fields[:, :1, :1]
    centred = fields - _field_mean(fields)
    # A bright pixel in the corner leaves a mean far from the others, and with it the rounding of that mean.
    centred -= _field_mean(centred)
    deviation = tf.sqrt(_field_mean(tf.square(centred)))
    return centred / tf.maximum(deviation, LEAST_DEVIATION)


def _field_mean(fields: tf.Tensor) -> tf.Tensor:
    # Along one axis, then the other: TensorFlow adds the pixels up one by one in float32, and over a whole field
    # at once that loses three digits (a constant 12345.678 over 257 x 253 pixels averages to 12350.7).
    return tf.reduce_mean(tf.reduce_mean(fields, axis=2, keepdims=True), axis=1, keepdims=True)
