"""What the headline says of encoders that were not trained, and of no encoder at all."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from phenotrain.evaluate import ModelPredictions, Predictions, evaluate
from phenotrain.evaluate.encoders import encoder_text
from phenotrain.evaluate.predictions import INTENSITY, TRAINED, UNTRAINED

CLASSES = ("EMPTY", "a")


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch):
    """The sentences do not depend on how many draws there are."""
    monkeypatch.setattr("phenotrain.evaluate.draws.NUM_DRAWS", 199)
    monkeypatch.setattr("phenotrain.evaluate.draws.NUM_PERMUTATIONS", 99)


def said(num_wells: int, **right: float) -> str:
    """The sentences where so many wells a class are tested on, and each model has this share of each class right."""
    wells = [f"{row}{column:02d}" for row in "ABCDEFGH" for column in range(1, 13)][: 2 * num_wells]
    sites = pd.DataFrame({"well": wells, "well_id": wells, "treatment": np.repeat(CLASSES, num_wells)})
    sites = sites.assign(experiment="E", plate="1", treatment_conc=np.nan)
    truth, place = np.repeat([0, 1], num_wells), np.tile(np.arange(num_wells), 2)
    models = {}
    for name, share in right.items():
        answer = np.where(place < round(share * num_wells), truth, 1 - truth)
        models[name.replace("_", " ")] = ModelPredictions(np.eye(2)[answer] * 0.8 + 0.1)
    roles = np.full(len(sites), "test")
    metrics = evaluate(sites, roles, CLASSES, "EMPTY", Predictions(models), num_top_doses=0, seed=0)
    if TRAINED in models:
        metrics = replace(metrics, exported_encoder="trained" if UNTRAINED in models else "untrained")
    text = encoder_text(metrics)
    assert metrics.headline.endswith(text)
    return text


WAY_OUT = "`--encoder best` exports the one that does better on labelled sites held out in turn"


def test_a_trained_encoder_that_loses_is_told_with_the_way_out():
    """With enough wells, an interval below zero is a loss."""
    text = said(20, classifier=0.4, untrained_encoder=0.9)
    assert text.startswith(
        " The trained encoder loses to the untrained one, 0.40 against 0.90 of the untrained one, "
    )
    assert "difference -0.50 [-0." in text
    assert text.endswith(f"; {WAY_OUT}.")


def test_a_lead_that_is_not_shown_is_told():
    """With enough wells, an interval around zero shows nothing, whichever is ahead."""
    text = said(20, classifier=0.9, untrained_encoder=0.85)
    assert text.startswith(
        " The trained encoder is not shown to be better than the untrained one, 0.90 against 0.85"
    )


def test_a_lead_that_is_shown_needs_no_words():
    """With enough wells, an interval above zero says nothing more; nor does a run without the baseline."""
    assert said(20, classifier=1.0, untrained_encoder=0.5) == ""
    assert said(20, classifier=1.0) == ""


@pytest.mark.parametrize(
    ("own", "other", "expected"),
    [
        (
            0.5,
            1.0,
            (f" The trained encoder loses to the untrained one here, 0.50 against 1.00 of the untrained one, which "
            f"so few wells cannot decide; {WAY_OUT}."),
        ),
        (
            1.0,
            1.0,
            (f" The trained encoder does no better than the untrained one here, 1.00 against 1.00 of the untrained "
            f"one, which so few wells cannot decide; {WAY_OUT}."),
        ),
        (
            1.0,
            0.5,
            (" The trained encoder reaches 1.00 against 0.50 of the untrained one: so few wells cannot tell whether "
            "training helped."),
        ),
    ],
)
def test_few_wells_give_numbers_and_no_verdict(own, other, expected):
    """With two wells a class the numbers stand alone."""
    assert said(2, classifier=own, untrained_encoder=other) == expected


def test_an_exported_untrained_encoder_is_told():
    """Where the untrained encoder is exported, the sentence says so, and what the trained one reaches."""
    assert said(2, classifier=1.0, trained_encoder=0.5) == (
        " The exported encoder is the untrained one; on the test sites it reaches 1.00 against 0.50 of the trained one."
    )


def test_intensities_that_are_ahead_are_told():
    """Intensities cannot be exported; where they are ahead it is said, and whether the wells can decide it."""
    few = said(2, **{"classifier": 0.5, INTENSITY: 1.0})
    assert few == (
        " Intensity and cell count alone reach more without any encoder, 1.00 against 0.50, which so few wells cannot "
        "decide; a bundle cannot hold them."
    )
    assert "cannot decide" not in said(20, **{"classifier": 0.5, INTENSITY: 1.0})
    assert said(20, **{"classifier": 1.0, INTENSITY: 0.5}) == ""
