"""Finds out which stain each channel of a file shows: by its names where they are the stains, else as they come."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from phenoserve.stack.errors import AmbiguousChannelsError
from phenoserve.stack.model import Stack
from phenoserve.stack.stain_names import StainMatch, match_stains

NamesFrom = Literal["ome", "imagej", "pages"]

WRITERS: Final[dict[NamesFrom, str]] = {
    "ome": "its OME-XML",
    "imagej": "ImageJ's labels",
    "pages": "the names beside its pages",
}


@dataclass(frozen=True)
class FileOrder:
    """Which stain each channel of a file shows.

    Attributes:
        stains: The stain of each channel, in the file's order.
        names_from: Whose names told it; None where the stains were taken in their own order.
        unmatched: Names that say something and are not all stains, with what they say; empty where names told it.
    """

    stains: tuple[str, ...]
    names_from: NamesFrom | None
    unmatched: tuple[tuple[tuple[str, ...], StainMatch], ...] = ()


def find_order(stack: Stack, stains: Sequence[str]) -> FileOrder:
    """Order the channels of a stack by what its file calls them, else as they come.

    Args:
        stack: The stack as it stands in its file, of as many channels as there are stains.
        stains: The stains, in the order that holds where the file names none.

    Returns:
        The stain of each channel.

    Raises:
        AmbiguousChannelsError: If the file's names contradict the order of the stains and do not tell another, or it is
            a colour picture.
    """
    told: dict[NamesFrom, tuple[tuple[str, ...], StainMatch]] = {
        source: (names, match_stains(names, stains)) for source, names in _names(stack)
    }
    orders: dict[NamesFrom, tuple[str, ...]] = {
        source: match.order for source, (_, match) in told.items() if match.order is not None
    }
    if len({*orders.values()}) > 1:
        readings = "; ".join(
            f"by {WRITERS[source]} they are {', '.join(names)}" for source, names in orders.items()
        )
        raise AmbiguousChannelsError(f"The file names its channels in two ways: {readings}.")
    for source, order in orders.items():
        return FileOrder(order, source)
    if stack.is_picture:
        raise AmbiguousChannelsError(
            "The file is a colour picture: its channels are red, green and blue as somebody drew them, and no"
            f" intensities of {', '.join(stains)}. Save the intensities of each stain, a page a channel."
        )
    return FileOrder(tuple(stains), None, tuple(named for named in told.values() if named[1].strangers))


def _names(stack: Stack) -> list[tuple[NamesFrom, tuple[str, ...]]]:
    """What the file calls its channels, by who wrote it."""
    written: list[tuple[NamesFrom, tuple[str, ...] | None]] = [
        ("ome", stack.channel_names),
        ("imagej", stack.labels),
        ("pages", stack.page_names),
    ]
    return [(source, names) for source, names in written if names is not None]
