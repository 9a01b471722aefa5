"""The page in a real Chromium, asking a real service: a stack is shown, answered, explained and saved."""

import io
import json
import shlex
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy.ndimage import uniform_filter

from phenoclient import Client

from .steps import panels, send, set_range, settle, tiff_of, wait_for_answer

pytestmark = pytest.mark.browser

FORMAT_1 = Path(__file__).parents[2] / "golden" / "format-1"
MINUS = "\N{MINUS SIGN}"


@pytest.fixture(scope="module")
def stack(engine) -> np.ndarray:
    """A stack that looks alike in no two channels, uint16, not square."""
    generator = np.random.default_rng(4)
    stains = engine.bundle.manifest.input.channels
    return generator.gamma(2.0, 300.0, (len(stains), 192, 256)).astype(np.uint16)


@pytest.fixture
def answered(page, stack):
    send(page, ("site.tif", tiff_of(stack)))
    wait_for_answer(page)
    return page


def numbers(page, row: str) -> list[float]:
    return [
        float(text) for text in page.locator(f"#prediction tr:has-text('{row}') .number").all_inner_texts()
    ]


def test_the_prediction_is_the_services(answered, client, stack):
    """Each treatment has its probability by classifier, forest and against the control; the set is marked."""
    expected = client.predict(stack)
    for treatment, probability in expected.probabilities.items():
        forest = expected.forest.probabilities[treatment]
        versus = [expected.versus_control[treatment]] if treatment in expected.versus_control else []
        assert numbers(answered, treatment) == [round(value, 3) for value in (probability, forest, *versus)]
    marked = answered.locator("#prediction tr:has(.in-set) th").all_inner_texts()
    assert {name.split("●")[0].strip() for name in marked} == set(expected.prediction_set.treatments)
    foreign = answered.get_by_text("Unlike what the model learned from").count()
    assert bool(foreign) is not expected.in_distribution
    assert expected.prediction.treatment in answered.locator("#prediction dl").inner_text()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_every_pixel_type_is_shown(page, stack, dtype):
    """A panel without heatmap is the channel between its percentiles, grey by grey, for any pixel type."""
    kept = (stack.clip(0, 2550) / 10).astype(dtype)
    send(page, ("site.tif", tiff_of(kept)))
    wait_for_answer(page)
    page.get_by_label("Opacity").fill("0")
    shown = panels(page)
    assert len(shown) == 1 + len(kept)
    for channel, picture in zip(kept.astype(np.float64), shown[1:], strict=True):
        assert (picture[..., 0] == picture[..., 2]).all()
        low, high = np.percentile(channel, (0.5, 99.7))
        expected = 255 * ((channel - low) / (high - low)).clip(0, 1).mean()
        assert picture.mean() == pytest.approx(expected, rel=0.1)
    assert not any((one == other).all() for one, other in pairwise(shown[1:]))


def test_another_treatment_is_another_map(answered, engine):
    """Picking a treatment changes every panel, by the picker or by its row, and picking it again changes it back."""
    picker = answered.get_by_label("Evidence for")
    first = picker.input_value()
    before = panels(answered)
    other = next(name for name in engine.bundle.manifest.treatments if name != first)
    picker.select_option(other)
    after = panels(answered)
    assert all((one != two).any() for one, two in zip(before, after, strict=True))
    answered.get_by_role("button", name=first, exact=True).click()
    assert picker.input_value() == first
    again = panels(answered)
    assert all((one == two).all() for one, two in zip(before, again, strict=True))


def test_contrast_is_dragged_by_pointer_and_by_key(answered):
    """Moving a handle changes its stain and the composite, no other stain; reset brings both back."""
    before = panels(answered)
    handle = answered.get_by_label("ConA: contrast to")
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    share = handle.evaluate("i => (i.value - i.min) / (i.max - i.min)")
    x, y = box["x"] + 8 + share * (box["width"] - 16), box["y"] + box["height"] / 2
    answered.mouse.move(x, y)
    answered.mouse.down()
    answered.mouse.move(box["x"] + box["width"] * 0.3, y, steps=4)
    answered.mouse.up()
    changed = [(one != two).any() for one, two in zip(before, panels(answered), strict=True)]
    assert changed == [True, False, True, False, False, False, False]
    dragged = int(handle.input_value())
    handle.press("ArrowRight")
    assert int(handle.input_value()) == dragged + 1
    answered.get_by_role("button", name="Reset contrast").click()
    assert all((one == two).all() for one, two in zip(before, panels(answered), strict=True))


def test_handles_do_not_pass_each_other(answered):
    """The lower limit stops at the upper one."""
    low, high = (answered.get_by_label(f"Hoechst: contrast {end}") for end in ("from", "to"))
    set_range(low, float(high.get_attribute("max")))
    assert low.input_value() == high.input_value()
    settle(answered)


def test_stains_are_switched_and_coloured_in_the_composite(answered):
    """The composite is black without stains, of one stain's colour with it alone, and follows a new colour."""
    answered.get_by_label("Opacity").fill("0")
    boxes = answered.get_by_label("in the composite")
    for index in range(boxes.count()):
        boxes.nth(index).uncheck()
    assert not panels(answered)[0].any()
    boxes.nth(0).check()
    answered.get_by_label("Colour of Hoechst").fill("#ff0000")
    red, green, blue = panels(answered)[0].reshape(-1, 3).max(axis=0)
    assert (red, green, blue) == (255, 0, 0)
    label = answered.locator("#composite canvas[role=img]").first.get_attribute("aria-label")
    assert label == "Composite of Hoechst"


def test_panels_zoom_and_pan_together(answered):
    """Keys on one stain and the wheel on another move all panels; 0 shows the whole field again."""
    before = panels(answered)
    surfaces = answered.locator(".surface")
    surfaces.nth(2).focus()
    answered.keyboard.press("+")
    zoomed = panels(answered)
    answered.keyboard.press("ArrowRight")
    panned = panels(answered)
    surfaces.nth(0).hover()
    answered.keyboard.down("Control")
    answered.mouse.wheel(0, -300)
    answered.keyboard.up("Control")
    wheeled = panels(answered)
    for one, other in ((before, zoomed), (zoomed, panned), (panned, wheeled)):
        assert all((a != b).any() for a, b in zip(one, other, strict=True))
    surfaces.nth(1).press("0")
    assert all((one == two).all() for one, two in zip(before, panels(answered), strict=True))


def test_the_heatmap_lies_where_it_is_told_to(answered):
    """Over the composite alone, stains are grey; over one stain, only that one is coloured; opacity 0 shows none."""

    def coloured() -> list[bool]:
        return [bool((picture[..., 0] != picture[..., 2]).any()) for picture in panels(answered)[1:]]

    assert all(coloured())
    over = answered.get_by_label("Over")
    over.select_option("composite")
    assert not any(coloured())
    over.select_option("Syto14")
    assert coloured() == [False, False, False, True, False, False]
    answered.get_by_label("Opacity").fill("0")
    assert not any(coloured())


def test_stains_are_attributed_on_request(answered, client, stack):
    """Asked for, each stain has its Shapley value for the treatment shown, and for another when it is picked."""
    answered.get_by_role("button", name="Attribute to stains").click()
    answered.wait_for_selector("#stain-attribution table")
    picker = answered.get_by_label("Evidence for")
    for treatment in (picker.input_value(), "IFN-omega"):
        picker.select_option(treatment)
        expected = client.explain(stack, treatment=treatment, stains=True).stains.values
        rows = answered.locator("#stain-attribution tr").all_inner_texts()
        found = {name: float(value.replace(MINUS, "-")) for name, value in (row.split("\t") for row in rows)}
        assert found == pytest.approx(expected, rel=0.01, abs=1e-3)


def saved(page, name: str) -> bytes:
    with page.expect_download() as download:
        page.get_by_role("button", name=name).click()
    return download.value.path().read_bytes()


def test_every_answer_can_be_saved(answered, client, stack, engine):
    """JSON, overlay, heatmap and embedding are saved as files that hold what the client gets."""
    answered.get_by_label("Evidence for").select_option("IFNB-1")
    prediction = json.loads(saved(answered, "Prediction .json"))
    assert prediction["prediction"]["treatment"] == client.predict(stack).prediction.treatment
    explanations = json.loads(saved(answered, "Explanations .json"))["explanations"]
    assert list(explanations) == list(engine.bundle.manifest.treatments)
    assert Image.open(io.BytesIO(saved(answered, "Overlay .png"))).format == "PNG"
    heatmap = tifffile.imread(io.BytesIO(saved(answered, "Heatmap .tif")))
    np.testing.assert_allclose(heatmap, client.explain_map(stack, treatment="IFNB-1"), rtol=1e-4, atol=1e-6)
    embedding = np.load(io.BytesIO(saved(answered, "Embedding .npy")))
    np.testing.assert_allclose(embedding, client.embed(stack).embedding, rtol=1e-4, atol=1e-5)


def test_the_curl_line_asks_the_same(answered, stack, tmp_path):
    """The copied line, run beside the file, saves what the page saved."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not on the PATH")
    answered.get_by_label("Evidence for").select_option("IFN-gamma")
    expected = saved(answered, "Heatmap .tif")
    answered.get_by_role("button", name="Copy").click()
    answered.get_by_text("copied").wait_for()
    line = answered.evaluate("navigator.clipboard.readText()")
    (tmp_path / "site.tif").write_bytes(tiff_of(stack))
    subprocess.run([*shlex.split(line), "--silent"], cwd=tmp_path, check=True, timeout=30)
    assert (tmp_path / "site.heatmap.tif").read_bytes() == expected


@pytest.mark.parametrize("compression", ["lzw", "zstd", "zlib"])
def test_a_file_a_channel_is_one_stack(page, client, stack, compression):
    """Six files, chosen in any order, are the stack in the order of their names; it can be saved as one TIFF."""
    files = [
        (f"w{index + 1}.tif", tiff_of(channel, compression=compression, predictor=True))
        for index, channel in enumerate(stack)
    ]
    send(page, *files[::-1])
    wait_for_answer(page)
    best = client.predict(stack).prediction
    assert numbers(page, best.treatment)[0] == round(best.probability, 3)
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(saved(page, "Stack .tif"))), stack)


def test_an_example_is_a_stack_like_any_other(page, engine):
    """An example is fetched from the service, shown and answered as the bundle's golden answer says."""
    page.get_by_role("button", name="Example 2").click()
    wait_for_answer(page)
    logits = engine.bundle.golden.outputs[1].logits[0].astype(np.float64)
    shares = np.exp(logits) / np.exp(logits).sum()
    for treatment, share in zip(engine.bundle.manifest.treatments, shares, strict=True):
        assert numbers(page, treatment)[0] == pytest.approx(share, abs=2e-3)
    assert "97 \N{MULTIPLICATION SIGN} 71 pixels, uint16" in page.locator("#intake").inner_text()


def test_a_stack_is_dropped_anywhere(page, stack):
    """A file dropped on the page is taken."""
    page.evaluate(
        """bytes => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], "dropped.tif"));
          document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
        }""",
        list(tiff_of(stack[:, :64, :64].astype(np.uint8))),
    )
    wait_for_answer(page)
    assert page.locator("#intake-title").inner_text() == "dropped.tif"


def test_channels_can_be_put_in_another_order(answered, client, stack, engine):
    """Choosing another stain for a channel exchanges the two, asks again, and renames the panels."""
    stains = list(engine.bundle.manifest.input.channels)
    answered.get_by_text("Order of the channels").click()
    answered.get_by_label("Channel 1").select_option(stains[3])
    wait_for_answer(answered)
    stains[0], stains[3] = stains[3], stains[0]
    best = client.predict(stack, channels=stains).prediction
    assert numbers(answered, best.treatment)[0] == round(best.probability, 3)
    assert answered.locator(".card-head").all_inner_texts() == stains


def test_a_stack_of_two_stains_is_shown_and_refused(page, stack):
    """A stack of another number of channels is shown, and the service's refusal stands above it in its words."""
    send(page, ("two.tif", tiff_of(stack[:2])))
    page.wait_for_selector(".is-problem")
    page.wait_for_selector(".card")
    assert "wrong_channels" in page.locator("#notices").inner_text()
    assert page.locator(".card").count() == 2
    assert page.locator("#prediction h2").inner_text() == "No answer"


def test_a_bundle_without_calibration_has_no_set(open_page, serve):
    """With a bundle of format 1 the prediction is shown without set and without notice."""
    with serve(FORMAT_1) as url, Client(url) as client:
        page = open_page(url)
        channels = client.bundle().channels
        drawn = np.random.default_rng(1).integers(0, 255, (len(channels), 80, 80), np.uint8)
        stack = uniform_filter(drawn, (1, 3, 3))
        send(page, ("site.tif", tiff_of(stack)))
        wait_for_answer(page)
        assert page.locator("#prediction .bars tr").count() == 1 + len(client.bundle().treatments)
        assert page.locator(".in-set, .set, .is-warning").count() == 0
        page.close()
