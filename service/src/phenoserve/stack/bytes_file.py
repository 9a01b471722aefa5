"""A file to read from over bytes that stay where they are: `io.BytesIO` copies what is not of type `bytes`."""

import io
import os
from typing import Any

import numpy as np


class BytesFile(io.RawIOBase):
    """A file over bytes, without a copy of them; once closed it holds them no more.

    Args:
        content: The bytes.
    """

    def __init__(self, content: bytes | memoryview) -> None:
        super().__init__()
        self._content = np.frombuffer(content, np.uint8)  # copies without the interpreter's lock
        self._at = 0

    def close(self) -> None:
        """Let go of the bytes, whoever may still hold the file."""
        self._content = self._content[:0].copy()
        super().close()

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """It can be read from anywhere."""
        return True

    def tell(self) -> int:
        """Where it is read from next."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to where it is to be read from next."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: len(self._content)}[whence]
        if start + offset < 0:
            raise ValueError(f"There is no byte {start + offset}")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        """Read as many bytes as the buffer holds, or as are left."""
        into, found = np.frombuffer(buffer, np.uint8), self._content[self._at :]
        num_bytes = min(len(into), len(found))
        into[:num_bytes] = found[:num_bytes]
        self._at += num_bytes
        return num_bytes

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as many bytes, or as are left; all of these if the number is negative."""
        stop = len(self._content) if size is None or size < 0 else self._at + size
        found = self._content[self._at : stop].tobytes()
        self._at += len(found)
        return found
