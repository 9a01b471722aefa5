"""Pseudo-treatments: control wells that are taken out of the references and act as a treatment that does nothing.

Corrected profiles are not exchangeable with the controls that corrected them: a plate's references have mean zero and
shrunken spread, and all other wells of the plate share the error of that mean. So neither random ranks nor exchanged
labels tell what a treatment without effect would get. A pseudo-treatment does: in every draw, as many control wells of
each plate as a treatment has there leave the references, and the plate is centred and aligned anew by the rest.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from phenotrain.profiles.correction import RIDGE, Batch, Correction, reference_rows, whiten
from phenotrain.profiles.wells import WellProfiles

NUM_DRAWS: Final = 999
MIN_REMAINING: Final = 3
"""Fewest references that a draw may leave in a batch."""
_CHUNK: Final = 37  # draws at a time, so that memory does not grow with their number

Design = tuple[tuple[str, int], ...]
"""Number of wells of a treatment on every plate it is on: `((plate name, wells), ...)`, by plate name."""


@dataclass(frozen=True)
class Draws:
    """Some draws, corrected; the first axis is the draw.

    Attributes:
        held_out: Pseudo-treated wells by plate, `(num_draws, num_wells, component)`.
        controls: Controls that stayed, by plate, `(num_draws, num_controls, component)`.
        others: The further profiles by plate, `(num_draws, num_profiles, component)`.
    """

    held_out: Mapping[str, np.ndarray]
    controls: Mapping[str, np.ndarray]
    others: Mapping[str, np.ndarray]


def design_of(plates: Iterable[str]) -> Design:
    """Return the design of a treatment's wells from the names of their plates."""
    names, counts = np.unique(np.array(list(plates), dtype=str), return_counts=True)
    return tuple((str(name), int(count)) for name, count in zip(names, counts, strict=True))


def can_draw(wells: WellProfiles, design: Design, batch: Batch) -> bool:
    """Say whether a pseudo-treatment of a design leaves controls on every plate, and references to every batch.

    Args:
        wells: Well profiles of the screen.
        design: Number of wells on every plate.
        batch: What the correction takes for a batch.
    """
    plates, batches = wells.wells["plate_name"].to_numpy(dtype=str), wells.batches(batch)
    references = reference_rows(wells, batch)
    taken: dict[str, int] = {}
    for plate, count in design:
        on_plate = plates == plate
        if (on_plate & wells.is_control).sum() - count < MIN_REMAINING:
            return False
        name = str(batches[on_plate][0])
        taken[name] = taken.get(name, 0) + count
    # At worst all that a draw takes are references, which may be fewer than the controls.
    return all(len(references[name]) - count >= MIN_REMAINING for name, count in taken.items())


def num_pseudo_treatments(wells: WellProfiles, design: Design) -> int:
    """Count the different pseudo-treatments of a design: the ways to choose its wells among every plate's controls."""
    plates = wells.wells["plate_name"].to_numpy(dtype=str)[wells.is_control]
    return math.prod(math.comb(int((plates == plate).sum()), count) for plate, count in design)


def most_wells(designs: Iterable[Design]) -> dict[str, int]:
    """Return, for every plate of the designs, the largest number of wells that one of them has there."""
    most: dict[str, int] = {}
    for plate, count in sorted(pair for design in designs for pair in design):
        most[plate] = max(count, most.get(plate, 0))
    return most


def drawable_together(
    wells: WellProfiles, designs: Iterable[Design], batch: Batch
) -> list[tuple[Design, ...]]:
    """Group designs, each of which can be drawn, so that those of a group can be drawn at once.

    Where a batch has several plates, designs on different ones may together take all its references.

    Args:
        wells: Well profiles of the screen.
        designs: Designs that `can_draw` admits.
        batch: What the correction takes for a batch.

    Returns:
        All of them in one group if that can be, else each by itself.
    """
    listed = tuple(designs)
    if can_draw(wells, tuple(most_wells(listed).items()), batch):
        return [listed]
    return [(design,) for design in listed]


def draw_pseudo_treatments(
    wells: WellProfiles,
    correction: Correction,
    num_wells: Mapping[str, int],
    *,
    others: Mapping[str, np.ndarray] | None = None,
    num_draws: int = NUM_DRAWS,
    seed: int = 0,
) -> Iterator[Draws]:
    """Draw pseudo-treatments and correct each with the references that stayed.

    Of the correction, the centre of a batch and its alignment (CORAL) are fitted anew in each draw; the scale of the
    single dimensions and the part that the training controls give stay.

    Args:
        wells: Well profiles of the screen.
        correction: As fitted on them.
        num_wells: Pseudo-treated wells on every plate, as `most_wells` gives them; a design with fewer takes the first.
        others: Further raw profiles by plate, `(num_profiles, embedding)`, to correct likewise.
        num_draws: How many.
        seed: Seed of the draws.

    Yields:
        Some draws at a time, together `num_draws`.
    """
    rng = np.random.default_rng(seed)
    plates = wells.wells["plate_name"].to_numpy(dtype=str)
    batches = wells.batches(correction.batch)
    references = reference_rows(wells, correction.batch)
    controls = {plate: np.flatnonzero((plates == plate) & wells.is_control) for plate in num_wells}
    batch_of = {plate: str(batches[rows[0]]) for plate, rows in controls.items()}
    white = _whitened(correction, {plate: wells.profiles[rows] for plate, rows in controls.items()}, batch_of)
    further = _whitened(correction, others or {}, batch_of)
    of_batch = {
        batch: _whitened(correction, {batch: wells.profiles[references[batch]]}, {batch: batch})[batch]
        for batch in dict.fromkeys(batch_of.values())
    }
    for start in range(0, num_draws, _CHUNK):
        num = min(_CHUNK, num_draws - start)
        orders = {
            plate: rng.permuted(np.tile(np.arange(len(rows)), (num, 1)), axis=1)
            for plate, rows in controls.items()
        }
        held: dict[str, np.ndarray] = {}
        stayed: dict[str, np.ndarray] = {}
        moved: dict[str, np.ndarray] = {}
        for batch, profiles in of_batch.items():
            here = [plate for plate in num_wells if batch_of[plate] == batch]
            taken = np.concatenate(
                [controls[plate][orders[plate][:, : num_wells[plate]]] for plate in here], axis=1
            )
            remains = ~(references[batch][None, :, None] == taken[:, None, :]).any(axis=2)
            align = _Alignment(profiles, remains, correction.num_components)
            for plate in here:
                shuffled = align(white[plate][orders[plate]])
                held[plate], stayed[plate] = np.split(shuffled, [num_wells[plate]], axis=1)
                if plate in further:
                    moved[plate] = align(np.broadcast_to(further[plate], (num, *further[plate].shape)))
        yield Draws(held, stayed, moved)


def correct_left_out(wells: WellProfiles, correction: Correction) -> np.ndarray:
    """Correct every well as if it were no reference of its batch, so that references look like all other wells.

    Args:
        wells: Well profiles that the correction was fitted on.
        correction: As fitted on them.

    Returns:
        `(num_wells, component)`: references centred and aligned by the others of their batch, other wells as always.
    """
    corrected = correction.apply(wells)
    for batch, rows in reference_rows(wells, correction.batch).items():
        white = whiten(wells.profiles[rows], correction.batches[batch], correction.whitening)
        for start in range(0, len(rows), _CHUNK):
            some = np.arange(start, min(start + _CHUNK, len(rows)))
            remains = np.arange(len(rows)) != some[:, None]
            align = _Alignment(white, remains, correction.num_components)
            corrected[rows[some]] = align(white[some][:, None, :])[:, 0]
    return corrected


def _whitened(
    correction: Correction, profiles: Mapping[str, np.ndarray], batch_of: Mapping[str, str]
) -> dict[str, np.ndarray]:
    return {
        name: whiten(rows, correction.batches[batch_of[name]], correction.whitening)
        for name, rows in profiles.items()
    }


class _Alignment:
    """Centring and CORAL by the references that remain in each draw.

    Args:
        references: Whitened references of a batch, `(num_references, component)`.
        remains: Which of them remain, `(num_draws, num_references)`.
    """

    def __init__(self, references: np.ndarray, remains: np.ndarray, num_components: int) -> None:
        num = remains.sum(axis=1)[:, None, None]
        weights = remains[:, None, :] / num
        self._mean = weights @ references
        centred = (references - self._mean) * remains[:, :, None] / np.sqrt(num - 1)
        # The smaller of Gram matrix and covariance has all the eigenvalues that are not zero.
        if centred.shape[1] < num_components:
            values, vectors = np.linalg.eigh(centred @ centred.transpose(0, 2, 1))
            self._axes = centred.transpose(0, 2, 1) @ vectors
            values = np.maximum(values, 0)
            gains = (values + RIDGE) ** -0.5 - RIDGE**-0.5
            gains = np.divide(gains, values, out=np.zeros_like(gains), where=values > 1e-12)
        else:
            values, self._axes = np.linalg.eigh(centred.transpose(0, 2, 1) @ centred)
            gains = (np.maximum(values, 0) + RIDGE) ** -0.5 - RIDGE**-0.5
        self._gains = gains[:, None, :]

    def __call__(self, white: np.ndarray) -> np.ndarray:
        """Align whitened profiles, `(num_draws, num_profiles, component)`."""
        centred = white - self._mean
        return centred * RIDGE**-0.5 + ((centred @ self._axes) * self._gains) @ self._axes.transpose(0, 2, 1)
