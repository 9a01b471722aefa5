"""One site: its files read, and its channels checked against each other."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from phenotrain.plates.errors import Fault, ImageError
from phenotrain.plates.images import decode_image, decode_stack


@dataclass(frozen=True)
class FieldForm:
    """What every file of a dataset has in common.

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


def read_site(
    data_root: Path,
    site_id: str,
    files: Sequence[str],
    form: FieldForm | None = None,
    *,
    stack_stains: Sequence[str] = (),
) -> SiteRead:
    """Read every channel of a site.

    All files are tried, so that one call reports everything that is wrong with the site. A channel of one value
    throughout, or with another's pixels, is a fault: something went wrong when the plate was taken or copied. A
    file whose dtype differs from the others' is refused rather than promoted: eight bits among sixteen are as a
    rule a rescaled copy, whose intensities mean something else.

    Args:
        data_root: Folder that `files` are relative to.
        site_id: Name of the site, for the faults.
        files: One path a channel, in channel order; or the one of a file that holds the whole stack.
        form: Size and dtype that every file must have; by default those of the site's first readable file.
        stack_stains: The stains where one file holds the whole stack, in channel order; else none.

    Returns:
        The stack and its digest, or the faults.
    """
    planes: list[npt.NDArray[np.generic]] = []
    faults: list[Fault] = []
    digest = hashlib.sha256()
    for file in files:
        try:
            read, file_digest = _read_file(data_root / file, form, stack_stains)
        except ImageError as error:
            faults.append(Fault(site_id, file, str(error)))
            continue
        form = FieldForm.of(read)
        digest.update(file_digest)
        planes += list(read)
    if not faults:
        faults = _channel_faults(data_root, site_id, files, planes, stack_stains)
    if faults:
        return SiteRead(None, b"", tuple(faults))
    return SiteRead(np.stack(planes), digest.digest(), ())


def _channel_faults(
    data_root: Path,
    site_id: str,
    files: Sequence[str],
    planes: Sequence[npt.NDArray[np.generic]],
    stack_stains: Sequence[str],
) -> list[Fault]:
    faults: list[Fault] = []
    for index, twin in _dead_and_repeated(planes):
        reason = f"is a dead channel: every pixel is {planes[index].flat[0]}"
        if twin is not None:
            is_link = not stack_stains and (data_root / files[index]).samefile(data_root / files[twin])
            how = "is the same file as" if is_link else "holds the same pixels as"
            other = (stack_stains or files)[twin]
            reason = f"{how} {other}; expected an image of its own for every channel"
        file, reason = (
            (files[0], f"{stack_stains[index]} {reason}") if stack_stains else (files[index], reason)
        )
        faults.append(Fault(site_id, file, reason))
    return faults


def _dead_and_repeated(planes: Sequence[npt.NDArray[np.generic]]) -> Iterator[tuple[int, int | None]]:
    """Give each channel of one value with None, and each that repeats another with that one."""
    seen: dict[tuple[Any, ...], list[int]] = {}
    for index, plane in enumerate(planes):
        lowest, highest = plane.min(), plane.max()
        if lowest == highest:
            yield index, None
            continue
        # Whole planes are compared only where these agree, which is hardly ever.
        alike = seen.setdefault((lowest, highest, plane.sum(dtype=np.float64)), [])
        twin = next((other for other in alike if np.array_equal(planes[other], plane)), None)
        if twin is not None:
            yield index, twin
        alike.append(index)


def _read_file(
    path: Path, form: FieldForm | None, stack_stains: Sequence[str]
) -> tuple[npt.NDArray[np.generic], bytes]:
    """Give what a file holds, `(channel, y, x)`, and the SHA-256 of its content."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        if path.is_symlink():
            raise ImageError(f"is a link to {path.readlink()}, which does not exist") from error
        raise ImageError("is missing") from error
    except OSError as error:
        raise ImageError(f"cannot be read: {error.strerror}") from error
    planes = decode_stack(data, stack_stains) if stack_stains else decode_image(data)[np.newaxis]
    found = FieldForm.of(planes)
    if form is not None and found != form:
        raise ImageError(f"is {found}; expected {form} as the dataset's other files")
    return planes, hashlib.sha256(data).digest()
