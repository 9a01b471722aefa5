"""The exported graph against Keras, run by the engine that will serve it."""

import numpy as np
import onnx
import pytest
import tensorflow as tf

from phenoserve.bundle.outputs import GRAPH_OUTPUT_AXES
from phenoserve.engine import Graph
from phenotrain.onnx_export import PARITY, ExportError, check_parity, to_onnx

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
