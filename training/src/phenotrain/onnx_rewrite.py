"""Rewrites what tf2onnx makes of the network into what ONNX Runtime runs fastest; answers stay the same."""

import numpy as np
import onnx
from onnx import helper, numpy_helper


def fuse_batch_normalisation(graph: onnx.GraphProto) -> int:
    """Write each product and sum by channel as one BatchNormalization, in place.

    tf2onnx splits every batch normalisation that it cannot fold into a convolution. ONNX Runtime keeps feature maps in
    blocks of channels through a BatchNormalization, and unpacks them for a Mul (`docs/performance.md` has the times).

    Args:
        graph: The graph; constants that nothing reads any more are removed.

    Returns:
        How many were written.
    """
    constants = {constant.name: constant for constant in graph.initializer}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    given = {output.name for output in graph.output}
    nodes: list[onnx.NodeProto] = []
    fused: set[str] = set()
    for node in graph.node:
        if node.output[0] in fused:
            continue
        nodes.append(node)
        followers = readers.get(node.output[0], [])
        if node.output[0] in given or len(followers) != 1:
            continue
        scale = _by_channel(node, "Mul", constants)
        shift = _by_channel(followers[0], "Add", constants)
        if scale is None or shift is None or scale.shape != shift.shape:
            continue
        parts = {"scale": scale, "bias": shift, "mean": np.zeros_like(scale), "variance": np.ones_like(scale)}
        named = {f"{node.output[0]}/{part}": values for part, values in parts.items()}
        graph.initializer.extend(numpy_helper.from_array(values, name) for name, values in named.items())
        inputs, outputs = [node.input[0], *named], [followers[0].output[0]]
        # With a variance of one, any epsilon but zero would change the scale.
        nodes[-1] = helper.make_node("BatchNormalization", inputs, outputs, name=node.name, epsilon=0.0)
        fused.add(followers[0].output[0])
    del graph.node[:]
    graph.node.extend(nodes)
    _remove_unread(graph)
    return len(fused)


def _by_channel(
    node: onnx.NodeProto, op_type: str, constants: dict[str, onnx.TensorProto]
) -> np.ndarray | None:
    """The constant that a node multiplies or adds to each channel, `(channel,)`; None if it does something else."""
    constant = constants.get(node.input[1]) if node.op_type == op_type else None
    if constant is None or len(constant.dims) != len("bcyx") or constant.dims[0] != 1:
        return None
    values = numpy_helper.to_array(constant)
    return values.reshape(-1) if values.shape[2:] == (1, 1) and values.shape[1] > 1 else None


def _remove_unread(graph: onnx.GraphProto) -> None:
    read = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    kept = [constant for constant in graph.initializer if constant.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)
