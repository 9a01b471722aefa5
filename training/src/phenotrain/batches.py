"""Which sites make up each step of SimCLR, and which of them are pairs."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from phenotrain.errors import PhenotrainError
from phenotrain.grouping import plate_names
from phenotrain.recipe import SimclrRecipe


class BatchError(PhenotrainError):
    """Raised when there are too few sites or wells for a step of the recipe, on a plate or at all."""


@dataclass(frozen=True)
class Pairs:
    """The sites of one step.

    Attributes:
        rows_a: Rows of the sites that the first views show, `(batch_size,)`.
        rows_b: Rows of the second views' sites; entry i is the partner of `rows_a[i]`.
    """

    rows_a: np.ndarray
    rows_b: np.ndarray


class Batches:
    """Deals sites out to steps, anew every epoch; a function of seed and epoch alone.

    Where a pair shows two sites of one well, a step has one pair a well: a third site of the well would be contrasted
    with what it should resemble.

    Args:
        sites: Sites table, with `experiment`, `plate` and `well_id`.
        rows: Rows to learn from.
        recipe: `batch_size`, `batches` and `positives`.
        seed: Seed of every draw.

    Attributes:
        batch_size: Sites of a step, no more than can share one.
        num_steps: Steps of an epoch. What does not fill a batch is left to another epoch's draw.
        num_epochs: Passes that the recipe asks for: its `epochs`, or as many as make its `steps` where those are more.

    Raises:
        BatchError: If there are fewer than two sites (or wells) to contrast, or batches come from one plate and a
            plate has too few for one.
    """

    def __init__(self, sites: pd.DataFrame, rows: np.ndarray, recipe: SimclrRecipe, *, seed: int) -> None:
        self._rows, self._seed, self._recipe = np.sort(rows), seed, recipe
        wells = sites["well_id"].to_numpy(dtype=str)[self._rows]
        self._well_of = pd.Series(wells, index=self._rows)
        by_well = pd.Series(self._rows).groupby(wells)
        self._members = {str(well): members.to_numpy() for well, members in by_well}
        names = plate_names(sites)[self._rows] if recipe.batches == "plate" else np.zeros(len(rows), np.int64)
        groups, group_of = np.unique(names, return_inverse=True)
        self._groups = [self._rows[group_of == group] for group in range(len(groups))]
        self.batch_size = min(recipe.batch_size, self._num_apart(self._rows)) if len(rows) else 0
        what = "sites" if recipe.positives == "site" else "wells"
        if self.batch_size < 2:
            raise BatchError(
                f"SimCLR contrasts {what} with each other and needs 2 or more to learn from; it was given "
                f"{self.batch_size}. Hold out less, or add {what}."
            )
        num_apart = [self._num_apart(members) for members in self._groups]
        fewest = int(np.argmin(num_apart))
        if num_apart[fewest] < self.batch_size:
            raise BatchError(
                f"A step takes {self.batch_size} {what} of one plate; {groups[fewest]} has {num_apart[fewest]} to "
                f'learn from. Set `simclr.batches = "mixed"`{_or_smaller(num_apart[fewest])}.'
            )
        self.num_steps = sum(
            len(part) // self.batch_size for members in self._groups for part in self._parts(members)
        )
        self.num_epochs = max(recipe.epochs, -(-recipe.steps // self.num_steps))

    @property
    def num_steps_in_all(self) -> int:
        """Steps of all epochs."""
        return self.num_steps * self.num_epochs

    def epoch(self, epoch: int) -> list[Pairs]:
        """The steps of one epoch, in order."""
        rng = np.random.default_rng([self._seed, epoch])
        dealt: list[np.ndarray] = []
        for members in self._groups:
            for part in self._parts(rng.permutation(members)):
                whole = len(part) // self.batch_size * self.batch_size
                dealt.extend(part[:whole].reshape(-1, self.batch_size))
        # Sorted reads walk the memory map forwards; the order within a batch does not matter to NT-Xent.
        return [self._paired(np.sort(dealt[index]), rng) for index in rng.permutation(len(dealt))]

    def _num_apart(self, members: np.ndarray) -> int:
        """How many of these sites may share a step."""
        return len(self._parts(members)[0])

    def _parts(self, members: np.ndarray) -> list[np.ndarray]:
        """All sites, or one site of every well, then another of every well that has one, and so on."""
        if self._recipe.positives == "site":
            return [members]
        turn = self._well_of[members].groupby(self._well_of[members].to_numpy()).cumcount().to_numpy()
        return [members[turn == number] for number in range(turn.max() + 1)]

    def _paired(self, rows: np.ndarray, rng: np.random.Generator) -> Pairs:
        if self._recipe.positives == "site":
            return Pairs(rows, rows)
        partners = [self._partner(int(row), rng) for row in rows]
        return Pairs(rows, np.array(partners))

    def _partner(self, row: int, rng: np.random.Generator) -> int:
        others = self._members[self._well_of[row]]
        others = others[others != row]
        return int(rng.choice(others)) if len(others) else row


def _or_smaller(fewest: int) -> str:
    return f", or lower `simclr.batch_size` to {fewest} or less" if fewest > 1 else ""
