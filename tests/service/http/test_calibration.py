"""What `/predict` says about how far its probabilities can be trusted, beside a slow computation of its own."""

import dataclasses
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter

from phenoserve.bundle import Calibration, StainOrder, describe_channels, read_bundle, write_bundle
from phenoserve.engine import Engine

pytestmark = pytest.mark.anyio
HEADERS = {"content-type": "image/tiff"}
FORMAT_1 = Path(__file__).parents[2] / "golden" / "format-1"


def tiff(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, array, photometric="minisblack")
    return file.getvalue()


@pytest.fixture(scope="module")
def stacks(tiny_module) -> list[np.ndarray]:
    """Stacks like those that the tiny bundle was calibrated on, blank ones, noise, and stains out of order."""
    generator = np.random.default_rng(11)
    alike = [tiny_module.random_stack(generator, (6, 64, 64), "float32") for _ in range(8)]
    noise = generator.uniform(0, 255, (6, 64, 64)).astype(np.uint8)
    return [*alike, np.zeros((6, 64, 64), np.uint16), noise, alike[0][::-1] ** 2]


def slow_distance(embedding: list[float], calibration: Calibration) -> float:
    """The distance as `docs/bundle-format.md` defines it, number by number."""
    left = [number - float(mean) for number, mean in zip(embedding, calibration.mean, strict=True)]
    whitened = [
        math.fsum(number * float(weight) for number, weight in zip(left, column, strict=True))
        for column in calibration.whitening.T
    ]
    distances = sorted(math.dist(whitened, map(float, row)) for row in calibration.reference)
    nearest = distances[: calibration.spec.out_of_distribution.num_neighbours]
    return sum(nearest) / len(nearest)


async def test_predict_tells_set_and_distance_as_the_format_defines_them(ask, engine: Engine, stacks) -> None:
    """Over HTTP, set, distance, percentile and flag equal a slow computation from `/embed` and the bundle's file."""
    calibration = engine.bundle.calibration
    limits = calibration.spec.out_of_distribution
    controls = list(calibration.control_distances)
    sizes, flags = set(), set()
    async with ask() as client:
        for stack in stacks:
            body = (await client.post("/predict", content=tiff(stack), headers=HEADERS)).json()
            vector = (await client.post("/embed", content=tiff(stack), headers=HEADERS)).json()["embedding"]
            logits = engine.infer(stack[np.newaxis]).logits[0].astype(float)
            weights = [math.exp(logit - max(logits)) for logit in logits]
            expected = [
                name
                for name, weight in zip(engine.bundle.manifest.treatments, weights, strict=True)
                if weight / sum(weights) >= calibration.spec.prediction_sets.thresholds[name]
            ]
            assert body["prediction_set"] == {"treatments": expected, "coverage": 0.9}
            distance = slow_distance(vector, calibration)
            assert body["distance"]["value"] == pytest.approx(distance, rel=1e-6)
            nearer = sum(control <= distance for control in controls)
            assert body["distance"]["percentile"] == pytest.approx(100 * nearer / len(controls))
            assert body["in_distribution"] == (distance <= limits.max_distance)
            sizes.add(len(expected))
            flags.add(body["in_distribution"])
    assert len(sizes) > 1
    assert flags == {True, False}


async def test_a_bundle_of_format_1_is_served_without(ask, stacks) -> None:
    """A bundle without calibration is served: null for set, flag and distance, and the rest as ever."""
    engine = Engine.load(read_bundle(FORMAT_1), device="cpu", num_threads=1)
    async with ask(engine) as client:
        body = (await client.post("/predict", content=tiff(stacks[0]), headers=HEADERS)).json()
        told = (await client.get("/bundle")).json()
    assert [body[name] for name in ("prediction_set", "in_distribution", "distance")] == [None, None, None]
    assert sum(body["probabilities"].values()) == pytest.approx(1)
    assert told["manifest"] == json.loads((FORMAT_1 / "manifest.json").read_bytes())


async def test_the_bundle_route_tells_the_calibration(ask, engine: Engine) -> None:
    """`GET /bundle` shows the manifest as it stands in the bundle, its calibration included."""
    async with ask() as client:
        told = (await client.get("/bundle")).json()
    assert told["manifest"] == json.loads((engine.bundle.path / "manifest.json").read_bytes())
    assert told["manifest"]["calibration"]["prediction_sets"]["coverage"] == 0.9


@pytest.fixture(scope="module")
def told_apart(tiny_module, tmp_path_factory) -> tuple[Engine, np.ndarray]:
    """A bundle that knows what its stains look like, and a stack whose channels look so."""
    generator = np.random.default_rng(12)
    points = np.stack([generator.gamma(0.3 * 2**stain, 50, (256, 256)) for stain in range(6)])
    stack = gaussian_filter(points, (0, 1, 1)).astype(np.float32)
    contents = tiny_module.tiny_contents(num_trees=2)
    calibration = contents.calibration
    spec = calibration.spec
    num_treatments = len(contents.treatments)
    described = describe_channels(stack, 8)
    stains = StainOrder(np.stack([described] * num_treatments), calibration.stain_order.whitening)
    in_order = stains.mismatch(described).value
    spec = spec.model_copy(
        update={
            "stain_order": spec.stain_order.model_copy(update={"max_mismatch": in_order / 2}),
            "out_of_distribution": spec.out_of_distribution.model_copy(update={"max_distance": 1e9}),
        }
    )
    changed = dataclasses.replace(calibration, spec=spec, stain_order=stains)
    path = tmp_path_factory.mktemp("told_apart") / "bundle"
    write_bundle(path, dataclasses.replace(contents, calibration=changed))
    return Engine.load(read_bundle(path), device="cpu", num_threads=1), stack


def swapped_notices(body: dict) -> list[list[str]]:
    return [notice["channels"] for notice in body["stack"]["notices"] if notice["code"] == "swapped_channels"]


@pytest.mark.parametrize("route", ["/predict", "/embed", "/explain"])
async def test_swapped_channels_are_told_on_every_route(ask, told_apart, route) -> None:
    """Two swapped channels are named until `channels` states their order; a stack in order is not remarked on."""
    engine, stack = told_apart
    stains = engine.bundle.manifest.input.channels
    order = [0, 3, 2, 1, 4, 5]
    async with ask(with_engine=engine) as client:
        right = (await client.post(route, content=tiff(stack), headers=HEADERS)).json()
        wrong = (await client.post(route, content=tiff(stack[order]), headers=HEADERS)).json()
        stated = {"channels": ",".join(stains[channel] for channel in order)}
        said = (await client.post(route, content=tiff(stack[order]), headers=HEADERS, params=stated)).json()
    assert swapped_notices(right) == swapped_notices(said) == []
    assert swapped_notices(wrong) == [[stains[1], stains[3]]]
    if route == "/predict":
        assert [right["in_distribution"], wrong["in_distribution"], said["in_distribution"]] == [
            True,
            False,
            True,
        ]


async def test_a_copied_channel_is_told_once(ask, told_apart) -> None:
    """A channel copied over another is out of distribution, and told as repeated, not as swapped too."""
    engine, stack = told_apart
    async with ask(with_engine=engine) as client:
        body = (
            await client.post("/predict", content=tiff(stack[[0, 1, 1, 3, 4, 5]]), headers=HEADERS)
        ).json()
    assert [notice["code"] for notice in body["stack"]["notices"]] == ["repeated_channel"]
    assert body["in_distribution"] is False


def no_images(shape: tuple[int, ...], dtype: str, float_top: float) -> dict[str, np.ndarray]:
    """Stacks `(channel, y, x)` that show no cells whatever they were taken of; floats up to `float_top`."""
    generator = np.random.default_rng(5)
    top = float_top if dtype == "float32" else float(np.iinfo(dtype).max)
    _, height, width = shape
    y, x = np.mgrid[:height, :width]
    uniform = generator.uniform(0, 1, shape)
    shares = {
        "zeros": np.zeros(shape),
        "a constant": np.full(shape, 0.4),
        "saturated": np.ones(shape),
        "half saturated": np.minimum(2 * gaussian_filter(uniform, (0, 2, 2)), 1),
        "uniform noise": uniform,
        "Gaussian noise": np.clip(generator.normal(0.5, 0.1, shape), 0, 1),
        "Poisson noise": generator.poisson(20, shape) / 100,
        "salt and pepper": generator.choice([0, 0.5, 1], shape, p=[0.02, 0.96, 0.02]),
        "a gradient": np.broadcast_to(x / (width - 1) * 0.9, shape),
        "a checkerboard": np.broadcast_to((x // 8 + y // 8) % 2 * 0.8 + 0.1, shape),
        "single pixels": np.broadcast_to((x + y) % 2 * 0.8 + 0.1, shape),
    }
    return {name: (top * share).astype(dtype) for name, share in shares.items()}


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("size", [(64, 64), (70, 200), (256, 256)])
@pytest.mark.parametrize("format_version", [5, 7])
async def test_what_is_no_image_is_never_in_distribution(
    ask, told_apart, size, dtype, format_version
) -> None:
    """Even where no distance is too large, blank, saturated, noise and geometric stacks are out of distribution."""
    engine, _ = told_apart
    if format_version == 5:
        engine = Engine.load(read_bundle(FORMAT_1.with_name("format-5")), device="cpu", num_threads=1)
    async with ask(engine) as client:
        # Format 5 takes floats in grey levels only.
        for name, stack in no_images((6, *size), dtype, 255.0 if format_version == 5 else 1.0).items():
            answer = await client.post("/predict", content=tiff(stack), headers=HEADERS)
            assert answer.json()["in_distribution"] is False, name
