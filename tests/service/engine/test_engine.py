"""The engine answers raw stacks, each as if it were alone, or says why not."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenoserve.bundle import read_bundle
from phenoserve.engine import (
    Engine,
    Graph,
    GraphError,
    NonFiniteAnswerError,
    StackMismatchError,
    record_golden,
)

MIN_SIZE_PX = 64


@pytest.fixture(scope="module")
def engine(tiny_bundle):
    """The tiny bundle's engine on the CPU."""
    return Engine.load(read_bundle(tiny_bundle), device="cpu")


@pytest.fixture(scope="module")
def stacks(tiny_module):
    """Five stacks of six channels."""
    return tiny_module.random_stack(np.random.default_rng(3), (5, 6, 97, 130), "uint16")


def assert_same(found, expected, atol=1e-5):
    """Compare every answer."""
    for name, array in expected.arrays().items():
        np.testing.assert_allclose(found.arrays()[name], array, atol=atol, rtol=1e-5, err_msg=name)


def test_an_answer_has_every_output(engine, stacks):
    """A batch gets every output of the format, one row a stack, with unit projections and summed probabilities."""
    answers = engine.infer(stacks)
    assert {name: array.shape[:2] for name, array in answers.arrays().items()} == {
        "embedding": (5, 1024), "projection": (5, 128), "logits": (5, 5), "versus_control": (5, 4),
        "heatmap": (5, 5), "forest": (5, 5),
    }  # fmt: skip
    np.testing.assert_allclose(np.linalg.norm(answers.projection, axis=1), 1, atol=1e-4)
    np.testing.assert_allclose(answers.forest.sum(axis=1), 1, atol=1e-12)
    assert answers.heatmap.min() >= 0


def test_a_batch_is_its_stacks(engine, stacks):
    """Every stack of a batch gets the answers it gets alone."""
    together = engine.infer(stacks)
    for index in range(len(stacks)):
        assert_same(engine.infer(stacks[index : index + 1]), together.row(index))


def test_the_order_of_a_batch_is_kept(engine, stacks):
    """A permuted batch gets the permuted answers."""
    order = [3, 0, 4, 1, 2]
    assert_same(
        engine.infer(stacks[order]),
        type(engine.infer(stacks))(
            **{name: array[order] for name, array in engine.infer(stacks).arrays().items()}
        ),
    )


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_the_pixel_type_does_not_matter(engine, stacks, dtype):
    """The same intensities get the same answers in every pixel type."""
    small = (stacks // 4).astype(np.uint16)
    assert_same(engine.infer(small.astype(dtype)), engine.infer(small), atol=0)


def test_memory_layout_does_not_matter(engine, stacks):
    """A stack whose channels lie last in memory gets the answers of a contiguous one."""
    channels_last = np.moveaxis(np.ascontiguousarray(np.moveaxis(stacks, 1, -1)), -1, 1)
    assert not channels_last.flags.c_contiguous
    assert_same(engine.infer(channels_last), engine.infer(stacks), atol=0)


@settings(max_examples=15, deadline=None)
@given(gain=st.floats(0.25, 16), offset=st.floats(0, 500))
def test_gain_and_offset_do_not_matter(engine, stacks, gain, offset):
    """Standardisation lies in the graph: another gain and offset of the camera change nothing that it answers.

    The forest steps: between embeddings that differ by rounding there may lie the split of a tree. It is held to answer
    the embedding as found.
    """
    changed = (stacks.astype(np.float32) * gain + offset).astype(np.float32)
    found, expected = engine.infer(changed), engine.infer(stacks)
    assert_same(replace(found, forest=expected.forest), expected, atol=2e-2)
    np.testing.assert_array_equal(found.forest, engine.bundle.forest.probabilities(found.embedding))


@pytest.mark.parametrize("size_px", [(64, 64), (64, 301), (1024, 64), (65, 67)])
def test_any_field_size_is_answered(engine, tiny_module, size_px):
    """A field of any height and width from the least on is answered, its heatmap in proportion."""
    stack = tiny_module.random_stack(np.random.default_rng(1), (1, 6, *size_px), "uint8")
    assert engine.infer(stack).heatmap.shape[2:] == tuple(size // 64 for size in size_px)


def test_two_channels_are_answered(make_tiny_bundle, tmp_path, tiny_module):
    """A bundle of two channels and two treatments answers stacks of two channels."""
    bundle = make_tiny_bundle(
        tmp_path / "two",
        channels=("FKHR-GFP", "DRAQ5"),
        treatments=("negative", "positive"),
        control="negative",
    )
    stack = tiny_module.random_stack(np.random.default_rng(1), (1, 2, 80, 80), "uint8")
    answers = Engine.load(bundle, device="cpu").infer(stack)
    assert answers.logits.shape == (1, 2)
    assert answers.versus_control.shape == (1, 1)


def test_concurrent_callers_get_their_own_answers(engine, stacks):
    """Callers in parallel threads each get what they would get alone."""
    expected = [engine.infer(stacks[index : index + 1]) for index in range(5)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: engine.infer(stacks[i % 5 : i % 5 + 1]), range(80)))
    for index, answers in enumerate(found):
        assert_same(answers, expected[index % 5], atol=1e-6)


def test_the_number_of_threads_changes_no_answer(tiny_bundle, stacks):
    """One thread and three give the same answers."""
    bundle = read_bundle(tiny_bundle)
    one, three = (Engine.load(bundle, device="cpu", num_threads=count).infer(stacks) for count in (1, 3))
    assert_same(one, three)


MISMATCHED = {
    "too few channels": ((1, 5, 64, 64), "uint8"),
    "too many channels": ((1, 7, 64, 64), "uint8"),
    "too low": ((1, 6, 63, 64), "uint8"),
    "too narrow": ((1, 6, 64, 63), "uint8"),
    "no stack": ((0, 6, 64, 64), "uint8"),
    "signed": ((1, 6, 64, 64), "int16"),
    "double": ((1, 6, 64, 64), "float64"),
    "boolean": ((1, 6, 64, 64), "bool"),
}


@pytest.mark.parametrize(("shape", "dtype"), MISMATCHED.values(), ids=MISMATCHED)
def test_a_stack_the_graph_does_not_take_is_refused(engine, shape, dtype):
    """Stacks of another kind are refused with what was received, what is expected, and the stains in order."""
    with pytest.raises(StackMismatchError) as caught:
        engine.infer(np.zeros(shape, dtype=dtype))
    assert f"Received: {dtype} {shape}" in str(caught.value)
    assert "(batch, 6, y, x) of uint8, uint16, float32" in str(caught.value)
    assert "Hoechst, ConA" in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, -1.1e15])
def test_an_answer_that_is_not_finite_is_refused(engine, stacks, value):
    """A stack with an intensity that is not finite, or too large to square, gets no answer but an error."""
    poisoned = stacks.astype(np.float32)
    poisoned[2, 4, 10, 10] = value
    with pytest.raises(NonFiniteAnswerError, match="as the camera gave them"):
        engine.infer(poisoned)


def test_an_output_that_is_not_finite_is_refused(tiny_module, stacks):
    """A graph whose output is not finite gives no answer but an error, which names the output."""
    contents = tiny_module.tiny_contents(num_trees=2)
    model = edited(contents.model_onnx, with_infinite_bias)
    with pytest.raises(NonFiniteAnswerError, match="logits is not finite"):
        record_golden(model, contents.forest, contents.treatments, [stacks[0]])


def test_a_flat_stack_is_answered(engine):
    """A stack without any contrast is answered: nothing is divided by zero."""
    assert np.isfinite(engine.infer(np.full((1, 6, 64, 64), 7, dtype=np.uint8)).logits).all()


def test_recorded_golden_answers_are_the_engines(engine, tiny_module, tiny_bundle):
    """Golden answers are recorded by the code that will serve the bundle."""
    contents = tiny_module.tiny_contents()
    golden = record_golden(contents.model_onnx, contents.forest, contents.treatments, contents.golden.stacks)
    for stack, answers in zip(golden.stacks, golden.outputs, strict=True):
        assert_same(engine.infer(stack[np.newaxis]), answers, atol=0)


def edited(model: bytes, change) -> bytes:
    """Change a graph."""
    graph = onnx.load_model_from_string(model)
    change(graph)
    return graph.SerializeToString()


def without_heatmap(model):
    """Take an output away."""
    del model.graph.output[-1]


def with_another_input_name(model):
    """Rename the input."""
    model.graph.input[0].name = "pixels"
    model.graph.node[0].input[0] = "pixels"


def with_infinite_bias(model):
    """Make the logits infinite."""
    [bias] = (weights for weights in model.graph.initializer if weights.name == "classifier_bias")
    bias.CopyFrom(onnx.numpy_helper.from_array(np.full(5, np.inf, dtype=np.float32), bias.name))


def with_external_weights(model):
    """Point a weight at a file outside the graph."""
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="weights.bin")


@pytest.mark.parametrize(
    "change",
    [without_heatmap, with_another_input_name, with_external_weights],
    ids=lambda change: change.__name__,
)
def test_a_graph_of_another_format_is_refused(tiny_module, change):
    """A graph with other inputs or outputs, or with weights in another file, is refused when it is loaded."""
    model = tiny_module.tiny_graph(6, 5, 2, np.random.default_rng(0))
    Graph.load(model, device="cpu")
    with pytest.raises(GraphError, match="Export the bundle again"):
        Graph.load(edited(model, change), device="cpu")


@pytest.mark.parametrize("content", [b"", b"no graph", b"\x08\x07"])
def test_what_is_no_graph_is_refused(content):
    """Bytes that are no ONNX file are refused as such."""
    with pytest.raises(GraphError, match="refuses the graph"):
        Graph.load(content, device="cpu")


def test_a_graph_that_contradicts_its_manifest_is_refused(tiny_module, tmp_path, monkeypatch):
    """A graph whose sizes are not the manifest's is refused with both."""
    bundle = tiny_module.make_tiny_bundle(tmp_path / "bundle", num_trees=2)
    other = tiny_module.tiny_graph(4, 5, 2, np.random.default_rng(0))
    monkeypatch.setattr(type(bundle), "read_model", lambda _: other)
    with pytest.raises(GraphError, match=r"stack is \(batch, 4, …\); expected \(batch, 6, …\)"):
        Engine.load(bundle, device="cpu")
