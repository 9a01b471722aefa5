"""Batch normalisation as one node; averages before convolutions."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from phenotrain.onnx_rewrite import fuse_batch_normalisation, pool_before_convolution

NUM_CHANNELS = 3


def normalising(
    outputs=("y",), scale_shape=(1, NUM_CHANNELS, 1, 1), *, second_reader=False
) -> onnx.ModelProto:
    """`y = relu(x * scale + shift)`, written as tf2onnx does; the product can have a second reader."""
    rng = np.random.default_rng(2)
    constants = [
        numpy_helper.from_array(rng.normal(size=scale_shape).astype(np.float32), "scale"),
        numpy_helper.from_array(rng.normal(size=(1, NUM_CHANNELS, 1, 1)).astype(np.float32), "shift"),
    ]
    nodes = [
        helper.make_node("Mul", ["x", "scale"], ["product"], name="mul"),
        helper.make_node("Add", ["product", "shift"], ["sum"], name="add"),
        helper.make_node("Relu", ["sum"], ["y"], name="relu"),
    ]
    if second_reader:
        nodes.append(helper.make_node("Neg", ["product"], ["z"], name="neg"))
    shape = ["batch", NUM_CHANNELS, "height", "width"]
    graph = helper.make_graph(
        nodes,
        "normalising",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in outputs],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def test_a_product_and_a_sum_by_channel_are_one_node_with_the_same_answer():
    """One BatchNormalization stands for product and sum, gives what they gave, and leaves no constant unread."""
    before, after = normalising(), normalising()
    assert fuse_batch_normalisation(after.graph) == 1
    onnx.checker.check_model(after, full_check=True)
    assert [node.op_type for node in after.graph.node] == ["BatchNormalization", "Relu"]
    read = {name for node in after.graph.node for name in node.input}
    assert {constant.name for constant in after.graph.initializer} <= read
    x = np.random.default_rng(3).normal(size=(2, NUM_CHANNELS, 4, 5)).astype(np.float32)
    (expected,), (found,) = (ReferenceEvaluator(model).run(None, {"x": x}) for model in (before, after))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {"outputs": ("y", "product")},
        {"outputs": ("y", "z"), "second_reader": True},
        {"scale_shape": (1, 1, 1, 1)},
        {"scale_shape": (1, NUM_CHANNELS, 4, 5)},
    ],
)
def test_what_is_no_normalisation_by_channel_stays(changes):
    """A product that others read too, that is an output, or that is not by channel, is left as it was."""
    model = normalising(**changes)
    before = model.SerializeToString()
    assert fuse_batch_normalisation(model.graph) == 0
    assert model.SerializeToString() == before


def transition(convolution=None, pooling=None, outputs=("y",), *, second_reader=False) -> onnx.ModelProto:
    """`y = pool(conv(x))` as in DenseNet's transitions, here with a bias; attributes can be others."""
    convolution = {"kernel_shape": [1, 1], "strides": [1, 1]} | (convolution or {})
    pooling = {"kernel_shape": [2, 2], "strides": [2, 2]} | (pooling or {})
    rng = np.random.default_rng(4)
    weights = rng.normal(size=(2, NUM_CHANNELS, *convolution["kernel_shape"])).astype(np.float32)
    constants = [
        numpy_helper.from_array(weights, "weights"),
        numpy_helper.from_array(rng.normal(size=2).astype(np.float32), "bias"),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "weights", "bias"], ["mixed"], name="conv", **convolution),
        helper.make_node("AveragePool", ["mixed"], ["y"], name="pool", **pooling),
    ]
    if second_reader:
        nodes.append(helper.make_node("Neg", ["mixed"], ["z"], name="neg"))
    mixed = ["batch", 2, "height", "width"]
    graph = helper.make_graph(
        nodes,
        "transition",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", NUM_CHANNELS, 7, 8])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, mixed) for name in outputs],
        constants,
        value_info=[]
        if "mixed" in outputs
        else [helper.make_tensor_value_info("mixed", TensorProto.FLOAT, mixed)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def test_a_transition_averages_before_it_convolves_with_the_same_answer():
    """An average after a convolution of one pixel comes before it, at odd sizes too, with the same answer."""
    before, after = transition(), transition()
    assert pool_before_convolution(after.graph) == 1
    onnx.checker.check_model(after, full_check=True)
    assert [node.op_type for node in after.graph.node] == ["AveragePool", "Conv"]
    assert after.graph.output == before.graph.output
    x = np.random.default_rng(5).normal(size=(2, NUM_CHANNELS, 7, 8)).astype(np.float32)
    (expected,), (found,) = (ReferenceEvaluator(model).run(None, {"x": x}) for model in (before, after))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert pool_before_convolution(after.graph) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"outputs": ("y", "mixed")},
        {"outputs": ("y", "z"), "second_reader": True},
        {"convolution": {"kernel_shape": [3, 3]}},
        {"convolution": {"strides": [2, 2]}},
        {"convolution": {"pads": [1, 1, 1, 1]}},
        {"pooling": {"strides": [1, 1]}},
        {"pooling": {"pads": [1, 1, 1, 1]}},
        {"pooling": {"auto_pad": "SAME_UPPER"}},
        {"pooling": {"ceil_mode": 1}},
    ],
)
def test_what_cannot_change_places_stays(changes):
    """A convolution that others read too or of several pixels, and averages over padding or overlaps, stay."""
    model = transition(**changes)
    before = model.SerializeToString()
    assert pool_before_convolution(model.graph) == 0
    assert model.SerializeToString() == before
