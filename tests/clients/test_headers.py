import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from phenoclient.errors import StackArgumentError
from phenoclient.images import read_channel

CASES = json.loads((Path(__file__).parents[1] / "cases" / "headers.json").read_text("utf-8"))["cases"]
RATIONAL = 5
FLUOVIEW = "[Acquisition Parameters]"
FIELD = np.arange(64 * 72, dtype=np.uint16).reshape(64, 72)


def write(path: Path, case: dict) -> Path:
    """A TIFF of one page with the description and the private tag of a case."""
    tags = [(270, 2, 0, case["description"].encode(), True)]
    if "tag" in case:
        code, count = case["tag"]
        tags.append((code, RATIONAL, count, (1, 1) * count, True))
    tifffile.imwrite(path, FIELD, metadata=None, photometric="minisblack", extratags=tags)
    return path


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_header_that_states_more_planes_than_the_page_is_refused(tmp_path, case):
    """A channel's file is read or refused by what its header states, as the common table of cases says."""
    path = write(tmp_path / "w1.tif", case)
    if case["channel_file"] == "read":
        np.testing.assert_array_equal(read_channel(path), FIELD)
    else:
        with pytest.raises(StackArgumentError, match=r"w1\.tif"):
            read_channel(path)


@pytest.mark.parametrize(
    ("description", "words"),
    [
        (
            "ImageJ=1.54f\nimages=6\nslices=6\n",
            "ImageJ's header states images=6, slices=6, but",
        ),
        ("SCIFIO=0.46.0\naxes=X,Y,Z\nlengths=72,64,6\n", "SCIFIO's header states Z=6"),
        ('{"shape": [4, 64, 72]}', "tifffile's header states the shape 4 x 64 x 72"),
        ('<OME><Pixels SizeC="1" SizeZ="6" SizeT="1"/></OME>', "The OME-XML header states C=1, Z=6, T=1"),
        ("<OME><Pixels", "the OME-XML header cannot be read: unclosed token"),
    ],
)
def test_the_planes_are_named(tmp_path, description, words):
    """A refusal says which header states how many planes of what."""
    with pytest.raises(StackArgumentError, match=words):
        read_channel(write(tmp_path / "w1.tif", {"description": description}))


def test_a_header_after_a_text_of_ones_own_is_found(tmp_path):
    """Tifffile's header counts also where a description of the user's stands before it."""
    path = tmp_path / "w1.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(
            np.stack([FIELD, FIELD]), description="my plate", photometric="minisblack", truncate=True
        )
    with pytest.raises(StackArgumentError, match="states the shape 2 x 64 x 72"):
        read_channel(path)


def test_private_tags_that_tifffile_knows_count(tmp_path):
    """A FluoView file of one page whose tags state four depths is refused, and they are named."""
    header = np.zeros(1, np.dtype(tifffile.TIFF.MM_HEADER))
    for index, (name, size) in enumerate([(b"X", 72), (b"Y", 64), (b"Z", 4)]):
        header["Dimensions"][0, index]["Name"], header["Dimensions"][0, index]["Size"] = name, size
    header["Dimensions"]["Size"][0, 3:] = 1
    content = header.tobytes()
    path = tmp_path / "w1.tif"
    tags = [(34361, 1, len(content), content, True), (34362, 1, 8, bytes(8), True)]
    tifffile.imwrite(
        path, FIELD, metadata=None, photometric="minisblack", extratags=tags, description=FLUOVIEW
    )
    with pytest.raises(StackArgumentError, match=r"fluoview header states .*'Z': 4"):
        read_channel(path)


@pytest.mark.parametrize("alpha", ["assocalpha", "unassalpha"])
def test_opacity_is_no_channel(tmp_path, alpha):
    """An alpha sample beside the intensities is refused by its name, in a TIFF."""
    path = tmp_path / "w1.tif"
    image = np.stack([FIELD, FIELD], axis=-1)
    tifffile.imwrite(path, image, photometric="minisblack", planarconfig="contig", extrasamples=[alpha])
    with pytest.raises(StackArgumentError, match=r"w1\.tif: holds opacity \(an alpha sample\)"):
        read_channel(path)
