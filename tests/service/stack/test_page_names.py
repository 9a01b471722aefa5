"""Names that stand beside the pages are read wherever programs write them, and nothing else is taken for a name."""

import io
import json
from collections.abc import Sequence

import numpy as np
import pytest
import tifffile

from phenoserve.stack import DamagedTiffError, read_stack

from .tiffs import write

NAMES = ("WGA", "ConA", "DNA")
GRAY = {"photometric": "minisblack", "metadata": None}


def pages(*, texts: Sequence[str | None] = (), tags: Sequence[list] = ([], [], [])) -> bytes:
    """Three pages, each with a description or tags of its own."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for text, of_page in zip(texts or [None] * 3, tags, strict=True):
            content = None if text is None else text.encode()
            field = np.zeros((8, 10), np.uint16)
            writer.write(field, description=content, extratags=of_page, contiguous=False, **GRAY)
    return file.getvalue()


def text_tag(code: int, text: str) -> list[tuple]:
    """A tag of one page that holds a text."""
    return [(code, 2, 0, text, True)]


def shaped(**metadata: object) -> bytes:
    """Three pages with tifffile's metadata."""
    return write(
        np.zeros((3, 8, 10), np.uint16), photometric="minisblack", metadata={"axes": "CYX", **metadata}
    )


@pytest.mark.parametrize(
    "content",
    [
        shaped(Channel={"Name": NAMES}),
        shaped(channels=NAMES),
        shaped(Channels=[{"name": name, "exposure_ms": 20} for name in NAMES]),
        shaped(stain_names=NAMES, channel_colours=[1, 2, 3]),
        shaped(labels=["nuclei", "cells"], dyes=NAMES),
        pages(texts=[f"Channel: {name}" for name in NAMES]),
        pages(texts=[f"objective=40x\nexposure={place}\nname={name}" for place, name in enumerate(NAMES)]),
        pages(texts=[f'<MetaData><prop id="image-name" type="string" value="{name}"/></MetaData>' for name in NAMES]),
        pages(tags=[text_tag(285, name) for name in NAMES]),
        pages(tags=[text_tag(51123, json.dumps({"Channel": name, "SliceIndex": 0})) for name in NAMES]),
    ],
)  # fmt: skip
def test_names_are_read_where_programs_write_them(content: bytes) -> None:
    """Metadata of tifffile's under whichever key, Micro-Manager's tags, PageName, and descriptions of any form."""
    assert read_stack(content).page_names == NAMES


@pytest.mark.parametrize(
    ("found", "names"),
    [(("WGA", None, None), None), (("WGA", "WGA", "WGA"), None), (("WGA", "ConA", None), ("WGA", "ConA", "")),
     (("WGA", "WGA", "DNA"), ("WGA", "WGA", "DNA"))],
)  # fmt: skip
def test_names_of_some_pages_count(found: tuple, names: tuple | None) -> None:
    """Names that not every page has, or that two share, are no reason to pass over all of them; one text is a title."""
    tags = [[] if name is None else text_tag(285, name) for name in found]
    assert read_stack(pages(tags=tags)).page_names == names


def test_names_go_with_their_pages() -> None:
    """Where OME-XML puts the pages into another order, each name follows its page."""
    planes = "".join(f'<TiffData FirstC="{2 - page}" IFD="{page}"/>' for page in range(3))
    header = f'<OME><Image><Pixels SizeC="3" SizeZ="1" SizeT="1">{planes}</Pixels></Image></OME>'
    tags = [text_tag(285, name) for name in NAMES]
    assert read_stack(pages(texts=[header, None, None], tags=tags)).page_names == NAMES[::-1]


def test_another_number_of_names_is_refused() -> None:
    """Two names of three channels tell that the file is not what it was."""
    with pytest.raises(DamagedTiffError, match="names 2 channels, the file holds 3"):
        read_stack(shaped(Labels=NAMES[:2]))
