"""Puts the page together."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from pathlib import Path

from phenoclient.errors import PlateError
from phenoclient.plate.columns import FOLDER, PROBABILITY
from phenoclient.plate.extra import require
from phenoclient.plate.files import replacing
from phenoclient.plate.report.cautions import MIN_WELLS
from phenoclient.plate.report.confounding import confounding
from phenoclient.plate.report.doses import dose_panels, why_none
from phenoclient.plate.report.heat_map import MARKS, Mark, PlateDrawing, Scale, legend_swatch
from phenoclient.plate.report.log_odds import log_odds, mean_log_odds, subject
from phenoclient.plate.report.notices import noticed
from phenoclient.plate.report.outliers import MAX_ROBUST_Z, outliers
from phenoclient.plate.report.results import Results, Row, Well, notices_of, read_results, title_of
from phenoclient.plate.report.thumbnails import Thumbnail, colour_names, picture, stains_of
from phenoclient.plate.report.wells import (
    LOG_ODDS,
    confusions,
    strongest,
    unknown_to_the_bundle,
    well_lines,
    write_well_table,
)
from phenoclient.plate.tables import read_table

MAX_TREATMENTS = 24
MAX_OUTLIERS = 30
MAX_WELLS = 384
NUM_EXTREMES = 4
MAX_EXTREME_ROWS = 6


@dataclass(frozen=True)
class Choice:
    """One of the heat maps that a reader may choose: a figure for each plate, and what it shows."""

    name: str
    figures: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Extremes:
    """Pictures of the sites at one end of something."""

    title: str
    thumbnails: tuple[Thumbnail, ...]


def write_report(
    results: Path, page: Path, *, treatments: Sequence[str] | None = None, images: Path | None = None
) -> Path:
    """Draws a plate's results as one HTML page that asks nothing of the network, and a table a well beside it.

    Args:
        results: Table of answered sites; `{stem}.failed.csv` beside it is shown where it is there.
        page: File to write. The table is `{stem of results}.wells.csv` beside it.
        treatments: Treatments of the bundle to draw; None for all, up to 24: those of most sites.
        images: Folder of the plate's images, where they are no longer where the results say.

    Returns:
        `page`.

    Raises:
        PlateError: If the table cannot be read, a treatment is not in it, the page or the table a well cannot be
            written, or the extra `phenoserve-client[plate]` is not installed.
    """
    require("The report", "matplotlib", "jinja2")
    from jinja2 import Environment, PackageLoader

    found = read_results(results)
    chosen = _chosen(found, treatments)
    failed_path = results.with_name(f"{results.stem}.failed.csv")
    failed = read_table(failed_path) if failed_path.exists() else []
    folder = images or results.parent / str(found.rows[0].get(FOLDER))
    apart = outliers(found)
    panels, num_panels_left_out = dose_panels(found)
    stains = stains_of(found.rows[0])
    lines = well_lines(found, failed)
    drawings = _drawings(found)
    well_table = well_table_beside(page, results)
    environment = Environment(loader=PackageLoader("phenoclient.plate.report", "."), autoescape=True)
    text = environment.get_template("page.html.j2").render(
        name=results.stem,
        bundle=found.rows[0].get("Metadata_bundle"),
        digest=found.rows[0].get("Metadata_bundle_digest"),
        results=found,
        num_out=sum(well.num_out_of_distribution for well in found.wells),
        knows_distribution=any(well.knows_distribution for well in found.wells),
        reasons=_reasons(found),
        roles=Counter(map(found.role, found.wells)),
        num_learned=Counter(well.learned_from for well in found.wells),
        without_controls=_without_controls(found),
        confounded=confounding(found),
        orders=Counter((row.get("channel_order"), row.get("channel_order_from")) for row in found.rows),
        notices=noticed(found.rows),
        num_noticed=sum(bool(notices_of(row)) for row in found.rows),
        knows_notices="notices" in found.rows[0],
        left_out=[name for name in found.treatments if name not in chosen],
        map_width_rem=max(drawing.width_rem(len(drawings)) for drawing in drawings.values()),
        shared=[drawing.shared() for drawing in drawings.values()],
        choices=_choices(found, chosen, drawings),
        legend=[
            (legend_swatch(mark), MARKS[mark]) for mark in MARKS if any(_marks(found, found.wells)[mark])
        ],
        doses=panels,
        why_no_doses=None if panels else why_none(found),
        num_doses_left_out=num_panels_left_out,
        lines=strongest(lines, found.control)[:MAX_WELLS],
        num_lines=len(lines),
        ranked_column=f"{LOG_ODDS}{found.control}",
        well_table=well_table.name,
        confusions=confusions(found),
        not_in_bundle=unknown_to_the_bundle(found),
        outliers=apart[:MAX_OUTLIERS],
        num_outliers=len(apart),
        small_plates=[
            plate for plate in found.plates if sum(well.plate == plate for well in found.wells) < MIN_WELLS
        ],
        min_wells=MIN_WELLS,
        max_robust_z=MAX_ROBUST_Z,
        extremes=_extremes(found, chosen, folder, stains),
        images=folder.resolve().name,
        stains=list(zip(stains, colour_names(len(stains)), strict=True)),
        failed=failed,
    )
    with replacing(page) as file:
        file.write(text.encode(errors="backslashreplace"))
    write_well_table(well_table, lines)
    return page


def well_table_beside(page: Path, results: Path) -> Path:
    """Where the table a well lies that goes with a page."""
    return page.with_name(f"{results.stem}.wells.csv")


def _chosen(found: Results, treatments: Sequence[str] | None) -> list[str]:
    if treatments is not None:
        unknown = sorted(set(treatments) - set(found.treatments))
        if unknown:
            raise PlateError(
                f"--treatment {', '.join(unknown)}: not in the results. Expected some of {', '.join(found.treatments)}."
            )
        return list(dict.fromkeys(treatments))
    predicted = [row.get("predicted_treatment") for row in found.rows]
    by_count = sorted(found.treatments, key=lambda name: -predicted.count(name))
    kept = set(by_count[:MAX_TREATMENTS])
    return [name for name in found.treatments if name in kept]


def _reasons(found: Results) -> Counter[str]:
    """Why the service gave no set, or did not say whether sites are in distribution, and of how many sites."""
    columns = ("prediction_set_reason", "distribution_reason")
    return Counter(str(row[column]) for row in found.rows for column in columns if row.get(column))


def _drawings(found: Results) -> dict[str, PlateDrawing]:
    drawings = dict[str, PlateDrawing]()
    for number, plate in enumerate(found.plates):
        wells = [well for well in found.wells if well.plate == plate]
        drawings[plate] = PlateDrawing([well.name for well in wells], _marks(found, wells), f"plate{number}")
    return drawings


def _marks(found: Results, wells: Sequence[Well]) -> dict[Mark, list[str]]:
    return {
        "control": [well.name for well in wells if found.is_control(well)],
        "unknown": [well.name for well in wells if found.knows_roles and found.role(well) is None],
        "learned": [well.name for well in wells if well.learned_from == "yes"],
        "perhaps learned": [well.name for well in wells if well.learned_from == "perhaps"],
        "notice": [well.name for well in wells if well.notices],
    }


def _choices(found: Results, chosen: Sequence[str], drawings: dict[str, PlateDrawing]) -> list[Choice]:
    def distance(well: Well) -> float:
        return well.mean("distance")

    def of(name: str | None) -> Callable[[Well], float]:
        return lambda well: mean_log_odds(well, found, name)

    values: list[tuple[str, str, Callable[[Well], float], Callable[..., Scale]]] = [
        (subject(found, name), f"log odds of {subject(found, name)}", of(name), Scale.around_zero)
        for name in (None, *chosen)
    ]
    if any(isfinite(distance(well)) for well in found.wells):
        values.append(("distance from what the model learned from", "distance", distance, Scale.from_zero))
    choices = list[Choice]()
    for index, (name, label, value, scale_of) in enumerate(values):
        by_plate = {
            plate: {well.name: value(well) for well in found.wells if well.plate == plate}
            for plate in found.plates
        }
        scale = scale_of(label, [number for numbers in by_plate.values() for number in numbers.values()])
        figures = tuple(
            (plate, drawings[plate].figure(numbers, scale, f"map{index}-{number}"))
            for number, (plate, numbers) in enumerate(by_plate.items())
        )
        choices.append(Choice(name, figures))
    return choices


def _without_controls(found: Results) -> list[str]:
    """Plates where it is known what wells hold, and none is untreated."""
    with_controls = {well.plate for well in found.wells if found.is_control(well)}
    return [plate for plate in found.plates if found.knows_roles and plate not in with_controls]


def _extremes(found: Results, chosen: Sequence[str], folder: Path, stains: Sequence[str]) -> list[Extremes]:
    def of(name: str) -> Callable[[Row], float]:
        return lambda row: log_odds(row, found, name)

    def distance(row: Row) -> float:
        value = row.get("distance")
        return -inf if value is None else value

    kinds: list[tuple[str, str, Callable[[Row], float], str | None]] = [
        (f"Most like {name}", "log odds", of(name), name) for name in chosen[:MAX_EXTREME_ROWS]
    ]
    kinds.append(("Farthest from what the model learned from", "distance", distance, None))
    rows = list[Extremes]()
    for title, label, value, name in kinds:
        known = sorted((row for row in found.rows if isfinite(value(row))), key=value, reverse=True)
        thumbnails = [
            _thumbnail(row, f"{label} {value(row):.3g}", name, folder, stains) for row in known[:NUM_EXTREMES]
        ]
        if thumbnails:
            rows.append(Extremes(title, tuple(thumbnails)))
    return rows


def _thumbnail(row: Row, why: str, name: str | None, folder: Path, stains: Sequence[str]) -> Thumbnail:
    treatment, dose = row.get("Metadata_treatment"), row.get("Metadata_treatment_conc")
    probability = "" if name is None else f", P {row[f'{PROBABILITY}{name}']:.3g}"
    given = f"; given {treatment}{'' if dose is None else f' {dose:g}'}" if treatment else ""
    return Thumbnail(title_of(row), f"{why}{probability}{given}", picture(row, folder, stains))
