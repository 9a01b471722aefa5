"""Mean average precision of a group of wells, as copairs defines it, for thousands of draws at once."""

from collections.abc import Mapping

import numpy as np


def unit_rows(profiles: np.ndarray) -> np.ndarray:
    """Scale rows to length 1; a row of zeros stays."""
    lengths = np.linalg.norm(profiles, axis=-1, keepdims=True)
    return profiles / np.where(lengths > 0, lengths, 1.0)


def mean_normalised_ap(group: Mapping[str, np.ndarray], controls: Mapping[str, np.ndarray]) -> np.ndarray:
    """Rank a group's wells on other plates against the controls of the same plate, by cosine similarity.

    A group on one plate has none elsewhere: there its other wells of the same plate are ranked.

    Args:
        group: Profiles of the group's wells by plate, `(..., num_wells, component)`; two wells or more.
        controls: Profiles of the controls by plate, `(..., num_controls, component)`.

    Returns:
        Mean of `normalised_ap` over the wells, `(...,)`.
    """
    unit = {plate: unit_rows(profiles) for plate, profiles in group.items()}
    scores: list[np.ndarray] = []
    for plate, queries in unit.items():
        elsewhere = [rows for other, rows in unit.items() if other != plate]
        if elsewhere:
            positives = queries @ np.concatenate(elsewhere, axis=-2).swapaxes(-1, -2)
        else:
            positives = _without_diagonal(queries @ queries.swapaxes(-1, -2))
        negatives = queries @ unit_rows(controls[plate]).swapaxes(-1, -2)
        raw = average_precision(positives, negatives)
        scores.append(normalised_ap(raw, positives.shape[-1], negatives.shape[-1]))
    return np.concatenate(scores, axis=-1).mean(axis=-1)


def _without_diagonal(square: np.ndarray) -> np.ndarray:
    num = square.shape[-1]
    return square[..., ~np.eye(num, dtype=bool)].reshape(*square.shape[:-1], num - 1)


def average_precision(positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """Average precision of each query.

    Args:
        positives: Similarities to the positives, `(..., query, positive)`.
        negatives: Similarities to the negatives, `(..., query, negative)`.

    Returns:
        Mean over the positives of the precision at their rank, `(..., query)`.
    """
    similarities = np.concatenate([positives, negatives], axis=-1)
    order = np.argsort(-similarities, axis=-1, kind="stable")
    relevant = order < positives.shape[-1]
    precision = relevant.cumsum(axis=-1) / np.arange(1, similarities.shape[-1] + 1)
    return (precision * relevant).sum(axis=-1) / positives.shape[-1]


def normalised_ap(scores: np.ndarray, num_positives: int, num_negatives: int) -> np.ndarray:
    """Scale average precisions so that a random ranking expects 0 and a perfect one gets 1.

    The expectation over all orders is `((M - 1) / (L - 1) (L - H) + H) / L` with M positives among L and the harmonic
    number H of L, as in copairs 0.5.5 (`copairs.map.normalization.expected_ap`).

    Args:
        scores: Average precisions.
        num_positives: M, at least 1.
        num_negatives: L - M, at least 1.
    """
    total = num_positives + num_negatives
    harmonic = (1.0 / np.arange(1, total + 1)).sum()
    expected = ((num_positives - 1) / (total - 1) * (total - harmonic) + harmonic) / total
    return (scores - expected) / (1.0 - expected)
