"""What comes back over HTTP is what the engine answers in process."""

import json
import subprocess
import sys
from pathlib import Path

import anyio
import imagecodecs
import numpy as np
import pytest
import tifffile

from phenoclient import AsyncClient, Client, Embedding, Explanation, Prediction, PredictionSet
from phenoserve.bundle.outputs import Outputs
from phenoserve.engine import Engine

FORMAT_1 = Path(__file__).parents[1] / "golden" / "format-1"
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


def answer_of(engine: Engine, stack: np.ndarray) -> Outputs:
    return engine.infer(stack[np.newaxis])


def assert_same_probabilities(found: dict, names: tuple[str, ...], expected: np.ndarray) -> None:
    assert tuple(found) == names
    np.testing.assert_allclose(list(found.values()), expected, **TOLERANCE)


def assert_same_prediction(found: Prediction, engine: Engine, stack: np.ndarray) -> None:
    manifest, answers = engine.bundle.manifest, answer_of(engine, stack)
    probabilities = softmax(answers.logits[0].astype(np.float64))
    assert_same_probabilities(found.probabilities, manifest.treatments, probabilities)
    assert_same_probabilities(found.versus_control, manifest.treated, sigmoid(answers.versus_control[0]))
    assert_same_probabilities(found.forest.probabilities, manifest.treatments, answers.forest[0])
    assert found.prediction.treatment == manifest.treatments[int(probabilities.argmax())]
    assert found.prediction.probability == pytest.approx(probabilities.max(), rel=1e-4)
    assert found.forest.treatment == manifest.treatments[int(answers.forest[0].argmax())]
    calibration = engine.bundle.calibration
    distance = calibration.distance(answers.embedding[0])
    expected = calibration.prediction_set(dict(zip(manifest.treatments, probabilities.tolist(), strict=True)))
    assert found.prediction_set == PredictionSet(expected, calibration.spec.prediction_sets.coverage)
    assert found.distance.value == pytest.approx(distance, rel=1e-4)
    assert found.distance.percentile == calibration.percentile(distance)
    mismatch = calibration.mismatch(stack, manifest.input.downsample)
    assert found.in_distribution == calibration.in_distribution(distance, mismatch)
    assert found.bundle.digest == engine.bundle.digest
    assert found.stack.channels == manifest.input.channels
    assert (found.stack.height, found.stack.width) == stack.shape[1:]
    assert found.stack.dtype == stack.dtype.name


def assert_same_embedding(found: Embedding, engine: Engine, stack: np.ndarray) -> None:
    expected = getattr(answer_of(engine, stack), found.kind)[0]
    assert found.dim == len(expected)
    np.testing.assert_allclose(found.embedding, expected, **TOLERANCE)


def assert_same_explanation(found: Explanation, engine: Engine, stack: np.ndarray) -> None:
    manifest = engine.bundle.manifest
    expected = answer_of(engine, stack).heatmap[0, manifest.treatments.index(found.treatment)]
    np.testing.assert_allclose(found.heatmap.values, expected, **TOLERANCE)
    assert found.heatmap.max == pytest.approx(expected.max(), rel=1e-4)
    assert found.heatmap.scale_px == (manifest.input.min_size_px, manifest.input.min_size_px)


@pytest.mark.parametrize("index", range(3))
def test_the_client_answers_as_the_engine_does(client, engine, stacks, index):
    """For every pixel type and size, `predict`, `embed` and `explain` give the engine's own numbers."""
    stack = stacks[index]
    assert_same_prediction(client.predict(stack), engine, stack)
    assert_same_embedding(client.embed(stack), engine, stack)
    assert_same_embedding(client.embed(stack, kind="projection"), engine, stack)
    assert_same_explanation(client.explain(stack), engine, stack)


def test_the_stains_of_every_treatment_sum_to_its_logit(client, engine, stacks):
    """Over HTTP the stains' values sum to the difference of the engine's own logits with all stains and with none."""
    stack = stacks[1]
    full, none = (answer_of(engine, array).logits[0] for array in (stack, np.zeros_like(stack)))
    for index, treatment in enumerate(engine.bundle.manifest.treatments):
        found = client.explain(stack, treatment=treatment, stains=True).stains
        assert tuple(found.values) == engine.bundle.manifest.input.channels
        assert sum(found.values.values()) == pytest.approx(float(full[index]) - float(none[index]), abs=1e-4)
        assert found.logit == pytest.approx(full[index], abs=1e-4)
    assert client.explain(stack).stains is None


def test_every_treatment_can_be_explained(client, engine, stacks):
    """Each treatment of the bundle has its own heatmap; without a name it is the predicted one's."""
    for treatment in engine.bundle.manifest.treatments:
        found = client.explain(stacks[0], treatment=treatment)
        assert found.treatment == treatment
        assert_same_explanation(found, engine, stacks[0])
    default = client.explain(stacks[0])
    assert default.treatment == default.prediction.treatment == client.predict(stacks[0]).prediction.treatment


def test_all_treatments_are_explained_as_each_alone(client, engine, stacks):
    """`explain_all` holds every treatment in the order of the logits, each with the engine's own heatmap."""
    found = client.explain_all(stacks[0])
    assert tuple(found) == engine.bundle.manifest.treatments
    for treatment, explanation in found.items():
        assert explanation.treatment == treatment
        assert_same_explanation(explanation, engine, stacks[0])


def test_the_map_and_the_overlay_have_the_size_of_the_field(client, stacks):
    """The float32 map has the field's pixels and the heatmap's range; the overlay is a readable PNG."""
    stack = stacks[1]
    heatmap, values = client.explain_map(stack), client.explain(stack).heatmap.values
    assert heatmap.shape == stack.shape[1:]
    assert values.min() - 1e-6 <= heatmap.min()
    assert heatmap.max() <= values.max() + 1e-6
    assert imagecodecs.png_decode(client.explain_overlay(stack)).ndim == 3


def test_channels_may_come_in_any_order_that_is_stated(client, engine, stacks):
    """A stack whose channels are permuted, the order stated by stain, gets the original's answer."""
    stains = engine.bundle.manifest.input.channels
    found = client.predict(stacks[0][::-1], channels=stains[::-1])
    expected = client.predict(stacks[0])
    np.testing.assert_allclose(
        list(found.probabilities.values()), list(expected.probabilities.values()), **TOLERANCE
    )
    assert found.stack.channel_order == "query"


@pytest.mark.anyio
async def test_many_requests_at_once_get_each_its_own_answer(service_url, engine, stacks):
    """Stacks sent at the same time by one AsyncClient are answered as each alone."""
    predictions, embeddings, explanations = {}, {}, {}
    async with AsyncClient(service_url) as client, anyio.create_task_group() as tasks:

        async def ask(index: int) -> None:
            predictions[index] = await client.predict(stacks[index])
            embeddings[index] = await client.embed(stacks[index])
            explanations[index] = await client.explain(stacks[index])

        for index in range(len(stacks)):
            tasks.start_soon(ask, index)
    for index, stack in enumerate(stacks):
        assert_same_prediction(predictions[index], engine, stack)
        assert_same_embedding(embeddings[index], engine, stack)
        assert_same_explanation(explanations[index], engine, stack)


def run_command(*arguments: object) -> str:
    command = Path(sys.executable).with_name("phenoclient")
    result = subprocess.run(
        [command, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60
    )
    # The tiny bundle has learned from nothing like a real site, which saturates in some channels, and says so.
    expected = ("is unlike what the model learned from", "saturated_channel: ")
    told = [line for line in result.stderr.splitlines() if not any(words in line for words in expected)]
    assert (result.returncode, told) == (0, [])
    return result.stdout


def test_the_command_answers_as_the_client_does(service_url, client, stacks, tmp_path):
    """One LZW file a channel on the command line gives the very answer of the stack as an array."""
    stack = stacks[1]
    files = [tmp_path / f"w{index + 1}.tif" for index in range(len(stack))]
    for file, channel in zip(files, stack, strict=True):
        tifffile.imwrite(file, channel, compression="lzw")
    answer = json.loads(run_command("predict", *files, "--url", service_url))
    assert answer["probabilities"] == pytest.approx(client.predict(stack).probabilities, rel=1e-4)
    assert answer["stack"]["dtype"] == "uint16"


def channel_files(data_root: Path) -> list[Path]:
    return sorted((data_root / "cellpainting6").glob("*ch?sk1fk1fl1.tiff"))


@pytest.mark.data
def test_a_real_six_channel_site_is_answered_on_every_route(client, service_url, data_root, tmp_path):
    """Six LZW files of a real site are answered by all three routes, by client and by command."""
    files = channel_files(data_root)
    assert len(files) == 6
    field = tifffile.imread(files[0]).shape
    prediction = client.predict(files)
    assert (prediction.stack.height, prediction.stack.width) == field
    assert sum(prediction.probabilities.values()) == pytest.approx(1, abs=1e-5)
    vector = client.embed(files).embedding
    assert np.isfinite(vector).all()
    assert client.explain_map(files).shape == field
    overlay, embedding = tmp_path / "overlay.png", tmp_path / "embedding.npy"
    assert run_command("predict", *files, "--url", service_url)
    assert run_command("embed", *files, "--url", service_url, "--npy", embedding)
    assert run_command("explain", *files, "--url", service_url, "--png", overlay)
    np.testing.assert_allclose(np.load(embedding), vector[np.newaxis], **TOLERANCE)
    assert imagecodecs.png_decode(overlay.read_bytes()).ndim == 3


def test_a_bundle_of_format_1_is_answered_without_calibration(serve, stacks):
    """The client reads the answers of a service whose bundle is of format 1: None for set, flag and distance."""
    with serve(FORMAT_1) as url, Client(url) as client:
        found = client.predict(stacks[0])
        told = client.bundle()
    assert (found.prediction_set, found.in_distribution, found.distance) == (None, None, None)
    assert "calibration" not in told.manifest


def test_the_command_tells_of_a_stack_unlike_all(service_url, engine, tmp_path):
    """A blank stack is answered, and a line beside the answer says that it is unlike what the model learned from."""
    blank = np.zeros((len(engine.bundle.manifest.input.channels), 64, 64), np.uint8)
    tifffile.imwrite(tmp_path / "blank.tif", blank, photometric="minisblack")
    command = Path(sys.executable).with_name("phenoclient")
    arguments = [command, "predict", tmp_path / "blank.tif", "--url", service_url]
    result = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=60)
    assert (result.returncode, json.loads(result.stdout)["in_distribution"]) == (0, False)
    assert "blank.tif is unlike what the model learned from" in result.stderr
