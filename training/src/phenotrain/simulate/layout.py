"""Which well holds what: RxRx2's plate layout, addresses, file names and metadata table."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from phenotrain.simulate.spec import CONTROL, PLATE_COLUMNS, PLATE_ROWS, ScreenSpec
from phenotrain.simulate.streams import Stream, stream

METADATA_COLUMNS: Final = (
    "site_id",
    "well_id",
    "cell_type",
    "experiment",
    "plate",
    "well",
    "site",
    "treatment",
    "treatment_conc",
)
"""The columns of RxRx2's `metadata.csv`, in its order."""

CELL_TYPE: Final = "HUVEC"

# RxRx2's own table carries these two doses with the rounding error of the dilution series that made them.
_RECORDED_DOSES: Final = {1e-3: "0.0009999999999999", 1e-4: "9.999999999999998e-05"}


def recorded_dose(dose: float) -> str:
    """Write a dose of the ladder the way RxRx2's table does, rounding error included."""
    return _RECORDED_DOSES.get(dose, f"{dose:g}")


@dataclass(frozen=True)
class SitePlan:
    """One field of view of the screen and what its well was given.

    Attributes:
        experiment: Number of the experiment, from 1.
        plate: Number of the plate, from 1.
        row: Index of the well's row in `PLATE_ROWS`.
        column: Column number of the well, as written in its address.
        site: Number of the site in its well, from 1.
        treatment: Name of the treatment, or `CONTROL`.
        dose: Concentration as RxRx2 records it, or None for a control.
    """

    experiment: int
    plate: int
    row: int
    column: int
    site: int
    treatment: str
    dose: float | None

    @property
    def address(self) -> tuple[int, int, int, int, int]:
        """Where the site lies: experiment, plate, row, column, site."""
        return (self.experiment, self.plate, self.row, self.column, self.site)

    @property
    def experiment_name(self) -> str:
        """Name of the experiment, such as `HUVEC-1`."""
        return f"{CELL_TYPE}-{self.experiment}"

    @property
    def well(self) -> str:
        """Address of the well on its plate, such as `AA02`."""
        return f"{PLATE_ROWS[self.row]}{self.column:02d}"

    @property
    def well_id(self) -> str:
        """Identifier of the well, such as `HUVEC-1_1_AA02`."""
        return f"{self.experiment_name}_{self.plate}_{self.well}"

    @property
    def folder(self) -> PurePosixPath:
        """Folder of the plate's images, below `images/` or `truth/`."""
        return PurePosixPath(self.experiment_name, f"Plate{self.plate}")

    def image_path(self, channel: int) -> PurePosixPath:
        """Path of one channel's image in the screen; `channel` counts from 1."""
        return "images" / self.folder / f"{self.well}_s{self.site}_w{channel}.png"

    @property
    def mask_path(self) -> PurePosixPath:
        """Path of the site's truth mask in the screen."""
        return "truth" / self.folder / f"{self.well}_s{self.site}.png"

    @property
    def metadata_row(self) -> tuple[str, ...]:
        """The site's row of `metadata.csv`, in the order of `METADATA_COLUMNS`."""
        return (
            f"{self.well_id}_{self.site}",
            self.well_id,
            CELL_TYPE,
            self.experiment_name,
            str(self.plate),
            self.well,
            str(self.site),
            self.treatment,
            "" if self.dose is None else recorded_dose(self.dose),
        )


def plan_screen(spec: ScreenSpec) -> tuple[SitePlan, ...]:
    """Lay the screen out; well positions are drawn anew for every plate.

    Args:
        spec: The screen to lay out.

    Returns:
        Every site, ordered by experiment, plate, row, column and site.
    """
    return tuple(
        plan
        for experiment in range(1, spec.num_experiments + 1)
        for plate, dose in spec.plates
        for plan in _plan_plate(spec, experiment, plate, dose)
    )


def _plan_plate(spec: ScreenSpec, experiment: int, plate: int, dose: float) -> Iterator[SitePlan]:
    contents = [(CONTROL, None)] * spec.control_wells
    contents += [(treatment, dose) for treatment in spec.treatments for _ in range(spec.wells_per_treatment)]
    positions = stream(spec.seed, Stream.LAYOUT, experiment, plate).choice(
        len(PLATE_ROWS) * len(PLATE_COLUMNS), size=len(contents), replace=False
    )
    for position, (treatment, concentration) in sorted(zip(positions.tolist(), contents, strict=True)):
        row, column = divmod(position, len(PLATE_COLUMNS))
        for site in range(1, spec.sites_per_well + 1):
            yield SitePlan(experiment, plate, row, PLATE_COLUMNS[column], site, treatment, concentration)


def write_metadata(path: Path, plans: Iterable[SitePlan]) -> None:
    """Write `metadata.csv` in RxRx2's form.

    Args:
        path: File to write.
        plans: The sites, a row each.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(METADATA_COLUMNS)
        writer.writerows(plan.metadata_row for plan in plans)
