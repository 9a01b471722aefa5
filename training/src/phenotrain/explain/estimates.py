"""Means over sites with an interval from wells: what every finding about explanations is stated in."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student_t

from phenotrain.evaluate import Interval
from phenotrain.evaluate.estimates import MIN_WELLS
from phenotrain.evaluate.headline import wells_text

NUM_RESAMPLES: Final = 1999
MIN_JUDGED_WELLS: Final = 6
"""Fewest wells that carry a verdict: chance puts five wells all on one side of a level in 2 / 2^5 = 6 % of cases, six
in 3 %. Fewer wells give numbers, from `MIN_WELLS` on with an interval, and no verdict."""


@dataclass(frozen=True)
class Estimate:
    """A mean over sites.

    Attributes:
        value: The mean; None without a site.
        interval: 95 %, from wells drawn with replacement; None with fewer than `MIN_WELLS`.
        num_sites: Sites in the mean.
        num_wells: Wells they lie in.
    """

    value: float | None
    interval: Interval | None
    num_sites: int
    num_wells: int

    @property
    def size(self) -> str:
        """How many sites of how many wells."""
        sites = "1 site" if self.num_sites == 1 else f"{self.num_sites} sites"
        return f"{sites} of {wells_text(self.num_wells)}"

    @property
    def is_judged(self) -> bool:
        """Whether there are wells enough for a verdict."""
        return self.interval is not None and self.num_wells >= MIN_JUDGED_WELLS

    @property
    def no_verdict(self) -> str:
        """Why there is no verdict."""
        return f"No verdict from {self.size}: it takes {MIN_JUDGED_WELLS} wells"

    def is_above(self, level: float) -> bool:
        """Whether the whole interval lies above a level; never from too few wells for a verdict."""
        return self.interval is not None and self.is_judged and self.interval.low > level

    def is_below(self, level: float) -> bool:
        """Whether the whole interval lies below a level; never from too few wells for a verdict."""
        return self.interval is not None and self.is_judged and self.interval.high < level


def mean_over_wells(values: np.ndarray, wells: np.ndarray, rng: np.random.Generator) -> Estimate:
    """Average over sites, with an interval from whole wells drawn with replacement.

    Args:
        values: One a site, `(site,)`; sites whose value is NaN are left out.
        wells: Name of every site's well, `(site,)`.
        rng: Source of the resampling.

    Returns:
        The mean and its interval.
    """
    kept = ~np.isnan(np.asarray(values, dtype=float))
    values, wells = np.asarray(values, dtype=float)[kept], np.asarray(wells)[kept]
    num_wells = len(np.unique(wells))
    if num_wells < MIN_WELLS:
        return Estimate(float(values.mean()) if len(values) else None, None, len(values), num_wells)
    return Estimate(
        float(values.mean()),
        percentiles(resampled_means(values[:, np.newaxis], wells, rng)[:, 0], num_wells),
        len(values),
        num_wells,
    )


def resampled_means(values: np.ndarray, wells: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Average over the sites of wells drawn with replacement.

    Args:
        values: `(site, column)`, finite.
        wells: Name of every site's well, `(site,)`, at least one.
        rng: Source of the resampling.

    Returns:
        `(NUM_RESAMPLES, column)`.
    """
    names, well_of = np.unique(wells, return_inverse=True)
    num_sites = np.bincount(well_of)
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, well_of, values)
    drawn = rng.integers(len(names), size=(NUM_RESAMPLES, len(names)))
    return sums[drawn].sum(axis=1) / num_sites[drawn].sum(axis=1)[:, np.newaxis]


def percentiles(resampled: np.ndarray, num_wells: int) -> Interval:
    """95 % interval from means of resampled wells, widened where there are few.

    With n wells, resampled means spread by sqrt((n - 1) / n) too little, and their tails are a normal's where
    Student's t is due: the percentiles are taken at Phi(-sqrt(n / (n - 1)) t) instead of at 2.5 % (Hesterberg 2015,
    "What teachers should know about the bootstrap", the expanded percentile interval).

    Args:
        resampled: `(resample,)`.
        num_wells: Wells that were resampled, at least two.
    """
    factor = np.sqrt(num_wells / (num_wells - 1))
    tail = norm.cdf(-factor * student_t.ppf(0.975, num_wells - 1))
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Interval(float(low), float(high))
