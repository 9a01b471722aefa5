"""What the page says when something is wrong: the service's own words, and a way on."""

from collections.abc import Callable
from hashlib import sha256

import numpy as np
import pytest
from playwright.sync_api import Route

from phenoserve.errors import ERRORS, ErrorCode

from .steps import panels, send, tiff_of, wait_for_answer

pytestmark = pytest.mark.browser

STACK = np.random.default_rng(8).integers(0, 4000, (6, 96, 96), np.uint16)


def with_nan() -> np.ndarray:
    stack = STACK.astype(np.float32)
    stack[0, 5, 5] = np.nan
    return stack


def answering(status: int, body: dict) -> Callable[[Route], None]:
    return lambda route: route.fulfill(status=status, json=body)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"no TIFF at all", "not_a_tiff"),
        (tiff_of(STACK)[:5000], "damaged_tiff"),
        (tiff_of(STACK[:5]), "wrong_channels"),
        (tiff_of(STACK[:, :20, :20]), "field_too_small"),
        (tiff_of(with_nan()), "non_finite_pixels"),
        (tiff_of(STACK.astype(np.int32)), "unsupported_pixels"),
        (tiff_of((STACK // 16).astype(np.uint8), compression="jpeg"), "unsupported_codec"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_refusal_is_in_the_services_words(page, content, code):
    """Whatever the service refuses, title, detail and code of its problem stand on the page."""
    with page.expect_response("**/predict") as response:
        send(page, ("odd.tif", content))
    problem = response.value.json()
    assert problem["code"] == code
    notice = page.locator(".is-problem")
    notice.wait_for()
    for word in (problem["title"], problem["detail"], code, str(problem["status"])):
        assert word in notice.inner_text()
    assert page.locator("#progress").is_hidden()


def test_every_code_is_told_and_can_be_tried_again(page):
    """For each error of the service's table but those of keys the page shows its words, and trying again succeeds."""
    codes = set(ERRORS) - {ErrorCode.KEY_MISSING, ErrorCode.KEY_WRONG, ErrorCode.KEY_INSUFFICIENT}
    for code in sorted(codes):
        kind = ERRORS[code]
        body = {
            "type": f"/problems/{code}",
            "title": kind.title,
            "status": kind.status,
            "code": code,
            "detail": "As said.",
        }
        page.route("**/predict", answering(kind.status, body))
        send(page, ("site.tif", tiff_of(STACK)))
        notice = page.locator(".is-problem")
        notice.wait_for()
        assert [kind.title in notice.inner_text(), code in notice.inner_text()] == [True, True]
        page.unroute("**/predict")
    page.get_by_role("button", name="Try again").click()
    wait_for_answer(page)
    assert page.locator(".is-problem").count() == 0


def test_limits_of_the_service_are_told(open_page, serve, tiny_bundle):
    """Too many bytes, and too many pixels, are refused by the service and told on the page."""
    with serve(tiny_bundle, "--max-body-mib", "0.5", "--max-decoded-mib", "0.05") as url:
        page = open_page(url)
        for stack, code in ((STACK[:, :64, :64], None), (STACK, "stack_too_large")):
            send(page, ("site.tif", tiff_of(stack)))
            if code is None:
                wait_for_answer(page)
            else:
                page.get_by_text(code).wait_for()
        page.close()


def test_a_service_that_is_gone_is_told(page):
    """Without a connection the page says so, and goes on once there is one."""
    page.route("**/predict", lambda route: route.abort())
    send(page, ("site.tif", tiff_of(STACK)))
    page.get_by_text("The service does not answer").wait_for()
    page.unroute("**/predict")
    page.get_by_role("button", name="Try again").click()
    wait_for_answer(page)


def test_a_failed_explanation_leaves_the_prediction(page):
    """When only the explanation fails, stack and prediction stay, and it can be tried again."""
    page.route(
        "**/explain*",
        lambda route: route.fulfill(status=502, content_type="text/html", body="<html>Bad gateway"),
    )
    send(page, ("site.tif", tiff_of(STACK)))
    page.get_by_text("answered 502 with text/html instead. The service behind it may be down").wait_for()
    assert page.locator("#prediction tbody tr").count() == 5
    page.wait_for_selector(".card")
    assert len(panels(page)) == 7
    page.unroute("**/explain*")
    page.get_by_role("button", name="Try again").click()
    wait_for_answer(page)


def test_a_login_page_in_place_of_an_answer_is_told(page):
    """HTML that comes with status 200 is no answer, and the page says in words what it is."""
    page.route("**/predict", lambda route: route.fulfill(status=200, content_type="text/html", body="<html>"))
    send(page, ("site.tif", tiff_of(STACK)))
    page.get_by_text("answered 200 with text/html instead. It may want a login").wait_for()


def test_files_that_are_no_stack_are_named(page):
    """Files of different sizes, or of several channels, are refused by name before anything is sent."""
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    send(page, ("a.tif", tiff_of(STACK[0])), ("b.tif", tiff_of(STACK[0, :50])))
    page.get_by_text("b.tif is 50 \N{MULTIPLICATION SIGN} 96 uint16").wait_for()
    send(page, ("a.tif", tiff_of(STACK)), ("b.tif", tiff_of(STACK)))
    page.get_by_text("a.tif holds 6").wait_for()
    assert not any("predict" in url for url in asked)


def test_what_the_page_cannot_show_is_answered_all_the_same(page):
    """A codec that only the service reads gives the answer, why there is no picture, and the service's overlay."""
    send(page, ("site.tif", tiff_of(STACK, compression="lzma")))
    page.wait_for_selector("#prediction tbody tr")
    page.get_by_text("No picture:").wait_for()
    page.get_by_role("img", name="Every stain, and over it what speaks for").wait_for()
    assert page.locator("#composite").is_hidden()


def test_waiting_is_shown(page):
    """While an answer is on its way, a progress bar and a line that screen readers speak say what is waited for."""
    for route, words in (("**/predict", "Uploading"), ("**/explain*", "The service explains its answer")):
        page.route(route, lambda held: None)
        send(page, ("site.tif", tiff_of(STACK)))
        page.locator("#progress [role=status]").get_by_text(words).wait_for()
        assert page.get_by_role("progressbar").is_visible()
        page.unroute(route)
    send(page, ("site.tif", tiff_of(STACK)))
    wait_for_answer(page)


def test_a_key_is_asked_for_and_kept_nowhere(open_page, serve, tiny_bundle, tmp_path):
    """The page asks until the key is right, stores it nowhere, and asks again when it is loaded anew."""
    keys, admin_keys = tmp_path / "keys", tmp_path / "admin_keys"
    keys.write_text(sha256(b"the-right-key").hexdigest())
    admin_keys.write_text(sha256(b"an-admin-key").hexdigest())
    with serve(tiny_bundle, "--api-keys-file", str(keys), "--admin-keys-file", str(admin_keys)) as url:
        page = open_page(url)
        field = page.get_by_label("API key", exact=True)
        page.get_by_text(ERRORS[ErrorCode.KEY_MISSING].title).wait_for()
        field.fill("a-wrong-key")
        field.press("Enter")
        page.get_by_text(ERRORS[ErrorCode.KEY_WRONG].title).wait_for()
        field.fill("an-admin-key")
        field.press("Enter")
        page.get_by_text(ERRORS[ErrorCode.KEY_INSUFFICIENT].title).wait_for()
        page.get_by_text("Send one of the other kind.").wait_for()
        field.fill("the-right-key")
        page.get_by_role("button", name="Continue").click()
        page.get_by_role("button", name="Example 1").click()
        wait_for_answer(page)
        curl = page.locator("pre").inner_text()
        assert "$PHENOSERVE_KEY" in curl
        assert "the-right-key" not in page.content()
        assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
        page.reload()
        field.wait_for()
        page.close()
