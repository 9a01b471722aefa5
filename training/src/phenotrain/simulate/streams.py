"""Random streams that depend on what they are for, never on who draws them or when."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """What a random stream is for; the first word of its spawn key."""

    LAYOUT = 0
    EXPERIMENT = 1
    PLATE = 2
    WELL = 3
    CELLS = 4
    TEXTURES = 5
    RESPONSE = 6
    NOISE = 7
    FIBRES = 8
    DISC = 9


def stream(seed: int, purpose: Stream, *address: int) -> np.random.Generator:
    """Open the random stream of one purpose at one address of the screen.

    Args:
        seed: Seed of the whole screen, not negative.
        purpose: What the numbers are for.
        *address: Integers that say where: experiment, plate, row, column, site, as far as they apply.

    Returns:
        A generator that gives the same numbers in every process and in every order of work.
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(purpose), *address)))
