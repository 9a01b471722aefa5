"""Whether everyone can use the page: axe-core's rules, the keyboard, narrow and wide screens."""

from pathlib import Path

import numpy as np
import pytest

from .steps import panels, send, tiff_of, wait_for_answer

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[3] / "clients" / "web" / "node_modules" / "axe-core" / "axe.min.js"
STACK = np.random.default_rng(8).integers(0, 4000, (6, 96, 96), np.uint16)
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def axe() -> str:
    if not AXE.exists():
        pytest.skip("axe-core is not installed; `make web` installs it where there is Node")
    return AXE.read_text("utf-8")


def violations(page, axe: str) -> list[str]:
    page.evaluate(axe)
    found = page.evaluate("rules => axe.run(document, { runOnly: rules })", RULES)["violations"]
    return [f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(open_page, service_url, axe, scheme):
    """Empty, answered, attributed, beside another and refused, the page breaks none of axe's rules, light or dark."""
    # axe is put into the page, which the page's own policy would forbid.
    page = open_page(service_url, color_scheme=scheme, bypass_csp=True)
    page.wait_for_selector(".examples button")
    assert violations(page, axe) == []
    send(page, ("site.tif", tiff_of(STACK)))
    wait_for_answer(page)
    page.get_by_text("Order of the channels").click()
    page.get_by_role("button", name="Attribute to stains").click()
    page.wait_for_selector("#stain-attribution table")
    assert violations(page, axe) == []
    page.get_by_role("button", name="Keep to compare").click()
    send(page, ("other.tif", tiff_of(STACK // 2)))
    wait_for_answer(page)
    page.locator(".surface").first.press("Shift+ArrowRight")
    assert page.locator("#composite .surface").count() == 2
    assert violations(page, axe) == []
    send(page, ("odd.tif", b"no TIFF"))
    page.wait_for_selector(".is-problem")
    assert violations(page, axe) == []


def test_axe_finds_nothing_in_the_question_for_a_key(open_page, serve, tiny_bundle, axe, tmp_path):
    """The question for a key breaks none of axe's rules."""
    keys = tmp_path / "keys"
    keys.write_text("0" * 64)
    with serve(tiny_bundle, "--api-keys-file", str(keys)) as url:
        page = open_page(url, bypass_csp=True)
        page.wait_for_selector("dialog")
        assert violations(page, axe) == []
        page.close()


@pytest.mark.parametrize("width", [320, 390, 1024, 1920])
def test_nothing_is_wider_than_the_screen(open_page, service_url, width):
    """At any width the answered page scrolls downwards only, with one stack and with two."""
    page = open_page(service_url, viewport={"width": width, "height": 800})
    for _ in range(2):
        send(page, ("a-file-with-a-rather-long-name-that-cannot-be-broken_s1_w1.tif", tiff_of(STACK)))
        wait_for_answer(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.get_by_role("button", name="Keep to compare").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_everything_is_reached_by_tab(page):
    """Tab alone reaches every control that is shown, and each shows that it has the focus."""
    send(page, ("site.tif", tiff_of(STACK)))
    wait_for_answer(page)
    expected = page.evaluate(
        """() => [...document.querySelectorAll("a[href], button, select, input, summary, [tabindex='0']")]
          .filter(one => one.checkVisibility() && !one.closest("details:not([open]) > :not(summary)")).length"""
    )
    page.locator("body").press("Home")
    page.evaluate("document.activeElement.blur()")
    reached = set()
    for _ in range(expected + 5):
        page.keyboard.press("Tab")
        told = page.evaluate(
            """() => {
              const all = [...document.querySelectorAll("*")];
              const style = getComputedStyle(document.activeElement);
              return [all.indexOf(document.activeElement), document.activeElement.tagName, style.outlineStyle];
            }"""
        )
        if told[1] != "BODY":
            assert told[2] != "none", told
            reached.add(told[0])
    assert len(reached) == expected


def test_a_wide_screen_shows_the_same_pixels_sharper(open_page, service_url):
    """On a screen of twice the pixel density every panel has twice the pixels along an axis."""
    sizes = []
    for density in (1, 2):
        page = open_page(service_url, device_scale_factor=density)
        send(page, ("site.tif", tiff_of(STACK)))
        wait_for_answer(page)
        sizes.append(panels(page)[1].shape[1])
    assert sizes[1] == pytest.approx(2 * sizes[0], abs=2)
