"""Files made to hurt: each is refused with a documented error, quickly and without the memory it asks for."""

import io
import tracemalloc
import zlib

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings

from phenoserve.errors import ERRORS
from phenoserve.stack import (
    DamagedTiffError,
    NotATiffError,
    Stack,
    StackError,
    StackTooLargeError,
    UnsupportedCodecError,
    read_stack,
)

from .tiffs import VARIANTS, gray_page, header, mutated, ome, one_page, page, redescribe, write

MIB = 2**20

VALID = {
    name: write(np.arange(3 * 20 * 24, dtype=np.uint16).reshape(3, 20, 24), **options)
    for name, options in VARIANTS.items()
}


def refused(data: bytes, mib: float = 64) -> StackError:
    """Read hostile bytes: the error, having allocated at most `mib` MiB beyond the bytes themselves."""
    tracemalloc.start()
    try:
        with pytest.raises(StackError) as caught:
            read_stack(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < mib * MIB, f"{peak / MIB:.0f} MiB"
    return caught.value


@pytest.mark.parametrize("codec", ["zlib", "lzma", "zstd", "lzw", "packbits"])
def test_a_strip_that_inflates_without_end_is_cut_off(codec: str) -> None:
    """A strip declared as 4 KiB that inflates to hundreds of MiB is refused or cut, never inflated."""
    encode = {
        "zlib": lambda: zlib.compress(bytes(512 * MIB), 9),
        "lzma": lambda: imagecodecs.lzma_encode(bytes(16 * MIB)),
        "zstd": lambda: imagecodecs.zstd_encode(bytes(512 * MIB)),
        "lzw": lambda: imagecodecs.lzw_encode(bytes(16 * MIB)),
        "packbits": lambda: b"\x81\0" * (MIB // 8),
    }
    payload = encode[codec]()
    number = {"zlib": 8, "lzma": 34925, "zstd": 50000, "lzw": 5, "packbits": 32773}[codec]
    data = one_page(payload, height=64, width=64, compression=number)
    tracemalloc.start()
    try:
        shape = read_stack(data).array.shape
    except StackError as error:
        shape = error.code
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert shape in {(1, 64, 64), "damaged_tiff"}
    assert peak < len(data) * 2 + 4 * MIB


def test_a_field_of_impossible_size_is_refused() -> None:
    """A page that claims 60,000 by 60,000 pixels costs nothing."""
    error = refused(one_page(b"x" * 64, height=60_000, width=60_000, compression=8), mib=1)
    assert isinstance(error, StackTooLargeError)
    assert "60000x60000" in error.detail


def test_a_tile_larger_than_the_limit_is_refused() -> None:
    """A tile counts in full, however little of it lies inside the field."""
    tile = {"tag_322": 2**16, "tag_323": 2**16, "tag_324": 8, "tag_325": 64}
    assert isinstance(refused(one_page(b"x" * 64, compression=8, **tile), mib=1), StackTooLargeError)


def test_millions_of_segments_are_refused() -> None:
    """More tiles than anyone writes are refused before the first is read."""
    tile = {"tag_322": 1, "tag_323": 1, "tag_324": 8, "tag_325": 1}
    error = refused(one_page(b"x" * 64, height=4000, width=4000, **tile), mib=1)
    assert isinstance(error, StackTooLargeError)
    assert "strips or tiles" in error.detail


def test_eighty_thousand_pages_are_refused() -> None:
    """A chain of 80,000 pages is left after the last one a stack can have."""
    size = len(gray_page())
    chain = [gray_page(following=72 + size * (index + 1)) for index in range(80_000)]
    assert isinstance(refused(header(72) + bytes(64) + b"".join(chain), mib=1), StackTooLargeError)


@pytest.mark.parametrize("length", [1, 2, 50])
def test_a_chain_that_bites_its_tail_is_refused(length: int) -> None:
    """A chain of pages without an end is noticed at its first repetition."""
    size = len(gray_page())
    chain = [gray_page(following=72 + size * ((index + 1) % length)) for index in range(length)]
    assert isinstance(refused(header(72) + bytes(64) + b"".join(chain), mib=1), DamagedTiffError)


def test_tags_that_load_the_file_again_and_again_are_refused() -> None:
    """Five hundred tags of 8 MiB that all lie at the same place are refused before the second is loaded."""
    body = bytes(8 * MIB)
    tags = dict.fromkeys(range(273, 773), (4, 2 * MIB, 8))
    assert isinstance(refused(header(8 + len(body)) + body + page(tags), mib=1), StackTooLargeError)


def test_a_vendor_tag_of_many_values_is_refused() -> None:
    """A MetaMorph tag, which readers walk value by value, is held to a few thousand."""
    body = bytes(4 * MIB)
    data = header(8 + len(body)) + body + page({33628: (4, MIB, 8)})
    assert isinstance(refused(data, mib=1), StackTooLargeError)


def test_a_file_named_in_the_upload_is_never_opened(tmp_path, monkeypatch) -> None:
    """OME's `UUID FileName` opens nothing, and the planes it points to are missed, not invented."""
    other = tmp_path / "other.tif"
    other.write_bytes(write(np.ones((1, 8, 8), np.uint8), photometric="minisblack"))
    data = ome(np.zeros((2, 8, 8), np.uint8), "ab")
    uuid = f'<TiffData FirstC="1"><UUID FileName="{other}">urn:uuid:1</UUID></TiffData>'.encode()
    data = redescribe(data, b"<TiffData", uuid + b"<TiffData")
    opened: list[object] = []
    monkeypatch.setattr("builtins.open", lambda *names: opened.append(names) or io.BytesIO())
    assert read_stack(data).array.max() == 0
    assert not opened


@pytest.mark.parametrize(
    "xml",
    [
        '<!DOCTYPE OME [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><OME>&b;</OME>',
        '<!DOCTYPE OME SYSTEM "file:///etc/passwd"><OME></OME>',
        "<OME><Image></OME>",
        "<OME><Image><Pixels SizeC='many' SizeZ='1' SizeT='1'/></Image></OME>",
        "<OME><Image><Pixels/></Image></OME>",
    ],
    ids=["entities", "external", "unclosed", "not a number", "no sizes"],
)
def test_an_ome_header_that_is_no_ome_header_is_refused(xml: str) -> None:
    """A document type or broken XML in the header is refused without expanding or fetching anything."""
    data = write(np.zeros((2, 8, 8), np.uint8), photometric="minisblack", description=xml, metadata=None)
    assert isinstance(refused(data, mib=4), DamagedTiffError)


@pytest.mark.parametrize(
    ("number", "name"), [(7, "JPEG"), (50001, "WEBP"), (34712, "JPEG2000"), (32766, "NEXT"), (12345, "12345")]
)
def test_a_codec_outside_the_list_is_named(number: int, name: str) -> None:
    """A codec that is not read is refused by its name, with those that are."""
    error = refused(one_page(b"x" * 64, compression=number), mib=1)
    assert isinstance(error, UnsupportedCodecError)
    assert name in error.detail
    assert "LZW" in error.detail


@pytest.mark.parametrize(
    "data", [b"", b"II", b"II*\0", b"GIF89a..", b"\x89PNG\r\n\x1a\n", b"II\x55\0\x08\0\0\0"]
)
def test_other_files_are_not_tiffs(data: bytes) -> None:
    """What does not start as a TIFF does is said not to be one."""
    assert isinstance(refused(data, mib=1), NotATiffError)


@pytest.mark.parametrize("variant", VALID)
def test_every_truncation_is_refused_or_read(variant: str) -> None:
    """A valid file cut anywhere is a stack or a documented error, nothing else."""
    data = VALID[variant]
    for stop in range(0, len(data), 7):
        read_or_refuse(data[:stop])


@given(mutated(VALID))
@settings(max_examples=400, deadline=None)
def test_mutated_files_are_refused_or_read(data: bytes) -> None:
    """A valid file with bytes changed anywhere is a stack or a documented error, nothing else."""
    read_or_refuse(data)


def read_or_refuse(data: bytes) -> None:
    try:
        outcome: Stack | StackError = read_stack(data)
    except StackError as error:
        outcome = error
    assert isinstance(outcome, Stack) or ERRORS[outcome.code].status in {413, 415, 422}
