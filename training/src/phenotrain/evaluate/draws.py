"""What the intervals, chance levels and p-values rest on: wells drawn again, and labels exchanged on a plate."""

from dataclasses import dataclass
from typing import Final

import numpy as np

NUM_DRAWS: Final = 999
NUM_PERMUTATIONS: Final = 1999
NUM_PERMUTATIONS_FOR_CHANCE: Final = 299
"""For all but the balanced accuracy over the headline's doses, which has all permutations."""


@dataclass(frozen=True)
class Draws:
    """The resampling that all models and both levels of a comparison share, which makes it paired.

    Attributes:
        counts: How often each well is drawn, `(1 + NUM_DRAWS, num_wells)`; row 0 is all ones.
        permuted: The well whose label each well takes, `(NUM_PERMUTATIONS, num_wells)`.
    """

    counts: np.ndarray
    permuted: np.ndarray


def draw(strata: np.ndarray, plates: np.ndarray, rng: np.random.Generator) -> Draws:
    """Draw wells with replacement within strata, and exchange wells within plates.

    Args:
        strata: Stratum of every well, `(num_wells,)`; each keeps its number of wells in every draw.
        plates: Plate of every well, `(num_wells,)`.
        rng: Source of the randomness.
    """
    return Draws(bootstrap_counts(strata, rng), permutations(plates, rng))


def bootstrap_counts(strata: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Count how often each well is drawn, `(1 + NUM_DRAWS, num_wells)`; row 0 is all ones."""
    counts = np.ones((1 + NUM_DRAWS, len(strata)))
    _, stratum_of = np.unique(strata, return_inverse=True, axis=0)
    for stratum in range(stratum_of.max() + 1):
        members = np.flatnonzero(stratum_of == stratum)
        share = np.full(len(members), 1 / len(members))
        counts[1:, members] = rng.multinomial(len(members), share, size=NUM_DRAWS)
    return counts


def permutations(plates: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shuffle the wells of every plate among themselves, `(NUM_PERMUTATIONS, num_wells)`."""
    permuted = np.empty((NUM_PERMUTATIONS, len(plates)), dtype=np.intp)
    for plate in np.unique(plates):
        members = np.flatnonzero(plates == plate)
        permuted[:, members] = members[rng.random((NUM_PERMUTATIONS, len(members))).argsort(axis=1)]
    return permuted
