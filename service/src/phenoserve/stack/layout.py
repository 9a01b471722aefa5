"""Decides how the pages of a TIFF are the channels of one field, or says why they are not."""

import json
from dataclasses import dataclass
from typing import cast

from phenoserve.stack.errors import UnsupportedLayoutError
from phenoserve.stack.ome import is_ome, page_order, parse_ome


@dataclass(frozen=True)
class Layout:
    """How to put pages together.

    Attributes:
        page_of_channel: Index of the page of each channel; one page for all where `samples` is not 1.
        samples: Samples of that one page, which are then the channels.
        channel_names: Names from an OME header, in channel order, or None.
    """

    page_of_channel: tuple[int, ...]
    samples: int
    channel_names: tuple[str, ...] | None = None

    @property
    def num_channels(self) -> int:
        """Number of channels of the stack."""
        return self.samples if self.samples > 1 else len(self.page_of_channel)


def plan_layout(num_pages: int, samples: int, description: str) -> Layout:
    """Read a file's pages as channels.

    Args:
        num_pages: Pages in the file, all of one shape.
        samples: Samples per pixel of every page.
        description: Image description of the first page: OME-XML, ImageJ's, tifffile's, or anything.

    Returns:
        The order of the channels.

    Raises:
        UnsupportedLayoutError: If there is Z or time beyond 1, several images, or several pages of several
            samples.
        DamagedTiffError: If the description is OME-XML that cannot be read.
    """
    if num_pages > 1 and samples > 1:
        raise UnsupportedLayoutError(
            f"Found {num_pages} pages of {samples} samples each, which leaves open what the channels are."
            " Expected a page a channel, or one page whose samples are the channels."
        )
    if is_ome(description):
        return _plan_ome(num_pages, samples, description)
    if description.startswith("ImageJ="):
        _check_imagej(num_pages, description)
    elif description.startswith('{"shape"'):
        _check_tifffile(description)
    return Layout(tuple(range(num_pages)), samples)


def _refuse(depth: int, times: int, source: str) -> None:
    """Raise if there is more than one plane in depth or time."""
    if depth > 1 or times > 1:
        found = " and ".join([f"Z={depth}"] * (depth > 1) + [f"T={times}"] * (times > 1))
        raise UnsupportedLayoutError(
            f"{source} says {found}; a stack is one field at one depth and one time. Send one plane or a"
            " projection; if these planes are channels, mark them as channels (in Fiji: Image > Properties)."
        )


def _plan_ome(num_pages: int, samples: int, description: str) -> Layout:
    header = parse_ome(description)
    if header.metadata_elsewhere or header.num_images != 1:
        found = (
            "only points to another file"
            if header.metadata_elsewhere
            else f"holds {header.num_images} images"
        )
        raise UnsupportedLayoutError(
            f"The OME-XML header {found}; expected one image. Export one field to one file."
        )
    _refuse(header.sizes["Z"], header.sizes["T"], "The OME-XML header")
    num_channels = num_pages * samples
    if header.sizes["C"] != num_channels:
        raise UnsupportedLayoutError(
            f"The OME-XML header says {header.sizes['C']} channels, the file holds {num_channels}. Multi-file"
            " OME-TIFFs are not read; export all channels into one file."
        )
    names = tuple(name for name in header.names if name)
    named = len(names) == len(header.names) == num_channels
    order = tuple(page_order(header, num_pages)) if samples == 1 else (0,)
    return Layout(order, samples, names if named else None)


def _check_imagej(num_pages: int, description: str) -> None:
    pairs = (line.partition("=") for line in description.splitlines())
    fields = {key.strip(): int(value) for key, _, value in pairs if value.isascii() and value.isdigit()}
    _refuse(fields.get("slices", 1), fields.get("frames", 1), "ImageJ's header")
    if fields.get("images", 1) not in (1, num_pages):
        raise UnsupportedLayoutError(
            f"ImageJ's header says {fields['images']} images, the file holds {num_pages} pages. Save it again"
            " in Fiji as a TIFF of less than 4 GB."
        )


def _check_tifffile(description: str) -> None:
    try:
        header: object = json.loads(description)
    except (ValueError, RecursionError):
        return  # any text may start like this; it is then no header
    if not isinstance(header, dict):
        return
    fields = cast("dict[str, object]", header)
    axes, shape = fields.get("axes"), fields.get("shape")
    if isinstance(axes, str) and isinstance(shape, list):
        sizes = dict(zip(axes.upper(), cast("list[object]", shape), strict=False))
        depth, times = (
            size if isinstance(size, int) else 1 for size in (sizes.get("Z", 1), sizes.get("T", 1))
        )
        _refuse(depth, times, "tifffile's header")
