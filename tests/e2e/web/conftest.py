import os
import shutil
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserType, Page, sync_playwright

WAIT_MS = 20_000
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")


def chromium(browser_type: BrowserType, *options: str) -> Browser:
    executable = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if executable is None:
        pytest.skip("no Chromium is on the PATH; `make chromium` installs Debian's where apt-get may")
    # Chromium's sandbox refuses to run as root; without a GPU, WebGL runs in software.
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    all_options = ["--enable-unsafe-swiftshader", *sandbox, *options]
    return browser_type.launch(executable_path=executable, args=all_options)


# Playwright keeps an event loop running on its thread, so it must not outlive the module: others use anyio.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = chromium(playwright.chromium)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser) -> Iterator[Callable[..., Page]]:
    """Opens pages that fail the test if they ask any other host, break their policy, or raise."""
    faults, contexts = [], []

    def start(url: str, **options: object) -> Page:
        context = browser.new_context(accept_downloads=True, **options)
        contexts.append(context)
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=url)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)

        def is_foreign(asked: str) -> bool:
            return urlsplit(asked).scheme != "blob" and not asked.startswith(f"{url}/")

        page.on("request", lambda asked: is_foreign(asked.url) and faults.append(asked.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda told: "Content Security" in told.text and faults.append(told.text))
        page.goto(f"{url}/")
        return page

    yield start
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def page(open_page, service_url) -> Page:
    page = open_page(service_url)
    page.wait_for_selector(".examples button")
    return page
