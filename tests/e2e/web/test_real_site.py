"""A real six-channel site on the page."""

from itertools import pairwise

import pytest

from .steps import panels, send, wait_for_answer

pytestmark = [pytest.mark.browser, pytest.mark.data]


def test_a_real_site_is_shown_and_answered(page, data_root):
    """Six LZW files of one channel each are joined, shown and answered."""
    files = sorted((data_root / "cellpainting6").glob("*ch?sk1fk1fl1.tiff"))
    assert len(files) == 6
    send(page, *files)
    wait_for_answer(page)
    assert (
        "6 channels of 1080 \N{MULTIPLICATION SIGN} 1080 pixels, uint16"
        in page.locator("#intake").inner_text()
    )
    assert all(picture.std() > 5 for picture in panels(page))


def test_a_real_site_of_pngs_is_shown_and_answered(page, data_root):
    """The six 8-bit PNGs of a site as RxRx1 ships them are its channels, each panel another picture."""
    folder = data_root / "rxrx1" / "data" / "test" / "HEPG2-08" / "Plate1"
    files = sorted(folder.glob("B02_s1_w?.png"))
    assert len(files) == 6
    send(page, *files)
    wait_for_answer(page)
    assert (
        "6 channels of 512 \N{MULTIPLICATION SIGN} 512 pixels, uint8" in page.locator("#intake").inner_text()
    )
    shown = panels(page)
    assert all(picture.std() > 5 for picture in shown)
    assert not any((one == other).all() for one, other in pairwise(shown[1:]))
