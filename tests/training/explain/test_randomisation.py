"""Model-parameter randomisation on small networks: what it must notice, and that it leaves nothing behind."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from phenotrain.explain.randomisation import parts_from_the_top, randomise_cascade, rank_correlation
from phenotrain.graph import ServedGraph
from phenotrain.heads import build_head
from phenotrain.recipe import HeadsRecipe

pytestmark = pytest.mark.training

STACKS = np.random.default_rng(0).gamma(2.0, 6.0, (8, 2, 96, 96)).astype(np.float32)
TREATMENTS = [0, 1, 2, 0, 1, 2, 0, 1]
WELLS = np.array(list("abcdefgh"))


def graph_of(encoder) -> ServedGraph:
    heads = [
        build_head(num, HeadsRecipe(), name=name) for num, name in ((3, "logits"), (2, "versus_control"))
    ]
    embedding = keras.Input((1024,))
    projection = keras.Model(embedding, keras.layers.Dense(128)(embedding))
    return ServedGraph(encoder, projection, *heads, downsample=1)


def small_encoder():
    """Three weighted layers, two of them named as DenseNet's are."""
    keras.utils.set_random_seed(0)
    fields = keras.Input((None, None, 2))
    hidden = keras.layers.Conv2D(8, 5, strides=4, padding="same", activation="relu", name="adapter")(fields)
    hidden = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="conv4_x")(hidden)
    hidden = keras.layers.Conv2D(1024, 3, strides=2, padding="same", activation="relu", name="conv5_x")(
        hidden
    )
    return keras.Model(fields, hidden)


def brightness_encoder():
    """A network whose only weights are the head's: its feature map is brightness, whatever was learned."""
    fields = keras.Input((None, None, 2))
    pooled = keras.layers.AveragePooling2D(16)(fields)
    mean = keras.layers.Lambda(
        lambda x: tf.repeat(tf.nn.relu(tf.reduce_mean(x, axis=-1, keepdims=True)), 1024, axis=-1),
        output_shape=(None, None, 1024),
    )(pooled)
    return keras.Model(
        fields, keras.layers.Conv2D(1024, 1, groups=1024, name="conv5_gain", use_bias=False)(mean)
    )


def test_maps_of_a_network_change_with_its_weights():
    """The maps of a network with weights are others once head and last block are shuffled: the test passes."""
    graph = graph_of(small_encoder())
    found = randomise_cascade(graph, list(STACKS), TREATMENTS, WELLS, seed=0)
    assert [stage.name for stage in found.stages] == ["classifier head", "last block", "block 3", "stem"]
    assert found.passes
    assert found.chance == pytest.approx(np.sqrt(2 / np.pi / 35), rel=0.15)


def test_a_map_that_ignores_what_was_learned_fails():
    """Where the map is brightness whatever the weights are, rho stays 1 at every stage, and the test fails."""
    graph = graph_of(brightness_encoder())
    graph.classifier_head.get_layer("outputs").kernel.assign(np.abs(graph.classifier_head.get_weights()[0]))
    graph.encoder.get_layer("conv5_gain").kernel.assign(np.ones((1, 1, 1, 1024)))
    found = randomise_cascade(graph, list(STACKS), TREATMENTS, WELLS, seed=0)
    assert [stage.correlation.value for stage in found.stages] == pytest.approx([1.0, 1.0])
    assert not found.passes


def test_the_graph_has_its_weights_back():
    """After the test every weight is bit for bit what it was, and so after one that failed half way."""
    graph = graph_of(small_encoder())
    models = (graph.encoder, graph.classifier_head, graph.projection_head)
    before = [weight.copy() for model in models for weight in model.get_weights()]
    randomise_cascade(graph, list(STACKS), TREATMENTS, WELLS, seed=0, num_draws=1)
    with pytest.raises(IndexError):
        randomise_cascade(graph, list(STACKS), [*TREATMENTS[:-1], 99], WELLS, seed=0)
    for old, new in zip(before, [w for model in models for w in model.get_weights()], strict=True):
        np.testing.assert_array_equal(old, new)


def test_weights_come_back_when_a_map_fails(monkeypatch):
    """A failure in the middle of the cascade leaves the graph as it was."""
    graph = graph_of(small_encoder())
    before = graph.classifier_head.get_weights()
    calls = []

    def failing(graph, stacks, treatments):
        calls.append(1)
        if len(calls) > 2:
            raise MemoryError
        return [np.eye(4)]

    monkeypatch.setattr("phenotrain.explain.randomisation._maps", failing)
    with pytest.raises(MemoryError):
        randomise_cascade(graph, list(STACKS[:1]), [0], WELLS[:1], seed=0)
    assert len(calls) == 3
    for old, new in zip(before, graph.classifier_head.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_same_seed_gives_the_same_answer():
    """Randomisation is reproducible."""
    graph = graph_of(small_encoder())
    first, second = (
        randomise_cascade(graph, list(STACKS), TREATMENTS, WELLS, seed=4, num_draws=1) for _ in range(2)
    )
    assert first == second


def test_parts_of_densenet_cover_every_weight(served_graph):
    """From head to stem, every weight that the heatmap depends on belongs to exactly one part."""
    parts = parts_from_the_top(served_graph)
    assert [name for name, _ in parts] == [
        "classifier head",
        "last block",
        "block 3",
        "block 2",
        "block 1",
        "stem",
    ]
    ids = [id(weight) for _, layers in parts for layer in layers for weight in layer.weights]
    expected = [*served_graph.encoder.weights, *served_graph.classifier_head.weights]
    assert sorted(ids) == sorted(id(weight) for weight in expected)
    names = {name: {layer.name for layer in layers} for name, layers in parts}
    assert {"stain_adapter", "stain_adapter_mix", "conv1_conv", "conv1_bn"} == names["stem"]
    assert {"bn", "conv5_block16_2_conv"} <= names["last block"]
    assert {"conv2_block1_1_conv", "pool2_conv"} <= names["block 1"]


def test_blank_maps_have_no_ranks():
    """A map that is the same everywhere correlates with nothing; one with itself, fully; reversed, fully negative."""
    heat = np.arange(6.0).reshape(2, 3)
    assert rank_correlation(heat, heat**3) == pytest.approx(1.0)
    assert rank_correlation(heat, -heat) == pytest.approx(-1.0)
    assert rank_correlation(heat, np.zeros((2, 3))) == 0.0
