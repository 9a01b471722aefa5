"""How many planes the header of a TIFF says that it holds, so that a file that lacks some is not taken for whole.

`tests/cases/headers.json` holds this reader and the service's to the same cases.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast
from xml.parsers import expat

_IMAGEJ = re.compile(r"^[\s\ufeff]*(?:(ImageJ|SCIFIO)=|images=\d)", re.MULTILINE)
_COMPOSITE = re.compile(r"^mode=(composite|color|grayscale)\s*$", re.MULTILINE)
_TIFFFILE = re.compile(r'[\s\ufeff]*(shape=\(|\{.*"shape"\s*:)', re.DOTALL)
_OME = re.compile(r"<(\w+:)?OME[\s>/]")


@dataclass(frozen=True)
class StatedPlanes:
    """What a header states.

    Attributes:
        num_planes: Planes of the size of a page.
        words: The statement in words, to be read before "but the file holds".
    """

    num_planes: int
    words: str


def stated_planes(description: str, *, height: int, width: int) -> StatedPlanes | None:
    """What an image description says about the planes of its file; None where it is no header that says it.

    Args:
        description: Image description of a TIFF's first page: OME-XML, ImageJ's, SCIFIO's, tifffile's, or anything.
        height: Height of the page in pixels.
        width: Its width in pixels.

    Raises:
        ValueError: If there is an OME-XML header that cannot be read.
    """
    if _OME.search(description):
        return _of_ome(description)
    imagej = _IMAGEJ.search(description)
    if imagej is not None:
        return _of_imagej(description, imagej[1])
    if _TIFFFILE.match(description):
        return _of_tifffile(description, height * width)
    return None


def is_composite(description: str) -> bool:
    """Whether ImageJ's header says that the planes are channels, which a lookup table only shows in a colour."""
    return _IMAGEJ.search(description) is not None and _COMPOSITE.search(description) is not None


def _of_imagej(description: str, program: str | None) -> StatedPlanes:
    pairs = [line.partition("=") for line in description.strip("\ufeff \n").splitlines()]
    fields = {key.strip(): value.strip() for key, _, value in pairs}
    numbers = {key: int(value) for key, value in fields.items() if value.isascii() and value.isdigit()}
    sizes = {name: numbers[name] for name in ("images", "channels", "slices", "frames") if name in numbers}
    lengths = dict(zip(fields.get("axes", "").split(","), fields.get("lengths", "").split(","), strict=False))
    sizes |= {axis: int(size) for axis, size in lengths.items() if axis not in {"X", "Y"} and size.isdigit()}
    hyperstack = math.prod(numbers.get(name, 1) for name in ("channels", "slices", "frames"))
    axes = math.prod(size for axis, size in sizes.items() if axis in lengths)
    found = ", ".join(f"{name}={size}" for name, size in sizes.items())
    writer = f"{program}'s header" if program else "A header of ImageJ's form"
    return StatedPlanes(max(numbers.get("images", 1), hyperstack, axes), f"{writer} states {found}")


def _of_tifffile(description: str, num_pixels: int) -> StatedPlanes | None:
    try:
        header: object = json.loads(description.strip("\ufeff \n\0"))
        shape = cast("dict[str, object]", header)["shape"] if isinstance(header, dict) else None
    except (ValueError, RecursionError):
        older = re.match(r"[\s\ufeff]*shape=\(([\d, ]*)\)", description)
        shape = [int(size) for size in re.findall(r"\d+", older[1])] if older else None
    if not isinstance(shape, list):
        return None
    sizes = cast("list[object]", shape)
    if not all(isinstance(size, int) for size in sizes):
        return None
    num_planes = -(-math.prod(cast("list[int]", sizes)) // num_pixels)
    return StatedPlanes(num_planes, f"tifffile's header states the shape {' x '.join(map(str, sizes))}")


def _of_ome(description: str) -> StatedPlanes | None:
    header = _OmeHeader()
    parser = expat.ParserCreate()

    def refuse_doctype(*_: object) -> None:
        raise ValueError("the OME-XML header declares a document type, which OME-XML never does")

    parser.StartDoctypeDeclHandler = refuse_doctype
    parser.StartElementHandler = header.start
    parser.CharacterDataHandler = header.text
    try:
        parser.Parse(description[description.index("<") :].rstrip("\0 \n").encode(), True)
    except KeyError as error:
        raise ValueError(f"the OME-XML header lacks {error}") from error
    except expat.ExpatError as error:
        raise ValueError(f"the OME-XML header cannot be read: {error}") from error
    return header.stated()


@dataclass
class _OmeHeader:
    """What is taken in of an OME-XML document.

    Attributes:
        sizes: Channels, depths and times of each image.
        own: UUID of the document's own file.
        planes: Number of planes that each file holds, by its UUID.
        metadata_elsewhere: Whether the header only points to a file of metadata.
    """

    sizes: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])
    own: str = ""
    planes: Counter[str] = field(default_factory=Counter[str])
    metadata_elsewhere: bool = False
    _num_planes: int = 1
    _in_uuid: bool = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Takes in one opening tag, in document order."""
        name = tag.rpartition(":")[2]
        self._in_uuid = name == "UUID"
        if name == "OME":
            self.own = attributes.get("UUID", "")
        elif name == "BinaryOnly":
            self.metadata_elsewhere = True
        elif name == "Pixels":
            self.sizes.append((int(attributes["SizeC"]), int(attributes["SizeZ"]), int(attributes["SizeT"])))
        elif name == "TiffData":
            self._num_planes = int(attributes.get("PlaneCount", "1"))

    def text(self, text: str) -> None:
        """Takes in text: that of a `UUID` names the file of the planes before it."""
        if self._in_uuid and text.strip():
            self.planes[text.strip()] += self._num_planes

    def stated(self) -> StatedPlanes | None:
        """Planes of this file: those of its own UUID where several files are named, else all."""
        if self.metadata_elsewhere or not self.sizes:
            return None
        if len(self.planes) > 1:
            num_planes = self.planes.get(self.own, 1)
            return StatedPlanes(num_planes, f"The OME-XML header states {num_planes} planes of this file")
        found = "; ".join(f"C={c}, Z={z}, T={t}" for c, z, t in self.sizes)
        return StatedPlanes(sum(map(math.prod, self.sizes)), f"The OME-XML header states {found}")
