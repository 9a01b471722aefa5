"""The interactive documentation in a real browser."""

import pytest

pytestmark = pytest.mark.browser


def test_the_documentation_works_without_any_other_host(open_page, service_url):
    """`/docs` shows every route and tries one, asking the service alone and breaking no policy."""
    page = open_page(service_url)
    page.goto(f"{service_url}/docs")
    page.wait_for_selector(".opblock")
    shown = {path.inner_text().replace("\u200b", "") for path in page.locator(".opblock-summary-path").all()}
    assert {"/predict", "/embed", "/explain", "/bundle", "/readyz", "/metrics"} <= shown
    page.locator("#operations-operations-livez").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    page.wait_for_selector(".live-responses-table")
    assert "alive" in page.locator(".live-responses-table").inner_text()
