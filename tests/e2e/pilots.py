"""Small screens, drawn to disk, and the commands run on them in this process."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import tifffile
from scipy.ndimage import gaussian_filter
from typer.testing import CliRunner

ROWS, COLUMNS = "ABCDEFGH", range(1, 13)
FIELD_PX = 64

TINY = Path(__file__).parents[1] / "cases" / "tiny.toml"


@dataclass(frozen=True)
class Pilot:
    """A small screen: how many plates, treatments, wells of each on a plate and controls beside them, and where."""

    num_plates: int
    num_treatments: int
    num_wells: int
    num_controls: int
    arrangement: Literal["free", "columns", "plates"]
    seed: int = 0
    names: tuple[str, ...] = ("drug A", "drug B", "drug C")

    @property
    def treatments(self) -> list[str]:
        """Labels of the treated wells."""
        return list(self.names[: self.num_treatments])

    def table(self) -> pd.DataFrame:
        """One row a site, two sites a well."""
        rng = np.random.default_rng(self.seed)
        labels = [name for name in self.treatments for _ in range(self.num_wells)] + [
            "DMSO"
        ] * self.num_controls
        rows = []
        for plate in range(1, self.num_plates + 1):
            carried = labels
            if self.arrangement == "plates":
                groups = ["DMSO", *self.treatments]
                carried = [label for label in labels if groups.index(label) % self.num_plates == plate - 1]
            for well, label in zip(self._wells(carried, rng), carried, strict=True):
                rows += [("pilot", f"P{plate}", well, site, label) for site in (1, 2)]
        return pd.DataFrame(rows, columns=["experiment", "plate", "well", "site", "treatment"])

    def _wells(self, labels: list[str], rng: np.random.Generator) -> list[str]:
        if self.arrangement == "columns":
            column = {"DMSO": 1, **{name: 2 + index for index, name in enumerate(self.treatments)}}
            return [
                f"{ROWS[labels[:index].count(name)]}{column[name]:02d}" for index, name in enumerate(labels)
            ]
        places = [f"{row}{column:02d}" for row, column in product(ROWS, COLUMNS)]
        return [places[place] for place in rng.permutation(len(places))[: len(labels)]]

    def write(self, folder: Path) -> Path:
        """Table and images: blobs, as large as the treatment says."""
        table = self.table()
        folder.mkdir()
        table.to_csv(folder / "layout.csv", index=False)
        rng = np.random.default_rng(self.seed)
        for row in table.itertuples(index=False):
            (folder / row.plate).mkdir(exist_ok=True)
            width = 2 + ["DMSO", *self.treatments].index(row.treatment)
            for channel in (1, 2):
                field = gaussian_filter(rng.normal(size=(FIELD_PX, FIELD_PX)), (width, width / channel))
                pixels = np.clip(120 + 40 * field / field.std() + rng.normal(0, 2, field.shape), 1, 254)
                tifffile.imwrite(
                    folder / row.plate / f"{row.well}_s{row.site}_w{channel}.tif", pixels.astype(np.uint8)
                )
        return folder

    @property
    def is_learnable(self) -> bool:
        """Whether something is left to compare on some plate."""
        return self.num_controls > 0 and self.arrangement != "plates"


def called(app, *arguments: object) -> tuple[int, str, str]:
    """Status, standard output and standard error of a command; what it raises but an exit is raised here."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    return result.exit_code, result.stdout, " ".join(result.stderr.split())
