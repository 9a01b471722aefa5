import io
import json
from contextlib import suppress
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from phenoclient.errors import StackArgumentError
from phenoclient.stacks import stack_tiff

PALETTES = json.loads((Path(__file__).parents[1] / "cases" / "palettes.json").read_text("utf-8"))["cases"]


def pages(tiff: bytes) -> np.ndarray:
    with tifffile.TiffFile(io.BytesIO(tiff)) as file:
        return np.stack([page.asarray() for page in file.pages])


def test_bytes_and_a_path_are_sent_as_they_are(stack_file):
    """A TIFF is not rewritten, whether it comes as bytes, as a str or as a Path."""
    content = stack_file.read_bytes()
    assert stack_tiff(content) == stack_tiff(stack_file) == stack_tiff(str(stack_file)) == content


def test_a_file_without_a_byte_is_refused_by_its_name(tmp_path):
    """What is left of a copy that did not begin is named, and not taken for a stack."""
    (tmp_path / "A08.tif").touch()
    with pytest.raises(StackArgumentError, match=r"A08\.tif: holds nothing"):
        stack_tiff(tmp_path / "A08.tif")


@given(
    arrays.arrays(
        st.sampled_from([np.uint8, np.uint16, np.float32, np.dtype(">u2")]),
        arrays.array_shapes(min_dims=3, max_dims=3, max_side=7),
        elements={"allow_nan": False},
    )
)
def test_an_array_becomes_one_page_a_channel_without_loss(stack):
    """Every array (channel, y, x) of a permitted type comes back out of the TIFF, pixel for pixel."""
    np.testing.assert_array_equal(pages(stack_tiff(stack)), stack)


def test_an_array_need_not_be_contiguous(stack):
    """A view with its axes moved is sent as what it shows."""
    view = np.moveaxis(np.ascontiguousarray(np.moveaxis(stack, 0, -1)), -1, 0)[:, ::-1]
    np.testing.assert_array_equal(pages(stack_tiff(view)), view)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((40, 36), np.uint8), r"\(40, 36\)"),
        (np.zeros((1, 2, 40, 36), np.uint8), "channel, y, x"),
        (np.zeros((2, 0, 36), np.uint8), r"\(2, 0, 36\)"),
        (np.zeros((2, 40, 36), np.float64), "float64"),
        (np.zeros((2, 40, 36), bool), "bool"),
    ],
)
def test_an_array_of_another_shape_or_type_is_refused(array, message):
    """An array that is no stack is refused before it is sent, with its shape or its type named."""
    with pytest.raises(StackArgumentError, match=message):
        stack_tiff(array)


def test_channel_files_become_the_pages_of_one_stack_in_order(channel_files, stack):
    """LZW files of one channel each become one stack in the order they are passed."""
    np.testing.assert_array_equal(pages(stack_tiff(channel_files)), stack)
    np.testing.assert_array_equal(pages(stack_tiff([str(path) for path in channel_files[::-1]])), stack[::-1])


def test_channel_files_are_read_by_content_not_by_name(tmp_path, stack):
    """A TIFF named .png and a PNG named .tif are both read for what they are."""
    tiff, png = tmp_path / "a.png", tmp_path / "b.tif"
    tifffile.imwrite(tiff, stack[0], byteorder=">")
    png.write_bytes(imagecodecs.png_encode(stack[1]))
    np.testing.assert_array_equal(pages(stack_tiff([tiff, png])), stack)


def test_a_lone_png_is_a_stack_of_one_channel(tmp_path, stack):
    """The path of a PNG is sent as a TIFF of one page, for the service reads only TIFF."""
    png = tmp_path / "w1.png"
    png.write_bytes(imagecodecs.png_encode(stack[0]))
    np.testing.assert_array_equal(pages(stack_tiff(png)), stack[:1])


def write(path: Path, image: np.ndarray, **options) -> Path:
    tifffile.imwrite(path, image, **options)
    return path


def palette_of(case: dict) -> np.ndarray:
    """Red, green and blue of every index, `(3, 256)`."""
    points = np.array(case["points"])
    colours = [np.interp(range(256), points[:, 0], points[:, colour]) for colour in (1, 2, 3)]
    return (np.floor(colours) * case["scale"]).astype(np.uint16)


def cut(path: Path) -> Path:
    """Takes away the last strip of a TIFF, whose directory stands before its pixels."""
    path.write_bytes(path.read_bytes()[:-20])
    return path


REFUSED_FILES = {
    "another size": lambda path: write(path, np.zeros((40, 37), np.uint16)),
    "another type": lambda path: write(path, np.zeros((40, 36), np.uint8)),
    "several pages": lambda path: write(path, np.zeros((3, 40, 36), np.uint16), photometric="minisblack"),
    "colours": lambda path: write(path, np.zeros((40, 36, 3), np.uint16), photometric="rgb"),
    "inverted": lambda path: write(path, np.zeros((40, 36), np.uint16), photometric="miniswhite"),
    "a type that is no intensity": lambda path: write(path, np.zeros((40, 36), np.float64)),
    "no image": lambda path: path.write_text("not an image"),
    "a strip missing": lambda path: cut(
        write(path, np.arange(1440, dtype=np.uint16).reshape(40, 36), rowsperstrip=8, compression="lzw")
    ),
    "a cut-off TIFF": lambda path: path.write_bytes(b"II*\0\x08\0\0\0"),
    "a cut-off PNG": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n"),
    "nothing there": lambda _path: None,
}


@pytest.mark.parametrize("kind", REFUSED_FILES)
def test_a_file_that_cannot_be_a_channel_is_refused_by_name(tmp_path, channel_files, kind):
    """Whatever makes a file unfit to be a channel of the stack, the message names that file."""
    path = tmp_path / "odd-one.tif"
    REFUSED_FILES[kind](path)
    with pytest.raises(StackArgumentError, match=r"odd-one\.tif"):
        stack_tiff([*channel_files, path])


@pytest.mark.parametrize("case", PALETTES, ids=[case["name"] for case in PALETTES])
def test_a_lookup_table_is_told_from_a_palette(tmp_path, case):
    """Indices are intensities where the common table says so, and refused where it does not."""
    path = tmp_path / "w1.tif"
    channel = np.arange(240, dtype=np.uint8).reshape(12, 20)
    options = {"photometric": "palette", "colormap": palette_of(case), "description": case["header"]}
    write(path, channel, metadata=None, **options)
    if case["intensities"]:
        np.testing.assert_array_equal(pages(stack_tiff([path]))[0], channel)
        return
    with pytest.raises(StackArgumentError, match="PALETTE"):
        stack_tiff([path])


@pytest.mark.data
def test_odd_files_of_many_origins_are_read_or_refused(data_root):
    """Of more than a hundred odd and malformed TIFFs none raises anything but StackArgumentError."""
    for path in sorted((data_root / "tiffs").glob("*/*")):
        with suppress(StackArgumentError):
            assert len(pages(stack_tiff([path]))) == 1


class ArrayLike:
    """What dask, PyTorch and xarray have in common."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return self._array


def test_a_tiff_may_come_in_any_holder_of_bytes(stack_file):
    """bytearray, memoryview and a binary file give the same TIFF; a file is read from where it is, and left open."""
    content = stack_file.read_bytes()
    file = io.BytesIO(b"before" + content)
    file.seek(6)
    with stack_file.open("rb") as opened:
        found = [stack_tiff(held) for held in (bytearray(content), memoryview(content), file, opened)]
        assert not opened.closed
    assert not file.closed
    assert found == [content] * 4


def test_a_png_may_come_as_bytes(stack):
    """The bytes of a grey PNG are a stack of one channel, as its path is."""
    np.testing.assert_array_equal(pages(stack_tiff(imagecodecs.png_encode(stack[0]))), stack[:1])


def test_arrays_may_come_as_their_likes_and_channel_by_channel(stack):
    """What NumPy makes an array of, a list of channels and an array without masked pixels are sent as the array is."""
    likes = (
        ArrayLike(stack),
        list(stack),
        [ArrayLike(channel) for channel in stack],
        np.ma.array(stack),
        iter(stack),
    )
    for like in likes:
        np.testing.assert_array_equal(pages(stack_tiff(like)), stack)


def closed_file() -> io.BytesIO:
    file = io.BytesIO(b"II*\0")
    file.close()
    return file


NO_STACKS = {
    "None": (lambda: None, "of type NoneType"),
    "a number": (lambda: 5, "of type int"),
    "a path as bytes": (lambda: b"stack.tif", "look like a path"),
    "other bytes": (lambda: b"\xff\xd8\xff", "neither a TIFF nor a PNG"),
    "no bytes": (lambda: b"", "hold nothing"),
    "a file at its end": (io.BytesIO, r"seek\(0\)"),
    "a closed file": (closed_file, "cannot be read"),
    "a text file": (lambda: io.StringIO("x"), "mode 'rb'"),
    "masked pixels": (
        lambda: np.ma.masked_less(np.arange(8, dtype=np.uint8).reshape(2, 2, 2), 3),
        "3 pixels",
    ),
    "channels of two sizes": (
        lambda: [np.zeros((4, 4), "u1"), np.zeros((4, 5), "u1")],
        "channel 2: is 5 x 4",
    ),
    "a list of stacks": (lambda: [np.zeros((2, 4, 4), "u1")], r"one array a channel"),
    "a mixture": (lambda: ["w1.tif", np.zeros((4, 4), "u1")], "of ndarray, str"),
    "a mapping": (lambda: {"DNA": "w1.tif"}, "of type dict"),
    "a set": (lambda: {"w1.tif", "w2.tif"}, "of type set"),
    "an empty generator": (lambda: iter(()), "No files"),
    "a folder": (lambda: Path(__file__).parent, "is a folder"),
    "a name that no file can have": (lambda: "w\0.tif", "cannot be read"),
}


@pytest.mark.parametrize("kind", NO_STACKS)
def test_what_is_no_stack_is_refused_as_that(kind):
    """Whatever is passed as a stack and is none raises StackArgumentError, which says what it was."""
    make, message = NO_STACKS[kind]
    with pytest.raises(StackArgumentError, match=message):
        stack_tiff(make())


def test_no_files_are_no_stack():
    """An empty sequence is refused."""
    with pytest.raises(StackArgumentError, match="No files"):
        stack_tiff([])


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (("B02_ConA.tif", "B02_DNA.tif"), ["ConA", "DNA"]),
        (("B02_w1_WGA-x.ome.tif", "B02_w2_Mito Tracker-x.ome.tif"), ["WGA", "Mito Tracker"]),
        (("DNA/site 1.tif", "WGA/site 1.tif"), ["DNA", "WGA"]),
        (("B02_w1.tif", "B02_w2.tif"), ["w1", "w2"]),
        (("AF488.tif", "AF568.tif"), ["AF488", "AF568"]),
        (("r02c03f01p01-ch1sk1fk1fl1.tif", "r02c03f01p01-ch2sk1fk1fl1.tif"), ["", ""]),
        (("same.tif", "same.tif"), ["", ""]),
    ],
)
def test_channel_files_are_sent_with_what_tells_them_apart(tmp_path, files, names):
    """The service gets the words in which the names of the files differ; counters of a microscope are no names."""
    for number, file in enumerate(files):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / file, np.full((8, 9), number, np.uint8))
    with tifffile.TiffFile(io.BytesIO(stack_tiff([tmp_path / file for file in files]))) as sent:
        found = [page.tags.valueof(285) or "" for page in sent.pages]
    assert found == names
