"""Rewrites what tf2onnx makes of the network into what ONNX Runtime runs fastest; answers stay the same."""

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


def rewrite_for_speed(graph: onnx.GraphProto) -> None:
    """Do all of it, in place; on a graph that is rewritten already, nothing."""
    fuse_batch_normalisation(graph)
    pool_before_convolution(graph)


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
    readers = _readers(graph)
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


def pool_before_convolution(graph: onnx.GraphProto) -> int:
    """Average before a convolution of one pixel what is averaged after it, in place.

    DenseNet's transitions convolve and then average 2 x 2 pixels (Huang et al. 2017, table 1). Both are linear and the
    convolution looks at one pixel, so the order is free, and the other way round it has a quarter of the pixels to do.

    Args:
        graph: The graph.

    Returns:
        How many convolutions were moved.
    """
    readers = _readers(graph)
    given = {output.name for output in graph.output}
    moved = 0
    for convolution in [node for node in graph.node if _looks_at_one_pixel(node)]:
        followers = readers.get(convolution.output[0], [])
        if convolution.output[0] in given or len(followers) != 1 or not _averages_whole_windows(followers[0]):
            continue
        exchange(graph, convolution, followers[0])
        moved += 1
    return moved


def exchange(graph: onnx.GraphProto, first: onnx.NodeProto, second: onnx.NodeProto) -> None:
    """Let two nodes, of which only the second reads the first, change places, in place.

    Args:
        graph: The graph that holds them.
        first: The node that is to come second; its other inputs stay its own.
        second: The node that is to come first.
    """
    between = first.output[0]
    second.input[0], first.input[0] = first.input[0], between
    first.output[0], second.output[0] = second.output[0], between
    moved = onnx.NodeProto()
    moved.CopyFrom(first)
    first.CopyFrom(second)
    second.CopyFrom(moved)
    # The shape that was noted for what is between them is no longer its shape.
    noted = [value for value in graph.value_info if value.name != between]
    del graph.value_info[:]
    graph.value_info.extend(noted)


def _looks_at_one_pixel(node: onnx.NodeProto) -> bool:
    stated = _attributes(node)
    return (
        node.op_type == "Conv"
        and stated.get("kernel_shape") == [1, 1]
        and set(stated.get("strides", [1, 1])) == {1}
        and not any(stated.get("pads", []))
    )


def _averages_whole_windows(node: onnx.NodeProto) -> bool:
    """Whether a node averages windows that lie apart from each other and from the border's padding."""
    stated = _attributes(node)
    return (
        node.op_type == "AveragePool"
        and stated.get("strides") == stated["kernel_shape"]
        and not any(stated.get("pads", []))
        and stated.get("auto_pad", b"NOTSET") in {b"NOTSET", b"VALID"}
        and not stated.get("ceil_mode", 0)
    )


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _readers(graph: onnx.GraphProto) -> dict[str, list[onnx.NodeProto]]:
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    return readers


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
