"""Puts the page together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite, isnan
from pathlib import Path

from phenoclient.errors import PlateError
from phenoclient.plate.extra import require
from phenoclient.plate.files import replacing
from phenoclient.plate.report.figures import dose_response, plate_map
from phenoclient.plate.report.outliers import MAX_ROBUST_Z, outliers
from phenoclient.plate.report.results import Results, Row, Well, read_results
from phenoclient.plate.report.thumbnails import Thumbnail, colour_names, picture, stains_of
from phenoclient.plate.rows import FOLDER, PROBABILITY
from phenoclient.plate.tables import read_table

MAX_TREATMENTS = 24
MAX_DOSE_PANELS = 24
MAX_OUTLIERS = 30
NUM_EXTREMES = 4
MAX_EXTREME_ROWS = 6


@dataclass(frozen=True)
class Choice:
    """One of the heat maps that a reader may choose: a figure for each plate, and what it shows."""

    name: str
    figures: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Panel:
    """A figure and its title."""

    title: str
    figure: str


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
    stains = stains_of(found.rows[0])
    environment = Environment(loader=PackageLoader("phenoclient.plate.report", "."), autoescape=True)
    text = environment.get_template("page.html.j2").render(
        name=results.stem,
        bundle=found.rows[0].get("Metadata_bundle"),
        digest=found.rows[0].get("Metadata_bundle_digest"),
        results=found,
        num_out=sum(well.num_out_of_distribution for well in found.wells),
        left_out=[name for name in found.treatments if name not in chosen],
        choices=_choices(found, chosen),
        doses=_dose_panels(found),
        max_dose_panels=MAX_DOSE_PANELS,
        outliers=apart[:MAX_OUTLIERS],
        num_outliers=len(apart),
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
    knows_treatments = any(well.known("treatment") is not None for well in wells)
    marked = [well.name for well in wells if knows_treatments and found.is_control(well)]
    return plate_map({well.name: value(well) for well in wells}, label, name, largest=largest, marked=marked)


def _dose_panels(found: Results) -> list[Panel]:
    treated = [well for well in found.wells if well.known("treatment") and not found.is_control(well)]
    panels = list[Panel]()
    for name in dict.fromkeys(str(well.known("treatment")) for well in treated):
        wells = [well for well in treated if well.known("treatment") == name and well.known("treatment_conc")]
        doses = [float(well.known("treatment_conc")) for well in wells]
        if len(set(doses)) < 2:
            continue
        plates = {well.plate for well in wells}
        controls = [well for well in found.wells if well.plate in plates and found.is_control(well)]
        unit = wells[0].known("treatment_conc_unit") or wells[0].known("unit")
        is_known = name in found.treatments and name != found.control
        what = name if is_known else f"anything but {found.control}"
        figure = dose_response(
            doses,
            [found.effect(well, name) for well in wells],
            [found.effect(well, name) for well in controls],
            (f"dose / {unit}" if unit else "dose, as recorded", f"P({what})"),
            f"dose{len(panels)}",
        )
        panels.append(Panel(f"{name}: {len(wells)} wells, {len(set(doses))} doses", figure))
    return panels[:MAX_DOSE_PANELS]


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
    title = " ".join(str(row[name]) for name in ("Metadata_Plate", "Metadata_Well") if row.get(name))
    return Thumbnail(
        f"{title}, site {row.get('Metadata_Site')}", f"{label} {row[column]:.3g}{given}", picture(row, images)
    )
