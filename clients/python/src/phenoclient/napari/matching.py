"""Which plane most likely shows which stain, told by names. A proposal: the user sees it and may change it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from phenoclient.stain_names import StainMatch, match_stains

BY_NAMES = "by the layers' names"
BY_PLACE = "in the bundle's order; the layers' names do not tell their stains"
BY_HAND = "as chosen in the dock"


@dataclass(frozen=True)
class Proposal:
    """What the names of the planes say about their stains.

    Attributes:
        planes: Index of the plane that each stain is proposed to be in, in the bundle's order; None where the user has
            to choose.
        origin: Where the order comes from: `BY_NAMES` or `BY_PLACE`; None where it is not complete.
        advice: What is to be known or done before it is sent, in a sentence.
    """

    planes: tuple[int | None, ...]
    origin: str | None
    advice: str


def propose(stains: Sequence[str], names: Sequence[str]) -> Proposal:
    """Proposes a plane for every stain.

    A stain gets the plane whose name means it, by the rules of `match_stains`. The planes are taken in their order
    where there are as many as stains and no name speaks against it. Otherwise no plane is proposed that its name does
    not tell.

    Args:
        stains: All stains of the bundle, in its order.
        names: Names of all planes that can be chosen, in their order.
    """
    match = _read(names, stains)
    meant = [match.stains.index(stain) if match.stains.count(stain) == 1 else None for stain in stains]
    if None not in meant:
        return Proposal(tuple(meant), BY_NAMES, "Proposed by the layers' names.")
    if not names:
        return Proposal(tuple(meant), None, "Open the channels of one field as image layers.")
    if len(names) != len(stains):
        advice = f"{len(names)} planes are open and the bundle takes {len(stains)}. Choose those that no name tells."
        return Proposal(tuple(meant), None, advice)
    if match.refusal is not None:
        return Proposal(tuple(meant), None, f"{match.refusal} Choose a layer for every stain.")
    in_order = tuple(range(len(stains)))
    return Proposal(in_order, BY_PLACE, f"Proposed {BY_PLACE}. Check it before you run.")


def _read(names: Sequence[str], stains: Sequence[str]) -> StainMatch:
    """Reads names as they stand or, where none of them means a stain, without the words that all of them share."""
    match = match_stains(names, stains)
    return match if any(match.stains) else match_stains(_telling_parts(names), stains)


def _telling_parts(names: Sequence[str]) -> list[str]:
    """Names without the words with which all begin and all end: a file's name, an objective."""
    words = [re.findall(r"[^\W_]+", name) for name in names]
    shared = _num_shared(words)
    tails = [each[shared:][::-1] for each in words]
    trailing = _num_shared(tails)
    return [" ".join(tail[trailing:][::-1]) for tail in tails]


def _num_shared(lists: Sequence[Sequence[str]]) -> int:
    """How many elements all lists begin with."""
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*lists, strict=False)))
