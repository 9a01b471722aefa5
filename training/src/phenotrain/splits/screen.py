"""What the splitting rules look at, and which plates carry the same doses."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from phenotrain.doses import rounded_doses
from phenotrain.errors import ScreenError
from phenotrain.grouping import class_names, natural_order, plate_names, treated_names


@dataclass(frozen=True)
class Screen:
    """Columns of a sites table, one entry a site, and its experiments in natural order."""

    sites: np.ndarray
    wells: np.ndarray
    plates: np.ndarray
    experiment_of: np.ndarray
    labels: np.ndarray
    doses: np.ndarray
    series: np.ndarray
    experiments: list[str]
    treated: tuple[str, ...]
    control: str

    @property
    def classes(self) -> tuple[str, ...]:
        """The control and the treatments to learn."""
        return class_names(self.treated, self.control)

    @property
    def treated_plates(self) -> list[str]:
        """Plates that carry a treatment to learn, in natural order."""
        return natural_order(self.plates[np.isin(self.labels, self.treated)])

    def lacking(self, chosen: np.ndarray) -> list[str]:
        """Name the classes without a site among the chosen, `(num_sites,)`."""
        present = set(self.labels[chosen])
        return [name for name in self.classes if name not in present]

    def taken(self, kept: np.ndarray) -> "Screen":
        """Return the screen without the sites that `kept`, `(num_sites,)`, does not mark."""
        columns = ("sites", "wells", "plates", "experiment_of", "labels", "doses", "series")
        return replace(
            self,
            **{name: getattr(self, name)[kept] for name in columns},
            experiments=natural_order(self.experiment_of[kept]),
        )

    def same_dose_plates(self, experiments: list[str]) -> list[list[str]]:
        """Group plates of one experiment that carry the same doses, groups and plates in natural order."""
        is_labelled = np.isin(self.labels, self.treated)
        groups: dict[tuple[str, frozenset[tuple[str, str]]], list[str]] = {}
        for plate in natural_order(self.plates[np.isin(self.experiment_of, experiments)]):
            on_plate = self.plates == plate
            rows = np.flatnonzero(on_plate & is_labelled)
            carried = frozenset(zip(self.labels[rows], self.doses[rows].astype(str), strict=True))
            groups.setdefault((str(self.experiment_of[on_plate][0]), carried), []).append(plate)
        return list(groups.values())


def look_at(sites: pd.DataFrame, treatments: tuple[str, ...], control: str) -> Screen:
    """Read the columns that splitting needs and check that a well is one well.

    Raises:
        ScreenError: If a well is on two plates or has two treatments.
    """
    screen = Screen(
        sites=sites["site_id"].to_numpy(dtype=str),
        wells=sites["well_id"].to_numpy(dtype=str),
        plates=plate_names(sites),
        experiment_of=sites["experiment"].to_numpy(dtype=str),
        labels=sites["treatment"].to_numpy(dtype=str),
        doses=rounded_doses(sites["treatment_conc"].to_numpy(dtype=float)),
        series=(
            sites["series"].astype(str).to_numpy(dtype=str) if "series" in sites else np.full(len(sites), "")
        ),
        experiments=natural_order(sites["experiment"].astype(str)),
        treated=treated_names(treatments, control),
        control=control,
    )
    for what, values in (("plate", screen.plates), ("treatment", screen.labels)):
        pairs = pd.DataFrame({"well_id": screen.wells, what: values}).drop_duplicates()
        repeated = pairs[pairs["well_id"].duplicated(keep=False)]
        if len(repeated):
            well = repeated["well_id"].iloc[0]
            found = ", ".join(repeated.loc[repeated["well_id"] == well, what])
            raise ScreenError(
                f"Expected every well_id to have one {what}. Received: {well!r} with {found}. "
                "Build well_id from experiment, plate and well."
            )
    return screen
