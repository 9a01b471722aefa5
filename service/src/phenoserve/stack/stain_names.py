"""Reads the names that a file gives its channels as the stains of a bundle, or says why they cannot be.

Two levels, and the first that knows a name decides. Level 1 compares letters and digits alone, whatever the case.
Level 2 compares the dye: what a dye is called when it is written out, without the fluorophore that it carries. Nothing
is guessed: no name is taken for the stain that is left over, and no dye for another that marks the same thing.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from phenoserve.stack.errors import AmbiguousChannelsError

_MARKS: Final = dict.fromkeys(map(ord, "™®©℠"), " ")

_SHORT: Final = (
    (re.compile(r"\bconcanavalin a\b|\bcon a\b"), "cona"),
    (re.compile(r"\bwheat germ agglutinin\b"), "wga"),
    (re.compile(r"\bsyto (?=\d)"), "syto"),
    (re.compile(r"\bmito tracker\b"), "mitotracker"),
    (re.compile(r"\btexas red( x)?\b"), "texasred"),
    (re.compile(r"\bcm xros\b"), "cmxros"),
    (re.compile(r"\balexa( fluor)?( plus)? (?=\d)"), "af "),
    (re.compile(r"(?<=\d) (?=\d)"), ""),
    (re.compile(r"\b(af|atto|bodipy|cf|cy|dylight|ifluor) (?=\d)"), r"\1"),
)
"""Dyes and fluorophores as they are written out, and the one word that stands for each."""

_NOISE: Final = frozenset(
    {
        "acid",
        "conj",
        "conjugate",
        "conjugated",
        "dye",
        "fluorescent",
        "labeled",
        "labelled",
        "nucleic",
        "stain",
    }
)
"""Words that tell no dye from another."""

_FLUOROPHORE: Final = re.compile(
    r"(af|atto|bodipy|cf|cy|dylight|ifluor)\d+|cmtmros|cmxros|fitc|fm|rhodamine|texasred|tritc"
)
"""Words that tell by what a dye is seen, not what it marks."""

_VARIANTS: Final = {
    "hoechst": re.compile(r"\d{5}"),
    "mitotracker": re.compile(r"deep|far|red|orange|green"),
    "syto14": re.compile(r"green"),
}
"""Words by which members of one family of dyes differ, by the family."""

_GENERIC: Final = re.compile(
    r"(?:channel|chan|ch|c|w|z|t|image|img|slice|page|plane|frame|label|untitled)?\d*"
)
"""What remains of a name that says nothing, once it holds letters and digits alone."""


@dataclass(frozen=True)
class StainMatch:
    """What the names of a file's channels say.

    Attributes:
        order: The stain of each channel of the file; None where the names say nothing against the bundle's order.
        strangers: Index of each channel whose name says something and is no stain; empty where `order` is known.
    """

    order: tuple[str, ...] | None
    strangers: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Dye:
    """A name as a dye: its family, what tells it from others of it, and the fluorophore it carries."""

    family: str
    variant: str
    fluorophore: str

    def is_same(self, other: "_Dye") -> bool:
        """Whether two names mean one dye: what one of them leaves out, the other may say."""
        return self.family == other.family and all(
            not mine or not theirs or mine == theirs
            for mine, theirs in ((self.variant, other.variant), (self.fluorophore, other.fluorophore))
        )


def match_stains(names: Sequence[str], stains: Sequence[str]) -> StainMatch:
    """Read the names of a file's channels as stains.

    Args:
        names: A name of each channel in the file's order; empty where a channel has none, or none at all.
        stains: The bundle's stains, in its order.

    Returns:
        The stain of each channel where each name is one stain and no two the same; else the bundle's order, where
        every name that is a stain stands at that stain's place.

    Raises:
        AmbiguousChannelsError: If there are names of more or fewer channels than stains, a name is several stains, a
            stain is named twice, or a stain stands at another place than the bundle's and not all names are stains.
    """
    if names and len(names) != len(stains):
        raise _ambiguous(names, stains, f"these are {len(names)} names, of {len(stains)} stains")
    found = [_stains_called(name, stains) for name in names]
    several = [
        f"{name!r} is {' or '.join(those)}"
        for name, those in zip(names, found, strict=True)
        if len(those) > 1
    ]
    if several:
        raise _ambiguous(names, stains, "; ".join(several))
    placed = {index: those[0] for index, those in enumerate(found) if those}
    twice = sorted({stain for stain in placed.values() if [*placed.values()].count(stain) > 1})
    if twice:
        raise _ambiguous(names, stains, f"{', '.join(twice)} is named more than once")
    if names and len(placed) == len(names):
        return StainMatch(tuple(placed[index] for index in range(len(names))))
    moved = [
        f"{names[index]!r} is channel {index + 1} of the file, and {stain} is stain {stains.index(stain) + 1}"
        for index, stain in placed.items()
        if index != stains.index(stain)
    ]
    if moved:
        raise _ambiguous(names, stains, "; ".join(moved) + ", and not every name is a stain")
    strangers = (
        index
        for index, name in enumerate(names)
        if index not in placed and not _GENERIC.fullmatch(_bare(name))
    )
    return StainMatch(None, tuple(strangers))


def _ambiguous(names: Sequence[str], stains: Sequence[str], why: str) -> AmbiguousChannelsError:
    return AmbiguousChannelsError(
        f"By its names the file's channels are {', '.join(name or '(no name)' for name in names)}; in the order of the"
        f" stains they would be {', '.join(stains)}. These do not agree: {why}."
    )


def _stains_called(name: str, stains: Sequence[str]) -> list[str]:
    """The stains that a name may mean."""
    if name in stains:
        return [name]
    bare = _bare(name)
    if not bare:
        return []
    alike = [stain for stain in stains if _bare(stain) == bare]
    if alike:
        return alike
    dye = _dye(name)
    return [stain for stain in stains if dye.is_same(_dye(stain))] if dye.family else []


def _bare(name: str) -> str:
    """The letters and digits of a name, without case and without typographic variants."""
    return "".join(filter(str.isalnum, _folded(name)))


def _folded(name: str) -> str:
    """A name without case, typographic variants and marks of trade."""
    return unicodedata.normalize("NFKC", name.translate(_MARKS)).casefold()


def _dye(name: str) -> _Dye:
    text = " ".join(re.findall(r"\d+|[^\W\d_]+", _folded(name)))
    for written_out, short in _SHORT:
        text = written_out.sub(short, text)
    words = [word for word in text.split() if word not in _NOISE]
    fluorophores = [word for word in words if _FLUOROPHORE.fullmatch(word)]
    words = [word for word in words if word not in fluorophores]
    kinds = _VARIANTS.get(words[0]) if words else None
    variants = [word for word in words[1:] if kinds is not None and kinds.fullmatch(word)]
    family = "".join(word for word in words if word not in variants)
    if not family:
        return _Dye("".join(fluorophores), "", "")
    return _Dye(family, "".join(variants), "".join(fluorophores))
