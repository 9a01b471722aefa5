"""Deletion and insertion: does the probability follow the cells in the order that the map ranks them?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from phenotrain.explain.estimates import Estimate, mean_over_wells
from phenotrain.explain.grid import cells

MAX_STEPS: Final = 16
"""Points of a curve after its first; a map with more cells changes several at a step."""

NUM_RANDOM_ORDERS: Final = 4
"""Random orders that each map is compared with."""

ProbabilityOf = Callable[[np.ndarray], np.ndarray]
"""Standardised fields `(field, channel, y, x)` to probabilities `(field, treatment)`."""


@dataclass(frozen=True)
class Curve:
    """One of the two curves, mean over sites, beside the same in random order.

    Attributes:
        probability: Of the explained treatment after each share of the cells, `(point,)`.
        random: The same with the cells in random order.
        area: Area under the curve, 0 to 1, mean over sites.
        random_area: The same in random order.
        gain: How much the map's order beats random order, mean over sites of the difference of the areas, positive
            where the map is better: lower for deletion, higher for insertion.
    """

    probability: tuple[float, ...]
    random: tuple[float, ...]
    area: Estimate
    random_area: Estimate
    gain: Estimate

    @property
    def passes(self) -> bool | None:
        """Whether the map's order is better than random order by its interval; None from too few wells."""
        if not self.gain.is_judged:
            return None
        return self.gain.is_above(0.0)


@dataclass(frozen=True)
class Perturbation:
    """Deletion and insertion (Petsiuk et al. 2018, "RISE", section 4.1) on the cells of the map.

    Attributes:
        fraction: Share of the cells that are deleted, or inserted, at every point of the curves.
        deletion: Cells set to the mean of each stain, hottest first.
        insertion: Cells brought back into a field that is its mean everywhere, hottest first.
        num_random_orders: Random orders a site.
    """

    fraction: tuple[float, ...]
    deletion: Curve
    insertion: Curve
    num_random_orders: int


def perturb(
    probability_of: ProbabilityOf,
    fields: np.ndarray,
    heats: Sequence[np.ndarray],
    treatments: Sequence[int],
    wells: np.ndarray,
    cell_px: int,
    rng: np.random.Generator,
) -> Perturbation:
    """Delete and insert cells in the order of each map, and in random orders.

    The fields are changed after standardisation, where the mean of every stain is zero: a stack changed before it
    would be standardised by what is left of it, and every cell that stays would change with those that go.

    Args:
        probability_of: What comes after standardisation.
        fields: Standardised fields, `(site, channel, y, x)`.
        heats: One map a site, all `(y', x')` of one shape.
        treatments: The explained treatment of every site, as an index in logit order.
        wells: Name of every site's well, `(site,)`.
        cell_px: Side of a cell in pixels of the fields.
        rng: Source of random orders, of the order among equal cells, and of the resampling.

    Returns:
        Both curves.

    Raises:
        ValueError: If there is no site.
    """
    if not len(fields):
        raise ValueError("Deletion and insertion need at least one site; received none")
    num_cells = heats[0].size
    counts = np.unique(np.linspace(0, num_cells, min(num_cells, MAX_STEPS) + 1).round().astype(int))
    curves = np.empty((len(fields), 2, 1 + NUM_RANDOM_ORDERS, len(counts)))
    for site, (field, heat, treatment) in enumerate(zip(fields, heats, treatments, strict=True)):
        orders = [hottest_first(heat, rng), *(rng.permutation(num_cells) for _ in range(NUM_RANDOM_ORDERS))]
        for number, order in enumerate(orders):
            deleted, inserted = changed_fields(field, order, counts, heat.shape, cell_px)
            for kind, changed in enumerate((deleted, inserted)):
                curves[site, kind, number] = probability_of(changed)[:, treatment]
    fraction = counts / num_cells
    deletion, insertion = (
        _curve(curves[:, kind], fraction, sign, wells, rng) for kind, sign in enumerate((-1.0, 1.0))
    )
    return Perturbation(tuple(fraction.tolist()), deletion, insertion, NUM_RANDOM_ORDERS)


def hottest_first(heat: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Order the cells of a map from its greatest value down, equal ones at random, `(cell,)`."""
    shuffled = rng.permutation(heat.size)
    return shuffled[np.argsort(-heat.ravel()[shuffled], kind="stable")]


def changed_fields(
    field: np.ndarray, order: np.ndarray, counts: np.ndarray, grid_shape: tuple[int, ...], cell_px: int
) -> tuple[np.ndarray, np.ndarray]:
    """Make the fields of a deletion and of an insertion curve.

    Args:
        field: Standardised, `(channel, y, x)`.
        order: Cells, first to go (or come) first.
        counts: Number of cells that have gone (or come) at each point, ascending from 0 to all.
        grid_shape: Shape of the heatmap, `(y', x')`.
        cell_px: Side of a cell in pixels of the field.

    Returns:
        Two arrays `(point, channel, y, x)`. A pixel outside every cell at the far edges goes first and comes last.
    """
    where = cells((grid_shape[0], grid_shape[1]), (field.shape[1], field.shape[2]), cell_px)
    is_touched = np.zeros((len(counts), *field.shape[1:]), dtype=bool)
    for rank, cell in enumerate(order):
        is_touched[(counts > rank, *where[cell])] = True
    in_grid = np.zeros(field.shape[1:], dtype=bool)
    for cell in where:
        in_grid[cell] = True
    is_touched = is_touched[:, np.newaxis]
    zero = field.dtype.type(0)
    return np.where(~is_touched & in_grid, field, zero), np.where(is_touched, field, zero)


def area_under(curves: np.ndarray, fraction: np.ndarray) -> np.ndarray:
    """Trapezoidal area under curves `(..., point)` over `fraction`, which runs from 0 to 1."""
    return np.trapezoid(curves, fraction, axis=-1)


def _curve(
    curves: np.ndarray, fraction: np.ndarray, sign: float, wells: np.ndarray, rng: np.random.Generator
) -> Curve:
    """Summarise `(site, order, point)`, the map's order first; `sign` is 1 where a large area is good."""
    areas = area_under(curves, fraction)
    by_map, by_chance = areas[:, 0], areas[:, 1:].mean(axis=1)
    return Curve(
        probability=tuple(curves[:, 0].mean(axis=0).tolist()),
        random=tuple(curves[:, 1:].mean(axis=(0, 1)).tolist()),
        area=mean_over_wells(by_map, wells, rng),
        random_area=mean_over_wells(by_chance, wells, rng),
        gain=mean_over_wells(sign * (by_map - by_chance), wells, rng),
    )
