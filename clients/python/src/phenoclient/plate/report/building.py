"""Puts the page together."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, isfinite, isnan
from pathlib import Path

from phenoclient.errors import PlateError
from phenoclient.plate.extra import require
from phenoclient.plate.files import replacing
from phenoclient.plate.report.cautions import MIN_WELLS, cautions
from phenoclient.plate.report.figures import dose_response, plate_map
from phenoclient.plate.report.outliers import MAX_ROBUST_Z, outliers
from phenoclient.plate.report.results import Results, Row, Well, notices_of, read_results
from phenoclient.plate.report.thumbnails import Thumbnail, colour_names, picture, stains_of
from phenoclient.plate.rows import FOLDER, PROBABILITY, TREATED
from phenoclient.plate.tables import read_table

MAX_TREATMENTS = 24
MAX_DOSE_PANELS = 24
MAX_OUTLIERS = 30
MAX_NOTICED = 30
NUM_EXTREMES = 4
MAX_EXTREME_ROWS = 6


@dataclass(frozen=True)
class Choice:
    """One of the heat maps that a reader may choose: a figure for each plate, and what it shows."""

    name: str
    figures: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Panel:
    """A figure, its title and what it does not show by itself."""

    title: str
    figure: str
    cautions: tuple[str, ...]


@dataclass(frozen=True)
class Noticed:
    """A notice of the service and the sites that it is about."""

    notice: str
    sites: tuple[str, ...]


@dataclass(frozen=True)
class Extremes:
    """Pictures of the sites at one end of something."""

    title: str
    thumbnails: tuple[Thumbnail, ...]


def write_report(
    results: Path, page: Path, *, treatments: Sequence[str] | None = None, images: Path | None = None
) -> Path:
    """Draws a plate's results as one HTML page that asks nothing of the network.

    Args:
        results: Table of answered sites; `{stem}.failed.csv` beside it is shown where it is there.
        page: File to write.
        treatments: Treatments of the bundle to draw; None for all, up to 24: those of most sites.
        images: Folder of the plate's images, where they are no longer where the results say.

    Returns:
        `page`.

    Raises:
        PlateError: If the table cannot be read, a treatment is not in it, the page cannot be written, or the extra
            `phenoserve-client[plate]` is not installed.
    """
    require("The report", "matplotlib", "jinja2")
    from jinja2 import Environment, PackageLoader

    found = read_results(results)
    chosen = _chosen(found, treatments)
    failed_path = results.with_name(f"{results.stem}.failed.csv")
    failed = read_table(failed_path) if failed_path.exists() else []
    apart = outliers(found)
    panels, num_panels_left_out = _dose_panels(found)
    stains = stains_of(found.rows[0])
    environment = Environment(loader=PackageLoader("phenoclient.plate.report", "."), autoescape=True)
    text = environment.get_template("page.html.j2").render(
        name=results.stem,
        bundle=found.rows[0].get("Metadata_bundle"),
        digest=found.rows[0].get("Metadata_bundle_digest"),
        results=found,
        num_out=sum(well.num_out_of_distribution for well in found.wells),
        knows_distribution=any(row.get("in_distribution") is not None for row in found.rows),
        roles=Counter(map(found.role, found.wells)),
        without_controls=_without_controls(found),
        orders=Counter((row.get("channel_order"), row.get("channel_order_from")) for row in found.rows),
        notices=_notices(found),
        num_noticed=sum(bool(notices_of(row)) for row in found.rows),
        knows_notices="notices" in found.rows[0],
        max_noticed=MAX_NOTICED,
        left_out=[name for name in found.treatments if name not in chosen],
        choices=_choices(found, chosen),
        doses=panels,
        num_doses_left_out=num_panels_left_out,
        outliers=apart[:MAX_OUTLIERS],
        num_outliers=len(apart),
        small_plates=[
            plate for plate in found.plates if sum(well.plate == plate for well in found.wells) < MIN_WELLS
        ],
        min_wells=MIN_WELLS,
        max_robust_z=MAX_ROBUST_Z,
        extremes=_extremes(found, chosen, images),
        images=images or found.rows[0].get(FOLDER),
        stains=list(zip(stains, colour_names(len(stains)), strict=True)),
        failed=failed,
    )
    with replacing(page) as file:
        file.write(text.encode(errors="backslashreplace"))
    return page


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


def _choices(found: Results, chosen: Sequence[str]) -> list[Choice]:
    def treated(well: Well) -> float:
        return found.effect(well, found.control)

    anything = f"anything but {found.control}"
    values: list[tuple[str, str, float, Callable[[Well], float]]] = []
    values.append((anything, f"probability of {anything}", 1.0, treated))
    for name in chosen:
        column = f"{PROBABILITY}{name}"
        values.append((name, f"probability of {name}", 1.0, lambda well, column=column: well.mean(column)))
    distances = [well.mean("distance") for well in found.wells]
    finite = [value for value in distances if isfinite(value)]
    if finite:
        values.append(
            (
                "distance from what the model learned from",
                "distance",
                max(*finite, 1e-9),
                lambda well: well.mean("distance"),
            )
        )
    return [
        Choice(
            name,
            tuple(
                (plate, _plate_figure(found, plate, value, label, largest, f"map{index}-{number}"))
                for number, plate in enumerate(found.plates)
            ),
        )
        for index, (name, label, largest, value) in enumerate(values)
    ]


def _plate_figure(
    found: Results, plate: str, value: Callable[[Well], float], label: str, largest: float, name: str
) -> str:
    wells = [well for well in found.wells if well.plate == plate]
    unknown = [well.name for well in wells if found.knows_roles and found.role(well) is None]
    marks = {
        "o": [well.name for well in wells if found.is_control(well)],
        "$?$": unknown,
        "x": [well.name for well in wells if well.notices],
    }
    return plate_map({well.name: value(well) for well in wells}, label, name, largest=largest, marks=marks)


def _without_controls(found: Results) -> list[str]:
    """Plates where it is known what wells hold, and none is untreated."""
    with_controls = {well.plate for well in found.wells if found.is_control(well)}
    return [plate for plate in found.plates if found.knows_roles and plate not in with_controls]


def _notices(found: Results) -> list[Noticed]:
    sites: defaultdict[str, list[str]] = defaultdict(list)
    for row in found.rows:
        for notice in notices_of(row):
            sites[notice].append(_title(row))
    return [Noticed(notice, tuple(titles)) for notice, titles in sorted(sites.items())]


def _dose_panels(found: Results) -> tuple[list[Panel], int]:
    """The panels of the first treatments with two doses, and how many others have them."""
    by_treatment: defaultdict[str, list[Well]] = defaultdict(list)
    for well in found.wells:
        dose = well.known("treatment_conc")
        if found.role(well) == TREATED and dose is not None and 0 < dose < inf:
            by_treatment[well.known("treatment")].append(well)
    drawn = {name: wells for name, wells in by_treatment.items() if len(set(map(_dose, wells))) > 1}
    panels = [
        _dose_panel(found, name, wells, f"dose{index}")
        for index, (name, wells) in enumerate(list(drawn.items())[:MAX_DOSE_PANELS])
    ]
    return panels, len(drawn) - len(panels)


def _dose_panel(found: Results, name: str, wells: Sequence[Well], figure_name: str) -> Panel:
    plates = {well.plate for well in wells}
    controls = [well for well in found.wells if well.plate in plates and found.is_control(well)]
    units = {well.known("treatment_conc_unit") or well.known("unit") for well in wells}
    unit = units.pop() if len(units) == 1 else None
    is_known = name in found.treatments and name != found.control
    what = name if is_known else f"anything but {found.control}"
    doses = list(map(_dose, wells))
    figure = dose_response(
        doses,
        [found.effect(well, name) for well in wells],
        [found.effect(well, name) for well in controls],
        (f"dose / {unit}" if unit else "dose, as recorded", f"P({what})"),
        figure_name,
    )
    title = f"{name}: {len(wells)} wells, {len(set(doses))} doses, {len(controls)} untreated wells"
    return Panel(title, figure, cautions(wells, controls))


def _dose(well: Well) -> float:
    return float(well.known("treatment_conc"))


def _extremes(found: Results, chosen: Sequence[str], images: Path | None) -> list[Extremes]:
    columns = [
        (f"Most like {name}", f"{PROBABILITY}{name}", f"P({name})") for name in chosen[:MAX_EXTREME_ROWS]
    ]
    columns.append(("Farthest from what the model learned from", "distance", "distance"))
    rows = list[Extremes]()
    for title, column, label in columns:
        known = [row for row in found.rows if row.get(column) is not None and not isnan(row[column])]
        known.sort(key=lambda row: -row[column])
        if known:
            rows.append(
                Extremes(title, tuple(_thumbnail(row, column, label, images) for row in known[:NUM_EXTREMES]))
            )
    return rows


def _thumbnail(row: Row, column: str, label: str, images: Path | None) -> Thumbnail:
    treatment, dose = row.get("Metadata_treatment"), row.get("Metadata_treatment_conc")
    given = f"; given {treatment}{'' if dose is None else f' {dose:g}'}" if treatment else ""
    return Thumbnail(_title(row), f"{label} {row[column]:.3g}{given}", picture(row, images))


def _title(row: Row) -> str:
    where = [row.get(name) for name in ("Metadata_experiment", "Metadata_Plate", "Metadata_Well")]
    return f"{' '.join(filter(None, where))}, site {row.get('Metadata_Site')}"
