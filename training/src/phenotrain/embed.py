"""Embeds whole fields with the trained encoder, and sets its batch statistics to fields."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import keras
import numpy as np
import tensorflow as tf

from phenoserve.bundle.outputs import EMBEDDING_SIZE
from phenotrain.cache import FieldCache
from phenotrain.encoder import batch_normalisations
from phenotrain.standardise import standardise

_FIELD_PIXELS_BATCH = 2**18
"""Pixels of one batch, so that memory does not grow with the field."""


class FieldEncoder:
    """An encoder on whole fields, traced once however many weights it is given in turn.

    Args:
        encoder: Standardised fields to feature maps.
    """

    def __init__(self, encoder: keras.Model) -> None:
        self._encoder = encoder
        self._embed = tf.function(
            lambda fields: tf.reduce_mean(encoder(standardise(fields), training=False), axis=[1, 2]),
            reduce_retracing=True,
        )
        self._normalise = tf.function(lambda fields: encoder(standardise(fields), training=True))

    @contextmanager
    def wearing(self, weights: list[np.ndarray]) -> Iterator[None]:
        """Gives the encoder other weights for a while.

        Args:
            weights: As `encoder.get_weights()` of an encoder of the same recipe gives them.
        """
        own = self._encoder.get_weights()
        self._encoder.set_weights(weights)
        try:
            yield
        finally:
            self._encoder.set_weights(own)

    def settle(self, cache: FieldCache, rows: np.ndarray, *, max_sites: int = 256, seed: int = 0) -> None:
        """Replaces the moving averages of batch normalisation by averages over whole training fields.

        SimCLR's moving averages lag behind the weights and were taken over crops; the service sees whole fields
        (the "precise batch normalisation" of Wu and Johnson 2021, section 3).

        Args:
            cache: Pooled fields.
            rows: Training rows.
            max_sites: Sites to average over, drawn from `rows`.
            seed: Seed of that draw.
        """
        rows = np.random.default_rng(seed).permutation(rows)[:max_sites]
        layers = batch_normalisations(self._encoder)
        momenta = [layer.momentum for layer in layers]
        for layer in layers:
            # A forward pass then leaves its own batch's statistics behind; the traced function keeps the zero.
            layer.momentum = 0.0
        num_sites = np.array([], np.int64)
        means: list[list[np.ndarray]] = [[] for _ in layers]
        variances: list[list[np.ndarray]] = [[] for _ in layers]
        for batch in _batches(cache, rows):
            self._normalise(tf.constant(cache.read(batch).transpose(0, 2, 3, 1)))
            num_sites = np.append(num_sites, len(batch))
            for index, layer in enumerate(layers):
                means[index].append(layer.moving_mean.numpy().astype(np.float64))
                variances[index].append(layer.moving_variance.numpy().astype(np.float64))
        for layer, momentum, mean, variance in zip(layers, momenta, means, variances, strict=True):
            layer.momentum = momentum
            average = np.average(mean, axis=0, weights=num_sites)
            layer.moving_mean.assign(average)
            # Variance within batches plus variance between them.
            between = np.average((np.stack(mean) - average) ** 2, axis=0, weights=num_sites)
            layer.moving_variance.assign(np.average(variance, axis=0, weights=num_sites) + between)

    def embed(
        self, cache: FieldCache, rows: np.ndarray, *, on_site: Callable[[int, int], None] | None = None
    ) -> np.ndarray:
        """Embeds whole fields.

        Args:
            cache: Pooled fields.
            rows: Rows of the cache.
            on_site: Called with the number of sites done and to do, before the first and after each batch.

        Returns:
            `(len(rows), 1024)` float32, in the order of `rows`.
        """
        embeddings = np.empty((len(rows), EMBEDDING_SIZE), np.float32)
        done = 0
        if on_site is not None:
            on_site(done, len(rows))
        for batch in _batches(cache, rows):
            fields = tf.constant(cache.read(batch).transpose(0, 2, 3, 1))
            embeddings[done : done + len(batch)] = self._embed(fields)
            done += len(batch)
            if on_site is not None:
                on_site(done, len(rows))
        return embeddings


def settle_head_statistics(projection_head: keras.Model, embeddings: np.ndarray) -> None:
    """Does for the projection head what `FieldEncoder.settle` does for the encoder.

    Args:
        projection_head: Embeddings to projections, changed in place.
        embeddings: Of the training sites, `(site, 1024)`.
    """
    layers = batch_normalisations(projection_head)
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    projection_head(tf.constant(embeddings), training=True)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum


def _batches(cache: FieldCache, rows: np.ndarray) -> Iterator[np.ndarray]:
    _, height, width = cache.field_shape
    size = int(np.clip(_FIELD_PIXELS_BATCH // (height * width), 1, 64))
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
