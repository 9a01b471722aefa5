"""Dose response: a panel for each treatment with two doses or more, or why there is none."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from phenoclient.plate.columns import TREATED
from phenoclient.plate.report.cautions import cautions
from phenoclient.plate.report.figures import dose_response
from phenoclient.plate.report.log_odds import mean_log_odds, subject
from phenoclient.plate.report.results import Results, Well

MAX_DOSE_PANELS = 24
_DOSE = "Metadata_treatment_conc"
_NUM_SHOWN = 5


@dataclass(frozen=True)
class Panel:
    """A figure, its title and what it does not show by itself."""

    title: str
    figure: str
    cautions: tuple[str, ...]


def dose_panels(results: Results) -> tuple[list[Panel], int]:
    """The panels of the first treatments with two doses, and how many others have them."""
    drawn = {name: wells for name, wells in _by_treatment(results).items() if len(_doses(wells)) > 1}
    panels = [
        _panel(results, name, wells, f"dose{index}")
        for index, (name, wells) in enumerate(list(drawn.items())[:MAX_DOSE_PANELS])
    ]
    return panels, len(drawn) - len(panels)


def why_none(results: Results) -> str:
    """Why there is no panel, and what to do, in words."""
    if not results.knows_roles:
        return (
            "It is not known what wells hold. Expected a plate map with treatment and treatment_conc: run phenoclient "
            "plate with --plate-map."
        )
    by_treatment = _by_treatment(results)
    if not any(results.role(well) == TREATED for well in results.wells):
        return "No well is known to be treated."
    if _DOSE not in results.rows[0]:
        return (
            "The plate map tells no doses. Expected a column treatment_conc, concentration or dose; --map-columns "
            "treatment_conc=NAME says which column it is."
        )
    if not by_treatment:
        return f"The plate map's cells of doses are blank for all {_num_treated(results)} treated wells."
    known = [f"{name} {next(iter(_doses(wells))):g}" for name, wells in by_treatment.items()]
    more = f" and {len(known) - _NUM_SHOWN} more" if len(known) > _NUM_SHOWN else ""
    shown = f"{', '.join(known[:_NUM_SHOWN])}{more}"
    return f"Each treatment has one dose ({shown}), so there is no response to draw over doses."


def _num_treated(results: Results) -> int:
    return sum(results.role(well) == TREATED for well in results.wells)


def _by_treatment(results: Results) -> dict[str, list[Well]]:
    """Treated wells of a known dose."""
    found: defaultdict[str, list[Well]] = defaultdict(list)
    for well in results.wells:
        if results.role(well) == TREATED and well.dose is not None:
            found[well.known("treatment")].append(well)
    return dict(found)


def _doses(wells: Sequence[Well]) -> set[float]:
    return {well.dose for well in wells if well.dose is not None}


def _panel(results: Results, name: str, wells: Sequence[Well], figure_name: str) -> Panel:
    plates = {well.plate for well in wells}
    controls = [well for well in results.wells if well.plate in plates and results.is_control(well)]
    units = {well.known("treatment_conc_unit") or well.known("unit") for well in wells}
    unit = units.pop() if len(units) == 1 else None
    known = results.given(wells[0])
    what = subject(results, known)
    doses = [well.dose for well in wells if well.dose is not None]
    scales = (
        (f"log odds of {what}", [mean_log_odds(well, results, known) for well in (*wells, *controls)]),
        (f"P({what})", [results.probability(well, known) for well in (*wells, *controls)]),
    )
    figure = dose_response(doses, scales, f"dose / {unit}" if unit else "dose, unit not given", figure_name)
    title = f"{name}: {len(wells)} wells, {len(_doses(wells))} doses, {len(controls)} untreated wells"
    return Panel(title, figure, cautions(wells, controls))
