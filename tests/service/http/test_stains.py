"""`stains=true`: the attribution over HTTP, beside one made from the engine's answers to every subset."""

import io
from itertools import permutations

import numpy as np
import onnx
import pytest
import tifffile
from onnx.reference import ReferenceEvaluator
from PIL import Image

from phenoserve.bundle import read_bundle
from phenoserve.engine import Engine
from phenoserve.engine.attribution import MAX_CHANNELS, stain_attribution, subsets

from .problem import assert_problem

HEADERS = {"content-type": "image/tiff"}


def tiff(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, array, photometric="minisblack")
    return file.getvalue()


def slow_values(engine: Engine, stack: np.ndarray) -> np.ndarray:
    """What each stain adds to each logit when it comes, averaged over all orders, every stack answered alone."""
    logits = {}
    for present in subsets(len(stack)):
        kept = stack * present[:, np.newaxis, np.newaxis].astype(stack.dtype)
        logits[tuple(present)] = engine.infer(kept[np.newaxis]).logits[0].astype(np.float64)
    orders = list(permutations(range(len(stack))))
    added = np.zeros((len(stack), len(engine.bundle.manifest.treatments)))
    for order in orders:
        present = np.zeros(len(stack), dtype=bool)
        for channel in order:
            before = logits[tuple(present)]
            present[channel] = True
            added[channel] += logits[tuple(present)] - before
    return added / len(orders)


@pytest.mark.anyio
async def test_the_values_are_those_of_the_definition(ask, engine: Engine, array) -> None:
    """For every treatment the values are the average over all orders, and sum to the logit's difference."""
    manifest = engine.bundle.manifest
    expected = slow_values(engine, array)
    full = engine.infer(array[np.newaxis]).logits[0]
    none = engine.infer(np.zeros_like(array)[np.newaxis]).logits[0]
    async with ask() as client:
        for treatment in (*manifest.treatments, None):
            query = {"stains": "true"} | ({"treatment": treatment} if treatment else {})
            body = (await client.post("/explain", params=query, content=tiff(array), headers=HEADERS)).json()
            index = manifest.treatments.index(treatment) if treatment else int(full.argmax())
            stains = body["stains"]
            assert list(stains) == ["values", "baseline", "baseline_logit", "logit"]
            assert stains["baseline"] == "field_mean"
            assert list(stains["values"]) == list(manifest.input.channels)
            np.testing.assert_allclose(list(stains["values"].values()), expected[:, index], atol=1e-4)
            assert stains["logit"] == pytest.approx(full[index], abs=1e-4)
            assert stains["baseline_logit"] == pytest.approx(none[index], abs=1e-4)
            total = sum(stains["values"].values())
            assert total == pytest.approx(stains["logit"] - stains["baseline_logit"], abs=1e-4)
            assert total == pytest.approx(float(full[index]) - float(none[index]), abs=1e-4)


@pytest.mark.anyio
async def test_without_it_nothing_is_attributed(ask, array) -> None:
    """Without `stains=true` the field is null, and the rest of the answer is the same."""
    async with ask() as client:
        plain = (await client.post("/explain", content=tiff(array), headers=HEADERS)).json()
        more = (await client.post("/explain?stains=true", content=tiff(array), headers=HEADERS)).json()
    assert plain.pop("stains") is None
    assert more.pop("stains") is not None
    assert plain == more


@pytest.mark.anyio
async def test_each_part_has_its_own_attribution(ask, array) -> None:
    """A multipart request gets the attribution of every stack, in order."""
    stacks = [tiff(array), tiff(array[:, ::-1].copy())]
    async with ask() as client:
        alone = [
            (await client.post("/explain?stains=true", content=stack, headers=HEADERS)).json()["stains"]
            for stack in stacks
        ]
        together = await client.post("/explain?stains=true", files=[("stack", stack) for stack in stacks])
    assert [answer["stains"] for answer in together.json()["answers"]] == alone
    assert alone[0] != alone[1]


@pytest.mark.anyio
async def test_the_picture_gets_bars_below(ask, array) -> None:
    """As PNG the panels are the same, and the picture is higher by the bars."""
    accept = {**HEADERS, "accept": "image/png"}
    async with ask() as client:
        pictures = [
            np.asarray(
                Image.open(io.BytesIO((await client.post(url, content=tiff(array), headers=accept)).content))
            )
            for url in ("/explain", "/explain?stains=true")
        ]
    plain, more = pictures
    assert more.shape[0] > plain.shape[0]
    assert more.shape[1:] == plain.shape[1:]
    np.testing.assert_array_equal(more[: len(plain) - 20], plain[:-20])


@pytest.mark.anyio
async def test_the_map_has_no_place_for_it(ask, array) -> None:
    """As TIFF it is refused with what can be asked for, but only where TIFF is what would be given."""
    async with ask() as client:
        for accept in ("image/tiff", "image/tiff, application/json;q=0.5"):
            answer = await client.post(
                "/explain?stains=true", content=tiff(array), headers={**HEADERS, "accept": accept}
            )
            assert "image/png" in assert_problem(answer, "invalid_parameter")
        answer = await client.post(
            "/explain?stains=true", content=tiff(array), headers={**HEADERS, "accept": "image/tiff, */*"}
        )
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.anyio
async def test_more_than_ten_stains_are_refused(ask, make_tiny_bundle, tmp_path) -> None:
    """Ten stains are attributed; with eleven, `stains=true` is refused with the limit, and the rest is answered."""
    for num_stains in (MAX_CHANNELS, MAX_CHANNELS + 1):
        path = tmp_path / str(num_stains)
        channels = tuple(f"stain {index}" for index in range(num_stains))
        make_tiny_bundle(path, channels=channels, downsample=1, golden_sizes_px=((32, 32),), num_trees=2)
        stack = np.random.default_rng(1).integers(0, 255, (num_stains, 32, 32)).astype(np.uint8)
        async with ask(Engine.load(read_bundle(path), device="cpu", num_threads=1)) as client:
            plain = await client.post("/explain", content=tiff(stack), headers=HEADERS)
            answer = await client.post("/explain?stains=true", content=tiff(stack), headers=HEADERS)
        assert plain.status_code == 200
        if num_stains == MAX_CHANNELS:
            stains = answer.json()["stains"]
            difference = stains["logit"] - stains["baseline_logit"]
            assert sum(stains["values"].values()) == pytest.approx(difference, abs=1e-4)
        else:
            assert "at most 10" in assert_problem(answer, "invalid_parameter")


def test_a_channel_of_zeros_is_zero_after_standardisation(engine: Engine, array) -> None:
    """Inside the graph, a stain that was set to zero is exactly zero after standardisation, the others unchanged."""
    model = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(engine.bundle.read_model()))
    inside = onnx.utils.Extractor(model).extract_model(["stack"], ["standardised"])
    removed = array.astype(np.float32)
    removed[[1, 4]] = 0
    before, after = (
        ReferenceEvaluator(inside).run(None, {"stack": stack[np.newaxis]})[0][0]
        for stack in (array.astype(np.float32), removed)
    )
    np.testing.assert_array_equal(after[[1, 4]], np.zeros_like(after[[1, 4]]))
    np.testing.assert_array_equal(after[[0, 2, 3, 5]], before[[0, 2, 3, 5]])
    assert np.abs(before).max() > 1


def test_replacements_stand_in_for_the_removed_stains(engine: Engine, array) -> None:
    """Through the graph, the values against control stacks sum to the logits less the controls' mean logits."""
    generator = np.random.default_rng(5)
    controls = [generator.gamma(2.0, 200.0, array.shape).astype(np.uint16) for _ in range(3)]
    found = stain_attribution(lambda stacks: engine.infer(stacks).logits, array, controls)
    expected = engine.infer(array[np.newaxis]).logits[0] - engine.infer(np.stack(controls)).logits.mean(
        axis=0
    )
    np.testing.assert_allclose(found.values.sum(axis=0), expected, atol=1e-4)
    of_itself = stain_attribution(lambda stacks: engine.infer(stacks).logits, array, [array])
    np.testing.assert_allclose(of_itself.values, 0, atol=1e-4)
