"""Reads what an OME-XML header says about the channels, and nothing else of it.

Source: OME Model 2016-06, `Pixels`, `Channel` and `TiffData`
(https://docs.openmicroscopy.org/ome-model/latest/ome-tiff/specification.html).
The header is a stranger's XML, so it is streamed through expat, a document type (the carrier of entity bombs)
is refused, and file names in it are never looked at: nothing is opened.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from phenoserve.stack.errors import DamagedTiffError, UnsupportedLayoutError

ROOT: Final = re.compile(r"<(?:[\w.-]+:)?OME(?:[\s/>]|$)")
"""Where an OME-XML document opens, whatever stands before it and whichever prefix it has."""

COUNTED: Final = re.compile(r"(?:channel|chan|ch|c|w)?[\s:_.#-]*[\d:]*(?:-T\d+)?", re.IGNORECASE)
"""A name that only counts its channel, such as `Channel:0:1` or `Ch1-T2`."""


@dataclass
class OmeHeader:
    """What an OME header says.

    Attributes:
        num_images: `Image` elements that hold pixels.
        sizes: `SizeC`, `SizeZ` and `SizeT` of the first image.
        modulo: What the C axis is besides channels (`ModuloAlongC`), such as lifetime; None if nothing.
        names: Name of each channel, its fluorophore where the name only counts, empty where it has neither.
        planes: `(first page, first channel, number of planes or None for all)` of each `TiffData` of the first image.
        planes_of_file: Planes that every image together has in each file named; None for all of that file's pages.
        metadata_elsewhere: True if the header only points to a metadata file (`BinaryOnly`).
    """

    num_images: int = 0
    sizes: dict[str, int] = field(default_factory=dict[str, int])
    modulo: str | None = None
    names: list[str] = field(default_factory=list[str])
    planes: list[tuple[int, int, int | None]] = field(default_factory=list[tuple[int, int, int | None]])
    planes_of_file: dict[str, int | None] = field(default_factory=dict[str, int | None])
    metadata_elsewhere: bool = False
    _num_planes: int | None = None

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Take in one opening tag, in document order."""
        name = tag.rpartition(":")[2]
        if name == "BinaryOnly":
            self.metadata_elsewhere = True
        elif name == "Pixels":
            self.num_images += 1
        elif name == "TiffData":
            count = attributes.get("PlaneCount", "1" if "IFD" in attributes else None)
            self._num_planes = None if count is None else int(count)
        elif name == "UUID" and "FileName" in attributes:
            self._name_file(attributes["FileName"])
        elif name == "ModuloAlongC":
            self.modulo = attributes.get("Type", "another axis")
        if self.num_images != 1:
            return
        if name == "Pixels":
            self.sizes = {size: int(attributes[f"Size{size}"]) for size in "CZT"}
        elif name == "Channel":
            called, fluor = (attributes.get(key, "") for key in ("Name", "Fluor"))
            self.names.append(fluor if fluor and COUNTED.fullmatch(called) else called)
        elif name == "TiffData":
            first_page, first_channel = (int(attributes.get(place, "0")) for place in ("IFD", "FirstC"))
            self.planes.append((first_page, first_channel, self._num_planes))

    def _name_file(self, file: str) -> None:
        before = self.planes_of_file.get(file, 0)
        both = None if before is None or self._num_planes is None else before + self._num_planes
        self.planes_of_file[file] = both

    def is_of_several_files(self, num_pages: int) -> bool:
        """Whether the planes lie in several files, one of them of so many pages, or in files it does not name."""
        has_such = any(planes in {None, num_pages} for planes in self.planes_of_file.values())
        return self.metadata_elsewhere or (len(self.planes_of_file) > 1 and has_such)


def parse_ome(description: str) -> OmeHeader | None:
    """Read an OME-XML header.

    Args:
        description: The image description of a page.

    Returns:
        What it says about images, channels and planes; None where it is no OME-XML.

    Raises:
        DamagedTiffError: If it is no whole XML document, declares a document type, or lacks or garbles an attribute.
    """
    is_ome = ROOT.search(description) is not None
    if not is_ome and not description.startswith("<?xml"):
        return None
    header = OmeHeader()
    parser = expat.ParserCreate("utf-8")  # whatever it declares: it was decoded before

    def refuse_doctype(*_: object) -> None:
        raise DamagedTiffError("The OME-XML header declares a document type, which OME-XML never does.")

    parser.StartDoctypeDeclHandler = refuse_doctype
    if is_ome:
        parser.StartElementHandler = header.start
    try:
        parser.Parse(description[description.index("<") :].encode(), True)
    except (expat.ExpatError, KeyError, ValueError) as error:
        raise DamagedTiffError(
            f"The OME-XML header cannot be read: {error}. What the pages are is not known; is the header complete?"
        ) from error
    return header if is_ome else None


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
