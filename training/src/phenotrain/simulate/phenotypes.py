"""What each treatment does to the cells, and how much of it at which dose.

These phenotypes are invented for the simulation. They are not the biology of interferons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from phenotrain.simulate.cells import Cells
from phenotrain.simulate.streams import Stream, stream

INERT_BELOW: Final = 1e-4
"""Highest concentration at which every treatment does exactly nothing: the third lowest of RxRx2."""

HILL_SLOPE: Final = 1.8
"""Exponent of the Hill curves."""

_RESPONDING_FRACTION: Final = 0.9


@dataclass(frozen=True)
class Shift:
    """One parameter of the cells that a treatment moves, and the stain that shows it.

    Attributes:
        stain: The only stain drawn from the parameter.
        parameter: Name of the parameter in `Cells`.
        target: Value that a cell reaches at full effect and full response.
    """

    stain: str
    parameter: str
    target: float


@dataclass(frozen=True)
class Phenotype:
    """What a treatment does.

    Attributes:
        description: What is seen, in a sentence.
        half_dose: Concentration of half the effect, in RxRx2's unit.
        shifts: The parameters it moves.
    """

    description: str
    half_dose: float
    shifts: tuple[Shift, ...]

    @property
    def stains(self) -> tuple[str, ...]:
        """The stains that show the phenotype, each once."""
        return tuple(dict.fromkeys(shift.stain for shift in self.shifts))


PHENOTYPES: Final[Mapping[str, Phenotype]] = MappingProxyType(
    {
        "IFN-alpha-A": Phenotype(
            "Mitochondria leave the periphery and clump at one side of the nucleus.",
            6e-4,
            (Shift("MitoTracker", "mito_polarity", 1.0),),
        ),
        "IFNB-1": Phenotype(
            "Nucleoli swell and brighten, and the RNA of the cytoplasm fades.",
            7e-4,
            (Shift("Syto14", "nucleolus_size", 1.8), Shift("Syto14", "rna_cytoplasm", 0.45)),
        ),
        "IFN-gamma": Phenotype(
            "The ER draws together in a ring around the nucleus, and chromatin gathers in clumps.",
            4e-4,
            (Shift("ConA", "er_ring", 1.0), Shift("Hoechst", "chromatin_clumping", 0.9)),
        ),
        "IFN-omega": Phenotype(
            "The membrane ruffles at cell borders and shows puncta, over a thicker actin cortex.",
            5e-4,
            (
                Shift("WGA", "wga_puncta", 1.0),
                Shift("WGA", "wga_ruffles", 1.0),
                Shift("Phalloidin", "cortex", 2.2),
            ),
        ),
    }
)
"""The phenotype of every treatment the simulation knows, by RxRx2's names."""


def effect_size(treatment: str, dose: float | None) -> float:
    """Size of a treatment's effect at a dose, by a Hill curve that starts at `INERT_BELOW`.

    With h(c) = c^n / (c^n + k^n), where k is the treatment's `half_dose` and n the `HILL_SLOPE`, the effect
    is (h(c) - h(c0)) / (1 - h(c0)) above c0 = `INERT_BELOW`, and exactly 0 up to it.

    Args:
        treatment: Name of the treatment; a control or any other name without a phenotype has no effect.
        dose: Concentration, or None for no treatment.

    Returns:
        The effect, from 0 to 1.
    """
    phenotype = PHENOTYPES.get(treatment)
    if phenotype is None or dose is None or dose <= INERT_BELOW:
        return 0.0

    def hill(concentration: float) -> float:
        return 1.0 / (1.0 + (phenotype.half_dose / concentration) ** HILL_SLOPE)

    return (hill(dose) - hill(INERT_BELOW)) / (1.0 - hill(INERT_BELOW))


def treat(
    cells: Cells,
    treatment: str,
    dose: float | None,
    seed: int,
    address: tuple[int, ...],
    *,
    is_reached: NDArray[np.bool_] | None = None,
) -> Cells:
    """Move the parameters of the cells as a treatment does; cells differ in how far they respond.

    Args:
        cells: Untreated cells.
        treatment: Name of the treatment.
        dose: Concentration, or None for no treatment.
        seed: Seed of the screen.
        address: Where the site lies in the screen.
        is_reached: Which cells the treatment reaches, `(cell,)`; None for all.

    Returns:
        The treated cells; the very same object where there is no effect.
    """
    effect = effect_size(treatment, dose)
    if effect == 0.0:
        return cells
    rng = stream(seed, Stream.RESPONSE, *address)
    responds = rng.random(len(cells)) < _RESPONDING_FRACTION
    if is_reached is not None:
        responds &= is_reached
    share = (effect * responds * rng.beta(6.0, 2.0, len(cells))).astype(np.float32)
    for shift in PHENOTYPES[treatment].shifts:
        cells = cells.moved_towards(shift.parameter, shift.target, share)
    return cells


def cells_in_a_disc(
    cells: Cells, field_px: int, share: float, seed: int, address: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Choose the cells whose nucleus lies in a disc that covers a share of the field.

    The disc's centre is drawn evenly over the field. At the border the disc is cut, and it is the larger for it,
    so that its part within the field always has the wanted area.

    Args:
        cells: The cells, those outside the field among them.
        field_px: Side of the field in pixels.
        share: Share of the field's area that the disc covers, above 0 and up to 1.
        seed: Seed of the screen.
        address: Where the site lies in the screen.

    Returns:
        True for the cells in the disc, `(cell,)`; for all of them at a share of 1.
    """
    if share == 1.0:
        return np.ones(len(cells), dtype=np.bool_)
    centre_y, centre_x = stream(seed, Stream.DISC, *address).uniform(0, field_px, 2)
    line = np.arange(field_px) + 0.5
    radius_px = np.quantile(np.hypot(line[:, None] - centre_y, line[None, :] - centre_x), share)
    return np.hypot(cells.y_px - centre_y, cells.x_px - centre_x) <= radius_px
