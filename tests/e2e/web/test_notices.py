"""What the page says of a stack that is answered, and of names that leave its channels open."""

import io

import numpy as np
import pytest
import tifffile
from scipy.ndimage import uniform_filter

from .steps import send, tiff_of, wait_for_answer

pytestmark = pytest.mark.browser

STAINS = ("Hoechst", "ConA", "Phalloidin", "Syto14", "MitoTracker", "WGA")
IN_ORDER = "Channels were taken in the bundle's order; the file names no channels."


@pytest.fixture
def stack() -> np.ndarray:
    drawn = np.random.default_rng(4).gamma(2.0, 300.0, (len(STAINS), 96, 128))
    return uniform_filter(drawn, (1, 3, 3)).astype(np.uint16)


def order_words(page) -> str:
    return page.locator("#channel-order").inner_text()


@pytest.mark.parametrize("width_px", [390, 1400])
def test_notices_stand_beside_the_prediction(page, client, stack, width_px):
    """Each notice of the answer is a warning in the service's words, and the order's origin a line, at any width."""
    page.set_viewport_size({"width": width_px, "height": 900})
    stack[5] = 7
    stack[3] = stack[1]
    told = client.predict(stack).stack.notices
    assert {notice.code for notice in told} == {"dead_channel", "repeated_channel"}
    send(page, ("site.tif", tiff_of(stack)))
    wait_for_answer(page)
    shown = page.locator("#prediction .is-warning[role=alert]").all_inner_texts()
    for notice in told:
        assert any(notice.detail in words and notice.channels[0] in words for words in shown)
    assert order_words(page) == IN_ORDER
    assert page.evaluate("document.documentElement.scrollWidth") <= width_px


def test_a_stack_without_faults_has_no_notice(page, client, stack):
    """Where the service noticed nothing, nothing but the origin of the order is said."""
    assert client.predict(stack).stack.notices == ()
    send(page, ("site.tif", tiff_of(stack)))
    wait_for_answer(page)
    titles = page.locator("#prediction .is-warning strong").all_inner_texts()
    assert set(titles) <= {"Unlike what the model learned from"}


def test_files_are_taken_by_the_stains_in_their_names(page, client, stack):
    """Files named by stains are sent with their stains, whatever the order of the names, and the page says so."""
    expected = client.predict(stack).prediction
    send(
        page, *((f"B02_s1_{name}.tif", tiff_of(channel)) for name, channel in zip(STAINS, stack, strict=True))
    )
    wait_for_answer(page)
    assert order_words(page) == "Channels were taken by the names of the files."
    assert expected.treatment in page.locator("#prediction dl").inner_text()
    assert set(page.locator(".card-head").all_inner_texts()) == set(STAINS)


def test_files_whose_names_tell_nothing_wait_for_the_reader(page, client, stack):
    """Nothing is sent until the reader has said which file shows which stain, and then it is taken so."""
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    send(page, *((f"{name}.tif", tiff_of(channel)) for name, channel in zip("abcdef", stack, strict=True)))
    page.get_by_text("do not tell which stain each shows").wait_for()
    page.get_by_label("Channel 1: a.tif").select_option("WGA")
    assert not any("predict" in url for url in asked)
    page.get_by_role("button", name="Ask in this order").click()
    wait_for_answer(page)
    assert order_words(page) == "Channels were taken in the order chosen here."
    order = ["WGA", *STAINS[1:5], "Hoechst"]
    expected = client.predict(stack, channels=order).prediction.probability
    assert f"{expected:.3f}" in page.locator("#prediction dl").inner_text()
    assert page.locator(".card-head").all_inner_texts() == order


def test_names_that_contradict_the_order_wait_for_the_reader(page, stack):
    """A file that names one stain at another's place is refused in the service's words, and can be put in order."""
    labels = ["x", "Hoechst", "y", "z", "u", "v"]
    send(page, ("labels.tif", imagej_tiff_of(stack, labels)))
    page.get_by_text("ambiguous_channels").wait_for()
    page.get_by_role("button", name="Ask in this order").click()
    wait_for_answer(page)
    assert order_words(page) == "Channels were taken in the order chosen here."


def test_labels_of_imagej_are_named_as_the_origin(page, stack):
    """Where labels in the file told the stains, the page says so."""
    send(page, ("labels.tif", imagej_tiff_of(stack, [name.lower() for name in STAINS[::-1]])))
    wait_for_answer(page)
    assert order_words(page) == "Channels were taken by the labels in the file (ImageJ)."
    assert page.locator(".card-head").all_inner_texts() == list(STAINS[::-1])


def imagej_tiff_of(stack: np.ndarray, labels: list[str]) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, stack, imagej=True, metadata={"axes": "CYX", "Labels": labels})
    return file.getvalue()
