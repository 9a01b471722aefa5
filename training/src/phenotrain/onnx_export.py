"""Converts the served graph to ONNX; the only file that imports tf2onnx."""

import numpy as np
import onnx
import tensorflow as tf
import tf2onnx

from phenoserve.bundle.outputs import GRAPH_OUTPUT_AXES
from phenoserve.engine import Graph
from phenotrain.graph import OUTPUTS, ServedGraph
from phenotrain.onnx_rewrite import rewrite_for_speed

OPSET = 18
"""ONNX operator set that the graph is written in."""
PARITY = 1e-4
"""Largest difference between ONNX Runtime's outputs and Keras's, absolute and as a share of the value."""


class ExportError(RuntimeError):
    """The exported graph does not answer as the Keras model does."""


def to_onnx(graph: ServedGraph) -> bytes:
    """Converts the graph; input, outputs and free axes carry DESIGN's names.

    Args:
        graph: The trained networks behind one function.

    Returns:
        The content of `model.onnx`.
    """
    # The outputs get their names from the function's dictionary; called once, or the network is converted five times.
    model, _ = tf2onnx.convert.from_function(
        tf.function(graph), input_signature=[graph.signature], opset=OPSET
    )
    rewrite_for_speed(model.graph)
    _name_axes(model.graph.input[0], ("batch", "channel", "y", "x"))
    for output in model.graph.output:
        _name_axes(output, GRAPH_OUTPUT_AXES[output.name])
    onnx.checker.check_model(model)
    return model.SerializeToString()


def check_parity(graph: ServedGraph, model_onnx: bytes, stacks: list[np.ndarray]) -> dict[str, float]:
    """Compares the ONNX graph, run as the service runs it, with the Keras model.

    Args:
        graph: The Keras side.
        model_onnx: The ONNX side.
        stacks: Raw stacks `(channel, y, x)`; sizes may differ.

    Returns:
        Largest absolute difference of each output.

    Raises:
        ExportError: If an output differs by more than `PARITY`.
    """
    served = Graph.load(model_onnx, device="cpu")
    differences: dict[str, float] = dict.fromkeys(OUTPUTS, 0.0)
    for stack in stacks:
        batch = stack[np.newaxis].astype(np.float32)
        answers = served.run(batch)
        for name, expected in graph(tf.constant(batch)).items():
            difference = np.abs(answers[name] - expected.numpy())
            if (difference > PARITY * (1 + np.abs(expected.numpy()))).any():
                raise ExportError(
                    f"The exported output {name} differs from Keras's by {difference.max():.2e} on a stack of shape "
                    f"{stack.shape}; allowed is {PARITY}. Report this with the versions of tensorflow and tf2onnx."
                )
            differences[name] = max(differences[name], float(difference.max()))
    return differences


def _name_axes(value: onnx.ValueInfoProto, axes: tuple[str, ...]) -> None:
    for dimension, axis in zip(value.type.tensor_type.shape.dim, axes, strict=True):
        if not dimension.HasField("dim_value"):
            dimension.dim_param = axis if value.name == "stack" or axis == "batch" else f"heatmap_{axis}"
