"""NT-Xent, the contrastive loss of SimCLR."""

import tensorflow as tf


def ntxent_loss(projections_a: tf.Tensor, projections_b: tf.Tensor, temperature: float) -> tf.Tensor:
    """NT-Xent loss over two views of the same sites (Chen et al. 2020, Eq. 1).

    Args:
        projections_a: First view, `(num_sites, projection_size)`, any norm.
        projections_b: Second view, same shape; row i shows the same site as row i of `projections_a`.
        temperature: Positive divisor of the cosine similarities, unitless.

    Returns:
        Scalar mean over the 2N anchors; log(2N - 1) when all projections agree.

    Raises:
        ValueError: If the shapes differ, or the temperature is not positive.
    """
    return _cross_entropy(*similarity_logits(projections_a, projections_b, temperature))


def contrastive_accuracy(projections_a: tf.Tensor, projections_b: tf.Tensor) -> tf.Tensor:
    """Share of the 2N anchors whose nearest other view is their own positive.

    Args:
        projections_a: First view, `(num_sites, projection_size)`, any norm.
        projections_b: Second view, same shape and order.

    Returns:
        Scalar in [0, 1]; 1 / (2N - 1) by chance.

    Raises:
        ValueError: If the shapes differ.
    """
    logits, positives = similarity_logits(projections_a, projections_b, 1.0)
    hits = tf.equal(tf.argmax(logits, axis=1, output_type=positives.dtype), positives)
    return tf.reduce_mean(tf.cast(hits, tf.float32))


def similarity_logits(
    projections_a: tf.Tensor, projections_b: tf.Tensor, temperature: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Cosine similarity of every view with every other, over the temperature.

    Args:
        projections_a: First view, `(num_sites, projection_size)`, any norm.
        projections_b: Second view, same shape and order.
        temperature: Positive divisor, unitless.

    Returns:
        `(2N, 2N)` logits, a view's similarity with itself being minus infinity in effect, and the `(2N,)`
        column of each row's positive.

    Raises:
        ValueError: If the shapes differ, or the temperature is not positive.
    """
    projections_a = tf.convert_to_tensor(projections_a)
    projections_b = tf.convert_to_tensor(projections_b)
    if not projections_a.shape.is_compatible_with(projections_b.shape) or projections_a.shape.rank != 2:
        raise ValueError(
            f"Two views must have one shape (num_sites, projection_size); received {projections_a.shape} and "
            f"{projections_b.shape}. Pass row i of both from the same site."
        )
    if temperature <= 0:
        raise ValueError(f"temperature must be positive; received {temperature}. SimCLR uses 0.05 to 0.5.")
    # Half precision rounds similarities near 1 to steps of 0.001, more than the loss can afford.
    views = tf.cast(tf.concat([projections_a, projections_b], axis=0), tf.float32)
    views = tf.math.l2_normalize(views, axis=1)
    logits = tf.matmul(views, views, transpose_b=True) / temperature
    num_views = tf.shape(views)[0]
    logits = tf.linalg.set_diag(logits, tf.fill([num_views], tf.constant(-1e9, tf.float32)))
    positives = tf.math.floormod(tf.range(num_views) + num_views // 2, num_views)
    return logits, positives


def _cross_entropy(logits: tf.Tensor, positives: tf.Tensor) -> tf.Tensor:
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=positives, logits=logits)
    return tf.reduce_mean(losses)
