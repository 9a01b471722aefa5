"""Which sites SimCLR, heads and forest learn from, with what targets and weights; all from the table alone."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from phenotrain.batches import BatchError, Batches
from phenotrain.doses import top_doses
from phenotrain.errors import PhenotrainError
from phenotrain.matching import balanced_rows, class_weights, plate_matched_weights
from phenotrain.recipe import HeadsRecipe, Recipe, load_recipe, shipped_recipes
from phenotrain.splits import learnable_roles
from phenotrain.task import Task as Task  # where its users have always found it


@dataclass(frozen=True)
class HeadData:
    """Sites that a head learns from, or is watched on.

    Attributes:
        embeddings: `(site, 1024)` float32.
        targets: Integer class of each site, `(site,)`, for a softmax head; or 0/1 for each binary head,
            `(site, output)`.
        weights: Of the targets' shape; 0 leaves a site out (of that binary head).
    """

    embeddings: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


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


def unlabelled_rows(sites: pd.DataFrame, roles: np.ndarray, task: Task, recipe: Recipe) -> np.ndarray:
    """Pick the sites that SimCLR learns from: those of training and validation, as many a class as the recipe says.

    Args:
        sites: Sites table.
        roles: `train`, `validation`, `test` or `unused` of every site.
        task: Treatments and control.
        recipe: `simclr.sites_per_class` and the seed.

    Returns:
        Integer positions into `sites`, ascending.
    """
    rows = np.flatnonzero(np.isin(roles, ("train", "validation")))
    if recipe.simclr.sites_per_class == 0:
        return rows
    num_wanted = recipe.simclr.sites_per_class
    return balanced_rows(sites, rows, task.treatments, task.control, num_wanted, recipe.seed)


def check_labels(sites: pd.DataFrame, roles: np.ndarray, task: Task, recipe: Recipe) -> None:
    """Find out from the table alone whether heads, forest and calibration have what they learn from.

    Arguments as of `unlabelled_rows`.

    Raises:
        phenotrain.errors.ScreenError: If a role misses a class, or treated sites have no control beside them.
    """
    roles = learnable_roles(sites, roles, task)
    labelled, nothing = (
        Labelled.of(sites, roles, task, recipe.heads, seed=recipe.seed),
        np.empty((len(sites), 0)),
    )
    for rows in labelled.rows.values():
        classifier_data(sites, rows, nothing, task)
        versus_control_data(sites, rows, nothing, task)


def check_steps(sites: pd.DataFrame, roles: np.ndarray, task: Task, recipe: Recipe) -> None:
    """Find out from the table alone whether SimCLR's steps can be filled.

    Arguments as of `unlabelled_rows`.

    Raises:
        phenotrain.batches.BatchError: If there are too few sites or wells for a step, on a plate or at all; names the
            shipped recipes with which these very roles can be learned from.
    """
    try:
        _batches(sites, roles, task, recipe)
    except BatchError as error:
        # The one that is meant for few sites is named first.
        names = sorted(shipped_recipes(), key=lambda name: name != "laptop")
        fitting = [name for name in names if _can_learn(sites, roles, task, load_recipe(name))]
        if not fitting:
            raise
        raise BatchError(
            f"{error} Shipped recipes that fit these plates: {', '.join(fitting)} (such as `--recipe {fitting[0]}`)."
        ) from error


def _can_learn(sites: pd.DataFrame, roles: np.ndarray, task: Task, recipe: Recipe) -> bool:
    try:
        check_labels(sites, roles, task, recipe)
        _batches(sites, roles, task, recipe)
    except PhenotrainError:
        return False
    return True


def _batches(sites: pd.DataFrame, roles: np.ndarray, task: Task, recipe: Recipe) -> Batches:
    rows = unlabelled_rows(sites, learnable_roles(sites, roles, task), task, recipe)
    return Batches(sites, rows, recipe.simclr, seed=recipe.seed)
