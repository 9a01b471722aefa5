"""Headers that state what the pages are: each is believed, or the file is refused; none is passed over."""

import io
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile

from phenoserve.stack import (
    DamagedTiffError,
    StackError,
    UnsupportedLayoutError,
    UnsupportedPixelsError,
    read_page,
    read_stack,
)

from .tiffs import ome, write

GRAY = {"photometric": "minisblack", "metadata": None}
PIXELS = '<Image><Pixels SizeC="{c}" SizeZ="{z}" SizeT="1"><TiffData/></Pixels></Image></OME>'
Z6 = f"<OME>{PIXELS.format(c=1, z=6)}"


def six(description: str | bytes | None = None, **options: object) -> bytes:
    """Six pages with a description."""
    content = description.encode() if isinstance(description, str) else description
    return write(np.zeros((6, 8, 10), np.uint16), description=content, **{**GRAY, **options})


def one(description: str | bytes | None = None, **options: object) -> bytes:
    """One page with a description."""
    content = description.encode() if isinstance(description, str) else description
    return write(np.zeros((8, 10), np.uint16), description=content, **{**GRAY, **options})


@pytest.mark.parametrize(
    "description",
    [
        "\ufeff" + Z6,
        "  \n" + Z6,
        "<!-- a comment --><?pi?>" + Z6,
        "exported by a program\n" + Z6,
        Z6.replace("<OME", "<ome:OME xmlns:ome='x'").replace("</OME", "</ome:OME"),
        "<wrapper>" + Z6 + "</wrapper>",
        ("\ufeff" + Z6).encode("utf-16-le"),
        Z6.encode("utf-16-be"),
        b"\0" + Z6.encode(),
        "SCIFIO=0.46.0\naxes=X,Y,Z\nlengths=10,8,6\nimages=6\nslices=6",
        "SCIFIO=0.46.0\naxes=X,Y,Lifetime\nlengths=10,8,6\nimages=6\nchannels=1",
        "\ufeffImageJ=1.54f\nimages=6\nframes=6",
        "Microscope=7\nimages=6\nslices=6",
        "ImageJ=1.54f\nimages=6\nchannels=3\nframes=2",
        "ImageJ=1.54f\nimages=6\nchannels=2",
        "ImageJ=1.54f\nimages=12\nchannels=12",
        '{"shape": [6, 8, 10], "axes": "ZYX"}',
        '{"shape": [2, 3, 8, 10]}',
        '{"axes": "TCYX", "shape": [2, 3, 8, 10]}',
        '{"shape": [12, 8, 10]}',
        "shape=(12, 8, 10)",
    ],
)  # fmt: skip
def test_a_header_of_other_planes_is_refused(description: str | bytes) -> None:
    """Six pages whose header, however written, tells of depth, time, or another number are no six channels."""
    with pytest.raises(UnsupportedLayoutError, match=r"6|12|2 by 3|T=2|another axis"):
        read_stack(six(description))


@pytest.mark.parametrize(
    "description",
    [
        Z6[:-20], Z6[:6], '<?xml version="1.0" encoding="UT', '{"shape": [6, 8, 10], "axes": "ZY', "shape=(6, 8",
        "ImageJ=1.54f\nslices=six",
    ],
)  # fmt: skip
def test_a_header_that_cannot_be_read_is_refused(description: str) -> None:
    """A header that is cut off tells that something is not known, and what."""
    with pytest.raises(DamagedTiffError, match="cannot be read"):
        read_stack(six(description))


@pytest.mark.parametrize(
    "description",
    ["cells", '{"shape": "round"}', '{"shape": [6, 8, 10], "axes": "QYX"}', "ImageJ=1.54f\nimages=6\nchannels=6",
     "shape=(6, 8, 10)", '{"shape": [1, 6, 1, 8, 10]}', "<?xml version='1.0'?><scan/>", None],
)  # fmt: skip
def test_a_header_of_six_channels_or_of_none_is_read(description: str | None) -> None:
    """Six pages of which nothing is said, or that they are channels, are six channels."""
    assert read_stack(six(description)).array.shape == (6, 8, 10)


def test_a_header_on_a_later_page_counts() -> None:
    """The description of any page is read, not the first page's alone."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for description in (None, "ImageJ=1.54f\nimages=2\nslices=2"):
            writer.write(np.zeros((8, 10), np.uint16), description=description, **GRAY)
    with pytest.raises(UnsupportedLayoutError, match="Z=2"):
        read_stack(file.getvalue())


def test_pages_that_each_describe_themselves_are_channels() -> None:
    """Pages written one by one, each with its own shape, are read as they always were."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for _ in range(3):
            writer.write(np.zeros((8, 10), np.uint16), photometric="minisblack", contiguous=False)
    assert read_stack(file.getvalue()).array.shape == (3, 8, 10)


def test_a_description_beyond_the_file_is_refused() -> None:
    """A file cut before its description lies is not read without it."""
    data = six(Z6)
    entry = data.index(struct.pack("<HH", 270, 2))
    moved = data[: entry + 8] + struct.pack("<I", len(data) - 4) + data[entry + 12 :]
    with pytest.raises(DamagedTiffError, match="ImageDescription"):
        read_stack(moved)


FLUOVIEW = bytearray(1454)
FLUOVIEW[284:304] = struct.pack("<16si", b"Z", 6)


@pytest.mark.parametrize(
    ("tag", "says"),
    [
        ((33629, 5, 6, (1, 1) * 6, True), "MetaMorph"),
        ((33630, 5, 6, (1, 1) * 6, True), "MetaMorph"),
        ((34361, 1, len(FLUOVIEW), bytes(FLUOVIEW), True), "FluoView.*Z=6"),
        ((34412, 1, 28, struct.pack("<7i", 67127628, 28, 10, 8, 6, 1, 1), True), "LSM.*Z=6"),
        ((43314, 1, 312, bytes(260) + struct.pack("<h", 6) + bytes(50), True), "NIH.*slices=6"),
        ((33471, 2, 0, "[Dimension]\nZ=6\nBand=1\n[Z]\n", True), "Olympus.*Z=6"),
        ((297, 3, 2, (0, 9), True), "PageNumber says 9"),
    ],
)
@pytest.mark.parametrize("pages", [one, six])
def test_planes_told_by_a_tag_are_refused(pages, tag: tuple, says: str) -> None:
    """A private tag that tells of six planes in depth is heeded, whether they are six pages or one."""
    with pytest.raises(UnsupportedLayoutError, match=says):
        read_stack(pages(extratags=[tag]))


def test_micro_manager_s_indices_tell_depth_from_channels() -> None:
    """Pages at two slices are refused, pages at one slice are channels."""
    for slices, is_stack in (((0, 0), True), ((0, 1), False)):
        file = io.BytesIO()
        with tifffile.TiffWriter(file) as writer:
            for index in slices:
                text = json.dumps({"SliceIndex": index})
                writer.write(np.zeros((8, 10), np.uint16), extratags=[(51123, 2, 0, text, True)], **GRAY)
        if is_stack:
            assert read_stack(file.getvalue()).array.shape == (2, 8, 10)
        else:
            with pytest.raises(UnsupportedLayoutError, match="Z=2"):
                read_stack(file.getvalue())


@pytest.mark.parametrize("kind", ["assocalpha", "unassalpha"])
@pytest.mark.parametrize("photometric", ["rgb", "minisblack"])
def test_opacity_is_no_stain(kind: str, photometric: str) -> None:
    """A sample that tells how opaque a pixel is is named and refused."""
    extra = [kind] if photometric == "rgb" else ["unspecified", "unspecified", kind]
    data = write(
        np.zeros((8, 10, 4), np.uint8), photometric=photometric, planarconfig=None, extrasamples=extra
    )
    with pytest.raises(UnsupportedPixelsError, match="opacity"):
        read_stack(data)


def test_a_thumbnail_is_no_channel() -> None:
    """A page that says it is a smaller copy of another is refused, whatever its size."""
    with pytest.raises(UnsupportedLayoutError, match="NewSubfileType"):
        read_stack(one(subfiletype=1))


def site(*files: str, size_c: int = 2, count: int = 1) -> str:
    """OME-XML of one image whose channels lie in files, one plane each."""
    planes = "".join(
        f'<TiffData FirstC="{index}" IFD="0" PlaneCount="{count}"><UUID FileName="{file}">u</UUID></TiffData>'
        for index, file in enumerate(files)
    )
    return f'<OME><Image><Pixels SizeC="{size_c}" SizeZ="1" SizeT="1">{planes}</Pixels></Image></OME>'


def test_the_page_of_a_channel_file_decides() -> None:
    """XML of all files of a site, or a pointer to it, does not keep one of them from being one channel."""
    for text in (
        site("w1.tif", "w2.tif"),
        '<OME><BinaryOnly MetadataFile="x.companion.ome" UUID="u"/></OME>',
    ):
        assert read_page(one(text)).shape == (8, 10)
        with pytest.raises(UnsupportedLayoutError):
            read_stack(one(text))


@pytest.mark.parametrize(
    "text", [site("w1.tif"), site(), site("w1.tif", "w2.tif", count=2), site("w1.tif", "w1.tif")]
)
def test_a_channel_file_that_lacks_planes_is_refused(text: str) -> None:
    """XML that names no other file, or none of one page, states planes that the file has lost."""
    with pytest.raises(UnsupportedLayoutError, match="OME-XML header"):
        read_page(one(text))


def test_one_page_of_six_samples_is_six_channels() -> None:
    """An OME header of six channels on one page of six samples is kept, and its names are read."""
    array = np.zeros((6, 8, 10), np.uint8)
    metadata = {"axes": "CYX"}
    data = write(array, ome=True, photometric="minisblack", planarconfig="separate", metadata=metadata)
    assert read_stack(data).array.shape == (6, 8, 10)
    assert read_stack(ome(array, ["a", "b", "", "", "", ""])).channel_names == ("a", "b", "", "", "", "")


def test_labels_that_do_not_fit_are_refused() -> None:
    """More of ImageJ's labels than channels tell of planes that are missing."""
    array = np.zeros((2, 8, 10), np.uint8)
    labels = {"axes": "CYX", "Labels": ["c:1/2 - DNA\nexposure 3", "RNA"]}
    assert read_stack(write(array, imagej=True, metadata=labels)).labels == ("DNA", "RNA")
    labels["Labels"] = ["DNA", "RNA", "ER"]
    with pytest.raises(StackError, match="labels 3 planes"):
        read_stack(write(array, imagej=True, metadata=labels))


CASES = json.loads((Path(__file__).parents[2] / "cases" / "headers.json").read_text("utf-8"))["cases"]


@pytest.mark.parametrize("kind", ["channel_file", "stack"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_headers_are_read_as_the_client_reads_them(case, kind):
    """A file of one page is read or refused by what its header states, as the common table of cases says."""
    rational = 5
    tags = [(270, 2, 0, case["description"].encode(), True)]
    if "tag" in case:
        code, count = case["tag"]
        tags.append((code, rational, count, (1, 1) * count, True))
    content = write(np.zeros((64, 72), np.uint16), **GRAY, extratags=tags)
    read = read_page if kind == "channel_file" else read_stack
    if case[kind] == "read":
        read(content)
    else:
        with pytest.raises(StackError):
            read(content)


def test_pages_of_another_order_than_their_numbers_are_refused() -> None:
    """PageNumbers 2, 1, 0 tell another order than the file's; 0, 1, 2, or one number for all, tell none."""
    for numbers, is_read in (((0, 1, 2), True), ((0, 0, 0), True), ((2, 1, 0), False)):
        file = io.BytesIO()
        with tifffile.TiffWriter(file) as writer:
            for number in numbers:
                tag = (297, 3, 2, (number, 3), True)
                writer.write(np.zeros((8, 10), np.uint16), contiguous=False, extratags=[tag], **GRAY)
        if is_read:
            assert len(read_stack(file.getvalue()).array) == 3
        else:
            with pytest.raises(UnsupportedLayoutError, match="order 2, 1, 0; expected ascending"):
                read_stack(file.getvalue())


def test_scifios_channels_are_channels() -> None:
    """Four pages that SCIFIO's axes call channels are four channels; four that they call depths are refused."""
    for axis, is_read in (("Channel", True), ("Z", False)):
        text = f"SCIFIO=0.46.0\naxes=X,Y,{axis}\nlengths=10,8,4\n"
        content = write(np.zeros((4, 8, 10), np.uint16), **GRAY, description=text)
        if is_read:
            assert read_stack(content).array.shape == (4, 8, 10)
        else:
            with pytest.raises(UnsupportedLayoutError, match="SCIFIO's header says Z=4"):
                read_stack(content)
