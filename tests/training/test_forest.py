"""The random forest."""

import numpy as np

from phenotrain.forest import fit_forest
from phenotrain.recipe import ForestRecipe


def test_same_seed_same_forest_that_knows_its_classes():
    """The forest separates distant classes, names them, and is the same for the same seed."""
    rng = np.random.default_rng(0)
    classes = np.array(["EMPTY", "IFN-gamma"])[rng.integers(0, 2, 80)]
    embeddings = rng.normal(size=(80, 1024)).astype(np.float32)
    embeddings[classes == "EMPTY", :50] += 3
    forests = [
        fit_forest(embeddings, classes, np.ones(80), ForestRecipe(num_trees=30), seed=4) for _ in range(2)
    ]
    np.testing.assert_array_equal(forests[0].predict_proba(embeddings), forests[1].predict_proba(embeddings))
    assert (forests[0].predict(embeddings) == classes).all()
    assert forests[0].n_jobs is None
