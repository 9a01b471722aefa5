"""Hill curves through the responses of wells: EC50 with its interval, and whether the response is monotone."""

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.optimize import curve_fit
from scipy.stats import spearmanr, ttest_ind

from phenotrain.doses import rounded_doses
from phenotrain.evaluate import Interval

MIN_DOSES: Final = 4
NUM_RESAMPLES: Final = 300
SIGNIFICANCE: Final = 0.05
_MIN_FITTED: Final = 0.8
"""Share of the resamples that must give a fit for the interval to be stated."""


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


@dataclass(frozen=True)
class DoseFit:
    """One series of doses.

    Attributes:
        treatment: Name of the treatment.
        series: The drug behind the doses, empty where there is none.
        response: What was measured, such as `P(treated)`.
        doses: Dose of every well, as recorded.
        responses: Response of every well.
        controls: Response of the control wells of the same plates and, where the table has it, the same series.
        curve: The fitted curve; None without a trend over the doses, or without a fit.
        interval: 95 % percentile interval of the EC50 over wells drawn with replacement within each dose.
        is_within_doses: Whether the EC50 lies between the lowest and the highest dose.
        is_monotone: Whether no step from a dose to the next goes against the trend by more than noise (one-sided
            Welch tests at 0.05, Bonferroni over the steps).
        trend: Spearman correlation of dose and response.
    """

    treatment: str
    series: str
    response: str
    doses: tuple[float, ...]
    responses: tuple[float, ...]
    controls: tuple[float, ...]
    curve: HillCurve | None
    interval: Interval | None
    is_within_doses: bool
    is_monotone: bool
    trend: float

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON-able values."""
        return asdict(self)


def fit_doses(
    sites: pd.DataFrame, rows: np.ndarray, control: str, values: np.ndarray, response: str, *, seed: int
) -> list[DoseFit]:
    """Fits every treatment and series that has four doses or more among the chosen sites.

    Args:
        sites: Sites table; an optional column `series` keeps the drugs behind one treatment apart.
        rows: Rows to use, wells whose label the model did not learn from; wells average their sites.
        control: Name of the control.
        values: Response of every site of the table, `(num_sites,)`.
        response: What it is.
        seed: Seed of the bootstrap.

    Returns:
        One fit a treatment and series, in order of their names.
    """
    used = sites.iloc[rows]
    wells = (
        pd.DataFrame(
            {
                "well_id": used["well_id"].to_numpy(dtype=str),
                "treatment": used["treatment"].to_numpy(dtype=str),
                "series": used["series"].astype(str).to_numpy() if "series" in used else "",
                "plate": (used["experiment"].astype(str) + "/" + used["plate"].astype(str)).to_numpy(),
                "dose": rounded_doses(used["treatment_conc"].to_numpy(dtype=float)),
                "value": values[rows],
            }
        )
        .groupby("well_id", as_index=False)
        .agg(
            treatment=("treatment", "first"),
            series=("series", "first"),
            plate=("plate", "first"),
            dose=("dose", "first"),
            value=("value", "mean"),
        )
    )
    controls = wells[wells["treatment"] == control]
    fits: list[DoseFit] = []
    for (treatment, series), group in wells.groupby(["treatment", "series"]):
        dosed = group[group["dose"] > 0]
        if treatment == control or dosed["dose"].nunique() < MIN_DOSES:
            continue
        beside = controls[controls["plate"].isin(group["plate"]) & (controls["series"] == series)]
        fits.append(
            fit_series(
                dosed["dose"].to_numpy(),
                dosed["value"].to_numpy(),
                beside["value"].to_numpy(),
                names=(str(treatment), str(series), response),
                seed=seed,
            )
        )
    return fits


def fit_series(
    doses: np.ndarray, responses: np.ndarray, controls: np.ndarray, *, names: tuple[str, str, str], seed: int
) -> DoseFit:
    """Fits one series.

    Args:
        doses: Positive dose of every well, `(num_wells,)`, four or more different ones.
        responses: Response of every well, same shape.
        controls: Responses of control wells, shown beside.
        names: Treatment, series and response.
        seed: Seed of the bootstrap.
    """
    statistic, p_value = (float(number) for number in np.asarray(spearmanr(doses, responses)))
    has_trend = np.isfinite(statistic) and p_value < SIGNIFICANCE
    curve = _fit(doses, responses) if has_trend else None
    interval = _interval(doses, responses, seed) if curve is not None else None
    return DoseFit(
        treatment=names[0],
        series=names[1],
        response=names[2],
        doses=tuple(doses.tolist()),
        responses=tuple(responses.tolist()),
        controls=tuple(controls.tolist()),
        curve=curve,
        interval=interval,
        is_within_doses=curve is not None and bool(doses.min() <= curve.ec50 <= doses.max()),
        is_monotone=_is_monotone(doses, responses, float(np.sign(np.nan_to_num(statistic)))),
        trend=float(np.nan_to_num(statistic)),
    )


def _hill(log_dose: np.ndarray, bottom: float, top: float, log_ec50: float, slope: float) -> np.ndarray:
    return bottom + (top - bottom) / (1 + 10 ** np.clip(slope * (log_ec50 - log_dose), -300, 300))


def _fit(doses: np.ndarray, responses: np.ndarray) -> HillCurve | None:
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


def _interval(doses: np.ndarray, responses: np.ndarray, seed: int) -> Interval | None:
    rng, found = np.random.default_rng(seed), []
    of_dose = [np.flatnonzero(doses == dose) for dose in np.unique(doses)]
    for _ in range(NUM_RESAMPLES):
        drawn = np.concatenate([rng.choice(wells, len(wells)) for wells in of_dose])
        curve = _fit(doses[drawn], responses[drawn])
        if curve is not None:
            found.append(curve.ec50)
    if len(found) < _MIN_FITTED * NUM_RESAMPLES:
        return None
    low, high = np.quantile(found, [0.025, 0.975])
    return Interval(float(low), float(high))


def _is_monotone(doses: np.ndarray, responses: np.ndarray, direction: float) -> bool:
    levels = [responses[doses == dose] for dose in np.unique(doses)]
    for lower, upper in pairwise(levels):
        fall = direction * (lower.mean() - upper.mean())
        if fall <= 0 or min(len(lower), len(upper)) < 2:
            continue
        if np.ptp(lower) == 0 and np.ptp(upper) == 0:
            return False
        _, p_value = np.asarray(
            ttest_ind(direction * lower, direction * upper, equal_var=False, alternative="greater")
        )
        if p_value * (len(levels) - 1) < SIGNIFICANCE:
            return False
    return True
