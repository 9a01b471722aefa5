"""The unit of float pixels: no matter, or refused with the reason."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter

from phenoserve.bundle import read_bundle
from phenoserve.engine import Engine

from .conftest import encode_tiff
from .problem import assert_problem

pytestmark = pytest.mark.anyio
GOLDEN = Path(__file__).parents[2] / "golden"
HEADERS = {"content-type": "image/tiff"}
FACTORS = [1e-12, 1e-6, 1 / 65535, 1 / 4095, 1 / 255, 0.05, 1.0, 257.0, 1e9]


def grey_levels() -> np.ndarray:
    """Smooth uint16 channels, each of another brightness."""
    points = np.random.default_rng(5).gamma(2.0, 300.0, (6, 96, 80))
    return (gaussian_filter(points, (0, 1, 1)) * [[[1]], [[2]], [[3]], [[0.5]], [[0.1]], [[1]]]).astype(
        np.uint16
    )


def engine_of(name: str) -> Engine:
    return Engine.load(read_bundle(GOLDEN / name), device="cpu", num_threads=1)


def cosine(one: list[float], other: list[float]) -> float:
    one, other = np.array(one), np.array(other)
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.mark.parametrize("name", ["format-1", "format-4", "format-6", "format-7"])
async def test_a_factor_changes_nothing_or_is_refused(ask, name) -> None:
    """Times any factor a stack gets the embedding of its grey levels, or 422; from format 7 on never 422."""
    stack = grey_levels()
    refused = set()
    async with ask(engine_of(name)) as client:

        async def embed(array: np.ndarray):
            return await client.post("/embed", content=encode_tiff(array), headers=HEADERS)

        expected = (await embed(stack)).json()["embedding"]
        for factor in FACTORS:
            answer = await embed((stack * factor).astype(np.float32))
            if answer.status_code == 200:
                assert cosine(answer.json()["embedding"], expected) >= 0.99999
            else:
                assert_problem(answer, "deviation_too_small")
                refused.add(factor)
    assert refused == (set() if name == "format-7" else set(FACTORS[:5]))


@pytest.mark.data
@pytest.mark.parametrize("name", ["format-4", "format-6", "format-7"])
async def test_real_sites_get_one_answer_or_none(ask, data_root, name) -> None:
    """Real sites of six stains, times any factor, get the embedding of the camera's grey levels, or 422."""
    async with ask(engine_of(name)) as client:
        for path in sorted((data_root / "rxrx2").glob("*.ome.tif"))[:3]:
            stack = np.pad(tifffile.imread(path), ((0, 0), (0, 36), (0, 36)), "reflect")
            answers = [
                await client.post("/embed", content=encode_tiff(array), headers=HEADERS)
                for array in (stack, *((stack * factor).astype(np.float32) for factor in FACTORS))
            ]
            found = [answer.json()["embedding"] for answer in answers if answer.status_code == 200]
            assert min(cosine(one, found[0]) for one in found) >= 0.99999
            if name == "format-7":
                assert len(found) == len(answers)
            else:
                assert {answer.json()["code"] for answer in answers[1:5]} == {"deviation_too_small"}


async def test_the_refusal_says_what_to_do(ask) -> None:
    """It names the channels and what was found, what is expected, and both ways out."""
    stack = grey_levels().astype(np.float32)
    stack[4] /= 65535
    async with ask(engine_of("format-6")) as client:
        answer = await client.post("/predict", content=encode_tiff(stack), headers=HEADERS)
    detail = assert_problem(answer, "deviation_too_small")
    for part in ("MitoTracker by ", "expected at least 0.25", "65535 or 255", "export the bundle again"):
        assert part in detail
    assert "Hoechst" not in detail


@pytest.mark.parametrize("name", ["format-6", "format-7"])
@pytest.mark.parametrize("value", [0.0, 0.1, 1.0, 1e9])
async def test_a_constant_channel_is_not_refused(ask, name, value) -> None:
    """A channel of one value deviates by nothing, and that is told by a notice, not by a refusal."""
    stack = grey_levels().astype(np.float32)
    stack[2] = value
    async with ask(engine_of(name)) as client:
        answer = await client.post("/predict", content=encode_tiff(stack), headers=HEADERS)
    assert answer.status_code == 200
    assert "dead_channel" in {notice["code"] for notice in answer.json()["stack"]["notices"]}


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
async def test_integers_are_never_refused(ask, dtype) -> None:
    """Integer pixels are grey levels, and one that differs by one level is no reason to refuse."""
    stack = grey_levels().clip(0, 255).astype(dtype)
    stack[0] = 255
    stack[0, 40, 40] = 254
    async with ask(engine_of("format-6")) as client:
        answer = await client.post("/predict", content=encode_tiff(stack), headers=HEADERS)
    assert answer.status_code == 200


async def test_numbers_at_float32_s_end_are_refused(ask) -> None:
    """From format 7 on only deviations are refused whose squares float32 does not hold."""
    stack = grey_levels()
    async with ask(engine_of("format-7")) as client:
        content = encode_tiff((stack * 1e-20).astype(np.float32))
        answer = await client.post("/predict", content=content, headers=HEADERS)
    assert "expected at least 1e-15" in assert_problem(answer, "deviation_too_small")
