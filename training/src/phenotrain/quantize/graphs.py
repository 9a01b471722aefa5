"""The graph at lower precision, by ONNX Runtime's own converters."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.transformers.float16 import convert_float_to_float16

from phenotrain.onnx_rewrite import rewrite_for_speed

FULL_PRECISION: tuple[str, ...] = (
    "AveragePool",
    "ReduceMean",
    "ReduceSum",
    "Sub",
    "Mul",
    "Sqrt",
    "Div",
    "Add",
)
"""Operators that stay at 32 bits wherever they stand: sums over a field lose digits at 16."""


class _Stacks(CalibrationDataReader):
    """Hands raw stacks to the calibration, one at a time."""

    def __init__(self, stacks: Iterable[np.ndarray]) -> None:
        self._stacks = iter(stacks)

    def get_next(self) -> dict[str, np.ndarray]:
        stack = next(self._stacks, None)
        # ONNX Runtime's reader ends at whatever is empty.
        return {} if stack is None else {"stack": stack[np.newaxis].astype(np.float32)}


def to_int8(model_onnx: bytes, stacks: Iterable[np.ndarray]) -> bytes:
    """Write the convolutions with 8-bit weights by output channel and 8-bit activations, in the QDQ form.

    The first convolution, the heads and Grad-CAM stay as they are: they cost little and lose most.

    Args:
        model_onnx: The graph at fp32.
        stacks: Raw stacks `(channel, y, x)` of training sites, that the ranges of the activations come from.

    Returns:
        The graph; its input and outputs stay float32.
    """
    model = onnx.load_model_from_string(model_onnx)
    rewrite_for_speed(model.graph)
    first = next(node.name for node in model.graph.node if node.op_type == "Conv")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
        onnx.save_model(model, source)
        quantize_static(
            source,
            target,
            _Stacks(stacks),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=[first],
        )
        return target.read_bytes()


def to_fp16(model_onnx: bytes) -> bytes:
    """Write weights and activations with 16 bits; what pools and standardises raw intensities stays at 32.

    A 16-bit float ends at 65504, which 16-bit images pass, and below 6e-8, which the units of float images pass.

    Args:
        model_onnx: The graph at fp32.

    Returns:
        The graph; its input and outputs stay float32.
    """
    model = onnx.load_model_from_string(model_onnx)
    rewrite_for_speed(model.graph)
    converted: Any = convert_float_to_float16(
        model,
        keep_io_types=True,
        op_block_list=list(FULL_PRECISION),
        node_block_list=_name_front(model.graph),
    )
    _drop_round_trips(converted)
    return converted.SerializeToString()


def _name_front(graph: onnx.GraphProto) -> list[str]:
    """Name the nodes that the first convolution rests on, from the raw stack on; their names."""
    convolution = next(index for index, node in enumerate(graph.node) if node.op_type == "Conv")
    wanted = {graph.node[convolution].input[0]}
    front: list[onnx.NodeProto] = []
    for node in reversed(graph.node[:convolution]):
        if not wanted.isdisjoint(node.output):
            wanted.update(node.input)
            front.append(node)
    for index, node in enumerate(front):
        node.name = f"front_{index}"
    return [node.name for node in front]


def _drop_round_trips(model: onnx.ModelProto) -> None:
    """Take out casts to 16 bits and back between two operators that stay at 32.

    The converter writes them, several under one name, and a raw intensity of 65535 would not survive the trip.
    """
    casts = {node.output[0]: node for node in model.graph.node if node.op_type == "Cast"}
    inferred = onnx.shape_inference.infer_shapes(model).graph
    floats = {
        value.name
        for value in (*inferred.value_info, *inferred.input)
        if value.type.tensor_type.elem_type == TensorProto.FLOAT
    }

    def target(cast: onnx.NodeProto) -> int:
        return next(attribute.i for attribute in cast.attribute if attribute.name == "to")

    sources: dict[str, str] = {}
    for name, cast in casts.items():
        before = casts.get(cast.input[0])
        if before is None or before.input[0] not in floats:
            continue
        if target(before) == TensorProto.FLOAT16 and target(cast) == TensorProto.FLOAT:
            sources[name] = before.input[0]
    graph = model.graph
    for node in graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = sources.get(name, name)
    read = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    kept = {tuple(node.output): node for node in graph.node if not read.isdisjoint(node.output)}
    nodes = list(kept.values())
    del graph.node[:]
    graph.node.extend(nodes)
