import io
import re

import imagecodecs
import numpy as np
import pytest
import tifffile

from phenoserve.stack import StackLimits
from phenotrain.plates import Fault, FieldForm, ImageError, IncompleteSitesError, decode_image, read_site

RNG = np.random.default_rng(0)
EIGHT = RNG.integers(0, 256, (37, 53), dtype=np.uint8)
SIXTEEN = RNG.integers(0, 65536, (37, 53), dtype=np.uint16)


def tiff(array, **options):
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **options)
    return stream.getvalue()


def palette_tiff(colours):
    return tiff(EIGHT, photometric="palette", colormap=colours.astype(np.uint16))


@pytest.mark.parametrize("pixels", [EIGHT, SIXTEEN], ids=["uint8", "uint16"])
@pytest.mark.parametrize(
    "encode",
    [
        imagecodecs.png_encode,
        lambda a: imagecodecs.jpeg2k_encode(a, level=0, codecformat="jp2"),
        lambda a: imagecodecs.jpeg2k_encode(a, level=0, codecformat="j2k"),
        tiff,
        lambda a: tiff(a, compression="lzw"),
        lambda a: tiff(a, byteorder=">"),
        lambda a: tiff(a, bigtiff=True),
    ],
    ids=["png", "jp2", "j2k", "tiff", "lzw", "big-endian", "bigtiff"],
)
def test_lossless_formats_give_back_every_pixel(encode, pixels):
    """PNG, TIFF and JPEG-2000 of 8 and 16 bits decode to the pixels that were encoded, in native order."""
    decoded = decode_image(encode(pixels))
    np.testing.assert_array_equal(decoded, pixels)
    assert decoded.dtype == pixels.dtype


def test_float_tiff_keeps_its_values():
    """A float32 TIFF decodes to its values."""
    pixels = SIXTEEN / np.float32(7)
    np.testing.assert_array_equal(decode_image(tiff(pixels)), pixels)


@pytest.mark.parametrize("colour", [(1, 1, 1), (0, 1, 0)], ids=["grey", "green"])
@pytest.mark.parametrize("scale", [257, 256])
def test_a_ramp_to_one_colour_shows_intensities(scale, colour):
    """A palette TIFF whose palette runs from black to one colour has its indices for intensities."""
    ramp = np.arange(256) * scale * np.array(colour)[:, np.newaxis]
    np.testing.assert_array_equal(decode_image(palette_tiff(ramp)), EIGHT)


def test_another_palette_is_refused():
    """A palette TIFF of any other palette is refused: its indices need be no intensities."""
    with pytest.raises(ImageError, match="PALETTE"):
        decode_image(palette_tiff(np.tile(np.arange(256)[::-1] * 257, (3, 1))))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\xff\xd8\xff\xe0 and so on", "is JPEG; expected PNG, TIFF or JPEG-2000"),
        (b"\0\x05\x16\x07\0\x02\0\0", "a companion file of macOS"),
        (imagecodecs.png_encode(EIGHT).replace(b"IDAT", b"acTL\0IDAT", 1), "animated PNG"),
        (b"not an image", "starts with 6e 6f 74"),
        (imagecodecs.png_encode(np.zeros((8, 8, 3), np.uint8)), "PNG in RGB; expected grey"),
        (imagecodecs.png_encode(np.zeros((8, 8, 2), np.uint8)), "grey with alpha"),
        (tiff(np.zeros((8, 8, 3), np.uint8), photometric="rgb"), "3 channels"),
        (tiff(np.zeros((2, 8, 8), np.uint8), photometric="minisblack"), "2 channels"),
        (imagecodecs.jpeg2k_encode(np.zeros((8, 8, 3), np.uint8), level=0), r"shape \(8, 8, 3\)"),
        (tiff(np.zeros((8, 8), np.int16)), "int16"),
        (tiff(np.full((8, 8), np.nan, np.float32)), "finite"),
        (imagecodecs.png_encode(EIGHT)[:20], "cut off"),
        (imagecodecs.png_encode(EIGHT)[:200], "damaged PNG"),
        (imagecodecs.jpeg2k_encode(EIGHT, level=0)[:200], "damaged JPEG-2000"),
        (tiff(EIGHT)[:200], "unusable TIFF"),
        (b"II*\0" + b"\xff" * 60, "unusable TIFF"),
        (b"MM\0*\0\0", "unusable TIFF"),
    ],
)
def test_what_is_no_channel_is_refused_with_the_reason(data, message):
    """Content that is not one intact grey channel is refused, and the message says what it is."""
    with pytest.raises(ImageError, match=message):
        decode_image(data)


def test_flipped_bytes_never_pass_for_pixels():
    """A PNG with a damaged byte in its pixels is refused: its checksums see it."""
    data = bytearray(imagecodecs.png_encode(EIGHT))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(ImageError, match="damaged PNG"):
        decode_image(bytes(data))


def write(folder, **files):
    for name, content in files.items():
        folder.joinpath(name).write_bytes(content)
    return sorted(files)


def test_site_is_stacked_in_channel_order(tmp_path):
    """A site's stack has its files' planes in the order given."""
    write(tmp_path, a=imagecodecs.png_encode(EIGHT), b=tiff(EIGHT[::-1]))
    np.testing.assert_array_equal(read_site(tmp_path, "s", ["b", "a"]).stack, [EIGHT[::-1], EIGHT])


def test_digest_depends_on_content_and_order_alone(tmp_path):
    """The digest of a site changes with the content or order of its files, not with their names."""
    other = tiff(EIGHT[::-1])
    write(tmp_path, a=imagecodecs.png_encode(EIGHT), b=other, c=other)
    digest = read_site(tmp_path, "s", ["a", "b"]).digest
    assert digest == read_site(tmp_path, "other", ["a", "c"]).digest
    assert digest != read_site(tmp_path, "s", ["b", "a"]).digest


def test_every_fault_of_a_site_is_reported_at_once(tmp_path):
    """Missing, damaged, colour and odd-sized channels of one site are all named, each with its reason."""
    files = write(
        tmp_path,
        a=imagecodecs.png_encode(EIGHT),
        b=b"junk",
        c=imagecodecs.png_encode(EIGHT[:-1]),
        d=imagecodecs.png_encode(np.dstack([EIGHT] * 3)),
    )
    (tmp_path / "f").mkdir()
    read = read_site(tmp_path, "s1", [*files, "e", "f"])
    assert read.stack is None
    assert [(fault.site_id, fault.file) for fault in read.faults] == [("s1", name) for name in "bcdef"]
    reasons = [fault.reason for fault in read.faults]
    for reason, expected in zip(
        reasons, ("starts with", "36 x 53 px", "RGB", "is missing", "cannot be read"), strict=True
    ):
        assert expected in reason


def test_mixed_depths_are_refused_not_promoted(tmp_path):
    """An 8-bit channel among 16-bit ones is a fault: promoted, its intensities would mean something else."""
    files = write(tmp_path, a=tiff(SIXTEEN), b=tiff(EIGHT))
    (fault,) = read_site(tmp_path, "s", files).faults
    assert fault == Fault(
        "s", "b", "is 37 x 53 px uint8; expected 37 x 53 px uint16 as the dataset's other files"
    )
    assert len(read_site(tmp_path, "s", files, FieldForm(37, 53, "uint8")).faults) == 1


def test_error_counts_all_and_shows_twenty():
    """The error of incomplete sites gives the count, the first twenty files and how many more."""
    faults = [Fault(f"s{index:02d}", "f.png", "is missing") for index in range(23)]
    message = str(IncompleteSitesError(faults, "Repair them."))
    assert message.startswith("23 file(s) of 23 site(s) cannot be used. Repair them.")
    assert "s19: f.png: is missing" in message
    assert "s20" not in message
    assert message.endswith("... and 3 more")


def test_dead_and_repeated_channels_are_faults(tmp_path):
    """A channel of one value, and one with another's pixels in whatever format, are named with the reason."""
    files = write(
        tmp_path,
        a=tiff(EIGHT),
        b=tiff(np.full_like(EIGHT, 7)),
        c=imagecodecs.png_encode(EIGHT),
        d=tiff(np.full_like(EIGHT, 7)),
        e=tiff(np.flip(EIGHT)),
    )
    read = read_site(tmp_path, "s", files)
    assert read.stack is None
    assert [(fault.file, fault.reason.partition(";")[0]) for fault in read.faults] == [
        ("b", "is a dead channel: every pixel is 7"),
        ("c", "holds the same pixels as a"),
        ("d", "is a dead channel: every pixel is 7"),
    ]


def test_links_are_followed_and_named_where_they_lead_wrong(tmp_path):
    """A link to an image is that image; one to another channel, to nothing, or to itself is a fault that says so."""
    write(tmp_path, a=tiff(EIGHT), b=tiff(EIGHT[::-1]))
    for name, target in (("good", "b"), ("same", "a"), ("dead", "gone"), ("loop", "loop")):
        (tmp_path / name).symlink_to(target)
    assert read_site(tmp_path, "s", ["a", "good"]).stack is not None
    (same,) = read_site(tmp_path, "s", ["a", "same"]).faults
    assert same.reason.startswith("is the same file as a;")
    dead, loop = read_site(tmp_path, "s", ["a", "dead", "loop"]).faults
    assert dead.reason == "is a link to gone, which does not exist"
    assert "symbolic links" in loop.reason


def test_companion_files_of_a_site_are_read_by_their_page(tmp_path):
    """Channel files that each carry the OME-XML of the whole site are one channel each: the page decides."""
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels ID="Pixels:0"'
        ' DimensionOrder="XYZCT" Type="uint8" SizeX="53" SizeY="37" SizeZ="1" SizeC="2" SizeT="1">'
        '<Channel ID="Channel:0:0"/><Channel ID="Channel:0:1"/>'
        '<TiffData FirstC="0" IFD="0" PlaneCount="1"><UUID FileName="a">urn:uuid:1</UUID></TiffData>'
        '<TiffData FirstC="1" IFD="0" PlaneCount="1"><UUID FileName="b">urn:uuid:2</UUID></TiffData>'
        "</Pixels></Image></OME>"
    )
    planes = [EIGHT, EIGHT[::-1]]
    files = write(
        tmp_path, **{name: tiff(plane, description=xml) for name, plane in zip("ab", planes, strict=True)}
    )
    np.testing.assert_array_equal(read_site(tmp_path, "s", files).stack, planes)


def test_a_header_of_more_planes_than_pages_is_a_fault(tmp_path):
    """A channel file whose header states planes that it does not hold is refused, not read as its first plane."""
    files = write(tmp_path, a=tiff(EIGHT, description='{"shape": [4, 37, 53]}', metadata=None))
    (fault,) = read_site(tmp_path, "s", files).faults
    assert "4 planes" in fault.reason


STAINS = ("DNA", "actin")
STACK = np.stack([EIGHT, EIGHT[::-1]])


def read_stack_file(folder, content, stains=STAINS):
    write(folder, stack=content)
    return read_site(folder, "s", ["stack"], stack_stains=stains)


def named(*names):
    return {"ome": True, "photometric": "minisblack", "metadata": {"axes": "CYX", "Channel": {"Name": names}}}


@pytest.mark.parametrize(
    "options",
    [
        {"photometric": "minisblack"},
        {"photometric": "minisblack", "planarconfig": "separate"},
        {"photometric": "minisblack", "compression": "zlib"},
        {"imagej": True, "metadata": {"axes": "CYX", "mode": "composite"}},
        {"imagej": True, "metadata": {"axes": "CYX", "Labels": ["DNA", "Actin"]}},
        {"photometric": "palette", "colormap": np.array([[0], [257], [0]]) * np.arange(256)},
        named("Channel 1", "Channel 2"),
        named("dna", "ACTIN"),
    ],
    ids=["pages", "planar", "zlib", "ImageJ", "ImageJ's labels", "green", "OME", "OME names"],
)
def test_a_stack_file_is_its_channels(tmp_path, options):
    """One file that holds the whole stack gives the channels in the order described, however it was written."""
    if "colormap" in options:
        options = {**options, "colormap": options["colormap"].astype(np.uint16)}
    read = read_stack_file(tmp_path, tiff(STACK, **options))
    assert read.faults == ()
    np.testing.assert_array_equal(read.stack, STACK)


def test_a_stack_whose_names_are_the_stains_is_put_into_their_order(tmp_path):
    """Where a file names its channels as the stains, its names decide, as they do in the service."""
    read = read_stack_file(tmp_path, tiff(STACK, **named("Actin", "DNA")))
    np.testing.assert_array_equal(read.stack, STACK[::-1])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (tiff(EIGHT), r"holds 1 channel\(s\); expected 2, as \[images\] channels names them: DNA, actin"),
        (tiff(np.stack([EIGHT] * 3), photometric="minisblack"), r"holds 3 channel\(s\); expected 2"),
        (imagecodecs.png_encode(EIGHT), r"holds 1 channel\(s\); expected 2"),
        (imagecodecs.png_encode(np.dstack([EIGHT] * 3)), "PNG in RGB"),
        (tiff(STACK, photometric="minisblack", metadata={"axes": "ZYX"}), "says Z=2"),
        (tiff(STACK, imagej=True, metadata={"axes": "TYX"}), "says T=2"),
        (tiff(np.dstack([EIGHT] * 4), photometric="rgb", extrasamples=["unassalpha"]), "opacity"),
        (tiff(STACK, **named("actin", "GFP")), r"leaves open which .*'actin' is channel 1.*actin is stain 2"),
        (tiff(STACK, **named("DNA", "dna")), "leaves open which .*DNA is named more than once"),
        (tiff(STACK)[:200], "unusable TIFF"),
        (b"", "is empty"),
    ],
    ids=[
        "one",
        "three",
        "PNG",
        "colours",
        "depth",
        "time",
        "opacity",
        "another place",
        "twice",
        "cut",
        "empty",
    ],
)
def test_what_is_no_such_stack_is_a_fault_with_the_reason(tmp_path, content, reason):
    """A file of other channels, of depth, time, colours or opacity, or whose names contradict, is named and refused."""
    read = read_stack_file(tmp_path, content)
    (fault,) = read.faults
    assert (read.stack, fault.file) == (None, "stack")
    assert re.search(reason, fault.reason), fault.reason
    assert "?channels=" not in fault.reason


def test_a_colour_picture_is_no_stack_of_three_stains(tmp_path):
    """A picture in RGB is a fault, although it has as many samples as there are stains."""
    picture = tiff(RNG.integers(0, 256, (37, 53, 3), dtype=np.uint8), photometric="rgb")
    (fault,) = read_stack_file(tmp_path, picture, ("DNA", "actin", "tubulin")).faults
    assert "colour picture" in fault.reason


def test_dead_and_repeated_channels_of_a_stack_are_faults(tmp_path):
    """In a stack, a channel of one value and one with another's pixels are named by their stains."""
    stack = np.stack([EIGHT, np.full_like(EIGHT, 7), EIGHT, EIGHT[::-1]])
    read = read_stack_file(
        tmp_path, tiff(stack, photometric="minisblack"), ("DNA", "actin", "tubulin", "Golgi")
    )
    assert [(fault.file, fault.reason.partition(";")[0]) for fault in read.faults] == [
        ("stack", "actin is a dead channel: every pixel is 7"),
        ("stack", "tubulin holds the same pixels as DNA"),
    ]


def test_a_stack_may_be_as_large_as_files_of_its_channels(monkeypatch, tmp_path):
    """What is allowed for the file of a channel is allowed for every channel of a stack."""
    monkeypatch.setattr(StackLimits, "max_decoded_bytes", EIGHT.nbytes)
    assert read_stack_file(tmp_path, tiff(STACK, photometric="minisblack")).stack is not None
