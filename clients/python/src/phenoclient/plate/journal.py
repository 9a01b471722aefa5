"""What has been answered so far, in a file that only grows and outlives a kill at any moment."""

import json
import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, cast, final

from filelock import FileLock, Timeout

from phenoclient.errors import PlateError
from phenoclient.plate.files import sync_folder

FORMAT = "phenoclient plate journal 1"


@dataclass(frozen=True)
class Entry:
    """An answered site.

    Attributes:
        site: `Site.identity`.
        signature: Size in bytes and time of modification in ns of each file of the stack when it was sent.
        answer: Columns of the site's row that the service's answer gives.
    """

    site: tuple[str, ...]
    signature: tuple[tuple[int, int], ...]
    answer: Mapping[str, Any]


@final
class Journal:
    """One JSON line for the options, then one for each answered site; each is on the disk before it counts.

    A last line that has no end, or ends in anything but a JSON object, was torn by a kill: it is cut off, and its
    site is asked about again. Only one process at a time may hold a journal.

    Args:
        path: The file; it is made where there is none.
        binding: What the answers depend on: text by name. A journal with another binding is refused.

    Attributes:
        entries: The last entry of every site.

    Raises:
        PlateError: If another process holds the journal, the file is of another binding, is no journal, is damaged
            before its last line, or cannot be read or written.
    """

    def __init__(self, path: Path, binding: Mapping[str, str]) -> None:
        self.path = path
        self.entries: dict[tuple[str, ...], Entry] = {}
        with ExitStack() as cleanup:
            self._lock(cleanup)
            try:
                self._file: BinaryIO = cleanup.enter_context(path.open("a+b"))
                self._resume(binding)
            except OSError as error:
                raise PlateError(f"{path}: cannot be read or written ({error.strerror}).") from error
            self._cleanup = cleanup.pop_all()

    def append(self, entry: Entry) -> None:
        """Adds an answered site; when it returns, the site is on the disk.

        Raises:
            PlateError: If the file cannot be written.
        """
        line = {"site": entry.site, "signature": entry.signature, "answer": dict(entry.answer)}
        try:
            self._write(line)
        except OSError as error:
            raise PlateError(f"{self.path}: cannot be written ({error.strerror}).") from error
        self.entries[entry.site] = entry

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._cleanup.close()

    def _lock(self, cleanup: ExitStack) -> None:
        lock = FileLock(self.path.with_name(f"{self.path.name}.lock"))
        try:
            cleanup.enter_context(lock.acquire(blocking=False))
        except Timeout as error:
            raise PlateError(
                f"{self.path}: another process is writing it. Expected one run at a time: wait for it, or choose "
                "another --out."
            ) from error
        except OSError as error:
            raise PlateError(f"{self.path}: cannot be locked ({error.strerror}).") from error

    def _resume(self, binding: Mapping[str, str]) -> None:
        self._file.seek(0)
        whole, records = _records(self.path, self._file.read())
        self._file.truncate(whole)
        if not records:
            self._write({"format": FORMAT, "binding": dict(binding)})
            sync_folder(self.path.parent)
            return
        header, *lines = records
        if header.get("format") != FORMAT:
            raise PlateError(
                f"{self.path}: its first line is not that of a journal ({FORMAT}). Expected one that this version of "
                "phenoclient wrote: move the file away, or choose another --out."
            )
        _check_binding(self.path, header["binding"], binding)
        for line in lines:
            signature = tuple((size, modified_ns) for size, modified_ns in line["signature"])
            entry = Entry(tuple(line["site"]), signature, line["answer"])
            self.entries[entry.site] = entry

    def _write(self, record: Mapping[str, Any]) -> None:
        line = json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        self._file.write(line.encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def _records(path: Path, content: bytes) -> tuple[int, list[dict[str, Any]]]:
    """Length in bytes of what is whole, and the records in it."""
    *lines, unended = content.split(b"\n")
    end, records = 0, list[dict[str, Any]]()
    for number, line in enumerate(lines, start=1):
        record = _record(line)
        if record is None:
            if number == len(lines) and not unended:
                break
            raise PlateError(
                f"{path}: line {number} of {len(lines)} is damaged. Expected damage in the last line alone, "
                "which a kill leaves: move the file away and start again."
            )
        records.append(record)
        end += len(line) + 1
    return end, records


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record: Any = json.loads(line)
    except ValueError:
        return None
    return cast("dict[str, Any]", record) if isinstance(record, dict) else None


def _check_binding(path: Path, found: Mapping[str, str], expected: Mapping[str, str]) -> None:
    names = [*expected, *(name for name in found if name not in expected)]
    differing = [name for name in names if found.get(name) != expected.get(name)]
    if differing:
        what = "; ".join(
            f"{name}: {found.get(name, 'none')} in the journal, {expected.get(name, 'none')} now"
            for name in differing
        )
        raise PlateError(
            f"{path}: belongs to another run ({what}). Expected the same bundle and options: give them again, choose "
            "another --out, or move the journal away to start anew."
        )
