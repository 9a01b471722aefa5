"""Which stain of the bundle a channel's name means: told by the name alone, and only where one stain fits.

The service reads the names in a file by the same rules; `tests/cases/stains.json` holds both to them.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# Dyes written out, and the stain that they are (Bray et al. 2016, table 1, for the Cell Painting assay).
_DYES = (
    (re.compile(r"hoechst (33342|33258)"), "hoechst"),
    (re.compile(r"con a|concanavalin a"), "cona"),
    (re.compile(r"wheat germ agglutinin"), "wga"),
    (re.compile(r"syto 14( green)?( fluorescent)?( nucleic acid)?"), "syto14"),
    (
        re.compile(r"mito ?tracker( (deep red|far red|red|green|orange))?( (cm xros|cmxros|cmtmros|fm))?"),
        "mitotracker",
    ),
)
# What a dye may be coupled to, and words that say no more than that it is.
_LABELS = re.compile(
    r"\b(alexa( fluor)?|af|atto|cf|cy|dylight|bodipy)( \d+)+\b"
    r"|\b(fitc|tritc|rhodamine|texas red( x)?|conjugated?|conj|stain|dye)\b"
)


@dataclass(frozen=True)
class StainMatch:
    """What the names of some channels say about their stains.

    Attributes:
        stains: Stain that each name means, in the order of the names; None where it means none or several.
        order: The same where the names mean every stain of the bundle once; None where they do not.
        refusal: How the names contradict the bundle's order without saying another, in a sentence that shows both
            readings; None where they do not contradict it. Where `order` and `refusal` are both None the channels
            are taken in the bundle's order.
    """

    stains: tuple[str | None, ...]
    order: tuple[str, ...] | None
    refusal: str | None


def match_stains(names: Sequence[str], stains: Sequence[str]) -> StainMatch:
    """Reads the names of channels as stains of a bundle.

    A name means the stain that it is, letter by letter; else the one that it is but for case, blanks and
    punctuation; else the one of the same dye, whether written out or short, whatever it is coupled to. No stain is
    given to a name because it alone is left over.

    Args:
        names: Name of every channel, in the order of the channels; blank where it has none.
        stains: Stains of the bundle, in its order.
    """
    meant = tuple(_stain_of(name, stains) for name in names)
    known = [stain for stain in meant if stain is not None]
    if len(known) == len(stains) == len(set(known)) == len(names):
        return StainMatch(meant, tuple(known), None)
    contradiction = _contradiction(names, meant, stains)
    if contradiction is None:
        return StainMatch(meant, None, None)
    by_name = ", ".join(stain or "?" for stain in meant)
    refusal = (
        f"The channels are named {', '.join(name or '(blank)' for name in names)}. {contradiction} Read by their "
        f"names they are {by_name}; in the bundle's order they would be {', '.join(stains)}."
    )
    return StainMatch(meant, None, refusal)


def _contradiction(names: Sequence[str], meant: Sequence[str | None], stains: Sequence[str]) -> str | None:
    """The first thing that the names say against the bundle's order."""
    if names and len(names) != len(stains):
        return f"These are {len(names)}, and the bundle takes {len(stains)}."
    for index, (name, stain) in enumerate(zip(names, meant, strict=False)):
        if stain is not None and stain in meant[:index]:
            return f"{names[meant.index(stain)]} and {name} both mean {stain}."
    for index, (name, stain) in enumerate(zip(names, meant, strict=False)):
        if stain is not None and stain != stains[index]:
            return f"{name} stands where the bundle has {stains[index]}, and not every name means a stain."
    return None


def _stain_of(name: str, stains: Sequence[str]) -> str | None:
    """The stain that a name means at the first level where any does; None where none or several do."""
    levels: tuple[Callable[[str], str], ...] = (str, _squeezed, _dye)
    for level in levels:
        key = level(name)
        found = [stain for stain in stains if key and level(stain) == key]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _squeezed(name: str) -> str:
    """Letters and digits of a name, without case."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(character for character in folded if character.isalnum())


def _dye(name: str) -> str:
    """The dye in a name, squeezed, without what it is coupled to."""
    folded = unicodedata.normalize("NFKC", re.sub("[™℠]", " ", name)).casefold()
    words = " ".join(re.findall(r"\d+|[^\W\d_]+", folded))
    bare = " ".join(_LABELS.sub(" ", words).split())
    return next((stain for dye, stain in _DYES if dye.fullmatch(bare)), _squeezed(bare))
