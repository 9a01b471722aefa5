"""What to simulate: the size of the screen, its treatments and doses, and its seed."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from phenotrain.simulate.phenotypes import PHENOTYPES

STAINS: Final = ("Hoechst", "ConA", "Phalloidin", "Syto14", "MitoTracker", "WGA")
"""The stains of the channels w1 to w6, in that order (RxRx2)."""

CONTROL: Final = "EMPTY"
"""RxRx2's name for an untreated well."""

DOSE_LADDER: Final = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""RxRx2's concentrations, highest first; the k-th lies on plates 2k-1 and 2k of every experiment."""

PLATES_PER_DOSE: Final = 2
PLATE_ROWS: Final = (*"BCDEFGHIJKLMNOPQRSTUVWXYZ", "AA", "AB", "AC", "AD", "AE")
PLATE_COLUMNS: Final = range(2, 48)
"""Rows and columns of a 1536-well plate without its outer ring, which RxRx2 leaves unused."""

MIN_FIELD_PX: Final = 32


class ScreenSpec(BaseModel):
    """A simulated screen in RxRx2's layout; equal specifications give byte-identical screens.

    Attributes:
        seed: Seed of everything random.
        field_px: Side of the square field of view in pixels. The size of a cell in pixels is fixed by the
            optics, so a smaller field shows fewer cells.
        num_experiments: Number of experiments, named `HUVEC-1`, `HUVEC-2`, ….
        doses: Concentrations to use, out of `DOSE_LADDER`, as RxRx2 records them. A dose keeps RxRx2's plates
            whichever others are left out.
        treatments: Names of the treatments; each must be one of `phenotypes.PHENOTYPES`.
        wells_per_treatment: Wells a plate for every treatment.
        control_wells: Untreated wells a plate (RxRx2 has 81 on plates 1 to 4 and 78 on the others).
        sites_per_well: Fields of view a well.
        effect: Whether the treatments do anything. Without, the table names them as ever, and every image is,
            byte for byte, that of its untreated twin.
        responding_share: Share of each field's area, as one disc at a random place, within which cells
            respond to the treatment; 1 for all cells.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: Annotated[int, Field(ge=0)] = 0
    field_px: Annotated[int, Field(ge=MIN_FIELD_PX, le=4096)] = 1024
    num_experiments: Annotated[int, Field(ge=1, le=100)] = 2
    doses: tuple[float, ...] = DOSE_LADDER
    treatments: tuple[str, ...] = ("IFN-alpha-A", "IFNB-1", "IFN-gamma", "IFN-omega")
    wells_per_treatment: Annotated[int, Field(ge=1)] = 3
    control_wells: Annotated[int, Field(ge=0)] = 80
    sites_per_well: Annotated[int, Field(ge=1, le=9)] = 4
    effect: bool = True
    responding_share: Annotated[float, Field(gt=0, le=1)] = 1.0

    @field_validator("doses")
    @classmethod
    def _doses_lie_on_the_ladder(cls, doses: tuple[float, ...]) -> tuple[float, ...]:
        ladder = ", ".join(f"{dose:g}" for dose in DOSE_LADDER)
        for dose in doses:
            if dose not in DOSE_LADDER:
                raise ValueError(f"dose {dose:g} is not one of RxRx2's; choose from {ladder}")
        if not doses or len(set(doses)) != len(doses):
            raise ValueError(
                f"doses must be given once each, and at least one; got {doses}, choose from {ladder}"
            )
        return tuple(sorted(doses, reverse=True))

    @field_validator("treatments")
    @classmethod
    def _treatments_have_phenotypes(cls, treatments: tuple[str, ...]) -> tuple[str, ...]:
        for treatment in treatments:
            if treatment not in PHENOTYPES:
                raise ValueError(
                    f"no phenotype for treatment {treatment!r}; choose from {', '.join(PHENOTYPES)}"
                )
        if not treatments or len(set(treatments)) != len(treatments):
            raise ValueError(f"treatments must be given once each, and at least one; got {treatments}")
        return treatments

    @model_validator(mode="after")
    def _wells_fit_the_plate(self) -> ScreenSpec:
        wanted = self.control_wells + self.wells_per_treatment * len(self.treatments)
        available = len(PLATE_ROWS) * len(PLATE_COLUMNS)
        if wanted > available:
            raise ValueError(
                f"{wanted} wells a plate do not fit the {available} usable wells of a 1536-well plate; "
                "lower control_wells or wells_per_treatment"
            )
        return self

    @property
    def plates(self) -> tuple[tuple[int, float], ...]:
        """Every plate number of an experiment with its dose, in order of plate number."""
        return tuple(
            (PLATES_PER_DOSE * level + replicate + 1, dose)
            for level, dose in enumerate(DOSE_LADDER)
            if dose in self.doses
            for replicate in range(PLATES_PER_DOSE)
        )

    @property
    def num_sites(self) -> int:
        """Number of fields of view in the whole screen."""
        wells = self.control_wells + self.wells_per_treatment * len(self.treatments)
        return self.num_experiments * len(self.plates) * wells * self.sites_per_well
