"""The exported graph against Keras, run by the engine that will serve it."""

import numpy as np
import onnx
import pytest
import tensorflow as tf

from phenoserve.bundle.outputs import GRAPH_OUTPUT_AXES
from phenoserve.engine import Graph
from phenotrain.onnx_export import PARITY, ExportError, check_parity, to_onnx
from phenotrain.quantize.graphs import to_fp16, to_int8

pytestmark = [pytest.mark.training, pytest.mark.slow]


@pytest.fixture(scope="module")
def model_onnx(served_graph):
    return to_onnx(served_graph)


def test_every_output_equals_keras(served_graph, model_onnx, raw_stacks):
    """Every output, the heatmaps among them, equals Keras's within 1e-4 for 8-bit, 16-bit and float stacks."""
    differences = check_parity(served_graph, model_onnx, raw_stacks)
    assert set(differences) == set(GRAPH_OUTPUT_AXES)
    assert max(differences.values()) < 1e-4
    assert PARITY == 1e-4


def test_a_batch_gets_what_its_stacks_get_alone(model_onnx, raw_stacks):
    """A batch is answered as its stacks are one by one."""
    graph = Graph.load(model_onnx, device="cpu")
    batch = np.stack([raw_stacks[0], raw_stacks[0][:, ::-1], raw_stacks[0][..., ::-1]]).astype(np.float32)
    together = graph.run(batch)
    for index in range(3):
        for name, alone in graph.run(np.ascontiguousarray(batch[index : index + 1])).items():
            np.testing.assert_allclose(together[name][index : index + 1], alone, atol=1e-5)


def test_every_batch_normalisation_is_one_node(model_onnx):
    """DenseNet121's 62 batch normalisations that follow no convolution are one node each."""
    nodes = onnx.load_model_from_string(model_onnx).graph.node
    assert sum(node.op_type == "BatchNormalization" for node in nodes) == 62


def test_every_transition_averages_before_it_convolves(model_onnx):
    """DenseNet121's three transitions convolve what they have averaged."""
    nodes = onnx.load_model_from_string(model_onnx).graph.node
    averages = {node.output[0] for node in nodes if node.op_type == "AveragePool"}
    assert sum(node.op_type == "Conv" and node.input[0] in averages for node in nodes) == 3


def test_axes_have_names(model_onnx):
    """Input and outputs carry DESIGN's names, and batch, y and x are free."""
    model = onnx.load_model_from_string(model_onnx)
    axes = [d.dim_param or d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    assert (model.graph.input[0].name, axes) == ("stack", ["batch", 6, "y", "x"])
    assert {output.name for output in model.graph.output} == set(GRAPH_OUTPUT_AXES)
    assert all(output.type.tensor_type.shape.dim[0].dim_param == "batch" for output in model.graph.output)


def test_a_graph_that_differs_is_refused(served_graph, model_onnx, raw_stacks):
    """A graph whose answers are not the Keras model's is refused, naming the output."""
    bias = served_graph.classifier_head.get_layer("outputs").bias
    bias.assign_add(tf.ones_like(bias))
    try:
        with pytest.raises(ExportError, match="logits"):
            check_parity(served_graph, model_onnx, raw_stacks)
    finally:
        bias.assign_sub(tf.ones_like(bias))


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one.ravel().astype(np.float64), other.ravel().astype(np.float64)
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.mark.parametrize("form", ["fp32", "fp16"])
def test_the_unit_of_float_pixels_does_not_matter(model_onnx, raw_stacks, form):
    """Stacks in any unit, and with any background added, are answered as in grey levels, at 16 bits too."""
    graph = Graph.load(to_fp16(model_onnx) if form == "fp16" else model_onnx, device="cpu")
    grey = raw_stacks[0].astype(np.float32)[np.newaxis]
    expected = graph.run(grey)
    for other in (grey / 255, grey / 65535, grey * 1e4, grey * 1e-12, grey + 60_000):
        found = graph.run(other.astype(np.float32))
        assert cosine(found["embedding"], expected["embedding"]) > (0.99999 if form == "fp32" else 0.9999)
        np.testing.assert_allclose(found["logits"], expected["logits"], atol=1e-4 if form == "fp32" else 0.02)


@pytest.mark.parametrize("form", ["fp32", "fp16", "int8"])
def test_a_constant_channel_is_answered_as_one_of_zeros(model_onnx, raw_stacks, form):
    """At every precision a channel of one value adds nothing, whatever the value and the field's size."""
    convert = {"fp32": lambda: model_onnx, "fp16": lambda: to_fp16(model_onnx)}
    convert["int8"] = lambda: to_int8(model_onnx, raw_stacks[:1])
    graph = Graph.load(convert[form](), device="cpu")
    stack = raw_stacks[0].astype(np.float32)[np.newaxis].copy()
    stack[:, 2] = 0
    expected = graph.run(stack)
    for value in (0.1, 1.0, 12345.678, 65535.0, 1e9):
        stack[:, 2] = value
        for name, found in graph.run(stack).items():
            np.testing.assert_array_equal(found, expected[name])
