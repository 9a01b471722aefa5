"""The heads: they learn, they ignore what weighs nothing, and they take embeddings as they are."""

import numpy as np
import pytest

from phenotrain.heads import build_head, fit_head
from phenotrain.labelled import HeadData
from phenotrain.recipe import HeadsRecipe

pytestmark = pytest.mark.training

RECIPE = HeadsRecipe(epochs=60, steps=0, learning_rate=0.01, weight_decay=1e-3)


def blobs(num_sites: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Three classes far apart, in embeddings whose scales differ by orders of magnitude."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 3, num_sites)
    centres = np.random.default_rng(0).normal(size=(3, 1024))
    scale = np.geomspace(1e-3, 10, 1024)
    return ((centres[classes] + 0.5 * rng.normal(size=(num_sites, 1024))) * scale).astype(np.float32), classes


@pytest.mark.parametrize("hidden_units", [0, 8])
def test_classifier_head_learns(hidden_units):
    """The classifier head recognises well separated classes from raw embeddings it has not seen."""
    recipe = RECIPE.model_copy(update={"hidden_units": hidden_units})
    (x, y), (x_other, y_other) = blobs(200, 1), blobs(100, 2)
    head = build_head(3, recipe, name="logits")
    fit_head(head, HeadData(x, y, np.ones(200)), HeadData(x_other, y_other, np.ones(100)), recipe, seed=0)
    x_test, y_test = blobs(300, 3)
    assert (head.predict(x_test, verbose=0).argmax(axis=1) == y_test).mean() > 0.97


def test_binary_heads_learn_each_for_itself():
    """Every binary head separates its own treatment from the control, sites of the other left out by weight 0."""
    x, y = blobs(240, 1)
    targets = np.stack([y == 1, y == 2], axis=1)
    weights = np.stack([y != 2, y != 1], axis=1).astype(float)
    data = HeadData(x, targets, weights)
    head = build_head(2, RECIPE, name="versus_control")
    fit_head(head, data, data, RECIPE, seed=0)
    logits = head.predict(x, verbose=0)
    assert logits[y == 1, 0].min() > logits[y == 0, 0].max()
    assert logits[y == 2, 1].min() > logits[y == 0, 1].max()


def test_sites_of_weight_zero_teach_nothing():
    """Wrong labels that weigh nothing leave the head as if they were not there."""
    x, y = blobs(120, 1)
    wrong = np.concatenate([y, (y + 1) % 3])
    weights = np.concatenate([np.ones(120), np.zeros(120)])
    head = build_head(3, RECIPE, name="logits")
    data = HeadData(np.concatenate([x, x]), wrong, weights)
    fit_head(head, data, data, RECIPE, seed=0)
    assert (head.predict(x, verbose=0).argmax(axis=1) == y).mean() > 0.97


@pytest.mark.parametrize(
    ("steps", "epochs", "patience", "expected"),
    [(0, 60, 3, 4), (40, 60, 3, 40), (80, 60, 3, 80), (0, 6, 30, 6)],
)
def test_early_stopping_waits_for_the_steps(steps, epochs, patience, expected):
    """A loss that only rises stops a head after its patience, but not before the recipe's least number of steps."""
    (x, y), recipe = (
        blobs(60, 1),
        RECIPE.model_copy(
            update={"steps": steps, "epochs": epochs, "patience": patience, "learning_rate": 0.1}
        ),
    )
    opposite = HeadData(x, (y + 1) % 3, np.ones(60))
    history = fit_head(
        build_head(3, recipe, name="logits"), HeadData(x, y, np.ones(60)), opposite, recipe, seed=0
    )
    assert len(history) == expected


def test_same_seed_same_head():
    """Fitting twice from the same weights and seed gives the same head."""
    x, y = blobs(100, 1)
    data = HeadData(x, y, np.ones(100))
    start = build_head(3, RECIPE, name="logits").get_weights()
    outputs = []
    for _ in range(2):
        head = build_head(3, RECIPE, name="logits")
        head.set_weights(start)
        fit_head(head, data, data, RECIPE, seed=5)
        outputs.append(head.predict(x, verbose=0))
    np.testing.assert_array_equal(outputs[0], outputs[1])
