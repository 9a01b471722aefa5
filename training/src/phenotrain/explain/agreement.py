"""Rank agreement of stain attributions with the simulated truth, and how high it can get."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from phenotrain.evaluate import Interval
from phenotrain.explain.estimates import resampled_means


@dataclass(frozen=True)
class Agreement:
    """Spearman's rho over all pairs of treatment and stain.

    Attributes:
        raw: Of the attributions as they are.
        raw_interval: Its interval, from wells drawn with replacement within each treatment.
        ceiling: The greatest rho that attributions without ties can reach, as the truth has ties: most pairs are
            exactly 0.
        tied: Of the attributions with those set to zero whose interval contains zero; its ceiling is 1.
        tied_interval: Its interval; what counts as zero is not decided anew.
        num_pairs: Pairs of treatment and stain.
        num_changed: Pairs that the treatment changed.
        num_significant: Pairs whose attribution's interval excludes zero.
    """

    raw: float
    raw_interval: Interval
    ceiling: float
    tied: float
    tied_interval: Interval
    num_pairs: int
    num_changed: int
    num_significant: int


def agree(
    values: np.ndarray,
    truth: np.ndarray,
    group: np.ndarray,
    wells: np.ndarray,
    is_significant: np.ndarray,
    rng: np.random.Generator,
) -> Agreement:
    """Compare mean attributions with the mean truth, pair by pair.

    Args:
        values: Attribution of every site and stain, `(site, channel)`.
        truth: Share of pixels that changed, same shape, not zero everywhere.
        group: Treatment of every site, `(site,)`.
        wells: Name of every site's well, `(site,)`.
        is_significant: Of every pair, treatments ascending and then channels, `(pair,)`.
        rng: Source of the resampling.

    Returns:
        Both correlations.
    """
    groups = np.unique(group)
    means = np.concatenate([values[group == one].mean(axis=0) for one in groups])
    expected = np.concatenate([truth[group == one].mean(axis=0) for one in groups])
    drawn = np.concatenate(
        [resampled_means(values[group == one], wells[group == one], rng) for one in groups], axis=1
    )
    return Agreement(
        raw=_rho(means, expected),
        raw_interval=_interval(drawn, expected),
        ceiling=highest_untied(expected),
        tied=_rho(np.where(is_significant, means, 0.0), expected),
        tied_interval=_interval(np.where(is_significant, drawn, 0.0), expected),
        num_pairs=len(expected),
        num_changed=int((expected > 0).sum()),
        num_significant=int(is_significant.sum()),
    )


def highest_untied(truth: np.ndarray) -> float:
    """The greatest Spearman's rho of values that all differ with values that may not.

    Ranks that increase with the truth agree with it best. Within a group of t equal values they still differ, which
    adds `(t³ - t) / 12` to their sum of squares alone, so rho is `sqrt(1 - sum(t³ - t) / (n³ - n))`.

    Args:
        truth: `(pair,)`.

    Returns:
        0 to 1.
    """
    _, num_equal = np.unique(truth, return_counts=True)
    num = len(truth)
    return float(np.sqrt(1 - (num_equal**3 - num_equal).sum() / (num**3 - num)))


def _rho(values: np.ndarray, truth: np.ndarray) -> float:
    if len(np.unique(values)) < 2 or len(np.unique(truth)) < 2:
        return 0.0
    return float(np.corrcoef(rankdata(values), rankdata(truth))[0, 1])


def _interval(drawn: np.ndarray, truth: np.ndarray) -> Interval:
    """Percentile interval of rho over `(resample, pair)`, ranked all at once."""
    ranks = rankdata(drawn, axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    expected = rankdata(truth)
    expected = expected - expected.mean()
    size = np.sqrt((ranks**2).sum(axis=1) * (expected**2).sum())
    rho = np.divide(ranks @ expected, size, out=np.zeros(len(ranks)), where=size > 0)
    low, high = np.quantile(rho, [0.025, 0.975])
    return Interval(float(low), float(high))
