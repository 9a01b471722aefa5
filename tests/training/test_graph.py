"""The served graph against Keras's own pieces and automatic differentiation."""

import numpy as np
import pytest
import tensorflow as tf

from phenoserve.bundle.deviation import LEAST_DEVIATION_OVER_FLOOR
from phenotrain.graph import ServedGraph, pool
from phenotrain.heads import build_head, head_gradient
from phenotrain.recipe import HeadsRecipe
from phenotrain.standardise import standardise

pytestmark = pytest.mark.training


def tape_grad_cam(graph: ServedGraph, stack: np.ndarray) -> np.ndarray:
    """Selvaraju et al. 2017, Eqs. 1 and 2, on the last feature map, one treatment at a time."""
    fields = standardise(
        pool(tf.constant(stack[np.newaxis].transpose(0, 2, 3, 1), tf.float32), graph.downsample)
    )
    maps = []
    for treatment in range(graph.classifier_head.output_shape[-1]):
        with tf.GradientTape() as tape:
            feature_map = graph.encoder(fields, training=False)
            tape.watch(feature_map)
            logits = graph.classifier_head(tf.reduce_mean(feature_map, axis=[1, 2]), training=False)
            logit = logits[:, treatment]
        alpha = tf.reduce_mean(tape.gradient(logit, feature_map), axis=[1, 2])
        maps.append(tf.nn.relu(tf.reduce_sum(alpha[:, tf.newaxis, tf.newaxis] * feature_map, axis=-1)))
    return tf.stack(maps, axis=1).numpy()


def test_heatmap_is_grad_cam(served_graph, raw_stacks):
    """The closed-form heatmap of every treatment equals a GradientTape Grad-CAM of the Keras model."""
    for stack in raw_stacks:
        heatmap = served_graph(tf.constant(stack[np.newaxis], tf.float32))["heatmap"].numpy()
        expected = tape_grad_cam(served_graph, stack)
        assert expected.max() > 0
        np.testing.assert_allclose(heatmap, expected, atol=1e-4 * expected.max())


def test_heatmaps_differ_between_treatments(served_graph, raw_stacks):
    """Every treatment has its own heatmap, and none is blank on every stack."""
    maps = [
        served_graph(tf.constant(stack[np.newaxis], tf.float32))["heatmap"].numpy()[0] for stack in raw_stacks
    ]
    for treatment in range(5):
        assert max(stack_maps[treatment].max() for stack_maps in maps) > 0
        for other in range(treatment):
            assert any(np.abs(stack_maps[treatment] - stack_maps[other]).max() > 1e-6 for stack_maps in maps)


@pytest.mark.parametrize("hidden_units", [0, 7])
def test_head_gradient_is_the_gradient(hidden_units):
    """The closed-form gradient of every logit equals automatic differentiation, linear head or not."""
    head = build_head(3, HeadsRecipe(hidden_units=hidden_units), name="logits")
    rng = np.random.default_rng(0)
    head.set_weights([rng.normal(0, 0.3, weight.shape) for weight in head.get_weights()])
    embedding = tf.constant(rng.normal(size=(5, 1024)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(embedding)
        logits = head(embedding)
    expected = tf.transpose(tape.batch_jacobian(logits, embedding), [0, 2, 1])
    np.testing.assert_allclose(head_gradient(head, embedding).numpy(), expected.numpy(), atol=1e-5)


def test_the_graph_pools_before_anything_else(served_graph, raw_stacks):
    """A stack and its own block averages (through a graph that does not pool) get the same answers."""
    stack = raw_stacks[0][:, :128, :128].astype(np.float32)
    averages = stack.reshape(6, 64, 2, 64, 2).mean(axis=(2, 4))
    parts = (served_graph.encoder, served_graph.projection_head, served_graph.classifier_head)
    unpooled = ServedGraph(*parts, served_graph.versus_control_head, downsample=1)
    whole = served_graph(tf.constant(stack[np.newaxis]))
    for name, expected in unpooled(tf.constant(averages[np.newaxis])).items():
        np.testing.assert_allclose(whole[name].numpy(), expected.numpy(), atol=1e-4)


def test_answers_do_not_depend_on_gain_and_background(served_graph, raw_stacks):
    """Doubling the exposure and raising the background of any stain changes no answer."""
    stack = raw_stacks[0][np.newaxis].astype(np.float32)
    gain = np.array([1, 2, 3, 1.5, 0.5, 4], np.float32).reshape(1, 6, 1, 1)
    before, after = served_graph(tf.constant(stack)), served_graph(tf.constant(stack * gain + 7 * gain))
    for name in before:
        np.testing.assert_allclose(after[name].numpy(), before[name].numpy(), atol=2e-3)


def test_projections_have_unit_norm(served_graph, raw_stacks):
    """The projection output is L2-normalised."""
    projection = served_graph(tf.constant(raw_stacks[0][np.newaxis], tf.float32))["projection"]
    assert float(tf.norm(projection)) == pytest.approx(1.0, abs=1e-5)


def test_at_the_limit_a_floor_hardly_turns_an_embedding(served_graph, raw_stacks):
    """Where channels deviate by the least that graphs with a floor of 1e-4 take, the cosine is at least 0.99999."""
    for stack in raw_stacks:
        fields = standardise(tf.constant(stack[np.newaxis].transpose(0, 2, 3, 1), tf.float32))
        with_floor = fields * (LEAST_DEVIATION_OVER_FLOOR / (LEAST_DEVIATION_OVER_FLOOR + 1e-4))
        one, other = (
            served_graph.encoder(of, training=False).numpy().mean((1, 2)).ravel().astype(np.float64)
            for of in (fields, with_floor)
        )
        assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) >= 0.99999
