"""Trend, Hill curve, EC50 interval and monotony of a treatment's doses, against the controls of the same plates.

Whatever a plate does to all its wells must not look like a dose effect, also where every dose has plates of its own and
where the plate's mean is known from a few controls only. So responses are compared after the mean of the plate's
controls is subtracted, and what is random is drawn by plates: doses are exchanged between plates and among the wells of
a plate, never among single wells of different plates.
"""

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from scipy.stats import t as student_t

from phenotrain.evaluate.dose_response import well_responses
from phenotrain.evaluate.estimates import SIGNIFICANCE, Interval
from phenotrain.evaluate.hill import HillCurve, fit_hill
from phenotrain.grouping import natural_order

MIN_DOSES: Final = 4
MIN_PLATES: Final = 5
"""Plates with the same doses from which on the bootstrap draws whole plates; fewer make too few different draws."""
NUM_RESAMPLES: Final = 300
NUM_EXCHANGES: Final = 1999
_MIN_FITTED: Final = 0.8
"""Share of the resamples that must give a fit for the interval to be stated."""
_ROUNDING: Final = 1e-9


@dataclass(frozen=True)
class DoseFit:
    """One series of doses.

    Attributes:
        treatment: Name of the treatment.
        series: The drug behind the doses, empty where there is none.
        response: What was measured, such as `log odds of treated`.
        is_log_odds: Whether that is the log odds of a probability.
        doses: Dose of every well on a plate with controls, as recorded.
        responses: Response of every well, as if every plate's controls had the mean of all of them. On one plate it is
            the response itself.
        controls: The same for the control wells of those plates.
        is_nested: Whether every plate carries one dose, so that doses are compared through the controls alone.
        trend: Spearman correlation of dose and response; None where it is not defined.
        p_value: Two-sided, of the trend, from doses exchanged between plates and among the wells of each.
        smallest_p: The smallest p that these plates and wells could give.
        why_no_curve: One sentence; empty when there is a curve.
        curve: The fitted curve; None without a trend over the doses, or without a fit.
        interval: 95 % percentile interval of the EC50 over wells drawn again within plate and dose, or over plates.
        why_no_interval: One sentence; empty when there is an interval, or no curve.
        is_within_doses: Whether the EC50 lies between the lowest and the highest dose.
        is_monotone: Whether no step from a dose to the next goes against the trend by more than noise (one-sided at
            0.05, Bonferroni over the steps); None where no dose has wells to tell the noise from.
        left_out: Plates of the series that take no part, for lack of controls.
    """

    treatment: str
    series: str
    response: str
    is_log_odds: bool
    doses: tuple[float, ...]
    responses: tuple[float, ...]
    controls: tuple[float, ...]
    is_nested: bool
    trend: float | None
    p_value: float | None
    smallest_p: float | None
    why_no_curve: str
    curve: HillCurve | None
    interval: Interval | None
    why_no_interval: str
    is_within_doses: bool
    is_monotone: bool | None
    left_out: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON-able values."""
        return asdict(self)


def fit_doses(
    sites: pd.DataFrame,
    rows: np.ndarray,
    control: str,
    values: np.ndarray,
    response: str,
    *,
    is_log_odds: bool,
    seed: int,
) -> list[DoseFit]:
    """Fits every treatment and series that has four doses or more among the chosen sites.

    Args:
        sites: Sites table; an optional column `series` keeps the drugs behind one treatment apart.
        rows: Rows to use, wells whose label the model did not learn from; wells average their sites.
        control: Name of the control; its wells on a plate stand beside all series of the plate.
        values: Response of every site of the table on the scale where effects add up, `(num_sites,)`.
        response: What it is.
        is_log_odds: Whether it is the log odds of a probability.
        seed: Seed of everything random.

    Returns:
        One fit a treatment and series, in order of their names; also where plates without controls leave fewer doses.
    """
    wells = well_responses(sites, rows, control, values)
    is_dosed = (wells["treatment_conc"] > 0) & ~wells["is_control"]
    fits: list[DoseFit] = []
    for (treatment, series), own in wells[is_dosed].groupby(["treatment", "series"]):
        if own["treatment_conc"].nunique() < MIN_DOSES:
            continue
        is_compared = own["effect"].notna()
        compared = own[is_compared].sort_values(["treatment_conc", "well_id"])
        controls = wells[wells["is_control"] & wells["plate"].isin(compared["plate"])]
        fits.append(
            _fit_series(
                _Series.of(compared, controls),
                names=(str(treatment), str(series), response),
                is_log_odds=is_log_odds,
                left_out=tuple(natural_order(own["plate"][~is_compared])),
                rng=np.random.default_rng(seed),
            )
        )
    return fits


@dataclass(frozen=True)
class _Series:
    """Wells of one series, `(num_wells,)`, and the controls of their plates, `(num_controls,)`."""

    doses: np.ndarray
    plates: np.ndarray
    wells: np.ndarray
    control_plates: np.ndarray
    controls: np.ndarray

    @classmethod
    def of(cls, wells: pd.DataFrame, controls: pd.DataFrame) -> "_Series":
        names = np.unique(wells["plate"].to_numpy(dtype=str))
        return cls(
            wells["treatment_conc"].to_numpy(dtype=float),
            np.searchsorted(names, wells["plate"].to_numpy(dtype=str)),
            wells["response"].to_numpy(dtype=float),
            np.searchsorted(names, controls["plate"].to_numpy(dtype=str)),
            controls["response"].to_numpy(dtype=float),
        )

    @property
    def num_plates(self) -> int:
        return int(self.plates.max(initial=-1)) + 1

    def plate_means(self) -> np.ndarray:
        """Mean of the controls of every plate."""
        return np.bincount(self.control_plates, self.controls) / np.bincount(self.control_plates)

    def effects(self) -> np.ndarray:
        """Every well minus the mean of its plate's controls."""
        return self.wells - self.plate_means()[self.plates]

    def responses(self, effects: np.ndarray) -> np.ndarray:
        """Put effects back around the mean of the plates' controls."""
        return effects + (self.plate_means().mean() if self.num_plates else 0.0)

    def doses_of_plates(self) -> list[tuple[float, ...]]:
        """Doses that every plate carries."""
        return [tuple(np.unique(self.doses[self.plates == plate])) for plate in range(self.num_plates)]


def _fit_series(
    series: _Series,
    *,
    names: tuple[str, str, str],
    is_log_odds: bool,
    left_out: tuple[str, ...],
    rng: np.random.Generator,
) -> DoseFit:
    carried = series.doses_of_plates()
    num_doses = len(np.unique(series.doses))
    enough = num_doses >= MIN_DOSES
    trend = _trend(series, rng) if enough else None
    why_no_curve, curve = "", None
    if not enough:
        why_no_curve = f"{num_doses} doses lie on plates with controls; a curve needs {MIN_DOSES}."
    elif trend is None:
        why_no_curve = "All wells answer alike."
    elif trend.smallest_p >= SIGNIFICANCE:
        why_no_curve = (
            f"The {len(series.doses)} wells on {_plates_text(series.num_plates)} cannot tell (smallest possible p "
            f"{trend.smallest_p:.2f})."
        )
    elif trend.p_value >= SIGNIFICANCE:
        why_no_curve = "No trend over the doses."
    else:
        curve = fit_hill(series.doses, series.responses(series.effects()))
        why_no_curve = "" if curve is not None else "The least squares do not converge."
    interval, why_no_interval = _interval(series, carried, rng) if curve is not None else (None, "")
    is_monotone = None
    if trend is not None:
        is_monotone = _is_monotone(series, carried, float(np.sign(trend.correlation)), rng)
    of_controls = series.controls - series.plate_means()[series.control_plates]
    return DoseFit(
        treatment=names[0],
        series=names[1],
        response=names[2],
        is_log_odds=is_log_odds,
        doses=tuple(series.doses.tolist()),
        responses=tuple(series.responses(series.effects()).tolist()),
        controls=tuple(series.responses(of_controls).tolist()),
        is_nested=series.num_plates > 1 and all(len(doses) == 1 for doses in carried),
        trend=None if trend is None else trend.correlation,
        p_value=None if trend is None else trend.p_value,
        smallest_p=None if trend is None else trend.smallest_p,
        why_no_curve=why_no_curve,
        curve=curve,
        interval=interval,
        why_no_interval=why_no_interval,
        is_within_doses=curve is not None and bool(series.doses.min() <= curve.ec50 <= series.doses.max()),
        is_monotone=is_monotone,
        left_out=left_out,
    )


@dataclass(frozen=True)
class _Trend:
    correlation: float
    p_value: float
    smallest_p: float


def _trend(series: _Series, rng: np.random.Generator) -> _Trend | None:
    """Spearman correlation of dose and effect, with p from doses exchanged between plates and within each."""
    scores, ranks = rankdata(series.doses), rankdata(series.effects())
    if np.ptp(ranks) == 0:
        return None
    exchanged = _exchanged(scores, series.plates, rng)
    observed = _correlations(scores[None], ranks)[0]

    def p_of(value: float, found: np.ndarray) -> float:
        return float((1 + (np.abs(found) >= abs(value) - _ROUNDING).sum()) / (1 + len(found)))

    return _Trend(
        float(observed),
        p_of(observed, _correlations(exchanged, ranks)),
        p_of(1.0, _correlations(exchanged, scores)),
    )


def _correlations(scores: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Pearson correlation of every row of the scores with the ranks."""
    scores = scores - scores.mean(axis=1, keepdims=True)
    ranks = ranks - ranks.mean()
    norms = np.sqrt((scores**2).sum(axis=1) * (ranks**2).sum())
    return np.divide(scores @ ranks, norms, out=np.zeros(len(scores)), where=norms > 0)


def _exchanged(scores: np.ndarray, plates: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give every plate the doses of another and deal them out among its wells, `(NUM_EXCHANGES, num_wells)`.

    What the wells of a plate share, the error of the mean of few controls included, stays together in every exchange,
    so it makes a trend there as often as in the screen. A plate with more or fewer wells than the one that it takes the
    doses from repeats or skips some of them evenly.
    """
    members = [np.flatnonzero(plates == plate) for plate in range(plates.max() + 1)]
    source = rng.random((NUM_EXCHANGES, len(members))).argsort(axis=1)
    exchanged = np.empty((NUM_EXCHANGES, len(scores)))
    for plate, own in enumerate(members):
        places = (np.arange(len(own)) + 0.5) / len(own)
        dealt = np.stack([np.sort(scores[other])[(places * len(other)).astype(int)] for other in members])[
            source[:, plate]
        ]
        order = rng.random(dealt.shape).argsort(axis=1)
        exchanged[:, own] = np.take_along_axis(dealt, order, axis=1)
    return exchanged


def _draws_plates(carried: list[tuple[float, ...]]) -> bool:
    """Whether the bootstrap draws whole plates: every set of doses lies on enough of them."""
    return all(carried.count(doses) >= MIN_PLATES for doses in carried)


def _resampled(series: _Series, carried: list[tuple[float, ...]], rng: np.random.Generator) -> _Series:
    """Draw one well fewer than there are, with replacement, of every plate and dose and of every plate's controls.

    One fewer, because the mean of n drawn of n varies too little, by (n - 1) / n (Rao and Wu 1988). Where whole plates
    are drawn, one plate fewer of each set of doses, all its wells with it.
    """
    if _draws_plates(carried):
        drawn: list[int] = []
        for doses in dict.fromkeys(carried):
            alike = [plate for plate, own in enumerate(carried) if own == doses]
            drawn += rng.choice(alike, len(alike) - 1).tolist()
        wells = [np.flatnonzero(series.plates == plate) for plate in drawn]
        controls = [np.flatnonzero(series.control_plates == plate) for plate in drawn]
        plates = np.repeat(np.arange(len(drawn)), [len(own) for own in wells])
        control_plates = np.repeat(np.arange(len(drawn)), [len(own) for own in controls])
    else:
        wells = _drawn_again(np.column_stack([series.plates, series.doses]), rng)
        controls = _drawn_again(series.control_plates[:, None], rng)
        plates = series.plates[np.concatenate(wells)]
        control_plates = series.control_plates[np.concatenate(controls)]
    chosen, of_controls = np.concatenate(wells), np.concatenate(controls)
    return _Series(
        series.doses[chosen],
        plates,
        series.wells[chosen],
        control_plates,
        series.controls[of_controls],
    )


def _drawn_again(strata: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    _, stratum = np.unique(strata, axis=0, return_inverse=True)
    members = [np.flatnonzero(stratum == number) for number in range(stratum.max() + 1)]
    return [rng.choice(own, max(len(own) - 1, 1)) for own in members]


def _degrees(series: _Series, carried: list[tuple[float, ...]]) -> int:
    """Wells beyond one of every plate and dose, or plates beyond one of every set of doses, that tell the noise."""
    if _draws_plates(carried):
        return len(carried) - len(set(carried))
    return len(series.doses) - sum(len(doses) for doses in carried)


def _interval(
    series: _Series, carried: list[tuple[float, ...]], rng: np.random.Generator
) -> tuple[Interval | None, str]:
    counts = np.unique(np.column_stack([series.plates, series.doses]), axis=0, return_counts=True)[1]
    if not _draws_plates(carried):
        if counts.min() < 2:
            return None, "No interval: a dose has a single well on a plate."
        if series.num_plates > 1 and np.bincount(series.control_plates).min() < 2:
            return None, "No interval: a plate has a single control well."
    found: list[float] = []
    for _ in range(NUM_RESAMPLES):
        again = _resampled(series, carried, rng)
        curve = fit_hill(again.doses, again.responses(again.effects()))
        if curve is not None:
            found.append(curve.ec50)
    if len(found) < _MIN_FITTED * NUM_RESAMPLES:
        return None, "No interval: too few of the resampled screens give a curve."
    low, high = np.quantile(found, [0.025, 0.975])
    return Interval(float(low), float(high)), ""


def _is_monotone(
    series: _Series, carried: list[tuple[float, ...]], direction: float, rng: np.random.Generator
) -> bool | None:
    degrees = _degrees(series, carried)
    if degrees < 1:
        return None
    levels = np.unique(series.doses)

    def falls(one: _Series) -> np.ndarray:
        effects = one.effects()
        means = [effects[one.doses == level].mean() for level in levels]
        return np.array([direction * (lower - upper) for lower, upper in pairwise(means)])

    observed = falls(series)
    drawn = np.array([falls(_resampled(series, carried, rng)) for _ in range(NUM_RESAMPLES)])
    critical = float(student_t.ppf(1 - SIGNIFICANCE / len(observed), degrees))
    return not bool((observed > critical * drawn.std(axis=0) + _ROUNDING).any())


def _plates_text(num_plates: int) -> str:
    return "one plate" if num_plates == 1 else f"{num_plates} plates"
