"""A plate's results as wells."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from phenoclient.errors import PlateError
from phenoclient.plate.columns import (
    CONTROL,
    LEARNED,
    METADATA,
    PROBABILITY,
    ROLE,
    SEPARATOR,
    TREATED,
    VECTOR_PREFIXES,
    VERSUS_CONTROL,
)
from phenoclient.plate.reading.delimited import alike
from phenoclient.plate.reading.sites import natural, well_name
from phenoclient.plate.tables import read_table

Row = Mapping[str, Any]
_VECTORS = tuple(VECTOR_PREFIXES.values())


@dataclass(frozen=True)
class Well:
    """One well and the mean of its sites.

    Attributes:
        plate: Experiment and plate.
        name: Such as `A01`.
        rows: The rows of its sites.
    """

    plate: str
    name: str
    rows: tuple[Row, ...]

    def mean(self, column: str) -> float:
        """Mean of a column of numbers over the sites that have it; NaN if none has."""
        values = [row[column] for row in self.rows if row.get(column) is not None]
        return fmean(values) if values else math.nan

    def known(self, name: str) -> Any:
        """What is known of the well under a `Metadata_` name; None if nothing is."""
        return self.rows[0].get(f"{METADATA}{name}")

    @property
    def notices(self) -> tuple[str, ...]:
        """The service's notices about any of its sites, each once."""
        return tuple(dict.fromkeys(notice for row in self.rows for notice in notices_of(row)))

    @property
    def learned_from(self) -> str | None:
        """Whether the bundle learned from it: `yes`, `perhaps` or `no`; None where it does not tell."""
        return self.rows[0].get(LEARNED)

    @property
    def dose(self) -> float | None:
        """The known dose of a treated well; None otherwise."""
        dose = self.known("treatment_conc")
        return dose if dose is not None and 0 < dose < math.inf else None

    @property
    def knows_distribution(self) -> bool:
        """Whether any of its sites is known to be in or out of distribution."""
        return any(row.get("in_distribution") is not None for row in self.rows)

    @property
    def num_out_of_distribution(self) -> int:
        """Sites that are unlike what the model learned from."""
        return sum(row.get("in_distribution") is False for row in self.rows)


@dataclass(frozen=True)
class Results:
    """The results of one or several plates.

    Attributes:
        rows: A row a site.
        wells: Sorted by plate and well.
        treatments: Those of the bundle, in its order.
        control: The control among them.
    """

    rows: tuple[Row, ...]
    wells: tuple[Well, ...]
    treatments: tuple[str, ...]
    control: str

    @property
    def plates(self) -> tuple[str, ...]:
        """Names of the plates, in order."""
        return tuple(dict.fromkeys(well.plate for well in self.wells))

    def role(self, well: Well) -> str | None:
        """What a well is known to be, `control` or `treated`; None where that is not known.

        A table without roles, of an earlier phenoclient, tells it by its treatments.
        """
        if ROLE in well.rows[0]:
            return well.known("role")
        treatment = well.known("treatment")
        if treatment is None:
            return None
        return CONTROL if alike(treatment) == alike(self.control) else TREATED

    def is_control(self, well: Well) -> bool:
        """Whether a well is known to be untreated."""
        return self.role(well) == CONTROL

    @property
    def knows_roles(self) -> bool:
        """Whether it is known of any well what it holds."""
        return any(self.role(well) is not None for well in self.wells)

    def probability(self, well: Well, name: str | None) -> float:
        """Mean probability of a treatment; of anything but the control for None and what the bundle does not know."""
        if name in self.treatments:
            return well.mean(f"{PROBABILITY}{name}")
        return 1 - well.mean(f"{PROBABILITY}{self.control}")

    def predicted(self, well: Well) -> str:
        """The treatment of the largest mean probability over the well's sites, as `phenotrain` scores wells."""
        return max(self.treatments, key=lambda name: well.mean(f"{PROBABILITY}{name}"))

    def given(self, well: Well) -> str | None:
        """The bundle's name of what a well is known to hold; None where that is not known or the bundle has none."""
        if self.is_control(well):
            return self.control
        treatment = alike(well.known("treatment") or "")
        return next((name for name in self.treatments if alike(name) == treatment), None)


def read_results(path: Path) -> Results:
    """Reads the table that `phenoclient plate` wrote.

    Raises:
        PlateError: If it cannot be read, has no rows, or is another table.
    """
    rows = read_table(path, wanted=lambda column: not column.startswith(_VECTORS))
    if not rows:
        raise PlateError(
            f"{path}: has no rows. Expected at least one answered site: {path.stem}.failed.csv beside it says why each "
            "site has no answer."
        )
    treatments = _named(rows, PROBABILITY)
    controls = [name for name in treatments if name not in _named(rows, VERSUS_CONTROL)]
    if len(controls) != 1 or any(row.get("Metadata_Well") is None for row in rows):
        raise PlateError(
            f"{path}: has {len(rows)} rows of {len(treatments)} treatments, or lacks columns. Expected the table of "
            "answered sites that `phenoclient plate` wrote."
        )
    sites: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        parts = (row.get("Metadata_experiment"), row.get("Metadata_Plate"))
        try:
            well = well_name(row["Metadata_Well"])
        except ValueError as error:
            raise PlateError(f"{path}: {error}") from error
        sites[" ".join(str(part) for part in parts if part), well].append(row)
    wells = [Well(plate, name, tuple(members)) for (plate, name), members in sites.items()]
    wells.sort(key=lambda well: (natural(well.plate), natural(well.name)))
    return Results(tuple(rows), tuple(wells), treatments, controls[0])


def title_of(row: Row, *, with_site: bool = True) -> str:
    """Experiment, plate, well and site of a row."""
    where = [row.get(name) for name in ("Metadata_experiment", "Metadata_Plate", "Metadata_Well")]
    name = " ".join(str(part) for part in where if part)
    return f"{name}, site {row.get('Metadata_Site')}" if with_site else name


def notices_of(row: Row) -> tuple[str, ...]:
    """The service's notices about a site, each with its stains."""
    return tuple(filter(None, (row.get("notices") or "").split(SEPARATOR)))


def _named(rows: Sequence[Row], prefix: str) -> tuple[str, ...]:
    columns = rows[0] if rows else ()
    return tuple(column.removeprefix(prefix) for column in columns if column.startswith(prefix))
