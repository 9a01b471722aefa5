"""Which stain of the bundle a channel's name means: by the name alone, and only where one stain fits.

The service reads the names in a file by the same rules; `tests/cases/stains.json` holds both to them.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

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
    """Reads the names of channels as stains of a bundle.

    A name means the stain that it is, letter by letter; else the one that it is but for case, blanks and
    punctuation; else the one of the same dye, whether written out or short, whatever it is coupled to. No stain is
    given to a name because it alone is left over.

    Args:
        names: Name of every channel, in the order of the channels; blank where it has none.
        stains: Stains of the bundle, in its order.
    """
    called = [_stains_called(name, stains) for name in names]
    meant = tuple(found[0] if len(found) == 1 else None for found in called)
    known = [stain for stain in meant if stain is not None]
    if len(known) == len(stains) == len(set(known)) == len(names):
        return StainMatch(meant, tuple(known), None)
    contradiction = _contradiction(names, called, stains)
    if contradiction is None:
        return StainMatch(meant, None, None)
    by_name = ", ".join(stain or "?" for stain in meant)
    refusal = (
        f"The channels are named {', '.join(name or '(blank)' for name in names)}. {contradiction} Read by their "
        f"names they are {by_name}; in the bundle's order they would be {', '.join(stains)}."
    )
    return StainMatch(meant, None, refusal)


def _contradiction(
    names: Sequence[str], called: Sequence[Sequence[str]], stains: Sequence[str]
) -> str | None:
    """The first thing that the names say against the bundle's order."""
    if names and len(names) != len(stains):
        return f"These are {len(names)}, and the bundle takes {len(stains)}."
    seen = dict[str, str]()
    for name, found in zip(names, called, strict=True):
        if len(found) > 1:
            return f"{name} may mean {' or '.join(found)}."
        if found and found[0] in seen:
            return f"{seen[found[0]]} and {name} both mean {found[0]}."
        seen |= dict.fromkeys(found, name)
    for name, found, place in zip(names, called, stains, strict=False):
        if found and found[0] != place:
            return f"{name} stands where the bundle has {place}, and not every name means a stain."
    return None


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
