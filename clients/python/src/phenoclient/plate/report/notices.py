"""The service's notices about channels, in words."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from phenoclient.plate.report.results import Row, notices_of, title_of

_WORDS = {
    "dead_channel": "{stains} shows nothing: all pixels are alike",
    "saturated_channel": "{stains} is saturated: many pixels are at the camera's limit",
    "noise_channel": "{stains} is noise: it shows no cells",
    "repeated_channel": "{stains} show the same picture",
    "swapped_channels": "{stains} look swapped: each looks like the other's stain",
    "unmatched_channel_names": "channels have names that are no stains of the bundle, and were taken in its order",
}
MAX_NOTICED = 30


@dataclass(frozen=True)
class Noticed:
    """A notice of the service and the sites that it is about.

    Attributes:
        words: What was noticed.
        code: The service's name of it.
        num_sites: How many sites it is about.
        wells: The wells that they are in with the number of sites each, as many as are shown.
        num_more: Wells that are not shown.
    """

    words: str
    code: str
    num_sites: int
    wells: tuple[str, ...]
    num_more: int


def noticed(rows: Iterable[Row]) -> list[Noticed]:
    """The notices of all sites, those of most sites first."""
    wells: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        for notice in notices_of(row):
            wells[notice][title_of(row, with_site=False)] += 1
    found = [
        Noticed(
            in_words(notice),
            notice.partition(":")[0],
            counts.total(),
            tuple(
                f"{well} ({number})" if number > 1 else well
                for well, number in list(counts.items())[:MAX_NOTICED]
            ),
            max(0, len(counts) - MAX_NOTICED),
        )
        for notice, counts in wells.items()
    ]
    return sorted(found, key=lambda one: (-one.num_sites, one.words))


def in_words(notice: str) -> str:
    """A notice of the table, such as `dead_channel:WGA`, as a sentence without its end."""
    code, _, stains = notice.partition(":")
    words = _WORDS.get(code, code.replace("_", " ") + (": {stains}" if stains else ""))
    return words.format(stains=_joined(stains.split(",")))


def _joined(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
