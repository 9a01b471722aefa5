"""The Fiji script under Jython with ImageJ 1.x, in windows of a virtual display, against the real service."""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import numpy as np
import pytest
import tifffile

from phenoclient import Client

SCRIPT = Path(__file__).parents[3] / "clients" / "fiji" / "Phenoserve_Explain.py"
JARS = Path("/usr/share/java")
KEY = "an-api-key"
LIMIT_S = 240
STAIN_CASES = json.loads((Path(__file__).parents[2] / "cases" / "stains.json").read_text("utf-8"))["cases"]
# How a user may have left an image of channels.
VIEWS: dict[str, dict] = {
    "a composite": {"mode": "COMPOSITE", "channel": 3, "range": [300, 400]},
    "colours": {"mode": "COLOR", "channel": 6},
    "grey": {"mode": "GRAYSCALE", "channel": 2, "range": [0, 1]},
    "a selection": {"mode": "COMPOSITE", "selected": True},
    "a virtual stack": {"virtual": True, "channel": 4},
    "inverted": {"mode": "GRAYSCALE", "channel": 2, "commands": ["Invert LUT"]},
    "8 bits inverted": {"pixels": "uint8", "mode": "GRAYSCALE", "commands": ["Invert LUT"]},
    "8 bits on fire": {"pixels": "uint8", "mode": "COLOR", "channel": 5, "commands": ["Fire"]},
}
NOTICES = [
    {"code": "dead_channel", "channels": ["WGA"], "detail": "WGA holds the same value everywhere."},
    {"code": "repeated_channel", "channels": ["ConA", "Syto14"], "detail": "ConA and Syto14 agree."},
]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def keyed_url(serve, tiny_bundle, tmp_path_factory):
    keys = tmp_path_factory.mktemp("keys") / "keys.txt"
    keys.write_text(sha256(KEY.encode()).hexdigest())
    with serve(tiny_bundle, "--api-keys-file", keys) as url:
        yield url


class QuietHandler(BaseHTTPRequestHandler):
    """One that writes no log."""

    def log_message(self, *_arguments):
        """Says nothing."""

    def answer(self, status: int, content_type: str, content: bytes, **headers: str) -> None:
        """Sends an answer as a whole."""
        self.send_response(status)
        for name, value in {"Content-Type": content_type, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def proxy_url() -> Iterator[str]:
    """What stands between: a page of its own with 502, a login page with 200 below /login, elsewhere below /moved."""

    class Proxy(QuietHandler):
        def do_GET(self):
            status = {"login": 200, "moved": 302}.get(self.path.split("/")[1], 502)
            self.answer(status, "text/html", b"<html>Bad gateway", Location="/login")

    with serving(Proxy) as url:
        yield url


@pytest.fixture(scope="module")
def telling_url(service_url) -> Iterator[str]:
    """The service, with notices in its answer to `/predict`."""

    class Telling(QuietHandler):
        def do_GET(self):
            self.pass_on(httpx.get(service_url + self.path))

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name: self.headers[name] for name in ("Accept", "Content-Type")}
            self.pass_on(httpx.post(service_url + self.path, content=body, headers=headers, timeout=60))

        def pass_on(self, answer: httpx.Response):
            content = answer.content
            if self.path.startswith("/predict"):
                told = answer.json()
                told["stack"]["notices"] = NOTICES
                content = json.dumps(told).encode()
            self.answer(answer.status_code, answer.headers["content-type"], content)

    with serving(Telling) as url:
        yield url


@pytest.fixture(scope="module")
def stains(engine) -> list[str]:
    return list(engine.bundle.manifest.input.channels)


@pytest.fixture(scope="module")
def treatment(engine) -> str:
    """One that is not the predicted one of the first stack."""
    return engine.bundle.manifest.treatments[2]


@pytest.fixture(scope="module")
def field(stains) -> np.ndarray:
    """A stack large enough for a heatmap of several cells."""
    noise = np.random.default_rng(7).gamma(2.0, 400.0, (len(stains), 256, 192))
    noise[:, :128] *= np.linspace(1, 3, 192)
    return noise.astype(np.uint16)


@pytest.fixture(scope="module")
def images(tmp_path_factory, stacks, stains, field) -> dict[str, Path]:
    """TIFFs as ImageJ writes them: of each pixel type, labelled in another order, and with frames and depth."""
    folder = tmp_path_factory.mktemp("images")
    files = {f"{stack.dtype}": folder / f"{stack.dtype}.tif" for stack in stacks}
    for stack in stacks:
        tifffile.imwrite(files[str(stack.dtype)], stack, imagej=True, metadata={"axes": "CYX"})
    first = stacks[0]
    files["field"] = folder / "field.tif"
    tifffile.imwrite(files["field"], field, imagej=True, metadata={"axes": "CYX"})
    files["plain"] = folder / "plain.tif"
    tifffile.imwrite(files["plain"], first, photometric="minisblack")
    files["labelled"] = folder / "labelled.tif"
    labels = [f"{stain} 20x" for stain in reversed(stains)]
    for name, axes in {"labelled": "CYX", "labelled slices": "ZYX"}.items():
        files[name] = folder / f"{name}.tif"
        metadata = {"axes": axes, "Labels": labels}
        tifffile.imwrite(files[name], first[::-1].copy(), imagej=True, metadata=metadata)
    files["contradicting"] = folder / "contradicting.tif"
    labels = ["x", stains[0], "抗", "z", "u", "v"]
    tifffile.imwrite(files["contradicting"], first, imagej=True, metadata={"axes": "CYX", "Labels": labels})
    files["coloured"] = folder / "coloured.tif"
    ramp = np.arange(256, dtype=np.uint8)
    luts = [ramp * np.array(rgb, np.uint8)[:, None] for rgb in ((1, 0, 0), (0, 1, 1)) * 3]
    metadata = {"axes": "CYX", "mode": "composite", "LUTs": luts, "Ranges": [100, 900] * 6}
    tifffile.imwrite(files["coloured"], field, imagej=True, metadata=metadata)
    files["deep"] = folder / "deep.tif"
    deep = np.stack([[first + 10 * frame + depth for depth in range(2)] for frame in range(3)])
    tifffile.imwrite(files["deep"], deep, imagej=True, metadata={"axes": "TZCYX"})
    files["few"] = folder / "few.tif"
    tifffile.imwrite(files["few"], first[:3].copy(), imagej=True, metadata={"axes": "CYX"})
    return files


@pytest.fixture(scope="module")
def results(
    tmp_path_factory, images, stains, treatment, service_url, keyed_url, proxy_url, telling_url
) -> dict:
    """What came of every case, all of them in one run of Java."""
    java, display = shutil.which("java"), shutil.which("xvfb-run")
    jars = [JARS / "ij.jar", JARS / "jython.jar"]
    if java is None or display is None or not all(jar.exists() for jar in jars):
        pytest.skip(
            "ImageJ, Jython, Java or Xvfb is not there; `make imagej` installs Debian's where apt-get may"
        )
    folder = tmp_path_factory.mktemp("fiji")
    wanted = f"evidence=[{treatment}] opacity=40 stains"
    where = f"service=[{service_url}] key=[]"
    swapped = " ".join(f"channel_{i + 1}=[{stain}]" for i, stain in enumerate([stains[1], *stains[1:]]))
    ran = {
        "whole": (images["field"], f"{where} {wanted}"),
        "predicted": (images["uint16"], where),
        "plain": (images["plain"], where),
        "labelled slices": (images["labelled slices"], where),
        "contradicting": (images["contradicting"], where),
        "chosen": (
            images["contradicting"],
            " ".join([where, *(f"channel_{i + 1}=[{stain}]" for i, stain in enumerate(stains))]),
        ),
        "composite": (images["coloured"], where),
        "deep": (images["deep"], where),
        "told": (images["uint16"], f"service=[{telling_url}] key=[]"),
        "labelled": (images["labelled"], where),
        "two of one stain": (images["uint8"], f"{where} {swapped}"),
        "too few": (images["few"], where),
        "colours": (images["uint8"], where),
        "no key": (images["uint8"], f"service=[{keyed_url}] key=[]"),
        "key": (images["uint8"], f"service=[{keyed_url}] key=[{KEY}]"),
        "wrong key": (images["uint8"], f"service=[{keyed_url}] key=[another]"),
        "nobody": (images["uint8"], "service=[http://127.0.0.1:9] key=[]"),
        "no address": (images["uint8"], "service=[127.0.0.1] key=[]"),
        "bare IPv6": (images["uint8"], "service=[http://::1:8000] key=[]"),
        "a proxy": (images["uint8"], f"service=[{proxy_url}] key=[]"),
        "a login page": (images["uint8"], f"service=[{proxy_url}/login] key=[]"),
        "moved": (images["uint8"], f"service=[{proxy_url}/moved] key=[]"),
        "not a service": (images["uint8"], f"service=[{service_url}/nowhere] key=[]"),
    }
    cases: dict[str, dict] = {
        name: {"do": "run", "image": str(image), "options": options, "treatment": treatment}
        for name, (image, options) in ran.items()
    }
    cases["colours"]["type"] = "RGB Color"
    cases["composite"] |= {"mode": "COMPOSITE", "channel": 3, "range": [300, 400]}
    cases["deep"] |= {"channel": 2, "slice": 2, "frame": 3}
    cases["whole"]["picture"] = str(folder / "whole.png")
    for name in ("uint8", "uint16", "float32"):
        shared = {"image": str(images[name]), "stains": stains}
        cases[f"heatmap of {name}"] = {
            "do": "heatmap",
            "service": service_url,
            "treatment": treatment,
            **shared,
        }
        cases[f"tiff of {name}"] = {
            "do": "tiff",
            "out": str(folder / f"{name}.tif"),
            **shared,
        }
    deep = {"image": str(images["deep"]), "out": str(folder / "deep.tif"), "slice": 2, "frame": 3}
    cases["tiff of deep"] = {"do": "tiff", "stains": stains, **deep}
    for name, view in VIEWS.items():
        cases[f"tiff of {name}"] = {
            "do": "tiff",
            "image": str(images[view.get("pixels", "coloured")]),
            "stains": stains,
            "out": str(folder / f"{name}.tif"),
            **view,
        }
    cases["presets"] = {"do": "presets", "cases": STAIN_CASES}
    cases["refused"] = {
        "do": "refused",
        "image": str(images["uint8"]),
        "service": keyed_url,
        "stains": stains,
    }
    cases["indexed"] = {"do": "indexed"}
    cases["echoes"] = {"do": "echoes", "options": where}
    asked, told = folder / "cases.json", folder / "results.json"
    asked.write_text(json.dumps(cases))
    # ImageJ keeps preferences, and Jython a cache, in the home folder.
    options = [f"-Duser.home={folder}", "-Dpython.cachedir.skip=true", "-cp", os.pathsep.join(map(str, jars))]
    command = [display, "-a", java, *options, "org.python.util.jython"]
    command += [str(Path(__file__).with_name("driver.py")), str(SCRIPT), str(asked), str(told)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert told.exists(), ended.stdout + ended.stderr
    return {**json.loads(told.read_text()), "folder": folder}


def test_the_table_is_the_services_answer(results, service_url, field):
    """Every treatment has a row with the probabilities that a client of Python gets for the same pixels."""
    with Client(service_url) as client:
        answer = client.predict(field)
    rows = results["whole"]["probabilities"]
    assert [row["Treatment"] for row in rows] == sorted(
        answer.probabilities, key=lambda t: -answer.probabilities[t]
    )
    for row in rows:
        treatment = row["Treatment"]
        assert float(row["Classifier"]) == pytest.approx(answer.probabilities[treatment], abs=6e-5)
        assert float(row["Forest"]) == pytest.approx(answer.forest.probabilities[treatment], abs=6e-5)
        if treatment in answer.versus_control:
            assert float(row["Versus control"]) == pytest.approx(answer.versus_control[treatment], abs=6e-5)
        assert row["In prediction set"] == ("yes" if treatment in answer.prediction_set.treatments else "no")


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_the_heatmap_is_the_services(results, service_url, stacks, treatment, dtype):
    """For every pixel type the map has the size of the field and the very values of `Client.explain_map`."""
    stack = next(stack for stack in stacks if stack.dtype == dtype)
    with Client(service_url) as client:
        expected = client.explain_map(stack, treatment=treatment)
    found = results[f"heatmap of {dtype}"]
    assert found["size"] == [stack.shape[2], stack.shape[1]]
    values = np.array(found["values"], np.float32).reshape(expected.shape)
    np.testing.assert_allclose(values, expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_no_pixel_is_changed_on_the_way(results, stacks, dtype):
    """What is sent holds the image's own values, in its own type."""
    stack = next(stack for stack in stacks if stack.dtype == dtype)
    sent = tifffile.imread(results["folder"] / f"{dtype}.tif")
    assert sent.dtype == dtype
    np.testing.assert_array_equal(sent, stack)


def test_of_a_deep_series_what_is_shown_is_sent(results, stacks):
    """Of a hyperstack with depth and time the channels at the current slice and frame are sent."""
    sent = tifffile.imread(results["folder"] / "deep.tif")
    np.testing.assert_array_equal(sent, stacks[0] + 21)


def test_the_overlay_lies_on_the_field(results, service_url, field, treatment):
    """One overlay covers the field exactly, at the opacity asked for, brightest where the evidence is greatest."""
    overlay = results["whole"]["overlay"]
    height, width = field.shape[1:]
    assert (overlay["count"], overlay["bounds"]) == (1, [0, 0, width, height])
    assert overlay["opacity"] == pytest.approx(0.4)
    assert overlay["name"] == f"Grad-CAM: {treatment}"
    with Client(service_url) as client:
        expected = client.explain_map(field, treatment=treatment)
    colours = np.array(overlay["colours"]).reshape(height, width)
    luminance = 0.2126 * (colours >> 16) + 0.7152 * (colours >> 8 & 255) + 0.0722 * (colours & 255)
    assert np.corrcoef(luminance.ravel(), expected.ravel())[0, 1] > 0.98
    assert colours[np.unravel_index(expected.argmax(), expected.shape)] == 0xFCFFA4


def test_stains_are_asked_for_and_shown(results, service_url, field, treatment):
    """The attribution has a row a stain, the greatest first, with the service's values; none unless asked for."""
    with Client(service_url) as client:
        expected = client.explain(field, treatment=treatment, stains=True).stains.values
    rows = results["whole"]["stains"]
    assert {
        row["Stain"]: pytest.approx(float(row["Adds to the logit"]), abs=6e-5) for row in rows
    } == expected
    assert results["predicted"]["stains"] is None


def test_the_predicted_treatment_is_explained_unless_another_is_named(results, service_url, stacks):
    """Without a choice the predicted treatment is explained."""
    with Client(service_url) as client:
        predicted = client.predict(stacks[0]).prediction.treatment
    assert results["predicted"]["failed"] is None
    assert results["predicted"]["overlay"]["name"] == f"Grad-CAM: {predicted}"


def test_slice_labels_say_which_stain_a_channel_shows(results, service_url, stacks):
    """Channels in another order, named in their labels, get the answer of the stack in the bundle's order."""
    with Client(service_url) as client:
        answer = client.predict(stacks[0])
    for case in ("labelled", "labelled slices"):
        rows = results[case]["probabilities"]
        found = {row["Treatment"]: float(row["Classifier"]) for row in rows}
        assert found == pytest.approx(answer.probabilities, abs=6e-5)
        assert {row["Channels taken"] for row in rows} == {"by their labels"}


@pytest.mark.parametrize("index", range(len(STAIN_CASES)))
def test_labels_are_read_as_everywhere(results, index):
    """The labels say what the common table says, the bundle's order, or leave the choice to the user."""
    case, (preset, origin, advice) = STAIN_CASES[index], results["presets"][index]
    if "order" in case:
        assert (preset, origin) == (case["order"], "by their labels")
    elif case.get("refused"):
        assert origin is None
        assert "(choose)" in preset
        assert all(name in advice for name in [*case["names"], *case["stains"]])
    else:
        assert preset == case["stains"]
        assert origin.startswith("in the bundle's order")


def test_labels_that_contradict_the_order_stop_the_script_until_a_stain_is_chosen(results, stains):
    """Both readings are told and nothing is sent; with a choice for every channel there is an answer that says so."""
    failed = results["contradicting"]["failed"]
    assert f"named x, {stains[0]}, 抗, z, u, v" in failed
    assert ", ".join(stains) in failed
    assert results["contradicting"]["probabilities"] is None
    assert results["chosen"]["failed"] is None
    assert results["chosen"]["probabilities"][0]["Channels taken"] == "as chosen in the dialog"


def test_where_the_order_came_from_stands_in_table_and_log(results):
    """Channels without labels are said to be in the bundle's order, and what is shown of depth and time is named."""
    words = "in the bundle's order; their labels do not tell their stains"
    assert {row["Channels taken"] for row in results["predicted"]["probabilities"]} == {words}
    assert f"Channels were taken {words}." in results["predicted"]["log"]
    assert "slice 2 of 2, frame 3 of 3" in results["deep"]["log"]
    assert results["deep"]["overlay"]["position"] == [0, 2, 3]
    assert "slice" not in results["predicted"]["log"]


@pytest.mark.parametrize("view", VIEWS)
def test_how_an_image_is_shown_changes_no_pixel(results, field, stacks, view):
    """Whatever its mode, lookup tables, display range, slider and selection, an image's own pixels are sent."""
    expected = field if VIEWS[view].get("pixels") is None else next(s for s in stacks if s.dtype == "uint8")
    with tifffile.TiffFile(results["folder"] / f"{view}.tif") as file:
        sent = file.asarray()
        assert {page.photometric for page in file.pages} == {tifffile.PHOTOMETRIC.MINISBLACK}
    assert sent.dtype == expected.dtype
    np.testing.assert_array_equal(sent, expected)


def test_a_composite_with_its_slider_moved_is_answered(results, service_url, field):
    """A composite of 16 bits with a lookup table a channel gets the answer of its pixels."""
    with Client(service_url) as client:
        expected = client.predict(field).probabilities
    assert results["composite"]["failed"] is None
    found = {row["Treatment"]: float(row["Classifier"]) for row in results["composite"]["probabilities"]}
    assert found == pytest.approx(expected, abs=6e-5)


def test_a_palette_is_told_from_a_lookup_table(results):
    """Only colours whose lightness goes up and down are a palette; tables for intensities, inverted too, are read."""
    assert {name for name, is_indexed in results["indexed"].items() if is_indexed} == {"3-3-2 RGB"}


def test_what_the_service_noticed_stands_in_table_and_log(results):
    """Notices of an answer are in the table by code and stain, and in the log in the service's words."""
    words = "dead_channel:WGA|repeated_channel:ConA|repeated_channel:Syto14"
    assert {row["Notices"] for row in results["told"]["probabilities"]} == {words}
    for notice in NOTICES:
        assert notice["detail"] in results["told"]["log"]
    assert {row["Notices"] for row in results["whole"]["probabilities"]} == {""}


def test_a_stack_unlike_the_training_sites_is_pointed_out(results, service_url, field):
    """The notice is in the log if, and only if, the service says that the stack is out of distribution."""
    with Client(service_url) as client:
        is_known = client.predict(field).in_distribution
    assert ("unlike what the model learned from" in (results["whole"]["log"] or "")) == (is_known is False)


@pytest.mark.parametrize(
    ("case", "words"),
    {
        "two of one stain": "each a stain of its own",
        "too few": "The image has 3 channels; the bundle takes 6",
        "plain": "If the planes are channels, say so: Image > Properties..., Channels 6, Slices 1",
        "contradicting": "Choose a stain for every channel",
        "colours": "Split the colours first",
        "no key": "An API key is needed",
        "wrong key": "The API key is not known",
        "nobody": "Start the service, or correct the address",
        "no address": "expected one like http",
        "bare IPv6": "or http://[::1]:8000 with IPv6",
        "a proxy": "answered 502 with text/html, and not as phenoserve does",
        "a login page": "answered 200 with text/html, and not as phenoserve does",
        "moved": "answered 302 with",
        "not a service": "There is nothing at this address",
    }.items(),
)
def test_what_cannot_be_done_is_said(results, case, words):
    """Each mistake ends with words that say how to mend it, the service's own where it spoke, and shows nothing."""
    assert words in results[case]["failed"]
    assert results[case]["overlay"] is None


def test_a_key_opens_a_service_that_asks_for_one(results):
    """With its key a service that asks for one answers."""
    assert results["key"]["failed"] is None
    assert results["key"]["overlay"]["count"] == 1


def test_a_key_that_is_taken_away_meanwhile_is_told(results):
    """Where the key opens the bundle and not the stack any more, the words are of the key, not of a proxy."""
    assert "The key is not accepted any more" in results["refused"]


def test_a_key_is_typed_unseen(results):
    """The field of the address shows what is typed, the one of the key an asterisk a character."""
    assert results["echoes"] == [0, ord("*")]
