"""Does the map lie where the treatment acted, and where there are cells at all?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from skimage.filters import threshold_otsu

from phenotrain.evaluate.estimates import MIN_WELLS
from phenotrain.explain.estimates import (
    Estimate,
    mean_over_wells,
    percentiles,
    resampled_means,
)
from phenotrain.explain.grid import cell_means, cells
from phenotrain.stains_by_name import NUCLEAR_STAINS, RETICULAR_STAINS, named_channel


@dataclass(frozen=True)
class Inside:
    """How much of the maps lies inside a region, beside how large the region is.

    Attributes:
        mass: Share of a map's sum that lies inside (relevance mass accuracy, Arras et al. 2022), mean over sites.
        area: Share of the field that lies inside, mean over the same sites: what a map that is the same
            everywhere reaches.
        ratio: `mass` over `area`, of the means; 1 for a map that knows nothing.
        num_blank: Sites left out because their map is zero everywhere.
    """

    mass: Estimate
    area: Estimate
    ratio: Estimate
    num_blank: int


@dataclass(frozen=True)
class Pointing:
    """The pointing game (Zhang et al. 2018, "Top-down neural attention by excitation backprop").

    Attributes:
        hits: Share of sites whose hottest cell is a hit: a pixel that the treatment changed lies within
            `tolerance_px` of the cell's centre. A map that is zero everywhere is a miss.
        chance: The same for a cell drawn at random.
        tolerance_px: Half the side of a cell, in pixels of the file.
    """

    hits: Estimate
    chance: Estimate
    tolerance_px: float


@dataclass(frozen=True)
class Localisation:
    """Agreement of the maps with the simulated truth.

    Attributes:
        pointing: The pointing game.
        inside: The map's mass inside the changed pixels.
    """

    pointing: Pointing
    inside: Inside


def relevance_mass(heat: np.ndarray, share: np.ndarray) -> float:
    """Share of a map's sum inside a region, each cell's value spread evenly over its pixels.

    Args:
        heat: Not negative, `(y', x')`.
        share: Share of every cell that lies in the region, same shape.

    Returns:
        0 to 1; NaN for a map that is zero everywhere.
    """
    total = float(heat.sum())
    return float((heat * share).sum()) / total if total > 0 else float("nan")


def hits(mask: np.ndarray, grid_shape: tuple[int, int], cell_px: int) -> np.ndarray:
    """Say which cells a finger may point at: those with a pixel of the mask within half a cell of their centre.

    Args:
        mask: Boolean `(y, x)`.
        grid_shape: Shape of the heatmap, `(y', x')`.
        cell_px: Side of a cell, px.

    Returns:
        Boolean `grid_shape`.
    """
    line = np.arange(cell_px) + 0.5 - cell_px / 2
    is_near = np.hypot(line[:, np.newaxis], line[np.newaxis, :]) <= cell_px / 2
    found: list[bool] = []
    for cell in cells(grid_shape, (mask.shape[0], mask.shape[1]), cell_px):
        part = mask[cell]
        found.append(bool((part & is_near[: part.shape[0], : part.shape[1]]).any()))
    return np.array(found).reshape(grid_shape)


def points_at(heat: np.ndarray, is_hit: np.ndarray) -> float:
    """Return 1 where the hottest cell is a hit, 0 where it is none or there is no hottest, shared among equals."""
    if heat.max() <= 0:
        return 0.0
    return float(is_hit[heat == heat.max()].mean())


def foreground(field: np.ndarray, stains: Sequence[str]) -> np.ndarray:
    """Tell cells from gaps by Otsu's threshold on nuclei and ER, or on all stains where these are not known.

    Args:
        field: Intensities, `(channel, y, x)`.
        stains: Name of each channel.

    Returns:
        Boolean `(y, x)`; nowhere True where the chosen stains are flat.
    """
    named = [named_channel(stains, words) for words in (NUCLEAR_STAINS, RETICULAR_STAINS)]
    known = [index for index in named if index is not None]
    planes = field[known if len(known) == len(named) else slice(None)].astype(float)
    deviation = planes.std(axis=(1, 2), keepdims=True)
    planes = (planes - planes.mean(axis=(1, 2), keepdims=True)) / np.where(deviation > 0, deviation, 1)
    total = planes.sum(axis=0)
    return total > threshold_otsu(total) if total.min() < total.max() else np.zeros(total.shape, bool)


def measure_inside(
    heats: Sequence[np.ndarray], shares: Sequence[np.ndarray], wells: np.ndarray, rng: np.random.Generator
) -> Inside:
    """Average the maps' mass inside their regions.

    Args:
        heats: One map a site, `(y', x')`, not negative.
        shares: Share of every cell of each map that lies in the region.
        wells: Name of every site's well, `(site,)`.
        rng: Source of the resampling.

    Returns:
        Mass, area and their ratio.
    """
    mass = np.array([relevance_mass(heat, share) for heat, share in zip(heats, shares, strict=True)])
    area = np.array([share.mean() for share in shares])
    is_blank = np.isnan(mass)
    both = np.stack([mass, area], axis=1)[~is_blank]
    kept = wells[~is_blank]
    means = mean_over_wells(both[:, 0], kept, rng), mean_over_wells(both[:, 1], kept, rng)
    return Inside(*means, _ratio(both, kept, rng), int(is_blank.sum()))


def measure_pointing(
    heats: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    wells: np.ndarray,
    cell_px: int,
    rng: np.random.Generator,
) -> Pointing:
    """Play the pointing game.

    Args:
        heats: One map a site, `(y', x')`.
        masks: What the treatment changed at each site, boolean `(y, x)`.
        wells: Name of every site's well, `(site,)`.
        cell_px: Side of a cell, px of the masks.
        rng: Source of the resampling.

    Returns:
        Hits and chance.
    """
    pairs = [(heat, hits(mask, heat.shape, cell_px)) for heat, mask in zip(heats, masks, strict=True)]
    return Pointing(
        mean_over_wells(np.array([points_at(heat, is_hit) for heat, is_hit in pairs]), wells, rng),
        mean_over_wells(np.array([is_hit.mean() for _, is_hit in pairs]), wells, rng),
        cell_px / 2,
    )


def localise(
    heats: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    wells: np.ndarray,
    cell_px: int,
    rng: np.random.Generator,
) -> Localisation:
    """Compare maps with the truth; arguments as of `measure_pointing`."""
    shares = [cell_means(mask, heat.shape, cell_px) for heat, mask in zip(heats, masks, strict=True)]
    return Localisation(
        measure_pointing(heats, masks, wells, cell_px, rng), measure_inside(heats, shares, wells, rng)
    )


def _ratio(both: np.ndarray, wells: np.ndarray, rng: np.random.Generator) -> Estimate:
    num_wells = len(np.unique(wells))
    if not len(both) or both[:, 1].sum() == 0:
        return Estimate(None, None, len(both), num_wells)
    value = float(both[:, 0].mean() / both[:, 1].mean())
    if num_wells < MIN_WELLS:
        return Estimate(value, None, len(both), num_wells)
    drawn = resampled_means(both, wells, rng)
    is_there = drawn[:, 1] > 0
    interval = percentiles(drawn[is_there, 0] / drawn[is_there, 1], num_wells)
    return Estimate(value, interval, len(both), num_wells)
