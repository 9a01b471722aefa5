"""NumPy archives of plain arrays, read without unpickling and without inflating more than they may."""

import io
import tokenize
import zipfile
import zlib
from collections.abc import Mapping

import numpy as np

from phenoserve.bundle.errors import BundleError

FIX = "Export the bundle again."


def read_npz(
    content: bytes, *, file: str, max_bytes: int, error_class: type[BundleError]
) -> dict[str, np.ndarray]:
    """Read every array of an archive; never unpickles.

    Args:
        content: The archive.
        file: Its name, for messages.
        max_bytes: Most bytes that its members may have once inflated.
        error_class: What to raise.

    Returns:
        The arrays by name.

    Raises:
        BundleError: As `error_class`, if it is not an archive of plain arrays or would inflate beyond `max_bytes`.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as members:
            size_bytes = sum(member.file_size for member in members.infolist())
        if size_bytes > max_bytes:
            raise error_class(
                f"{file} inflates to {size_bytes} bytes, more than {max_bytes}. Export the bundle again with fewer "
                "or smaller arrays."
            )
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return {name: np.asarray(archive[name]) for name in archive.files}
    except (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError, KeyError) as error:
        raise error_class(f"{file} is not an archive of plain arrays ({error}). {FIX}") from error
    except (NotImplementedError, RuntimeError, MemoryError, tokenize.TokenError, SyntaxError) as error:
        # A method of compression that zipfile lacks; a member it holds encrypted; a header that states more
        # numbers than memory holds; a header that NumPy's tokeniser stumbles over.
        raise error_class(f"{file} is not an archive of plain arrays ({error!r}). {FIX}") from error


def write_npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return an archive of plain arrays, the same bytes for the same arrays."""
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **dict(arrays))
    return file.getvalue()
