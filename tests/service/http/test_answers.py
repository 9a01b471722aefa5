"""What the three routes answer, beside the engine asked directly."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from phenoserve.bundle import read_bundle
from phenoserve.engine import Engine

from .problem import assert_problem

STAINS_OF_NAMES = ["WGA", "ConA", "Hoechst", "Syto14", "MitoTracker", "Phalloidin"]

pytestmark = pytest.mark.anyio
HEADERS = {"content-type": "image/tiff"}


def tiff(array: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, array, **{"photometric": "minisblack", **options})
    return file.getvalue()


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits.astype(np.float64) - logits.max())
    return weights / weights.sum()


def values(numbers: dict[str, float]) -> list[float]:
    return list(numbers.values())


async def test_predict_is_the_engine_s_answer(ask, engine: Engine, array) -> None:
    """`/predict` words the engine's numbers: softmax, sigmoid and forest, in the manifest's order."""
    answers, manifest = engine.infer(array[np.newaxis]), engine.bundle.manifest
    async with ask() as client:
        response = await client.post("/predict", content=tiff(array), headers=HEADERS)
    body = response.json()
    assert list(body) == [
        "bundle", "stack", "prediction", "probabilities", "logits", "versus_control", "forest", "prediction_set",
        "prediction_set_reason", "in_distribution", "distribution_reason", "distance",
    ]  # fmt: skip
    assert body["bundle"] == {"name": "tiny", "version": "1.0.0", "digest": engine.bundle.digest}
    assert body["stack"] == {
        "channels": list(manifest.input.channels), "channel_order": "bundle",
        "height": 130, "width": 70, "dtype": "uint16", "notices": [],
    }  # fmt: skip
    expected = softmax(answers.logits[0])
    assert list(body["probabilities"]) == list(manifest.treatments)
    np.testing.assert_allclose(values(body["probabilities"]), expected, rtol=1e-5)
    assert list(body["logits"]) == list(manifest.treatments)
    np.testing.assert_allclose(values(body["logits"]), answers.logits[0], rtol=1e-6)
    assert list(body["versus_control"]) == list(manifest.treated)
    np.testing.assert_allclose(
        values(body["versus_control"]), 1 / (1 + np.exp(-answers.versus_control[0])), rtol=1e-5
    )
    np.testing.assert_allclose(values(body["forest"]["probabilities"]), answers.forest[0])
    for told, numbers in ((body["prediction"], expected), (body["forest"], answers.forest[0])):
        assert told["treatment"] == manifest.treatments[int(np.argmax(numbers))]
        assert told["probability"] == pytest.approx(numbers.max())


@pytest.mark.parametrize("kind", ["embedding", "projection"])
async def test_embed_is_the_engine_s_vector(ask, engine: Engine, array, kind) -> None:
    """`/embed` gives the vector of its kind, as JSON and bit by bit as a NumPy file."""
    expected = getattr(engine.infer(array[np.newaxis]), kind)[0]
    async with ask() as client:
        request = {"url": f"/embed?kind={kind}", "content": tiff(array)}
        as_json = await client.post(**request, headers=HEADERS)
        as_array = await client.post(**request, headers={**HEADERS, "accept": "application/x-npy"})
    body = as_json.json()
    assert (body["kind"], body["dim"]) == (kind, len(expected))
    np.testing.assert_allclose(body["embedding"], expected, rtol=1e-6)
    assert as_array.headers["content-type"] == "application/x-npy"
    loaded = np.load(io.BytesIO(as_array.content))
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(loaded, expected)


async def test_explain_is_the_engine_s_heatmap(ask, engine: Engine, array) -> None:
    """`/explain` gives the heatmap of the treatment asked for, or of the predicted one."""
    manifest = engine.bundle.manifest
    answers = engine.infer(array[np.newaxis])
    async with ask() as client:
        for treatment in (*manifest.treatments, None):
            query = {} if treatment is None else {"treatment": treatment}
            body = (await client.post("/explain", params=query, content=tiff(array), headers=HEADERS)).json()
            explained = treatment or manifest.treatments[int(answers.logits[0].argmax())]
            expected = answers.heatmap[0, manifest.treatments.index(explained)]
            assert body["treatment"] == explained
            np.testing.assert_allclose(body["heatmap"]["values"], expected, rtol=1e-6)
            assert (body["heatmap"]["height"], body["heatmap"]["width"]) == expected.shape
            assert body["heatmap"]["scale_px"] == [manifest.input.min_size_px] * 2
            assert body["heatmap"]["max"] == pytest.approx(expected.max())


async def test_explain_as_picture_and_map(ask, engine: Engine, array) -> None:
    """The overlay is a PNG; the map is a float32 TIFF of the field's size within the heatmap's range."""
    heatmap = engine.infer(array[np.newaxis]).heatmap[0, 1]
    async with ask() as client:
        request = {
            "url": "/explain",
            "params": {"treatment": engine.bundle.manifest.treatments[1]},
            "content": tiff(array),
        }
        picture = await client.post(**request, headers={**HEADERS, "accept": "image/png"})
        scaled = await client.post(**request, headers={**HEADERS, "accept": "image/tiff"})
    assert picture.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(picture.content)).format == "PNG"
    values = tifffile.imread(io.BytesIO(scaled.content))
    assert (values.dtype, values.shape) == (np.float32, (130, 70))
    assert heatmap.min() - 1e-6 <= values.min() <= values.max() <= heatmap.max() + 1e-6


async def test_several_stacks_are_answered_in_order(ask, array) -> None:
    """A multipart request of n parts gets the n answers that its parts would get alone, in order."""
    stacks = [tiff(array), tiff(array[:, ::-1]), tiff(array[:, :64, :64].astype(np.float32))]
    async with ask() as client:
        for route in ("/predict", "/embed", "/explain"):
            alone = [(await client.post(route, content=stack, headers=HEADERS)).json() for stack in stacks]
            together = await client.post(route, files=[("stack", stack) for stack in stacks])
            assert together.json() == {"answers": alone}
            one = await client.post(route, files=[("stack", stacks[0])])
            assert one.json() == {"answers": alone[:1]}
        arrays = await client.post(
            "/embed", files=[("stack", s) for s in stacks], headers={"accept": "application/x-npy"}
        )
    assert np.load(io.BytesIO(arrays.content)).shape == (3, 1024)


async def test_several_stacks_are_answered_all_or_none(ask, array) -> None:
    """One bad part among good ones fails the request with that part's error."""
    async with ask() as client:
        response = await client.post("/predict", files=[("stack", tiff(array)), ("stack", tiff(array[:5]))])
    assert_problem(response, "wrong_channels")


async def test_a_stated_channel_order_is_followed(ask, engine: Engine, array) -> None:
    """A permuted stack whose order the query or OME names state gets the answer of the unpermuted one."""
    stains = engine.bundle.manifest.input.channels
    order = [3, 0, 5, 1, 4, 2]
    names = [stains[index] for index in order]
    async with ask() as client:
        plain = (await client.post("/predict", content=tiff(array), headers=HEADERS)).json()
        query = await client.post(
            "/predict", params={"channels": ", ".join(names)}, content=tiff(array[order]), headers=HEADERS
        )
        ome = tiff(array[order], ome=True, metadata={"axes": "CYX", "Channel": {"Name": names}})
        named = await client.post("/predict", content=ome, headers=HEADERS)
        other = tiff(array, ome=True, metadata={"axes": "CYX", "Channel": {"Name": list("abcdef")}})
        unknown = await client.post("/predict", content=other, headers=HEADERS)
        both = await client.post(
            "/predict", params={"channels": ",".join(stains)}, content=ome, headers=HEADERS
        )
    for response, how in ((query, "query"), (named, "ome")):
        body = response.json()
        assert body["probabilities"] == plain["probabilities"]
        assert (body["stack"]["channel_order"], body["stack"]["channels"]) == (how, names)
    assert [notice["code"] for notice in unknown.json()["stack"].pop("notices")] == [
        "unmatched_channel_names"
    ]
    assert unknown.json()["probabilities"] == plain["probabilities"]
    assert unknown.json()["stack"]["channel_order"] == "bundle"
    assert both.json()["stack"]["channel_order"] == "query"


async def test_labels_and_other_spellings_are_followed(ask, engine: Engine, array) -> None:
    """ImageJ's labels and a query in other case or written out give the answer of the unpermuted stack."""
    names = ["wga", "CONA", "Hoechst 33342", "Syto-14", "mitotracker deep red", "Phalloidin (AF568)"]
    order = [engine.bundle.manifest.input.channels.index(stain) for stain in STAINS_OF_NAMES]
    labelled = tiff(array[order], photometric=None, imagej=True, metadata={"axes": "CYX", "Labels": names})
    async with ask() as client:
        plain = (await client.post("/predict", content=tiff(array), headers=HEADERS)).json()
        imagej = (await client.post("/predict", content=labelled, headers=HEADERS)).json()
        query = await client.post(
            "/predict", params={"channels": ",".join(names)}, content=tiff(array[order]), headers=HEADERS
        )
    assert imagej["stack"]["channel_order"] == "imagej"
    assert imagej["stack"]["channels"] == query.json()["stack"]["channels"] == STAINS_OF_NAMES
    assert imagej["probabilities"] == query.json()["probabilities"] == plain["probabilities"]


def paged(stack: np.ndarray, names: list[str], **of_name) -> bytes:
    """A page a channel, each with a name of its own."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for channel, name in zip(stack, names, strict=True):
            tag = {key: make(name) for key, make in of_name.items()}
            writer.write(channel, photometric="minisblack", metadata=None, contiguous=False, **tag)
    return file.getvalue()


async def test_a_parameter_given_twice_is_refused(ask, array) -> None:
    """Two orders of the channels, or two treatments, are not read as the last of them."""
    stains = "DNA,RNA,ER,AGP,Mito,Actin"
    async with ask() as client:
        for path in (f"/predict?channels={stains}&channels={stains}", "/explain?treatment=*&treatment=*"):
            response = await client.post(path, content=tiff(array), headers=HEADERS)
            assert "is given 2 times; expected once" in assert_problem(response, "invalid_parameter")


async def test_a_refusal_says_which_of_several_stacks_it_means(ask, array) -> None:
    """Of three stacks of which the second is no stack, the refusal names the second."""
    parts = [("stack", (name, tiff(stack))) for name, stack in (("a", array), ("b", array[:2]), ("c", array))]
    async with ask() as client:
        detail = assert_problem(await client.post("/predict", files=parts), "wrong_channels")
    assert detail.startswith("Stack 2 of 3: Found 2 channels")


async def test_names_beside_the_pages_are_followed(ask, engine: Engine, array) -> None:
    """Names in tifffile's JSON, in PageName or in a description a page order the stack; too few of them are refused."""
    order = [engine.bundle.manifest.input.channels.index(stain) for stain in STAINS_OF_NAMES]
    names, stack = list(STAINS_OF_NAMES), array[order]
    files = [
        tiff(stack, metadata={"axes": "CYX", "Channel": {"Name": names}}),
        tiff(stack, metadata={"axes": "CYX", "Labels": names}),
        paged(stack, names, extratags=lambda name: [(285, 2, 0, name, True)]),
        paged(stack, names, description=str),
    ]
    short = tiff(stack, metadata={"axes": "CYX", "Labels": names[:-1]})
    times = paged(array, [f"exposed for {time} ms" for time in range(len(array))], description=str)
    async with ask() as client:
        plain = (await client.post("/predict", content=tiff(array), headers=HEADERS)).json()
        for content in files:
            body = (await client.post("/predict", content=content, headers=HEADERS)).json()
            assert (body["stack"]["channel_order"], body["stack"]["channels"]) == ("pages", names)
            assert body["probabilities"] == plain["probabilities"]
        assert "names 5 channels" in assert_problem(
            await client.post("/predict", content=short, headers=HEADERS), "damaged_tiff"
        )
        told = (await client.post("/predict", content=times, headers=HEADERS)).json()["stack"]
    assert (told["channel_order"], told["notices"][0]["code"]) == ("bundle", "unmatched_channel_names")


async def test_a_colour_picture_is_read_only_by_a_stated_order(ask, make_tiny_bundle, tmp_path) -> None:
    """Red, green and blue are no stains until the query says so."""
    make_tiny_bundle(tmp_path / "three", channels=("DNA", "RNA", "ER"), downsample=1)
    engine = Engine.load(read_bundle(tmp_path / "three"), device="cpu", num_threads=1)
    picture = np.random.default_rng(0).integers(0, 200, (64, 64, 3)).astype(np.uint8)
    content = tiff(picture, photometric="rgb")
    async with ask(engine) as client:
        refused = await client.post("/predict", content=content, headers=HEADERS)
        stated = await client.post(
            "/predict", params={"channels": "er,rna,dna"}, content=content, headers=HEADERS
        )
    assert "colour picture" in assert_problem(refused, "ambiguous_channels")
    assert stated.json()["stack"]["channels"] == ["ER", "RNA", "DNA"]


async def test_every_json_answer_tells_what_was_noticed(ask, engine: Engine, array) -> None:
    """A dead channel, told by the stain that it was taken for, stands in each route's answer, raw or multipart."""
    stains = engine.bundle.manifest.input.channels
    dead = array.copy()
    dead[2] = 7
    query = {"channels": ",".join(reversed(stains))}
    async with ask() as client:
        for route in ("/predict", "/embed", "/explain"):
            raw = await client.post(route, params=query, content=tiff(dead), headers=HEADERS)
            parts = await client.post(route, params=query, files=[("stack", tiff(dead))])
            for answer in (raw.json(), parts.json()["answers"][0]):
                (notice,) = answer["stack"]["notices"]
                assert (notice["code"], notice["channels"]) == ("dead_channel", [stains[3]])
                assert "are 7" in notice["detail"]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("image/*", "image/png"),
        ("image/tiff, image/png;q=0.5", "image/tiff"),
        ("application/json;q=0.1, image/png", "image/png"),
        ("*/*;q=0.1, application/json;q=0", "image/png"),
        ("text/html, */*;q=0.8", "application/json"),
    ],
)
async def test_the_preferred_type_is_given(ask, array, accept, expected) -> None:
    """`Accept` is followed with its weights, the most specific range first, JSON where all are alike."""
    async with ask() as client:
        headers = HEADERS if accept is None else {**HEADERS, "accept": accept}
        response = await client.post("/explain", content=tiff(array), headers=headers)
    assert response.headers["content-type"] == expected


async def test_the_time_of_every_stage_is_told(ask, array) -> None:
    """`Server-Timing` tells the milliseconds of decode, queue and inference."""
    async with ask() as client:
        response = await client.post("/predict", content=tiff(array), headers=HEADERS)
    stages = dict(stage.split(";dur=") for stage in response.headers["server-timing"].split(", "))
    assert list(stages) == ["decode", "queue", "inference"]
    assert all(float(milliseconds) >= 0 for milliseconds in stages.values())


async def test_the_bundle_route_tells_the_manifest_and_the_device(ask, engine: Engine) -> None:
    """`GET /bundle` is the manifest as it stands, its digest and the active device."""
    async with ask() as client:
        body = (await client.get("/bundle")).json()
    assert body == {
        "manifest": engine.bundle.manifest.dump(),
        "digest": engine.bundle.digest,
        "device": "cpu",
        "precision": "fp32",
    }
