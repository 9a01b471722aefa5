"""Reads what an OME-XML header says about the channels, and nothing else of it.

Source: OME Model 2016-06, `Pixels`, `Channel` and `TiffData`
(https://docs.openmicroscopy.org/ome-model/latest/ome-tiff/specification.html).
The header is a stranger's XML, so it is streamed through expat, a document type (the carrier of entity bombs)
is refused, and file names in it are never looked at: nothing is opened.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from phenoserve.stack.errors import DamagedTiffError, UnsupportedLayoutError


@dataclass
class OmeHeader:
    """What an OME header says.

    Attributes:
        num_images: `Image` elements that hold pixels.
        sizes: `SizeC`, `SizeZ` and `SizeT` of the first image.
        names: Name of each channel, None where it has none.
        samples: Samples per pixel of each channel.
        planes: `(first page, first channel, number of planes or None for all)` of each `TiffData`.
        metadata_elsewhere: True if the header only points to a metadata file (`BinaryOnly`).
    """

    num_images: int = 0
    sizes: dict[str, int] = field(default_factory=dict[str, int])
    names: list[str | None] = field(default_factory=list[str | None])
    samples: list[int] = field(default_factory=list[int])
    planes: list[tuple[int, int, int | None]] = field(default_factory=list[tuple[int, int, int | None]])
    metadata_elsewhere: bool = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Take in one opening tag, in document order."""
        name = tag.rpartition(":")[2]
        if name == "BinaryOnly":
            self.metadata_elsewhere = True
        elif name == "Pixels":
            self.num_images += 1
        if self.num_images != 1:
            return
        if name == "Pixels":
            self.sizes = {size: int(attributes[f"Size{size}"]) for size in "CZT"}
        elif name == "Channel":
            self.names.append(attributes.get("Name"))
            self.samples.append(int(attributes.get("SamplesPerPixel", "1")))
        elif name == "TiffData":
            first_page = int(attributes.get("IFD", "0"))
            count = attributes.get("PlaneCount", "1" if "IFD" in attributes else None)
            num_planes = None if count is None else int(count)
            self.planes.append((first_page, int(attributes.get("FirstC", "0")), num_planes))


def is_ome(description: str) -> bool:
    """Whether an image description is an OME-XML document."""
    return description.lstrip().startswith("<") and description.rstrip().endswith("OME>")


def parse_ome(description: str) -> OmeHeader:
    """Read an OME-XML header.

    Args:
        description: The image description of a TIFF's first page.

    Returns:
        What it says about images, channels and planes.

    Raises:
        DamagedTiffError: If it is no XML, declares a document type, or lacks or garbles an attribute.
    """
    header = OmeHeader()
    parser = expat.ParserCreate()

    def refuse_doctype(*_: object) -> None:
        raise DamagedTiffError("The OME-XML header declares a document type, which OME-XML never does.")

    parser.StartDoctypeDeclHandler = refuse_doctype
    parser.StartElementHandler = header.start
    try:
        parser.Parse(description.encode(), True)
    except (expat.ExpatError, KeyError, ValueError) as error:
        raise DamagedTiffError(f"The OME-XML header cannot be read: {error}.") from error
    return header


def page_order(header: OmeHeader, num_pages: int) -> list[int]:
    """Which page holds each channel.

    Args:
        header: Header of an image whose planes are its channels.
        num_pages: Pages in the file.

    Returns:
        For channel i the index of its page; the file's own order where the header says nothing.

    Raises:
        UnsupportedLayoutError: If the planes it lists are not the file's pages, each once.
    """
    pages: dict[int, int] = {}
    for first_page, first_channel, count in header.planes:
        num_planes = num_pages if count is None else min(count, num_pages)
        pages.update({first_channel + plane: first_page + plane for plane in range(num_planes)})
    order = [pages.get(channel, -1) for channel in range(num_pages)]
    if not header.planes:
        return list(range(num_pages))
    if sorted(order) != list(range(num_pages)):
        raise UnsupportedLayoutError(
            f"The OME-XML header maps channels to pages {order}, but the file holds pages 0 to"
            f" {num_pages - 1}, a channel each. Multi-file OME-TIFFs are not read; export all channels into one file."
        )
    return order
