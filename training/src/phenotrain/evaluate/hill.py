"""Four-parameter Hill curves by least squares."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import curve_fit


@dataclass(frozen=True)
class HillCurve:
    """Response = bottom + (top - bottom) / (1 + (ec50 / dose)^slope); the EC50 in the unit of the doses."""

    bottom: float
    top: float
    ec50: float
    slope: float

    def at(self, doses: np.ndarray) -> np.ndarray:
        """Responses at positive doses, of their shape."""
        return _hill(np.log10(doses), self.bottom, self.top, np.log10(self.ec50), self.slope)


def fit_hill(doses: np.ndarray, responses: np.ndarray) -> HillCurve | None:
    """Fits a curve.

    Args:
        doses: Positive dose of every well, `(num_wells,)`.
        responses: Response of every well, same shape.

    Returns:
        The curve; None where the least squares do not converge.
    """
    log_doses = np.log10(doses)
    levels = np.unique(log_doses)
    means = np.array([responses[log_doses == level].mean() for level in levels])
    span = max(float(np.ptp(responses)), 1e-9)
    low, high = responses.min() - span, responses.max() + span
    halfway = float(levels[np.abs(means - means[[0, -1]].mean()).argmin()])
    try:
        # A plateau that was not reached is not known: it may lie one span beyond what was seen, and no further.
        (bottom, top, log_ec50, slope), _ = curve_fit(
            _hill,
            log_doses,
            responses,
            p0=(means[0], means[-1], halfway, 1.5),
            bounds=([low, low, levels[0] - 2, 0.2], [high, high, levels[-1] + 2, 12]),
            max_nfev=2000,
        )
    except RuntimeError:  # curve_fit's word for no convergence
        return None
    return HillCurve(float(bottom), float(top), float(10**log_ec50), float(slope))


def _hill(log_dose: np.ndarray, bottom: float, top: float, log_ec50: float, slope: float) -> np.ndarray:
    return bottom + (top - bottom) / (1 + 10 ** np.clip(slope * (log_ec50 - log_dose), -300, 300))
