"""The cells of one field: where they lie, their shape, and the parameters that the stains are drawn from."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating]
"""One value a cell, `(cell,)`; float32 throughout, which NumPy's type stubs cannot follow."""

AREA_PER_CELL_PX: Final = 3200.0
"""Mean area of a cell in pixels at density 1; RxRx2's fields of 1024 px show about 320 nuclei."""

MIN_DISTANCE_PX: Final = 24.0
"""Least distance between two nuclei, centre to centre, in pixels."""

MARGIN_PX: Final = 48
"""Cells are placed this far outside the field too, so that the field cuts cells at its border."""

_CANDIDATES_PER_CELL: Final = 3
_ROUNDED_FRACTION: Final = 0.02
_ROUNDED: Final = {
    "long_px": 0.5,
    "short_px": 0.65,
    "extent_px": 0.7,
    "dna": 2.5,
    "protein": 3.0,
    "fibres": 0.4,
    "mitochondria": 1.5,
    "golgi": 1.5,
}


@dataclass(frozen=True)
class Cells:
    """Parameters of the cells of one field, each `(cell,)`; lengths in pixels, angles in radians.

    Attributes:
        y_px: Centre of the nucleus; outside the field for cells that only reach into it.
        x_px: The same along x.
        angle: Direction of the long axis, from x towards y.
        long_px: Half of the nucleus's long axis.
        short_px: Half of its short axis.
        bend: How far the nucleus is bent like a bean, 0 for an ellipse.
        pole: Direction, from the long axis, of the side of the nucleus where the Golgi lies.
        extent_px: Length over which the cytoplasm thins out away from the nucleus.
        dna: Brightness of Hoechst, 1 on average.
        chromatin_clumping: 0 for even chromatin, 1 for a few bright clumps.
        protein: Brightness of ConA and Syto14 in the cytoplasm, 1 on average.
        er_ring: 0 for ER spread through the cytoplasm, 1 for a tight ring around the nucleus.
        fibres: Strength of actin stress fibres.
        cortex: Strength of actin at the cell's border.
        nucleolus_size: Size of the nucleoli, 1 on average.
        rna_cytoplasm: Share of Syto14 in the cytoplasm, 1 on average.
        mitochondria: Brightness of MitoTracker, 1 on average.
        mito_polarity: 0 for mitochondria all around the nucleus, 1 for a clump at its pole.
        golgi: Brightness of the Golgi in WGA.
        wga_puncta: Strength of small WGA spots in the cytoplasm.
        wga_ruffles: Strength of broad WGA ruffles along the border.
    """

    y_px: Values
    x_px: Values
    angle: Values
    long_px: Values
    short_px: Values
    bend: Values
    pole: Values
    extent_px: Values
    dna: Values
    chromatin_clumping: Values
    protein: Values
    er_ring: Values
    fibres: Values
    cortex: Values
    nucleolus_size: Values
    rna_cytoplasm: Values
    mitochondria: Values
    mito_polarity: Values
    golgi: Values
    wga_puncta: Values
    wga_ruffles: Values

    def __len__(self) -> int:
        """Number of cells."""
        return self.y_px.size

    def moved_towards(self, parameter: str, target: float, share: Values) -> Cells:
        """Move one parameter of every cell towards a target.

        Args:
            parameter: Name of the parameter.
            target: Value that a share of 1 reaches.
            share: How much of the way each cell goes, 0 to 1, `(cell,)`.

        Returns:
            The cells with that parameter moved and all else unchanged.
        """
        value: Values = getattr(self, parameter)
        return replace(self, **{parameter: (value + (np.float32(target) - value) * share).astype(np.float32)})


def sample_cells(rng: np.random.Generator, field_px: int, density: float) -> Cells:
    """Draw the untreated cells of one field.

    Args:
        rng: Source of everything random about the cells.
        field_px: Side of the field in pixels.
        density: Cells a unit of area, 1 for the average screen.

    Returns:
        The cells in and around the field, at least one.
    """
    y_px, x_px = _place(rng, field_px, density)
    count = y_px.size
    rounded = rng.random(count) < _ROUNDED_FRACTION

    def varied(mean: float, spread: float) -> Values:
        # Lognormal with the given mean and relative spread.
        return (mean * np.exp(spread * rng.standard_normal(count) - spread**2 / 2)).astype(np.float32)

    def share(mean: float, concentration: float) -> Values:
        # Beta with the given mean: the larger the concentration, the more alike the cells.
        return rng.beta(mean * concentration, (1 - mean) * concentration, count).astype(np.float32)

    size = varied(1.0, 0.10)
    drawn = {
        "angle": rng.uniform(0, np.pi, count),
        "long_px": varied(13.6, 0.11) * size,
        "short_px": varied(9.2, 0.09) * size,
        "bend": rng.normal(0, 0.09, count),
        "pole": rng.uniform(-np.pi, np.pi, count),
        "extent_px": varied(9.0, 0.2),
        "dna": varied(1.0, 0.25),
        "chromatin_clumping": share(0.12, 10),
        "protein": varied(1.0, 0.42),
        "er_ring": share(0.12, 8),
        "fibres": varied(1.0, 0.45),
        "cortex": varied(1.0, 0.45),
        "nucleolus_size": varied(1.0, 0.12),
        "rna_cytoplasm": varied(1.0, 0.12),
        "mitochondria": varied(1.0, 0.40),
        "mito_polarity": share(0.20, 6),
        "golgi": varied(1.0, 0.50),
        "wga_puncta": share(0.10, 8),
        "wga_ruffles": share(0.10, 8),
    }
    # A dying cell rounds up: its nucleus shrinks and brightens, its cytoplasm draws in and stains strongly.
    for parameter, factor in _ROUNDED.items():
        drawn[parameter] = drawn[parameter] * np.where(rounded, factor, 1.0)
    return Cells(y_px=y_px, x_px=x_px, **{name: value.astype(np.float32) for name, value in drawn.items()})


def _place(rng: np.random.Generator, field_px: int, density: float) -> tuple[Values, Values]:
    """Draw points one after the other, dropping each that comes too near to an earlier one."""
    side = field_px + 2 * MARGIN_PX
    wanted = max(1, int(rng.poisson(density * side**2 / AREA_PER_CELL_PX)))
    candidates = rng.uniform(-MARGIN_PX, field_px + MARGIN_PX, (wanted * _CANDIDATES_PER_CELL, 2)).astype(
        np.float32
    )
    kept = np.empty((wanted, 2), dtype=np.float32)
    count = 0
    for candidate in candidates:
        apart = kept[:count] - candidate
        if count == 0 or np.einsum("ij,ij->i", apart, apart).min() >= MIN_DISTANCE_PX**2:
            kept[count] = candidate
            count += 1
            if count == wanted:
                break
    return kept[:count, 0].copy(), kept[:count, 1].copy()


PARAMETERS: Final = tuple(field.name for field in fields(Cells))
"""Names of every parameter of a cell."""
