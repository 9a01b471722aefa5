"""Random views of a site, drawn inside the TensorFlow graph from a seed alone."""

import tensorflow as tf

from phenotrain.recipe import AugmentationRecipe


def draw_view(
    fields: tf.Tensor, seed: tf.Tensor, *, crop_px: int, strengths: AugmentationRecipe
) -> tf.Tensor:
    """Draws one random view of each site.

    The geometry is a square cut out at a random place and scale, resampled bilinearly, then mirrored and
    rotated exactly; the intensities follow SCIENCE's post-standardisation form.

    Args:
        fields: Standardised fields, `(site, y, x, channel)`, float32, zero mean and unit deviation a channel.
        seed: Two integers, `(2,)`; the same seed gives the same view.
        crop_px: Side of a view, in pixels of `fields`.
        strengths: How far each augmentation goes; zero turns one off.

    Returns:
        `(site, crop_px, crop_px, channel)` float32.
    """
    seeds = tf.unstack(tf.random.split(seed, num=11), num=11)
    views = _crop(fields, seeds[0:3], crop_px, strengths)
    one_a_site = tf.stack([tf.shape(fields)[0], 1, 1, 1])
    if strengths.flips:
        views = _where_site(_coin(seeds[3], views), tf.reverse(views, [1]), views)
        views = _where_site(_coin(seeds[4], views), tf.reverse(views, [2]), views)
    if strengths.rotations:
        views = _rotate(views, seeds[5])
    if strengths.brightening > 0:
        floor = tf.reduce_min(fields, axis=[1, 2], keepdims=True)
        gain = _uniform(seeds[6], one_a_site, 1.0, 1.0 + strengths.brightening)
        views = floor + (views - floor) * gain
    if strengths.brightness > 0:
        views += _uniform(seeds[7], one_a_site, -strengths.brightness, strengths.brightness)
    if strengths.channel_gain > 0 or strengths.channel_offset > 0:
        draws = tf.random.stateless_normal(
            tf.stack([2, tf.shape(views)[0], 1, 1, tf.shape(views)[3]]), seeds[8]
        )
        views = views * (1.0 + strengths.channel_gain * draws[0]) + strengths.channel_offset * draws[1]
    if strengths.channel_drop > 0:
        draws = tf.random.stateless_uniform(
            tf.stack([tf.shape(views)[0], 1, 1, tf.shape(views)[3]]), seeds[10]
        )
        views = views * tf.cast(draws >= strengths.channel_drop, views.dtype)
    if strengths.noise > 0:
        views += strengths.noise * tf.random.stateless_normal(tf.shape(views), seeds[9])
    return views


def _crop(
    fields: tf.Tensor, seeds: list[tf.Tensor], crop_px: int, strengths: AugmentationRecipe
) -> tf.Tensor:
    num_sites, each_site = tf.shape(fields)[0], tf.shape(fields)[:1]
    height, width = tf.shape(fields)[1], tf.shape(fields)[2]
    scale = _uniform(seeds[0], each_site, strengths.crop_scale_min, strengths.crop_scale_max)
    side = tf.minimum(tf.round(scale * crop_px), tf.cast(tf.minimum(height, width), tf.float32))
    # Whole-pixel corners: at scale 1 the view is then a copy of pixels, not an interpolation.
    top = tf.floor(_uniform(seeds[1], each_site, 0.0, 1.0) * (tf.cast(height, tf.float32) - side + 1.0))
    left = tf.floor(_uniform(seeds[2], each_site, 0.0, 1.0) * (tf.cast(width, tf.float32) - side + 1.0))
    # One more pixel at the far edges: a coordinate that rounds up past the last one would be filled with zeros.
    fields = tf.pad(fields, [[0, 0], [0, 1], [0, 1], [0, 0]], "SYMMETRIC")
    last_y, last_x = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    corners = [top / last_y, left / last_x, (top + side - 1.0) / last_y, (left + side - 1.0) / last_x]
    return tf.image.crop_and_resize(
        fields, tf.stack(corners, axis=1), tf.range(num_sites), [crop_px, crop_px]
    )


def _rotate(views: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    turns = tf.random.stateless_uniform(tf.shape(views)[:1], seed, maxval=4, dtype=tf.int32)
    # A quarter turn is a transpose then a mirror; a half turn two mirrors.
    quarter = tf.reverse(tf.transpose(views, [0, 2, 1, 3]), [1])
    views = _where_site(tf.equal(tf.math.floormod(turns, 2), 1), quarter, views)
    return _where_site(turns >= 2, tf.reverse(views, [1, 2]), views)


def _coin(seed: tf.Tensor, views: tf.Tensor) -> tf.Tensor:
    return tf.random.stateless_uniform(tf.shape(views)[:1], seed) < 0.5


def _where_site(condition: tf.Tensor, yes: tf.Tensor, no: tf.Tensor) -> tf.Tensor:
    return tf.where(condition[:, tf.newaxis, tf.newaxis, tf.newaxis], yes, no)


def _uniform(seed: tf.Tensor, shape: tf.Tensor, low: float, high: float) -> tf.Tensor:
    return tf.random.stateless_uniform(shape, seed) * (high - low) + low
