"""What a reader does on the page, and what the page then shows."""

import io
from base64 import b64decode
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image
from playwright.sync_api import Locator, Page


def tiff_of(stack: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, stack, **{"photometric": "minisblack", **options})
    return file.getvalue()


def send(page: Page, *files: tuple[str, bytes] | Path) -> None:
    """Choose files, as a reader would in the dialog."""
    chosen = [
        file if isinstance(file, Path) else {"name": file[0], "mimeType": "image/tiff", "buffer": file[1]}
        for file in files
    ]
    page.set_input_files("input[type=file]", chosen)


def wait_for_answer(page: Page) -> None:
    """Wait until stack, prediction and heatmap are all shown."""
    page.wait_for_selector(".card")
    page.wait_for_selector(".heatmap:not([hidden])")
    page.wait_for_selector("#progress", state="hidden")
    settle(page)


def settle(page: Page) -> None:
    """Let the frame that is due be painted, and sharpened where it was painted coarsely first."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.wait_for_function("() => !document.querySelector('.surface canvas[aria-busy=true]')")


def panels(page: Page) -> list[np.ndarray]:
    """What composite and stains show, in order, each `(y, x, 3)`."""
    settle(page)
    pictures = page.locator(".surface canvas").evaluate_all("all => all.map(one => one.toDataURL())")
    return [
        np.asarray(Image.open(io.BytesIO(b64decode(url.partition(",")[2]))).convert("RGB"))
        for url in pictures
    ]


def set_range(handle: Locator, value: float) -> None:
    """Drag a handle: each step is an input event."""
    handle.evaluate(
        "(input, value) => { input.value = value; input.dispatchEvent(new Event('input', { bubbles: true })); }",
        value,
    )
