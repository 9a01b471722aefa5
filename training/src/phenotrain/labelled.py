"""Which sites the heads and the forest learn from, with what targets and weights."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from phenotrain.doses import top_doses
from phenotrain.heads import HeadData
from phenotrain.matching import balanced_rows, class_weights, plate_matched_weights
from phenotrain.recipe import HeadsRecipe
from phenotrain.task import Task as Task  # where its users have always found it


@dataclass(frozen=True)
class Labelled:
    """The sites that heads, forest and baselines learn from and are watched on.

    Attributes:
        sites: Sites table.
        task: Treatments and control.
        rows: Integer positions into `sites`, ascending: `train`, `validation`, and `fitted`, what the final models
            are fitted on: both of them, or the training sites alone.
    """

    sites: pd.DataFrame
    task: Task
    rows: Mapping[str, np.ndarray]

    @classmethod
    def of(
        cls, sites: pd.DataFrame, roles: np.ndarray, task: Task, recipe: HeadsRecipe, *, seed: int
    ) -> "Labelled":
        """Picks them as `labelled_rows` does, for both roles."""
        rows = {
            role: labelled_rows(sites, roles, role, task, recipe, seed=seed)
            for role in ("train", "validation")
        }
        rows["fitted"] = np.union1d(rows["train"], rows["validation"]) if recipe.refit else rows["train"]
        return cls(sites, task, rows)

    @property
    def is_refitted(self) -> bool:
        """Whether the final models have seen the validation sites' labels."""
        return len(self.rows["fitted"]) > len(self.rows["train"])

    def classes(self, role: str, embeddings: np.ndarray) -> HeadData:
        """One role's `classifier_data`."""
        return classifier_data(self.sites, self.rows[role], embeddings, self.task)


def labelled_rows(
    sites: pd.DataFrame, roles: np.ndarray, role: str, task: Task, recipe: HeadsRecipe, *, seed: int
) -> np.ndarray:
    """Picks the sites of one role that have a label to learn, at the doses the recipe learns from.

    Args:
        sites: Sites table.
        roles: `train`, `validation` or `test` of every site.
        role: The role to pick from.
        task: Treatments and control.
        recipe: Doses and sites a class; the validation and test roles keep all sites of those doses.
        seed: Seed of the draw.

    Returns:
        Integer positions into `sites`, ascending.

    Raises:
        ScreenError: If a class is left without a site.
    """
    labelled = np.flatnonzero(sites["treatment"].isin(task.treatments).to_numpy(dtype=bool))
    at_top = labelled[top_doses(sites.iloc[labelled], task.control, recipe.num_top_doses)]
    rows = at_top[roles[at_top] == role]
    num_sites = recipe.sites_per_class if role == "train" else 0
    return balanced_rows(sites, rows, task.treatments, task.control, num_sites, seed)


def classifier_data(sites: pd.DataFrame, rows: np.ndarray, embeddings: np.ndarray, task: Task) -> HeadData:
    """Targets of the classifier head: every class counts alike, controls lie on plates as the treated do.

    Args:
        sites: Sites table.
        rows: Integer positions of labelled sites.
        embeddings: Of all sites, `(num_sites, 1024)`.
        task: Treatments and control.

    Returns:
        Integer targets in logit order and `phenotrain.matching.class_weights`.
    """
    index_of = {name: index for index, name in enumerate(task.treatments)}
    targets = sites["treatment"].iloc[rows].map(index_of).to_numpy(dtype=np.int64)
    return HeadData(embeddings[rows], targets, class_weights(sites, rows, task.treatments, task.control))


def versus_control_data(
    sites: pd.DataFrame, rows: np.ndarray, embeddings: np.ndarray, task: Task
) -> HeadData:
    """Targets of the binary heads: each treatment's sites against controls of their own plates.

    Args:
        sites: Sites table.
        rows: Integer positions of labelled sites.
        embeddings: Of all sites, `(num_sites, 1024)`.
        task: Treatments and control.

    Returns:
        0/1 targets `(site, treated)` and `phenotrain.matching.plate_matched_weights`, scaled to a mean of 1 over
        the sites that a head sees.
    """
    names = sites["treatment"].to_numpy(dtype=str)[rows]
    targets = np.stack([names == treatment for treatment in task.treated], axis=1)
    weights = plate_matched_weights(sites, rows, task.treated, task.control)
    return HeadData(embeddings[rows], targets, weights * len(rows) / weights.sum(axis=0))
