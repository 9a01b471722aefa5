"""What has been answered so far, in a file that only grows and outlives a kill at any moment."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, BinaryIO, TypeAlias, cast, final

from filelock import FileLock, Timeout

from phenoclient.errors import PlateError
from phenoclient.plate.columns import column_type
from phenoclient.plate.files import LOCAL_DISK, sync, sync_folder

FORMAT = "phenoclient plate journal 3"
Identity: TypeAlias = tuple[str, ...]
Signature: TypeAlias = tuple[tuple[int, int], ...]
_IDENTITY_PARTS = 4


@dataclass(frozen=True)
class Entry:
    """An answered site.

    Attributes:
        site: `Site.identity`.
        signature: Size in bytes and time of modification in ns of each file of the stack when it was sent.
        answer: Columns of the site's row that the service's answer gives.
    """

    site: Identity
    signature: Signature
    answer: Mapping[str, Any]


@final
class Journal:
    """One JSON line for the options, then one for each answered site; each is on the disk before it counts.

    Answers stay in the file until they are asked for: only where each lies is in memory. A last line without an end was
    torn by a kill and is cut off. Any other line that is none of a journal's counts for nothing, so its site is asked
    about again. Only one process at a time may hold a journal.

    Args:
        path: The file; it is made where there is none.
        binding: What the answers depend on: text by name. A journal with another binding is refused.

    Attributes:
        signatures: By `Site.identity`, the signature of every answered site's last entry.
        num_damaged: Lines that count for nothing.

    Raises:
        PlateError: If another process holds the journal, the file is of another binding, is no journal, or cannot be
            locked, read or written.
    """

    def __init__(self, path: Path, binding: Mapping[str, str]) -> None:
        self.path = path
        self.signatures: dict[Identity, Signature] = {}
        self.num_damaged = 0
        self._offsets: dict[Identity, int] = {}
        self._guard = Lock()
        try:
            with ExitStack() as cleanup:
                self._lock(cleanup)
                self._file: BinaryIO = cleanup.enter_context(path.open("a+b"))
                self._resume(binding)
                self._cleanup = cleanup.pop_all()
        except OSError as error:
            raise PlateError(f"{path}: cannot be read or written ({error.strerror}).") from error

    def append(self, entry: Entry) -> None:
        """Adds an answered site; when it returns, the site is on the disk.

        Raises:
            PlateError: If the file cannot be written.
        """
        line = {"site": entry.site, "signature": entry.signature, "answer": dict(entry.answer)}
        with self._guard:
            if self._file.closed:
                return  # the run was stopped meanwhile; the site is asked about again
            try:
                offset = self._write(line)
            except OSError as error:
                raise PlateError(f"{self.path}: cannot be written ({error.strerror}).") from error
        self.signatures[entry.site] = entry.signature
        self._offsets[entry.site] = offset

    def forget(self, site: Identity) -> None:
        """Takes a site for unanswered until another entry of it is added; the file keeps its line."""
        self.signatures.pop(site, None)
        self._offsets.pop(site, None)

    def entry(self, site: Identity) -> Entry:
        """The last entry of an answered site.

        Raises:
            PlateError: If the file cannot be read, or was changed by another program meanwhile.
        """
        try:
            with self._guard:
                self._file.seek(self._offsets[site])
                entry = _entry(_record(self._file.readline()))
        except OSError as error:
            raise PlateError(f"{self.path}: cannot be read ({error.strerror}).") from error
        if entry is None or entry.site != site:
            raise PlateError(
                f"{self.path}: was changed while it was read. Expected phenoclient alone to write it: run again."
            )
        return entry

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            with self._guard:
                self._cleanup.close()
        except OSError as error:  # what a full disk had no room for is tried once more
            raise PlateError(f"{self.path}: cannot be written ({error.strerror}).") from error

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
            raise PlateError(f"{self.path}: cannot be locked ({error.strerror}). {LOCAL_DISK}.") from error

    def _resume(self, binding: Mapping[str, str]) -> None:
        self._file.seek(0)
        header = self._file.readline()
        if _is_torn_header(header):
            self._file.truncate(0)
            self._write({"format": FORMAT, "binding": dict(binding)})
            sync_folder(self.path.parent)
            return
        _check_header(self.path, _record(header), binding)
        columns: set[str] | None = None
        end = len(header)
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            entry = _entry(_record(line))
            columns = set(entry.answer) if entry is not None and columns is None else columns
            if entry is None or set(entry.answer) != columns:
                self.num_damaged += 1
            else:
                self.signatures[entry.site] = entry.signature
                self._offsets[entry.site] = end
            end += len(line)
        self._file.truncate(end)

    def _write(self, record: Mapping[str, Any]) -> int:
        """Writes a line, and gives where it begins."""
        line = json.dumps(record, allow_nan=False, separators=(",", ":"))
        offset = self._file.seek(0, 2)
        self._file.write(line.encode() + b"\n")
        self._file.flush()
        sync(self._file.fileno())
        return offset


def _is_torn_header(line: bytes) -> bool:
    """Whether a first line is what a kill or a power cut leaves of a journal's: nothing, a part, or zeros behind it."""
    start = json.dumps({"format": FORMAT}, separators=(",", ":")).encode()[: -len('3"}')]
    part = line.rstrip(b"\0")
    return not line.endswith(b"\n") and (part.startswith(start) or start.startswith(part))


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", record) if isinstance(record, dict) else None


def _entry(record: dict[str, Any] | None) -> Entry | None:
    """The entry that a record is; None where it is none."""
    match record:
        case {"site": [*site], "signature": [*signature], "answer": {**answer}} if (
            len(site) == _IDENTITY_PARTS
            and all(isinstance(part, str) for part in site)
            and all(_is_pair(part) for part in signature)
            and all(_fits(name, value) for name, value in answer.items())
        ):
            return Entry(tuple(site), tuple(map(tuple, signature)), answer)
        case _:
            return None


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and [type(part) for part in cast("list[Any]", value)] == [int, int]


def _fits(name: str, value: Any) -> bool:
    kind = column_type(name)
    return value is None or type(value) is kind or (kind is float and type(value) is int)


def _check_header(path: Path, header: dict[str, Any] | None, binding: Mapping[str, str]) -> None:
    match header:
        case {"format": str(form), "binding": {**found}} if form == FORMAT:
            _check_binding(path, found, binding)
        case {"format": str(form), "binding": {**_rest}} if form.startswith(FORMAT[:-1]):
            raise PlateError(
                f"{path}: was written by another version of phenoclient ({form}; this one writes {FORMAT}), whose "
                "answers lack columns. Expected a journal of this version: move it away to start anew, or choose "
                "another --out."
            )
        case _:
            raise PlateError(
                f"{path}: its first line is not that of a journal ({FORMAT}). Expected one that this version of "
                "phenoclient wrote: move the file away, or choose another --out."
            )


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
