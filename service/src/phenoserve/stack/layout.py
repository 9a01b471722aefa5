"""Decides how the pages of a TIFF are the channels of one field, or says why they are not."""

from collections.abc import Sequence
from dataclasses import dataclass

from phenoserve.stack.errors import UnsupportedLayoutError
from phenoserve.stack.headers import CHANNEL_AXES, Header
from phenoserve.stack.ome import OmeHeader, page_order

ADVICE = (
    "Send one plane or a projection; if these planes are channels, mark them as channels (in Fiji: Image > "
    "Properties)."
)


@dataclass(frozen=True)
class Layout:
    """How to put pages together.

    Attributes:
        page_of_channel: Index of the page of each channel; one page for all where `samples` is not 1.
        samples: Samples of that one page, which are then the channels.
        channel_names: Names from an OME header, in channel order, empty where one has none; None without any.
    """

    page_of_channel: tuple[int, ...]
    samples: int
    channel_names: tuple[str, ...] | None = None

    @property
    def num_channels(self) -> int:
        """Number of channels of the stack."""
        return self.samples if self.samples > 1 else len(self.page_of_channel)


def plan_layout(
    num_pages: int,
    samples: int,
    headers: Sequence[Header],
    omes: Sequence[OmeHeader],
    *,
    is_channel_file: bool = False,
) -> Layout:
    """Read a file's pages as channels.

    Args:
        num_pages: Pages in the file, all of one shape.
        samples: Samples per pixel of every page.
        headers: What its headers state.
        omes: What its OME-XML headers say.
        is_channel_file: Whether the file is to be one channel, whose header may tell of the files of the others.

    Returns:
        The order of the channels.

    Raises:
        UnsupportedLayoutError: If a header states other planes than channels, or another number of them than the file
            holds; if there are several images, or several pages of several samples.
    """
    if num_pages > 1 and samples > 1:
        raise UnsupportedLayoutError(
            f"Found {num_pages} pages of {samples} samples each, which leaves open what the channels are."
            " Expected a page a channel, or one page whose samples are the channels."
        )
    for header in headers:
        _check(header, num_pages, samples)
    own = [header for header in omes if not (is_channel_file and header.is_of_several_files(num_pages))]
    if not own:
        return Layout(tuple(range(num_pages)), samples)
    if len(own) > 1:
        raise UnsupportedLayoutError(
            f"The file holds {len(own)} OME-XML headers that differ; expected one. Export one field to one file."
        )
    return _plan_ome(num_pages, samples, own[0])


def _check(header: Header, num_pages: int, samples: int) -> None:
    """Refuse a header that tells of other planes than the file's channels."""
    long = [(axis, size) for axis, size in header.axes if size > 1]
    _refuse([(axis, size) for axis, size in long if axis not in CHANNEL_AXES], header.source)
    if len(long) > 1:
        raise UnsupportedLayoutError(
            f"{header.source} says planes of {' by '.join(str(size) for _, size in long)}, of which one axis alone"
            f" can be the channels. {ADVICE}"
        )
    for stated in header.counts - {1, num_pages, num_pages * samples}:
        held = f"{num_pages} page{'s' * (num_pages > 1)}" + f" of {samples} samples" * (samples > 1)
        raise UnsupportedLayoutError(
            f"{header.source} says {stated} planes, the file holds {held}; expected as many as there are channels. The"
            " others were cut off, or lie where only that program finds them. Open the file with the program that"
            " wrote it and save it again, a page a channel (in Fiji: as a TIFF of less than 4 GB)."
        )


def _refuse(planes: Sequence[tuple[str, int]], source: str) -> None:
    """Raise if there is more than one plane along an axis that is not the channels'."""
    if planes:
        found = " and ".join(f"{axis}={size}" for axis, size in planes)
        raise UnsupportedLayoutError(
            f"{source} says {found}; a stack is one field at one depth and one time. {ADVICE}"
        )


def _plan_ome(num_pages: int, samples: int, header: OmeHeader) -> Layout:
    if header.metadata_elsewhere or header.num_images != 1:
        found = (
            "only points to another file"
            if header.metadata_elsewhere
            else f"holds {header.num_images} images"
        )
        raise UnsupportedLayoutError(
            f"The OME-XML header {found}; expected one image. Export one field to one file."
        )
    _refuse([(axis, header.sizes[axis]) for axis in "ZT" if header.sizes[axis] > 1], "The OME-XML header")
    if header.modulo is not None:
        raise UnsupportedLayoutError(
            f"The OME-XML header says that its channels are also of another axis, {header.modulo}; expected channels"
            f" alone. {ADVICE}"
        )
    num_channels = num_pages * samples
    if header.sizes["C"] != num_channels:
        raise UnsupportedLayoutError(
            f"The OME-XML header says {header.sizes['C']} channels, the file holds {num_channels}. Multi-file"
            " OME-TIFFs are not read; export all channels into one file."
        )
    if len(header.names) > num_channels or any(page >= num_pages for page, _, _ in header.planes):
        raise UnsupportedLayoutError(
            f"The OME-XML header tells of more channels or pages than the {num_channels} channels on {num_pages} pages"
            " that the file holds. Export the field anew."
        )
    order = tuple(page_order(header, num_pages)) if samples == 1 else (0,)
    return Layout(order, samples, _names(header, num_channels))


def _names(header: OmeHeader, num_channels: int) -> tuple[str, ...] | None:
    """A name of every channel; none where one name stands for all samples of a page."""
    is_shared = len(header.names) == 1 < num_channels
    if is_shared or not any(header.names):
        return None
    return (*header.names, *[""] * (num_channels - len(header.names)))
