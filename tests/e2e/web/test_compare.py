"""What a biologist measures and compares on the page: channels as PNGs, intensities, scale, a control beside a site."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from phenoserve.errors import ERRORS, ErrorCode

from .conftest import chromium
from .steps import panels, send, set_range, settle, tiff_of, wait_for_answer

pytestmark = pytest.mark.browser

STACK = np.random.default_rng(5).gamma(2.0, 300.0, (6, 96, 128)).astype(np.uint16)


def png_of(channel: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(channel).save(file, "PNG", **options)
    return file.getvalue()


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_png_a_channel_is_one_stack(page, dtype):
    """Six PNGs of 8 or 16 bits, chosen in any order, are sent as one TIFF of their exact pixels."""
    stack = (STACK.clip(0, 2550) // 10).astype(np.uint8) if dtype == "uint8" else STACK
    files = [(f"B02_s1_w{index + 1}.png", png_of(channel)) for index, channel in enumerate(stack)]
    send(page, *files[::-1])
    wait_for_answer(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Stack .tif").click()
    np.testing.assert_array_equal(tifffile.imread(download.value.path()), stack)
    assert f"pixels, {dtype}" in page.locator("#intake").inner_text()


def test_pngs_whose_names_do_not_tell_wait_for_the_reader(page):
    """PNGs with names that tell no channel are shown, and nothing is asked before the reader gave the order."""
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    send(page, *[(f"{name}.png", png_of(channel)) for name, channel in zip("abcdef", STACK, strict=True)])
    button = page.get_by_role("button", name="Ask in this order")
    button.wait_for()
    assert page.locator(".card").count() == 6
    assert not any("predict" in url for url in asked)
    button.click()
    wait_for_answer(page)


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (png_of(np.zeros((96, 128, 3), np.uint8)), "w6.png: It is a PNG of red, green and blue"),
        (png_of(STACK[0, :50]), "w6.png is 50 \N{MULTIPLICATION SIGN} 128 uint16"),
        (png_of(np.zeros((96, 128), np.uint8)), "w6.png is 96 \N{MULTIPLICATION SIGN} 128 uint8"),
        (png_of(STACK[0])[:200], "w6.png: It is a PNG that is cut short"),
        (b"text", "w6.png: It is neither a TIFF nor a PNG"),
        (tiff_of(STACK[0], photometric="miniswhite"), "w6.png is a TIFF of photometric interpretation 0"),
    ],
    ids=["colours", "size", "depth", "cut", "text", "inverted"],
)
def test_a_file_that_is_no_channel_is_named(page, odd, words):
    """A file that cannot be a channel beside the others is named with what was found, before anything is sent."""
    files = [(f"w{index + 1}.png", png_of(channel)) for index, channel in enumerate(STACK[:5])]
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    send(page, *files, ("w6.png", odd))
    page.get_by_text(words).wait_for()
    assert not any("predict" in url for url in asked)


def test_the_intensities_under_pointer_and_cross_are_the_files(page):
    """Pointer and keys tell x, y and the exact intensity of every channel there; keys are spoken."""
    send(page, ("site.tif", tiff_of(STACK)))
    wait_for_answer(page)
    surface = page.locator("#composite .surface").first
    box = surface.bounding_box()
    pixel = box["width"] / STACK.shape[2]
    surface.hover(position={"x": 30.5 * pixel, "y": 20.5 * pixel})
    readout = page.locator("#readout")

    def told() -> list[int]:
        place, _, values = readout.inner_text().partition(": ")
        return [
            int(word.rpartition(" ")[2]) for word in (*place.split(", "), *values.split(" \N{MIDDLE DOT} "))
        ]

    assert told() == [30, 20, *STACK[:, 20, 30]]
    assert readout.get_attribute("aria-live") == "off"
    surface.press("Shift+ArrowRight")
    surface.press("Shift+ArrowDown")
    x, y, *values = told()
    assert [x > 30, y > 20] == [True, True]
    assert values == list(STACK[:, y, x])
    assert readout.get_attribute("aria-live") == "polite"


@pytest.mark.parametrize(
    ("options", "facts"),
    [
        (
            {"ome": True, "metadata": {"axes": "CYX", "PhysicalSizeX": 0.65, "PhysicalSizeXUnit": "µm"}},
            "0.65 µm",
        ),
        ({"imagej": True, "resolution": (2, 2), "metadata": {"axes": "CYX", "unit": "um"}}, "0.5 µm"),
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, None),
        ({}, None),
    ],
    ids=["ome", "imagej", "screen", "none"],
)
def test_a_scale_bar_stands_where_the_pixel_size_is_known(page, options, facts):
    """The bar is as long as it says, at any zoom; a file without a pixel size or unit has none."""
    send(page, ("site.tif", tiff_of(STACK, **options)))
    wait_for_answer(page)
    bar = page.locator(".scale-bar").first
    assert bar.is_visible() is (facts is not None)
    if facts is None:
        return
    assert f"{facts} a pixel" in page.locator("#intake").inner_text()
    for zoom in (1, 1.5):
        length = float(bar.inner_text().removesuffix(" µm")) / float(facts.removesuffix(" µm"))
        surface = page.locator("#composite .surface").first
        shown = bar.bounding_box()["width"] / surface.bounding_box()["width"]
        assert shown == pytest.approx(length * zoom / STACK.shape[2], rel=0.03)
        page.get_by_role("button", name="Zoom in").click()


def test_two_stacks_are_shown_between_the_same_limits(page, client):
    """A kept stack stands beside the next: same contrast, same view, its own answer; letting it go takes it away."""
    dim = STACK // 2
    send(page, ("control.tif", tiff_of(STACK)))
    wait_for_answer(page)
    page.get_by_role("button", name="Keep to compare").click()
    page.get_by_text("control.tif is kept: open the stack to see beside it.").wait_for()
    send(page, ("treated.tif", tiff_of(dim)))
    wait_for_answer(page)
    page.get_by_label("Opacity").fill("0")
    pictures = panels(page)
    assert len(pictures) == 2 * 7
    high = float(page.get_by_label("Hoechst: contrast to").input_value())
    low = float(page.get_by_label("Hoechst: contrast from").input_value())
    for picture, channel in zip(pictures[2:4], (dim[0], STACK[0]), strict=True):
        expected = 255 * ((channel.astype(float) - low) / (high - low)).clip(0, 1).mean()
        assert picture.mean() == pytest.approx(expected, rel=0.1)
    captions = page.locator("#composite figcaption").all_inner_texts()
    for caption, (name, stack) in zip(captions, (("treated.tif", dim), ("control.tif", STACK)), strict=True):
        best = client.predict(stack).prediction
        assert [name in caption, f"{best.treatment} {best.probability:.3f}" in caption] == [True, True]
    set_range(page.get_by_label("Hoechst: contrast to"), low + 1)
    page.locator(".surface").nth(1).press("+")
    assert all((one != two).any() for one, two in zip(pictures[2:4], panels(page)[2:4], strict=True))
    page.get_by_role("button", name="Remove the stack beside").click()
    settle(page)
    assert len([one for one in page.locator(".surface").all() if one.is_visible()]) == 7


def test_copying_works_without_a_clipboard(page):
    """Where the browser gives no clipboard, as on plain HTTP, the line is copied; where it may not, it is selected."""
    send(page, ("site.tif", tiff_of(STACK)))
    wait_for_answer(page)
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.evaluate("document.addEventListener('copy', () => { window.copied = String(getSelection()); })")
    page.get_by_role("button", name="Copy").click()
    page.get_by_text("copied", exact=True).wait_for()
    assert page.evaluate("window.copied") == page.locator("pre").inner_text()
    page.evaluate("document.execCommand = () => false")
    page.evaluate("getSelection().empty()")
    page.get_by_role("button", name="Copy").click()
    page.get_by_text("press Ctrl+C").wait_for()
    assert page.evaluate("String(getSelection())") == page.locator("pre").inner_text()


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("action", ["Heatmap .tif", "Attribute to stains", "Example 1"])
def test_an_expired_key_is_asked_for_again_everywhere(page, action, status):
    """Whatever is asked with a key that is refused, the page asks for another and repeats it."""
    send(page, ("site.tif", tiff_of(STACK)))
    wait_for_answer(page)
    kind = ERRORS[ErrorCode.KEY_WRONG]
    body = {"title": kind.title, "status": status, "code": ErrorCode.KEY_WRONG, "detail": "It has expired."}
    refused = []

    def refuse_once(route) -> None:
        refused.append(route.request.url)
        route.fulfill(status=status, json=body)

    page.route("**/*", refuse_once, times=1)
    page.get_by_role("button", name=action).click()
    page.get_by_text("It has expired.").wait_for()
    page.get_by_label("API key", exact=True).fill("another")
    with page.expect_request(refused[0]) as repeated:
        page.get_by_role("button", name="Continue").click()
    assert repeated.value.headers["x-api-key"] == "another"
    assert page.locator(".is-problem").count() == 0


def test_an_attribution_tells_its_progress_and_can_be_cancelled(page):
    """While stains are attributed the page tells passes and time; Cancel ends the request and offers it again."""
    send(page, ("site.tif", tiff_of(STACK)))
    wait_for_answer(page)
    page.route("**/explain*", lambda held: None)
    page.get_by_role("button", name="Attribute to stains").click()
    panel = page.locator("#stain-attribution")
    panel.get_by_text("64 passes through the network").wait_for()
    assert panel.get_by_role("progressbar").is_visible()
    with page.expect_event("requestfailed"):
        panel.get_by_role("button", name="Cancel").click()
    page.unroute("**/explain*")
    panel.get_by_role("button", name="Attribute to stains").click()
    page.wait_for_selector("#stain-attribution table")
    assert page.locator(".is-problem").count() == 0


def test_without_webgl_everything_but_pictures_works(browser, service_url):
    """A browser that cannot draw says so in a sentence; answer, order, attribution and downloads are there."""
    with chromium(browser.browser_type, "--disable-3d-apis") as without_webgl:
        page = without_webgl.new_page()
        faults = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(f"{service_url}/")
        page.wait_for_selector(".examples button")
        send(page, ("site.tif", tiff_of(STACK)))
        page.get_by_text("No picture: This browser cannot draw stacks: it has no WebGL 2.").wait_for()
        page.wait_for_selector("#prediction tbody tr")
        page.wait_for_selector("#progress", state="hidden")
        assert page.locator("#composite").is_hidden()
        picture = page.get_by_role("img", name="Every stain, and over it what speaks for")
        picture.wait_for()
        assert (
            picture.evaluate("one => new Set(one.getContext('2d').getImageData(0, 0, 99, 99).data).size") > 9
        )
        page.get_by_role("button", name="Attribute to stains").click()
        page.wait_for_selector("#stain-attribution table")
        with page.expect_download() as download:
            page.get_by_role("button", name="Overlay .png").click()
        assert download.value.path().read_bytes().startswith(b"\x89PNG")
        assert faults == []
