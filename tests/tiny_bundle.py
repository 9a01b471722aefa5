"""A whole bundle around a tiny convolutional graph: real in every part but what it learned.

The graph follows the order of the format: average pooling, standardisation of every image and channel,
convolutions, global pooling, heads and Grad-CAM. Its weights are drawn at random and never trained.

Run as a program it writes a bundle as small as it gets, for `tests/golden`:

    python tests/tiny_bundle.py tests/golden/format-2
"""

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.ensemble import RandomForestClassifier

from phenoserve.bundle import (
    STAIN_POOLING,
    Bundle,
    BundleContents,
    Calibration,
    CalibrationSpec,
    DatasetProvenance,
    InputSpec,
    OutOfDistribution,
    PredictionSets,
    Provenance,
    StainOrder,
    StainOrderSpec,
    Tolerance,
    Variant,
    VariantSpec,
    describe_channels,
    neighbour_distances,
    write_bundle,
    write_variants,
)
from phenoserve.engine import Graph, record_golden

STAINS = ("Hoechst", "ConA", "Phalloidin", "Syto14", "MitoTracker", "WGA")
TREATMENTS = ("EMPTY", "IFN-alpha-A", "IFNB-1", "IFN-gamma", "IFN-omega")
EMBEDDING_SIZE, PROJECTION_SIZE, NUM_FILTERS = 1024, 128, 8
OPSET, IR_VERSION = 18, 9


def make_tiny_bundle(
    path: Path,
    *,
    channels: tuple[str, ...] = STAINS,
    treatments: tuple[str, ...] = TREATMENTS,
    control: str = "EMPTY",
    downsample: int = 2,
    seed: int = 0,
    golden_sizes_px: tuple[tuple[int, int], ...] = ((64, 80), (97, 71)),
    num_trees: int = 20,
    num_references: int = 40,
) -> Bundle:
    """Write a tiny bundle to `path`; golden stacks alternate between uint8 and uint16."""
    contents = tiny_contents(
        channels=channels,
        treatments=treatments,
        control=control,
        downsample=downsample,
        seed=seed,
        golden_sizes_px=golden_sizes_px,
        num_trees=num_trees,
        num_references=num_references,
    )
    return write_bundle(path, contents)


def tiny_contents(
    *,
    channels: tuple[str, ...] = STAINS,
    treatments: tuple[str, ...] = TREATMENTS,
    control: str = "EMPTY",
    downsample: int = 2,
    seed: int = 0,
    golden_sizes_px: tuple[tuple[int, int], ...] = ((64, 80), (97, 71)),
    num_trees: int = 20,
    num_references: int = 40,
) -> BundleContents:
    """Return what `make_tiny_bundle` writes."""
    generator = np.random.default_rng(seed)
    model_onnx = tiny_graph(len(channels), len(treatments), downsample, generator)
    forest = _tiny_forest(model_onnx, len(channels), treatments, downsample, num_trees, generator)
    stacks = tuple(
        random_stack(
            generator, (len(channels), max(32 * downsample, height), max(32 * downsample, width)), dtype
        )
        for (height, width), dtype in zip(
            golden_sizes_px, ("uint8", "uint16") * len(golden_sizes_px), strict=False
        )
    )
    return BundleContents(
        name="tiny",
        version="1.0.0",
        created=datetime(2026, 1, 1, tzinfo=UTC),
        input=InputSpec.of(channels, downsample),
        treatments=treatments,
        control=control,
        tolerance=Tolerance(absolute=1e-3, relative=1e-3),
        provenance=Provenance(
            git_commit=None,
            recipe={"name": "tiny", "seed": seed},
            dataset=DatasetProvenance(
                name="random numbers", licence="CC0-1.0", fingerprint="none", simulated=True
            ),
            split={},
            packages={"numpy": np.__version__, "onnx": onnx.__version__},
        ),
        model_onnx=model_onnx,
        forest=forest,
        golden=record_golden(model_onnx, forest, treatments, stacks),
        calibration=_tiny_calibration(
            model_onnx, len(channels), treatments, downsample, num_references, generator
        ),
        card="# tiny\n\nRandom weights, for tests. It knows nothing about cells.\n",
        report={"metrics.json": b"{}\n"},
    )


def random_stack(generator: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Draw a stack of smooth blobs over noise, `(channel, y, x)`."""
    coarse = generator.uniform(10, 120, (*shape[:-2], -(-shape[-2] // 8), -(-shape[-1] // 8)))
    smooth = coarse.repeat(8, axis=-2).repeat(8, axis=-1)[..., : shape[-2], : shape[-1]]
    return (smooth + generator.uniform(0, 60, shape)).astype(dtype)


def tiny_graph(
    num_channels: int, num_treatments: int, downsample: int, generator: np.random.Generator
) -> bytes:
    """Return an ONNX file of the format's graph with an untrained encoder."""

    def weights(name: str, *shape: int) -> onnx.TensorProto:
        fan_in = int(np.prod(shape[1:])) if len(shape) > 2 else shape[0]
        return numpy_helper.from_array(generator.normal(0, fan_in**-0.5, shape).astype(np.float32), name)

    def constant(name: str, values: object, dtype: str) -> onnx.TensorProto:
        return numpy_helper.from_array(np.asarray(values, dtype=dtype), name)

    classifier = weights("classifier", EMBEDDING_SIZE, num_treatments)
    by_filter = numpy_helper.to_array(classifier).T[:, :, np.newaxis, np.newaxis]
    initializers = [
        weights("filters_1", NUM_FILTERS, num_channels, 3, 3),
        weights("filters_2", EMBEDDING_SIZE, NUM_FILTERS, 1, 1),
        weights("project_1", EMBEDDING_SIZE, NUM_FILTERS),
        weights("project_2", NUM_FILTERS, PROJECTION_SIZE),
        classifier,
        numpy_helper.from_array(np.ascontiguousarray(by_filter), "classifier_filters"),
        weights("binary", EMBEDDING_SIZE, num_treatments - 1),
        constant("classifier_bias", generator.normal(0, 0.1, num_treatments), "float32"),
        constant("epsilon", 1e-6, "float32"),
        constant("least_deviation", 1e-20, "float32"),
        constant("corner_starts", [0, 0], "int64"),
        constant("corner_ends", [1, 1], "int64"),
        constant("field_axes", [2, 3], "int64"),
        constant("row_axis", [1], "int64"),
    ]
    node = helper.make_node
    nodes = [
        node("Slice", ["stack", "corner_starts", "corner_ends", "field_axes"], ["corner"]),
        node("Sub", ["stack", "corner"], ["relative"]),
        node(
            "AveragePool", ["relative"], ["pooled"], kernel_shape=[downsample] * 2, strides=[downsample] * 2
        ),
        node("ReduceMean", ["pooled", "field_axes"], ["mean"]),
        node("Sub", ["pooled", "mean"], ["centred"]),
        node("Mul", ["centred", "centred"], ["squared"]),
        node("ReduceMean", ["squared", "field_axes"], ["variance"]),
        node("Sqrt", ["variance"], ["deviation"]),
        node("Max", ["deviation", "least_deviation"], ["divisor"]),
        node("Div", ["centred", "divisor"], ["standardised"]),
        node("Conv", ["standardised", "filters_1"], ["conv_1"], strides=[4, 4], pads=[1, 1, 1, 1]),
        node("Relu", ["conv_1"], ["relu_1"]),
        node("AveragePool", ["relu_1"], ["coarse"], kernel_shape=[8, 8], strides=[8, 8]),
        node("Conv", ["coarse", "filters_2"], ["conv_2"]),
        node("Relu", ["conv_2"], ["features"]),
        node("ReduceMean", ["features", "field_axes"], ["embedding"], keepdims=0),
        node("MatMul", ["embedding", "project_1"], ["projected_1"]),
        node("Relu", ["projected_1"], ["projected_relu"]),
        node("MatMul", ["projected_relu", "project_2"], ["projected"]),
        node("ReduceL2", ["projected", "row_axis"], ["norm"]),
        node("Add", ["norm", "epsilon"], ["norm_divisor"]),
        node("Div", ["projected", "norm_divisor"], ["projection"]),
        node("MatMul", ["embedding", "classifier"], ["unbiased"]),
        node("Add", ["unbiased", "classifier_bias"], ["logits"]),
        node("MatMul", ["embedding", "binary"], ["versus_control"]),
        # The gradient of a logit by a feature map is its classifier weight over the number of positions.
        node("Shape", ["features"], ["positions_shape"], start=2),
        node("ReduceProd", ["positions_shape"], ["num_positions"], keepdims=0),
        node("Cast", ["num_positions"], ["num_positions_float"], to=TensorProto.FLOAT),
        node("Conv", ["features", "classifier_filters"], ["weighted"]),
        node("Div", ["weighted", "num_positions_float"], ["signed_heatmap"]),
        node("Relu", ["signed_heatmap"], ["heatmap"]),
    ]
    outputs = {
        "embedding": ["batch", EMBEDDING_SIZE],
        "projection": ["batch", PROJECTION_SIZE],
        "logits": ["batch", num_treatments],
        "versus_control": ["batch", num_treatments - 1],
        "heatmap": ["batch", num_treatments, "heatmap_y", "heatmap_x"],
    }
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("stack", TensorProto.FLOAT, ["batch", num_channels, "y", "x"])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def _tiny_forest(
    model_onnx: bytes,
    num_channels: int,
    treatments: tuple[str, ...],
    downsample: int,
    num_trees: int,
    generator: np.random.Generator,
) -> RandomForestClassifier:
    size_px = 32 * downsample
    stacks = random_stack(generator, (40, num_channels, size_px, size_px), "float32")
    embeddings = Graph.load(model_onnx, device="cpu", num_threads=1).run(stacks)["embedding"]
    labels = np.resize(treatments, len(stacks))
    return RandomForestClassifier(num_trees, random_state=0).fit(embeddings, labels)


def _tiny_calibration(
    model_onnx: bytes,
    num_channels: int,
    treatments: tuple[str, ...],
    downsample: int,
    num_references: int,
    generator: np.random.Generator,
) -> Calibration:
    num_controls, num_neighbours = 20, 3
    size_px = 32 * downsample
    stacks = random_stack(
        generator, (num_references + num_controls, num_channels, size_px, size_px), "float32"
    )
    embeddings = Graph.load(model_onnx, device="cpu", num_threads=1).run(stacks)["embedding"]
    training, controls = embeddings[:num_references], embeddings[num_references:]
    mean, deviation = training.mean(axis=0), training.std(axis=0)
    scale = np.where(deviation > 0, deviation, 1).astype(np.float32)
    # Few components: the committed bundle stays small.
    whitening = (np.eye(EMBEDDING_SIZE, 8) / scale[:, np.newaxis]).astype(np.float32)
    reference = ((training - mean) @ whitening).astype(np.float32)
    distances = neighbour_distances(
        controls, mean=mean, whitening=whitening, reference=reference, num_neighbours=num_neighbours
    )
    descriptions = np.stack([describe_channels(stack, STAIN_POOLING * downsample) for stack in stacks])
    # All stains look alike in random numbers: what stands here is of the right form and flags none of them.
    of_each = np.repeat(descriptions.mean(axis=0)[np.newaxis], len(treatments), axis=0)
    stains = StainOrder(mean=of_each, whitening=np.eye(descriptions.shape[2]))
    stain_order = StainOrderSpec(
        max_mismatch=100.0, false_positive_rate=0.1, num_sites=len(stacks), num_validation_sites=num_controls
    )
    spec = CalibrationSpec(
        temperature=1.25,
        prediction_sets=PredictionSets(
            coverage=0.9,
            thresholds={name: round(float(generator.uniform(0, 0.4)), 3) for name in treatments},
            num_sites=dict.fromkeys(treatments, 30),
            num_wells=dict.fromkeys(treatments, 15),
        ),
        out_of_distribution=OutOfDistribution(
            num_neighbours=num_neighbours,
            num_components=whitening.shape[1],
            max_distance=float(np.quantile(distances, 0.9)),
            false_positive_rate=0.1,
            num_references=num_references,
            num_control_sites=num_controls,
            num_validation_sites=num_controls,
            num_validation_wells=num_controls // 2,
        ),
        stain_order=stain_order if num_channels > 1 else None,
    )
    return Calibration(
        spec=spec,
        mean=mean,
        whitening=whitening,
        reference=reference,
        control_distances=np.sort(distances),
        stain_order=stains if num_channels > 1 else None,
    )


def add_tiny_variant(path: Path, bundle: Bundle) -> Bundle:
    """Write a bundle again with an int8 graph that is its own graph, weights and all."""
    spec = VariantSpec(
        tolerance=Tolerance(absolute=0.05, relative=0.05),
        min_embedding_cosine=0.996,
        mean_embedding_cosine=0.998,
        accuracy=0.9,
        accuracy_fp32=0.9,
        num_sites=100,
        num_calibration_sites=16,
    )
    variant = Variant(model_onnx=bundle.read_model(), golden=bundle.golden, spec=spec)
    return write_variants(path, bundle, {"int8": variant})


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        small = make_tiny_bundle(
            Path(folder) / "small", golden_sizes_px=((64, 66),), num_trees=3, num_references=4
        )
        add_tiny_variant(Path(sys.argv[1]), small)
