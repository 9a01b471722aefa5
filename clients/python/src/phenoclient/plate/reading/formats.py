"""Which files hold images that are not read, and why."""

import re
from pathlib import PurePath

from phenoclient.plate.reading.layouts import IMAGE_ENDINGS

_MICROSCOPE_ENDINGS = frozenset(
    {
        ".czi",
        ".nd2",
        ".lif",
        ".lof",
        ".flex",
        ".stk",
        ".oib",
        ".oif",
        ".oir",
        ".vsi",
        ".ets",
        ".lsm",
        ".ims",
        ".dv",
        ".r3d",
        ".mrc",
        ".zvi",
        ".ics",
        ".ids",
        ".dib",
        ".scn",
        ".svs",
        ".ndpi",
        ".mvd2",
        ".sld",
        ".sldy",
        ".zarr",
        ".n5",
    }
)
_PICTURE_ENDINGS = frozenset(
    {
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jp2",
        ".j2k",
        ".jpx",
        ".jxr",
        ".wdp",
        ".jxl",
        ".bmp",
        ".gif",
        ".webp",
        ".avif",
        ".heic",
        ".heif",
        ".tga",
        ".pgm",
        ".ppm",
        ".pnm",
        ".pbm",
        ".psd",
        ".exr",
        ".fits",
        ".fit",
        ".h5",
        ".hdf5",
        ".npy",
        ".npz",
        ".raw",
        ".dcm",
        ".nrrd",
        ".nii",
    }
)
_CELLOMICS = re.compile(r"\.c\d\d")
_PACKED_ENDINGS = frozenset({".bz2", ".gz", ".xz", ".zip", ".zst", ".7z"})
_PARTIAL_ENDINGS = frozenset({".part", ".partial", ".filepart", ".crdownload", ".download", ".tmp"})
_COMPANION_ENDINGS = frozenset(
    {
        ".bak",
        ".cfg",
        ".csv",
        ".db",
        ".doc",
        ".docx",
        ".html",
        ".ini",
        ".json",
        ".lnk",
        ".lock",
        ".log",
        ".lut",
        ".md5",
        ".mes",
        ".meta",
        ".mlf",
        ".mrf",
        ".pdf",
        ".roi",
        ".sha1",
        ".sha256",
        ".swp",
        ".tsv",
        ".txt",
        ".url",
        ".xls",
        ".xlsx",
        ".xml",
        ".yaml",
        ".yml",
    }
)
"""Endings of what lies beside an image under its name: what is known of it, regions, sums, copies of editors"""

_ADVICE = "Expected TIFF or PNG: export it as one of them, or move it away."


def is_image(path: PurePath) -> bool:
    """Whether a file's ending is of those that are read."""
    return path.suffix.lower() in IMAGE_ENDINGS


def why_unread(path: PurePath, *, is_named_as_one: bool = False) -> str | None:
    """Why a file that holds pixels of an instrument cannot be read; None where it can, or holds none.

    Args:
        path: The file.
        is_named_as_one: Whether it is named as an image of the plate, but for its ending: then it counts as one, unless
            its ending is of what lies beside images. Otherwise pictures of common formats are another matter, see
            `is_picture`.
    """
    ending = path.suffix.lower()
    if ending in _MICROSCOPE_ENDINGS or _CELLOMICS.fullmatch(ending):
        return f"{path.name}: images that end in {ending} are not read. {_ADVICE}"
    if _is_image_inside(path) and ending in _PACKED_ENDINGS:
        return f"{path.name}: is packed. Expected TIFF or PNG: unpack it."
    if _is_image_inside(path) and ending in _PARTIAL_ENDINGS:
        return f"{path.name}: its copy has not ended. Expected the whole file: copy it again."
    if not is_named_as_one or ending in _COMPANION_ENDINGS or ending.endswith(("~", "#")):
        return None
    what = f"ends in {ending}, which is" if ending else "has no ending, and so is"
    return f"{path.name}: is named as an image of the plate, but {what} not read. {_ADVICE}"


def is_picture(path: PurePath) -> bool:
    """Whether a file is a picture of a common format that is not read."""
    return path.suffix.lower() in _PICTURE_ENDINGS


def _is_image_inside(path: PurePath) -> bool:
    inside = PurePath(path.stem)
    return is_image(inside) or inside.suffix.lower() in _MICROSCOPE_ENDINGS
