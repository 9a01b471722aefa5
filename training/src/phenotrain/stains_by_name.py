"""Which channel shows what, by the name of its stain."""

from collections.abc import Sequence
from typing import Final

NUCLEAR_STAINS: Final = ("hoechst", "dapi", "dna", "draq5", "nuclei", "nucleus")
"""Words in the names of stains that show nuclei."""
RETICULAR_STAINS: Final = ("cona", "concanavalin")
"""Words in the names of stains that show the endoplasmic reticulum: with the nuclei it shows whole cells."""


def named_channel(stains: Sequence[str], words: Sequence[str]) -> int | None:
    """Finds the first stain whose name holds one of the words, in any case; None where none does."""
    named = (index for index, stain in enumerate(stains) if any(word in stain.lower() for word in words))
    return next(named, None)


def nuclear_channel(stains: Sequence[str]) -> int:
    """Finds the stain that shows nuclei by its name; the first channel where no name says so."""
    return named_channel(stains, NUCLEAR_STAINS) or 0
