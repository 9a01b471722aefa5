"""The random forest on the embeddings."""

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from phenotrain.recipe import ForestRecipe


def fit_forest(
    embeddings: np.ndarray, treatments: np.ndarray, weights: np.ndarray, recipe: ForestRecipe, *, seed: int
) -> RandomForestClassifier:
    """Fits the forest (Breiman 2001, as scikit-learn does it).

    Args:
        embeddings: `(site, 1024)` float32.
        treatments: Name of each site's treatment, `(site,)`.
        weights: Weight of each site, `(site,)`.
        recipe: Number of trees and leaf size.
        seed: Seed of the bootstrap and of the features drawn at each node.

    Returns:
        The fitted forest; its `classes_` are the treatments in alphabetical order.
    """
    forest = RandomForestClassifier(
        n_estimators=recipe.num_trees, min_samples_leaf=recipe.min_sites_leaf, random_state=seed, n_jobs=-1
    )
    forest.fit(embeddings, treatments, sample_weight=weights)
    forest.set_params(
        n_jobs=None
    )  # how many cores fitted it is nothing that the bundle's readers should inherit
    return forest
