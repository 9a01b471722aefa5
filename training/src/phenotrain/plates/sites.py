"""One site: its channel files read, checked against each other, and stacked."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from phenotrain.plates.errors import Fault, ImageError
from phenotrain.plates.images import decode_image


@dataclass(frozen=True)
class FieldForm:
    """What every channel file of a dataset has in common.

    Args:
        height: Size along y, px.
        width: Size along x, px.
        dtype: Name of the pixels' NumPy type.
    """

    height: int
    width: int
    dtype: str

    @classmethod
    def of(cls, planes: npt.NDArray[np.generic]) -> Self:
        """Take the form of an array.

        Args:
            planes: `(..., y, x)`.

        Returns:
            Its form.
        """
        return cls(planes.shape[-2], planes.shape[-1], planes.dtype.name)

    def __str__(self) -> str:
        return f"{self.height} x {self.width} px {self.dtype}"


@dataclass(frozen=True)
class SiteRead:
    """What reading one site gave: a stack, or the reasons why there is none.

    Args:
        stack: `(channel, y, x)` in the files' dtype; None if there are faults.
        digest: SHA-256 over the SHA-256 of each file in channel order; empty if there are faults.
        faults: One for each unusable file.
    """

    stack: npt.NDArray[np.generic] | None
    digest: bytes
    faults: tuple[Fault, ...]


def read_site(data_root: Path, site_id: str, files: Sequence[str], form: FieldForm | None = None) -> SiteRead:
    """Read every channel of a site.

    All channels are tried, so that one call reports everything that is wrong with the site. A channel of one value
    throughout, or with another's pixels, is a fault: something went wrong when the plate was taken or copied. A
    file whose dtype differs from the others' is refused rather than promoted: eight bits among sixteen are as a
    rule a rescaled copy, whose intensities mean something else.

    Args:
        data_root: Folder that `files` are relative to.
        site_id: Name of the site, for the faults.
        files: One path a channel, in channel order.
        form: Size and dtype that every file must have; by default those of the site's first readable file.

    Returns:
        The stack and its digest, or the faults.
    """
    planes: list[npt.NDArray[np.generic]] = []
    faults: list[Fault] = []
    digest = hashlib.sha256()
    for file in files:
        try:
            plane, plane_digest = _read_plane(data_root / file, form)
        except ImageError as error:
            faults.append(Fault(site_id, file, str(error)))
            continue
        form = FieldForm.of(plane)
        digest.update(plane_digest)
        planes.append(plane)
    if not faults:
        faults = _channel_faults(data_root, site_id, files, planes)
    if faults:
        return SiteRead(None, b"", tuple(faults))
    return SiteRead(np.stack(planes), digest.digest(), ())


def _channel_faults(
    data_root: Path, site_id: str, files: Sequence[str], planes: Sequence[npt.NDArray[np.generic]]
) -> list[Fault]:
    faults: list[Fault] = []
    seen: dict[tuple[Any, ...], list[int]] = {}
    for index, (file, plane) in enumerate(zip(files, planes, strict=True)):
        lowest, highest = plane.min(), plane.max()
        if lowest == highest:
            faults.append(Fault(site_id, file, f"is a dead channel: every pixel is {lowest}"))
            continue
        # Whole planes are compared only where these agree, which is hardly ever.
        alike = seen.setdefault((lowest, highest, plane.sum(dtype=np.float64)), [])
        twin = next((other for other in alike if np.array_equal(planes[other], plane)), None)
        if twin is not None:
            is_link = (data_root / file).samefile(data_root / files[twin])
            how = "is the same file as" if is_link else "holds the same pixels as"
            faults.append(
                Fault(site_id, file, f"{how} {files[twin]}; expected an image of its own for every channel")
            )
        alike.append(index)
    return faults


def _read_plane(path: Path, form: FieldForm | None) -> tuple[npt.NDArray[np.generic], bytes]:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        if path.is_symlink():
            raise ImageError(f"is a link to {path.readlink()}, which does not exist") from error
        raise ImageError("is missing") from error
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror}") from error
    plane = decode_image(data)
    found = FieldForm.of(plane)
    if form is not None and found != form:
        raise ImageError(f"is {found}; expected {form} as the dataset's other files")
    return plane, hashlib.sha256(data).digest()
