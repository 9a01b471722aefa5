"""Puts the channels of a stack into the bundle's stain order, and says which order was used."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Shaped

from phenoserve.bundle import InputSpec
from phenoserve.errors import ErrorCode
from phenoserve.http.problems import RequestError
from phenoserve.stack import (
    AmbiguousChannelsError,
    Notice,
    Stack,
    StainMatch,
    find_notices,
    find_order,
    match_stains,
)

ChannelOrder = Literal["bundle", "query", "ome", "imagej", "pages"]


@dataclass(frozen=True)
class OrderedStack:
    """A stack as the graph takes it.

    Attributes:
        array: `(channel, y, x)` in the bundle's stain order and the file's data type.
        channels: Stains in the order that the file's channels were taken in.
        channel_order: Where that order came from.
        notices: What whoever reads the answer should know of the stack.
    """

    array: Shaped[np.ndarray, "channel y x"]
    channels: tuple[str, ...]
    channel_order: ChannelOrder
    notices: tuple[Notice, ...] = ()


def parse_channels(query: str | None, spec: InputSpec) -> tuple[str, ...] | None:
    """Read `?channels=NAME,NAME,…`.

    Args:
        query: The parameter; None if it was not sent.
        spec: The stains of the bundle.

    Returns:
        The stains in the order of the file's channels.

    Raises:
        RequestError: `unknown_channels` if they are not the bundle's stains, each once.
    """
    if query is None:
        return None
    names = tuple(name.strip() for name in query.split(","))
    try:
        order = match_stains(names, spec.channels).order
    except AmbiguousChannelsError:
        order = None
    if order is None:
        raise RequestError(
            ErrorCode.UNKNOWN_CHANNELS,
            f"channels names {', '.join(names)}; expected each of {', '.join(spec.channels)} once, in the"
            " order of the file's channels.",
        )
    return order


def order_channels(stack: Stack, stated: Sequence[str] | None, spec: InputSpec) -> OrderedStack:
    """Order the channels by the query, else by the file's names where they are the stains, else as they come.

    Args:
        stack: The stack as it stands in its file.
        stated: Stains in the order of the file's channels, as the query says.
        spec: The stains of the bundle and the least size of a field.

    Raises:
        RequestError: `wrong_channels` or `field_too_small`.
        AmbiguousChannelsError: If the file's names contradict the bundle's order and do not tell another.
    """
    num_channels, height, width = stack.array.shape
    if num_channels != len(spec.channels):
        raise RequestError(
            ErrorCode.WRONG_CHANNELS,
            f"Found {num_channels} channels; the bundle takes {len(spec.channels)}: {', '.join(spec.channels)}.",
        )
    if min(height, width) < spec.min_size_px:
        raise RequestError(
            ErrorCode.FIELD_TOO_SMALL,
            f"Found a field of {height} by {width} pixels; the bundle needs at least {spec.min_size_px} each way.",
        )
    names, order, unmatched = _file_order(stack, stated, spec)
    notices = (*find_notices(stack.array, names), *unmatched)
    if names == spec.channels:
        return OrderedStack(stack.array, names, order, notices)
    indices = [names.index(stain) for stain in spec.channels]
    return OrderedStack(stack.array[indices], names, order, notices)


def _file_order(
    stack: Stack, stated: Sequence[str] | None, spec: InputSpec
) -> tuple[tuple[str, ...], ChannelOrder, list[Notice]]:
    """The stains in the order of the file's channels, where that came from, and what its names leave to say."""
    if stated is not None:
        return tuple(stated), "query", []
    found = find_order(stack, spec.channels)
    notices = [_unmatched(names, match, spec) for names, match in found.unmatched]
    return found.stains, found.names_from or "bundle", notices


def _unmatched(names: Sequence[str], match: StainMatch, spec: InputSpec) -> Notice:
    strangers = ", ".join(names[index] for index in match.strangers)
    return Notice(
        "unmatched_channel_names",
        tuple(spec.channels[index] for index in match.strangers),
        f"The file names its channels {', '.join(name or '(no name)' for name in names)}; {strangers} is no stain of"
        f" the bundle, so its channels were taken in the bundle's order: {', '.join(spec.channels)}.",
    )
