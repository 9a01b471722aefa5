"""What can be wrong with a plate on disk.

* PlateError
  x TableError
  x ImageError
  x IncompleteSitesError
"""

from collections.abc import Sequence
from dataclasses import dataclass

_NUM_SHOWN = 20


class PlateError(ValueError):
    """Root of everything this package raises about the data it reads."""


class TableError(PlateError):
    """Raised when the metadata table is missing, malformed, or contradicts itself."""


class ImageError(PlateError):
    """Raised when a file is not an image or stack of the expected form; says only the reason."""


@dataclass(frozen=True, order=True)
class Fault:
    """One file that cannot be used.

    Args:
        site_id: The site that the file belongs to.
        file: Its path under the data root.
        reason: What is wrong with it.
    """

    site_id: str
    file: str
    reason: str


class IncompleteSitesError(PlateError):
    """Raised when sites lack a usable file; lists them all.

    Args:
        faults: Every fault found, sorted.
        advice: How to go on, one sentence.
    """

    def __init__(self, faults: Sequence[Fault], advice: str) -> None:
        self.faults = tuple(faults)
        num_sites = len({fault.site_id for fault in faults})
        lines = [f"{len(faults)} file(s) of {num_sites} site(s) cannot be used. {advice}"]
        lines += [f"  {f.site_id}: {f.file}: {f.reason}" for f in self.faults[:_NUM_SHOWN]]
        if len(faults) > _NUM_SHOWN:
            lines.append(f"  ... and {len(faults) - _NUM_SHOWN} more")
        super().__init__("\n".join(lines))
