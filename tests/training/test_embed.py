"""Embedding whole fields, and the batch statistics they are normalised by."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from phenoserve.bundle.outputs import EMBEDDING_SIZE
from phenotrain.embed import FieldEncoder
from phenotrain.encoder import batch_normalisations
from phenotrain.standardise import standardise

pytestmark = pytest.mark.training


class Fields:
    """Fields in memory, with what embedding uses of a cache."""

    field_shape = (3, 40, 36)

    def __init__(self, num_sites):
        self.fields = (
            np.random.default_rng(0).gamma(2.0, 5.0, (num_sites, *self.field_shape)).astype(np.float32)
        )

    def read(self, rows):
        """Fields `(len(rows), channel, y, x)`."""
        return self.fields[rows]


@pytest.fixture
def encoder():
    keras.utils.set_random_seed(0)
    fields = keras.Input((None, None, 3))
    hidden = keras.layers.Conv2D(8, 3, strides=2)(fields)
    hidden = keras.layers.BatchNormalization(name="only")(hidden)
    return keras.Model(fields, keras.layers.Conv2D(EMBEDDING_SIZE, 1, activation="relu")(hidden))


def before_normalisation(encoder, fields):
    first = encoder.layers[1]
    return first(standardise(tf.constant(fields.transpose(0, 2, 3, 1)))).numpy()


@pytest.mark.parametrize("num_sites", [5, 130])
def test_statistics_are_those_of_all_training_fields(encoder, num_sites):
    """After settling, mean and variance are those over all pixels of all given fields, whatever the batches."""
    cache = Fields(num_sites)
    FieldEncoder(encoder).settle(cache, np.arange(num_sites))
    activations = before_normalisation(encoder, cache.fields)
    (layer,) = batch_normalisations(encoder)
    np.testing.assert_allclose(layer.moving_mean.numpy(), activations.mean((0, 1, 2)), atol=1e-4)
    np.testing.assert_allclose(layer.moving_variance.numpy(), activations.var((0, 1, 2)), rtol=1e-3)
    assert layer.momentum == 0.99


def test_settling_changes_no_weight(encoder):
    """Settling moves the statistics and nothing that was learned."""
    before = [weight.numpy() for weight in encoder.trainable_weights]
    FieldEncoder(encoder).settle(Fields(6), np.arange(6))
    for old, new in zip(before, encoder.trainable_weights, strict=True):
        np.testing.assert_array_equal(old, new.numpy())


def test_embeddings_follow_the_rows(encoder):
    """Sites are embedded in the order asked for, each as it would be alone."""
    cache, rows = Fields(70), np.array([3, 69, 0, 3])
    fields = FieldEncoder(encoder)
    together = fields.embed(cache, rows)
    assert together.shape == (4, EMBEDDING_SIZE)
    for position, row in enumerate(rows):
        np.testing.assert_allclose(together[position], fields.embed(cache, np.array([row]))[0], atol=1e-5)


def test_an_embedding_is_the_mean_of_the_feature_map(encoder):
    """The embedding is the globally averaged feature map of the standardised field."""
    cache = Fields(2)
    expected = encoder(standardise(tf.constant(cache.fields.transpose(0, 2, 3, 1)))).numpy().mean((1, 2))
    np.testing.assert_allclose(FieldEncoder(encoder).embed(cache, np.arange(2)), expected, atol=1e-5)


def test_borrowed_weights_are_given_back(encoder):
    """With other weights it settles and embeds as their own encoder would, and afterwards as it did before."""
    cache, rows = Fields(6), np.arange(6)
    keras.utils.set_random_seed(1)
    other = keras.models.clone_model(encoder)
    fields = FieldEncoder(encoder)
    fields.settle(cache, rows)
    before = fields.embed(cache, rows)
    with fields.wearing(other.get_weights()):
        fields.settle(cache, rows)
        borrowed = fields.embed(cache, rows)
    by_itself = FieldEncoder(other)
    by_itself.settle(cache, rows)
    np.testing.assert_allclose(borrowed, by_itself.embed(cache, rows), atol=1e-5)
    np.testing.assert_array_equal(fields.embed(cache, rows), before)
    assert np.abs(borrowed - before).max() > 0.01
