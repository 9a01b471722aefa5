"""What a stack is, whichever way its TIFF was written."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenoserve.stack import (
    NonFinitePixelsError,
    StackLimits,
    StackTooLargeError,
    UnsupportedLayoutError,
    UnsupportedPixelsError,
    read_page,
    read_stack,
)

from .tiffs import VARIANTS, ome, redescribe, write

CASES = Path(__file__).parents[2] / "cases"
PALETTES = json.loads((CASES / "palettes.json").read_text("utf-8"))["cases"]

dtypes = st.sampled_from(["uint8", "uint16", "float32"])


@st.composite
def stacks(draw: st.DrawFn) -> np.ndarray:
    dtype = np.dtype(draw(dtypes))
    shape = draw(st.tuples(st.integers(2, 7), st.integers(5, 40), st.integers(5, 40)))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    if dtype.kind == "f":
        return (generator.normal(size=shape) * 10.0 ** draw(st.integers(-30, 30))).astype(dtype)
    return generator.integers(0, draw(st.integers(1, np.iinfo(dtype).max)), shape, dtype, endpoint=True)


@pytest.mark.parametrize("variant", VARIANTS)
@given(array=stacks())
@settings(max_examples=12, deadline=None)
def test_every_way_of_writing_reads_the_same(variant: str, array: np.ndarray) -> None:
    """However a stack was written, the array read is the array written, type and all."""
    stack = read_stack(memoryview(write(array, **VARIANTS[variant])))
    assert stack.array.dtype == array.dtype
    assert stack.array.dtype.isnative
    np.testing.assert_array_equal(stack.array, array)


@given(
    names=st.lists(
        st.text("ABCdef é<&", min_size=1, max_size=6).map(lambda s: f"n{s}n"), min_size=2, max_size=6
    )
)
@settings(max_examples=25, deadline=None)
def test_ome_channel_names_are_read(names: list[str]) -> None:
    """Channel names of an OME header come back in channel order."""
    array = np.arange(len(names) * 35, dtype=np.uint16).reshape(len(names), 5, 7)
    stack = read_stack(ome(array, names))
    assert stack.channel_names == tuple(names)


@pytest.mark.parametrize("called", ["", "Channel:0:1", "Ch1-T2", "2"])
def test_an_ome_channel_that_is_only_counted_goes_by_its_fluorophore(called: str) -> None:
    """Names that only count leave it to `Fluor`; other names stand before it."""
    channels = f'<Channel Name="{called}" Fluor="WGA"/><Channel Name="DNA" Fluor="Hoechst"/>'
    header = f'<OME><Image><Pixels SizeC="2" SizeZ="1" SizeT="1">{channels}<TiffData/></Pixels></Image></OME>'
    stack = read_stack(
        write(np.zeros((2, 5, 7), np.uint16), photometric="minisblack", metadata=None, description=header)
    )
    assert stack.channel_names == ("WGA", "DNA")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'SizeZ="1"', b'SizeZ="2"'),
        (b'SizeT="1"', b'SizeT="9"'),
        (b'SizeC="3"', b'SizeC="6"'),
        (b'<TiffData IFD="0" PlaneCount="3"/>', b'<TiffData IFD="1" PlaneCount="3"/>'),
        (b"</Image>", b"</Image><Image><Pixels SizeC='3' SizeZ='1' SizeT='1'/></Image>"),
        (b"<Image ", b"<BinaryOnly MetadataFile='other.ome.xml'/><Image "),
    ],
    ids=["depth", "time", "channels", "pages", "images", "companion"],
)
def test_ome_headers_that_are_not_one_stack_are_refused(before: bytes, after: bytes) -> None:
    """Depth, time, several images or planes elsewhere are refused with the reason."""
    data = redescribe(ome(np.zeros((3, 8, 8), np.uint8), "abc"), before, after)
    with pytest.raises(UnsupportedLayoutError, match="OME-XML header"):
        read_stack(data)


@pytest.mark.parametrize("axes", ["ZYX", "TYX", "TZCYX"])
@pytest.mark.parametrize("form", [{"imagej": True}, {"ome": True}, {}], ids=["ImageJ", "OME", "tifffile"])
def test_depth_and_time_are_refused(axes: str, form: dict[str, bool]) -> None:
    """More than one plane in depth or time is refused, and the message names which."""
    shape = (2, 3, 4, 8, 8)[-len(axes) :]
    with pytest.raises(UnsupportedLayoutError, match=axes[0] + "="):
        read_stack(
            write(np.zeros(shape, np.uint8), photometric="minisblack", metadata={"axes": axes}, **form)
        )


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint32", "float16", "float64", "bool", "complex64"])
def test_other_types_are_refused(dtype: str) -> None:
    """A type other than uint8, uint16 and float32 is refused, naming what was found and what is expected."""
    with pytest.raises(UnsupportedPixelsError, match=rf"{dtype}.*expected uint8, uint16, float32"):
        read_stack(write(np.zeros((2, 16, 16), dtype), photometric="minisblack"))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_are_refused(bad: float) -> None:
    """One NaN or infinity among float pixels is counted and refused."""
    array = np.zeros((2, 8, 8), np.float32)
    array[1, 3, 4] = bad
    with pytest.raises(NonFinitePixelsError, match="1 of 128 pixels"):
        read_stack(write(array, photometric="minisblack"))


@pytest.mark.parametrize("photometric", ["miniswhite", "palette"])
def test_indices_and_inverted_intensities_are_refused(photometric: str) -> None:
    """Pixels that are not intensities are never taken for them."""
    colours = {"colormap": np.zeros((3, 256), np.uint16)} if photometric == "palette" else {}
    with pytest.raises(UnsupportedPixelsError, match=photometric.upper()):
        read_stack(write(np.zeros((8, 8), np.uint8), photometric=photometric, **colours))


def palette_of(case: dict) -> np.ndarray:
    """Red, green and blue of every index, `(3, 256)`."""
    points = np.array(case["points"])
    colours = [np.interp(range(256), points[:, 0], points[:, colour]) for colour in (1, 2, 3)]
    return (np.floor(colours) * case["scale"]).astype(np.uint16)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("case", PALETTES, ids=[case["name"] for case in PALETTES])
def test_a_lookup_table_is_told_from_a_palette(case: dict, byteorder: str) -> None:
    """Indices are intensities where the common table says so, and refused where it does not."""
    indices = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    options = {"photometric": "palette", "colormap": palette_of(case), "description": case["header"]}
    data = write(indices, metadata=None, byteorder=byteorder, **options)
    if case["intensities"]:
        np.testing.assert_array_equal(read_stack(data).array, indices)
        np.testing.assert_array_equal(read_page(data), indices[0])
        return
    with pytest.raises(UnsupportedPixelsError, match=r"PALETTE.*Lookup Tables > Grays"):
        read_stack(data)


def test_a_composite_that_imagej_saved_is_intensities() -> None:
    """A composite of 8 bits, green and grey, that ImageJ 1.53t saved while the green channel was looked at is read."""
    data = (CASES / "imagej-composite.tif").read_bytes()
    assert b"mode=composite" in data
    pixels = np.arange(12 * 20).reshape(12, 20)
    np.testing.assert_array_equal(read_stack(data).array, [pixels % 256, 2 * pixels % 256])


def test_a_composite_with_a_lookup_table_a_channel_is_intensities() -> None:
    """An ImageJ composite keeps its pixels, whether its tables stand in ImageJ's metadata or as a palette a page."""
    array = np.arange(512, dtype=np.uint8).reshape(2, 16, 16)
    ramp = np.arange(256, dtype=np.uint8)
    green, grey = np.stack([0 * ramp, ramp, 0 * ramp]), np.stack([ramp] * 3)
    metadata = {"axes": "CYX", "mode": "composite", "LUTs": [green, grey]}
    of_green = {"photometric": "palette", "colormap": green.astype(np.uint16) * 256}
    for options in ({}, of_green):
        stack = read_stack(write(array, imagej=True, metadata=metadata, **options))
        np.testing.assert_array_equal(stack.array, array)


def test_pages_of_several_samples_are_refused() -> None:
    """Several pages of several samples leave open what the channels are."""
    with pytest.raises(UnsupportedLayoutError, match="2 pages of 3 samples"):
        read_stack(write(np.zeros((2, 8, 8, 3), np.uint8), photometric="rgb"))


def test_limits_hold_exactly() -> None:
    """A stack of exactly the allowed size is read, one byte less of allowance refuses it."""
    array = np.ones((3, 16, 16), np.uint16)
    data = write(array, photometric="minisblack", compression="zlib")
    assert read_stack(data, StackLimits(max_decoded_bytes=array.nbytes)).array.shape == (3, 16, 16)
    with pytest.raises(StackTooLargeError):
        read_stack(data, StackLimits(max_decoded_bytes=array.nbytes - 1))
    assert read_stack(data, StackLimits(max_field_px=256)).array.shape == (3, 16, 16)
    for limits in (StackLimits(max_channels=2), StackLimits(max_field_px=255), StackLimits(max_segments=2)):
        with pytest.raises(StackTooLargeError):
            read_stack(data, limits)


def test_a_page_is_the_only_channel() -> None:
    """`read_page` gives (y, x) and refuses a second channel."""
    array = np.arange(64, dtype=np.uint16).reshape(1, 8, 8)
    np.testing.assert_array_equal(read_page(write(array, photometric="minisblack")), array[0])
    with pytest.raises(UnsupportedLayoutError, match="2 channels"):
        read_page(write(np.zeros((2, 8, 8), np.uint8), photometric="minisblack"))
