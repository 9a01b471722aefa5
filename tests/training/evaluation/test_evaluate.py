import json
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logit
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

from phenotrain.evaluate import ModelPredictions, Predictions, dose_probability, evaluate
from phenotrain.evaluate.predictions import INTENSITY
from phenotrain.grouping import plate_names
from phenotrain.splits import split_sites

LAW = settings(max_examples=25, deadline=None)
CLASSES = ("EMPTY", "IFN-a", "IFN-b")


def roles_of(sites, **changes):
    arguments = {"seed": 0, "test_fraction": 0.3, "validation_fraction": 0.3} | changes
    return split_sites(sites, control="EMPTY", treatments=CLASSES, **arguments).roles


def predict(sites, strength, seed=0, plate_effect=0.0):
    """Draw probabilities that lean towards the true class, and by plate towards any one class."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(len(sites), 3))
    for column, name in enumerate(CLASSES):
        logits[:, column] += strength * (sites["treatment"] == name)
    _, plates = np.unique(plate_names(sites), return_inverse=True)
    logits += plate_effect * rng.normal(size=(plates.max() + 1, 3))[plates]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    binary = 1 / (1 + np.exp(logits[:, :1] - logits[:, 1:]))
    return Predictions(
        {
            "classifier": ModelPredictions(probabilities, binary),
            "forest": ModelPredictions(probabilities[::-1].copy()),
        }
    )


def scored(sites, predictions, num_top_doses=2, **changes):
    arguments = {"num_top_doses": num_top_doses, "seed": 0} | changes
    return evaluate(sites, roles_of(sites), CLASSES, "EMPTY", predictions, **arguments)


def test_perfect_answers_reach_one_and_say_so(screen):
    """Answers that are always right give balanced accuracy and AUROC 1, and the smallest p there is."""
    metrics = scored(screen(), predict(screen(), 50.0), simulated=True)
    found = metrics.test.classified("classifier", "well")
    assert (found.balanced_accuracy.value, found.accuracy, found.balanced_accuracy.interval.low) == (1, 1, 1)
    assert found.p_value == pytest.approx(1 / 2000)
    perfect = {"auroc": 1.0, "average_precision": 1.0, "f1": 1.0, "brier": 0.0, "calibration_error": 0.0}
    assert {name: found.estimates[name].value for name in perfect} == pytest.approx(perfect, abs=1e-9)
    assert {c.auroc.value for c in metrics.test.versus_control if c.model == "classifier"} == {1.0}
    assert metrics.headline == (
        "Held-out experiment E-2, top 2 doses: classes confounded with where their wells lie (no column holds both "
        "EMPTY and any of IFN-a, IFN-b; no column holds two treatments), well-level balanced accuracy 1.00 "
        "[1.00, 1.00], chance 0.33, p < 0.001 (simulated data)."
    )
    assert not metrics.at_chance


def test_guesses_are_called_chance(screen):
    """Answers that ignore the treatment give a headline that says so, and no `simulated` on real data."""
    metrics = scored(screen(), predict(screen(), 0.0, seed=1))
    assert metrics.at_chance
    assert "not distinguishable from chance" in metrics.headline
    assert "simulated" not in metrics.headline
    assert metrics.test.classified("classifier", "well").balanced_accuracy.contains_chance


@LAW
@given(st.integers(0, 2**32 - 1))
def test_accuracy_and_confusion_are_sklearns(screen, seed):
    """At both levels, balanced accuracy and confusion equal scikit-learn's on the scored units."""
    sites = screen(wells_per_treatment=2, num_controls=3)
    predictions = predict(sites, 1.0, seed)
    metrics = scored(sites, predictions, num_top_doses=0)
    roles = roles_of(sites)
    chosen = (roles == "test") & sites["treatment"].isin(CLASSES).to_numpy()
    frame = pd.DataFrame(predictions.classifier.probabilities[chosen])
    frame["treatment"] = sites["treatment"].to_numpy()[chosen]
    by_well = (
        frame.groupby([sites["well_id"].to_numpy()[chosen], "treatment"]).mean().reset_index("treatment")
    )
    for level, table in (("site", frame), ("well", by_well)):
        guess = np.array(CLASSES)[table[[0, 1, 2]].to_numpy().argmax(axis=1)]
        found = metrics.test.classified("classifier", level)
        assert found.balanced_accuracy.value == pytest.approx(
            balanced_accuracy_score(table["treatment"], guess)
        )
        np.testing.assert_array_equal(
            found.confusion, confusion_matrix(table["treatment"], guess, labels=CLASSES)
        )
        assert found.num_units == len(table)


def test_only_the_top_doses_and_their_controls_are_scored(screen):
    """With the top dose alone, wells of its plates are scored and no others; by dose, all are compared."""
    sites = screen(num_doses=3)
    metrics = scored(sites, predict(sites, 2.0), num_top_doses=1)
    assert metrics.test.num_wells == 2 * (2 * 3 + 6)
    assert metrics.test.num_top_doses == 1
    doses = {c.dose for c in metrics.test.by_dose if c.treatment == "IFN-a"}
    assert doses == {0.1, 0.01, 0.001}
    assert {c.num_units for c in metrics.test.by_dose} == {6}
    assert {c.num_controls for c in metrics.test.by_dose} == {12}


def test_a_role_without_the_top_doses_is_scored_on_all_and_says_so(screen):
    """Where the held-out plates carry no top dose, all their doses are scored and the headline says so."""
    sites = screen()
    sites.loc[(sites["experiment"] == "E-2") & (sites["treatment"] == "IFN-b"), "treatment_conc"] = 1e-6
    metrics = scored(sites, predict(sites, 2.0), num_top_doses=1)
    assert metrics.test.num_top_doses == 0
    assert "all doses" in metrics.headline


def test_training_sites_are_not_looked_at(screen):
    """Predictions of training sites may be NaN; changing them changes nothing."""
    sites = screen()
    predictions = predict(sites, 1.0)
    before = scored(sites, predictions).to_json()
    is_train = roles_of(sites) == "train"
    for found in predictions.models.values():
        found.probabilities[is_train] = np.nan
    assert scored(sites, predictions).to_json() == before


def test_each_dose_rank_is_scored_by_itself_with_the_controls_of_its_plates(screen):
    """A model that knows the top dose alone is perfect at rank 1 and at chance at every other rank."""
    sites = screen(num_doses=3, wells_per_treatment=6)
    known = predict(sites, 50.0).classifier.probabilities
    guessed = predict(sites, 0.0, seed=4).classifier.probabilities
    at_top = (sites["plate"].astype(int) <= 2).to_numpy()[:, None]
    mixed = Predictions({"classifier": ModelPredictions(np.where(at_top, known, guessed))})
    test = scored(sites, mixed).test
    assert {(c.dose_rank, c.num_units) for c in test.by_dose_rank if c.level == "well"} == {
        (rank, 2 * (2 * 6 + 6)) for rank in (1, 2, 3)
    }
    assert test.at_dose_rank("classifier", "well", 1).balanced_accuracy.value == 1
    for rank in (2, 3):
        assert test.at_dose_rank("classifier", "well", rank).p_value > 0.01
        assert test.at_dose_rank("classifier", "well", rank).estimates["auroc"].value < 0.8


@pytest.mark.parametrize(("strength", "beats"), [(0.0, False), (50.0, True)])
def test_the_headline_says_whether_the_intensity_baseline_is_beaten(screen, strength, beats):
    """With the baseline among the models, the headline states the difference, and first where it is not beaten."""
    sites = screen(wells_per_treatment=6)
    models = dict(predict(sites, strength, seed=2).models)
    plain = scored(sites, Predictions(models)).headline
    models[INTENSITY] = predict(sites, 1.0, seed=3).classifier
    metrics = scored(sites, Predictions(models))
    lead = metrics.test.difference(INTENSITY)
    assert lead.is_positive == beats
    assert lead.value == pytest.approx(
        metrics.test.classified("classifier", "well").balanced_accuracy.value
        - metrics.test.classified(INTENSITY, "well").balanced_accuracy.value
    )
    assert INTENSITY not in plain
    text = f"{lead.value:.2f} [{lead.interval.low:.2f}, {lead.interval.high:.2f}]"
    if beats:
        assert metrics.headline.endswith(f"; {text} above {INTENSITY}.")
    else:
        verdict = metrics.headline.split(": ")[1].split("well-level")[0]
        assert f"does not beat the baseline of {INTENSITY} (difference {text})" in verdict


def test_a_screen_without_validation_sites_has_no_validation_metrics(screen):
    """Where every site is tested or unused, as when folds are scored together, validation is None."""
    sites = screen()
    predictions = predict(sites, 1.0)
    roles = np.where(sites["plate"] == "1", "unused", "test")
    metrics = evaluate(sites, roles, CLASSES, "EMPTY", predictions, num_top_doses=0, seed=0)
    assert metrics.validation is None
    assert metrics.to_json()["validation"] is None
    assert metrics.test.num_sites == int((sites["treatment"].isin(CLASSES) & (sites["plate"] != "1")).sum())


def test_metrics_are_json_and_repeat_with_their_seed(screen):
    """The same seed gives the same metrics, and JSON without NaN holds them all."""
    sites = screen()
    first = scored(sites, predict(sites, 1.0))
    text = json.dumps(first.to_json(), allow_nan=False)
    assert json.loads(text) == scored(sites, predict(sites, 1.0)).to_json()
    assert json.loads(text)["headline"] == first.headline


def test_dose_probability_compares_with_the_controls_of_the_same_plate(screen):
    """Per dose, wells are averaged over sites, beside the controls of the dose's plates."""
    sites = screen(num_experiments=1, num_doses=2, plates_per_dose=1)
    probability = sites["plate"].astype(float).to_numpy() / 10 + (sites["treatment"] == "IFN-a") * 0.5
    found = dose_probability(sites, np.arange(len(sites)), "EMPTY", logit(probability.to_numpy()))
    assert found.left_out == ()
    table = found.table
    assert list(table["treatment"]) == ["IFN-a", "IFN-a", "IFN-b", "IFN-b", "Toxin", "Toxin"]
    assert list(table["treatment_conc"][:2]) == [0.01, 0.1]
    np.testing.assert_allclose(table["probability"][:2], [0.7, 0.6])
    np.testing.assert_allclose(table["control_probability"][:2], [0.2, 0.1])
    # logit 0.7 - logit 0.2 and logit 0.6 - logit 0.1
    np.testing.assert_allclose(table["effect"][:2], [2.233592, 2.602690], rtol=1e-6)
    np.testing.assert_allclose(table["log_odds"] - table["control_log_odds"], table["effect"])
    assert set(table["num_wells"]) == {3}


def test_dose_probability_keeps_series_apart_and_names_plates_without_controls(screen):
    """Two drugs behind one label have rows of their own; a plate without controls is in no row and is named."""
    sites = screen(num_experiments=1, num_doses=2, plates_per_dose=1, sites_per_well=1, unlabelled=())
    sites["series"] = np.where(sites.index % 2 == 0, "x", "y")
    is_control = (sites["treatment"] == "EMPTY").to_numpy()
    is_used = (sites["treatment"] == "IFN-a").to_numpy() | (is_control & (sites["plate"] == "1").to_numpy())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = dose_probability(sites, np.flatnonzero(is_used), "EMPTY", np.zeros(len(sites)))
    assert list(found.table["series"]) == ["x", "y"]
    assert set(found.table["treatment_conc"]) == {0.1}
    np.testing.assert_allclose(found.table["effect"], 0)
    assert found.left_out == ("E-1 plate 2",)


@pytest.mark.parametrize(
    ("shape", "held_out"),
    [
        ({"num_experiments": 2}, "Held-out experiment E-2"),
        ({"num_experiments": 1, "num_doses": 2}, "Held-out E-1 plate"),
        ({"num_experiments": 1, "num_doses": 1, "plates_per_dose": 1}, "Held-out wells"),
    ],
)
def test_the_headline_names_what_was_held_out(screen, shape, held_out):
    """Experiments, plates or wells: the headline begins with the largest unit that is wholly held out."""
    sites = screen(**shape)
    assert scored(sites, predict(sites, 3.0)).headline.startswith(held_out)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classifier": lambda p: ModelPredictions(p[:, :2])}, "probabilities of 'classifier' of shape"),
        ({"forest": lambda p: ModelPredictions(p[1:])}, "'forest' of shape"),
        ({"forest": lambda p: ModelPredictions(p, p)}, "versus_control of 'forest' of shape"),
        ({"classifier": lambda p: ModelPredictions(p * np.nan)}, "finite predictions of 'classifier'"),
        ({"classifier": None}, "model called 'classifier'"),
    ],
)
def test_predictions_that_do_not_fit_are_refused(screen, change, message):
    """A wrong shape or a NaN among held-out sites is an error that names it."""
    sites = screen()
    models = dict(predict(sites, 1.0).models)
    for name, changed in change.items():
        found = models.pop(name)
        models |= {name: changed(found.probabilities)} if changed else {}
    with pytest.raises(ValueError, match=message):
        scored(sites, Predictions(models))


def test_a_control_outside_the_classes_is_refused(screen):
    """The control must be one of the classes, since the columns are in logit order."""
    sites = screen()
    with pytest.raises(ValueError, match="logit order"):
        evaluate(sites, roles_of(sites), CLASSES[1:], "EMPTY", predict(sites, 1.0), num_top_doses=0, seed=0)
