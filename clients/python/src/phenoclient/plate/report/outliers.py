"""Wells that stand apart from their plate."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from phenoclient.plate.report.results import Results, Well

MAX_ROBUST_Z = 3.5
_MAD_TO_DEVIATION = 0.6745


@dataclass(frozen=True)
class Outlier:
    """A well that stands apart, and how.

    Attributes:
        well: The well.
        robust_z: How far its distance lies above the median of its plate, in robust standard deviations; NaN where the
            bundle gives no distance, or more than half of the plate's wells have one.
        reasons: In words.
    """

    well: Well
    robust_z: float
    reasons: tuple[str, ...]


def outliers(results: Results) -> list[Outlier]:
    """Wells with a site out of distribution, or farther from what the model learned from than their plate is.

    Far is a modified z-score above 3.5: 0.6745 (x - median) / MAD over the wells of a plate (Iglewicz and Hoaglin 1993,
    "How to Detect and Handle Outliers", section 3.3).

    Returns:
        The farthest first.
    """
    found = list[Outlier]()
    for plate in results.plates:
        wells = [well for well in results.wells if well.plate == plate]
        for well, score in zip(wells, _robust_z([well.mean("distance") for well in wells]), strict=True):
            reasons = list[str]()
            if well.num_out_of_distribution:
                reasons.append(
                    f"{well.num_out_of_distribution} of {len(well.rows)} sites out of distribution"
                )
            if score > MAX_ROBUST_Z:
                reasons.append("farther out than its plate")
            if reasons:
                found.append(Outlier(well, score, tuple(reasons)))
    return sorted(found, key=lambda outlier: -np.nan_to_num(outlier.well.mean("distance")))


def _robust_z(distances: Sequence[float]) -> list[float]:
    values = np.asarray(distances, dtype=np.float64)
    if np.isnan(values).all():
        return [float("nan")] * len(distances)
    centred = values - np.nanmedian(values)
    spread = float(np.nanmedian(np.abs(centred)))
    return (centred * _MAD_TO_DEVIATION / spread if spread > 0 else np.full_like(centred, np.nan)).tolist()
