"""How fast the web page answers the hand: from a change of treatment or contrast to the pixel that it changed.

    phenoserve serve BUNDLE &
    python benchmarks/page.py http://127.0.0.1:8000 ch1.tif ch2.tif ch3.tif ch4.tif ch5.tif ch6.tif

Prints medians and ranges, and the time from the service's reply to the first answer shown. Runs Chromium without a
window, where WebGL is done in software: the worst case.
"""

import os
import shutil
import statistics
from pathlib import Path
from typing import Annotated

import typer
from playwright.sync_api import Page, sync_playwright

ROUNDS = 5
WAIT_MS = 120_000

# Reading a pixel back waits for the GPU.
TIMED = """async ([selector, values, type]) => {
  const control = document.querySelector(selector);
  const canvas = document.querySelector(".surface canvas");
  const times = [];
  for (const value of values) {
    const began = performance.now();
    control.value = value;
    control.dispatchEvent(new Event(type, { bubbles: true }));
    await new Promise(done => requestAnimationFrame(done));
    canvas.getContext("2d").getImageData(0, 0, 1, 1);
    times.push(performance.now() - began);
  }
  return times;
}"""

ANSWER_TIMER = """() => {
  new MutationObserver((_, observer) => {
    if (!document.querySelector("#prediction tbody tr")) return;
    observer.disconnect();
    window.shownAt = performance.now();
  }).observe(document.querySelector("#prediction"), { childList: true, subtree: true });
}"""

REPLIED = "performance.getEntriesByType('resource').find(e => e.name.endsWith('/predict')).responseEnd"


def main(
    url: Annotated[str, typer.Argument(help="Address of a running service.")],
    files: Annotated[list[Path], typer.Argument(help="A stack, or a file a channel.", exists=True)],
) -> None:
    """Measure."""
    executable = shutil.which("chromium")
    options = ["--enable-unsafe-swiftshader", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=options)
        page = browser.new_page()
        page.set_default_timeout(WAIT_MS)
        page.goto(url)
        page.evaluate(ANSWER_TIMER)
        page.set_input_files("input[type=file]", files)
        page.wait_for_selector(".heatmap:not([hidden])")
        page.wait_for_selector("#progress", state="hidden")
        print(f"first answer after the reply: {page.evaluate(f'window.shownAt - {REPLIED}'):.0f} ms")
        picker = page.get_by_label("Evidence for").locator("option")
        treatments = picker.evaluate_all("all => all.map(one => one.value)")
        _show(page, "treatment switched", "#composite select", treatments * ROUNDS, "change")
        limits = [*range(60_000, 30_000, -2_000)]
        _show(page, "contrast dragged", ".card input[aria-label$='contrast to']", limits, "input")
        browser.close()


def _show(page: Page, what: str, selector: str, values: list[object], event: str) -> None:
    times = page.evaluate(TIMED, [selector, values, event])
    print(
        f"{what}: median {statistics.median(times):.0f} ms, {min(times):.0f} to {max(times):.0f} ({len(times)} times)"
    )


if __name__ == "__main__":
    typer.run(main)
