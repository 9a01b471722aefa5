"""Which plane most likely shows which stain, told by names. A proposal: the user sees it and may change it."""

import re
from collections.abc import Sequence
from itertools import pairwise

# What the stains of the Cell Painting assay are called after: the dye, and what it binds (Bray et al. 2016, table 1).
_SYNONYMS = (
    {"hoechst", "hoechst33342", "dapi", "dna", "nuclei", "nucleus"},
    {"cona", "concanavalin", "concanavalina", "er"},
    {"phalloidin", "actin"},
    {"syto14", "syto", "rna", "nucleoli"},
    {"mitotracker", "mito", "mitochondria"},
    {"wga", "wheatgerm", "golgi"},
)
_SHORTEST_PREFIX = 4


def match(stains: Sequence[str], names: Sequence[str]) -> list[int | None]:
    """The plane of every stain.

    A name that is the stain's goes before one that holds it as a word, then one that holds another word for it, then
    one that holds the beginning of it. Where two names fit a stain equally, or one fits two stains, neither is taken.

    Args:
        stains: Stains of the bundle, in its order.
        names: Names of the planes that can be chosen.

    Returns:
        Index into `names` for each of `stains`; None where none fits.
    """
    found: dict[int, int] = {}
    for fits in (_is_the_same, _holds, _holds_a_synonym, _holds_the_beginning):
        open_stains = [index for index in range(len(stains)) if index not in found]
        open_names = [index for index in range(len(names)) if index not in found.values()]
        pairs = [
            (stain, name) for stain in open_stains for name in open_names if fits(stains[stain], names[name])
        ]
        num_names = {stain: sum(pair[0] == stain for pair in pairs) for stain in open_stains}
        num_stains = {name: sum(pair[1] == name for pair in pairs) for name in open_names}
        found |= {stain: name for stain, name in pairs if num_names[stain] == num_stains[name] == 1}
    return [found.get(index) for index in range(len(stains))]


def propose(stains: Sequence[str], names: Sequence[str]) -> list[int | None]:
    """`match`, or the names in their order where none fits any stain and there are as many as stains.

    Args:
        stains: All stains of the bundle, in its order.
        names: Names of all planes that can be chosen, in their order.
    """
    found = match(stains, names)
    if any(index is not None for index in found) or len(names) != len(stains):
        return found
    return list(range(len(stains)))


def _is_the_same(stain: str, name: str) -> bool:
    return _squeezed(stain) == _squeezed(name)


def _holds(stain: str, name: str) -> bool:
    return _squeezed(stain) in _words(name)


def _holds_a_synonym(stain: str, name: str) -> bool:
    synonyms = next((group for group in _SYNONYMS if _squeezed(stain) in group), set[str]())
    return bool(synonyms & _words(name))


def _holds_the_beginning(stain: str, name: str) -> bool:
    whole = _squeezed(stain)
    return any(
        min(len(word), len(whole)) >= _SHORTEST_PREFIX and (word.startswith(whole) or whole.startswith(word))
        for word in _words(name)
    )


def _squeezed(name: str) -> str:
    return "".join(re.findall(r"[^\W_]+", name.casefold()))


def _words(name: str) -> set[str]:
    """Words of a name, and each with the word after it: `Syto 14` holds `syto14`."""
    words = re.findall(r"[^\W_]+", name.casefold())
    return {*words, *(first + second for first, second in pairwise(words))}
