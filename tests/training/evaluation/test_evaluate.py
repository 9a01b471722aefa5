import json
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, roc_auc_score

from phenotrain.evaluate import ModelPredictions, Predictions, dose_probability, evaluate
from phenotrain.evaluate.classification import balanced_accuracy, bootstrap_interval, permutation_p
from phenotrain.evaluate.comparison import same_plate_auroc
from phenotrain.grouping import plate_names
from phenotrain.matching import plate_matched_weights
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
    assert (found.balanced_accuracy, found.accuracy, found.interval.low) == (1, 1, 1)
    assert found.p_value == pytest.approx(1 / 2000)
    assert {c.auroc for c in metrics.test.versus_control if c.model == "classifier"} == {1.0}
    assert metrics.headline == (
        "Held-out experiment E-2, top 2 doses: well-level balanced accuracy 1.00 [1.00, 1.00], chance 0.33, "
        "p < 0.001 (simulated data)."
    )
    assert not metrics.at_chance


def test_guesses_are_called_chance(screen):
    """Answers that ignore the treatment give a headline that says so, and no `simulated` on real data."""
    metrics = scored(screen(), predict(screen(), 0.0, seed=1))
    assert metrics.at_chance
    assert "not distinguishable from chance" in metrics.headline
    assert "simulated" not in metrics.headline
    found = metrics.test.classified("classifier", "well")
    assert found.interval.low <= metrics.chance <= found.interval.high


@LAW
@given(st.integers(0, 2**32 - 1))
def test_a_plate_effect_alone_stays_at_chance(screen, seed):
    """Offsets shared by all wells of a plate leave every AUROC where it was without them."""
    sites = screen(num_doses=2, plates_per_dose=1, unlabelled=())
    scores = np.random.default_rng(seed).normal(size=len(sites))
    _, plates = np.unique(plate_names(sites), return_inverse=True)
    is_treated = (sites["treatment"] != "EMPTY").to_numpy()
    wells = sites["well_id"].to_numpy()

    def auroc(values):
        return same_plate_auroc(values, is_treated, wells, plates, np.random.default_rng(0)).auroc

    assert auroc(scores) == pytest.approx(auroc(scores + 100.0 * plates))


@LAW
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_auroc_is_sklearns_plate_by_plate(seed, is_coarse):
    """The AUROC is scikit-learn's on each plate, averaged with the numbers of treated units, ties and all."""
    rng = np.random.default_rng(seed)
    plates = np.repeat([0, 1, 2], 12)
    is_treated = rng.random(36) < 0.4
    is_treated[[0, 12]] = True
    is_treated[[1, 13]] = False
    is_treated[24:] = True
    scores = rng.integers(0, 4, 36).astype(float) if is_coarse else rng.normal(size=36)
    found = same_plate_auroc(scores, is_treated, np.arange(36), plates, rng)
    parts = [(is_treated[p], scores[p]) for p in (plates == 0, plates == 1)]
    expected = np.average(
        [roc_auc_score(*part) for part in parts], weights=[treated.sum() for treated, _ in parts]
    )
    assert found.auroc == pytest.approx(expected)
    assert found.num_unmatched == 12
    assert found.num_units == is_treated[:24].sum()


def test_auroc_on_one_plate_is_the_weighted_auroc():
    """With one plate, same-plate pairs and plate-matched weights give the same AUROC."""
    rng = np.random.default_rng(5)
    labels = np.repeat(["a", "EMPTY"], [5, 20])
    sites = pd.DataFrame({"experiment": "E", "plate": "1", "treatment": labels})
    scores = rng.normal(size=25)
    weights = plate_matched_weights(sites, np.arange(25), ["a"], "EMPTY")[:, 0]
    expected = roc_auc_score(labels == "a", scores, sample_weight=weights)
    found = same_plate_auroc(scores, labels == "a", np.arange(25), np.zeros(25, int), rng)
    assert found.auroc == pytest.approx(expected)
    assert found.interval.low <= expected <= found.interval.high


def test_no_control_on_the_plate_gives_no_number():
    """Treated units without a same-plate control are counted, not compared with other plates."""
    found = same_plate_auroc(
        np.arange(4.0),
        np.array([True, True, False, False]),
        np.arange(4),
        np.array([0, 0, 1, 1]),
        np.random.default_rng(0),
    )
    assert (found.auroc, found.interval, found.num_units, found.num_unmatched) == (None, None, 0, 2)


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
        assert found.balanced_accuracy == pytest.approx(balanced_accuracy_score(table["treatment"], guess))
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


def test_metrics_are_json_and_repeat_with_their_seed(screen):
    """The same seed gives the same metrics, and JSON without NaN holds them all."""
    sites = screen()
    first = scored(sites, predict(sites, 1.0))
    text = json.dumps(first.to_json(), allow_nan=False)
    assert json.loads(text) == scored(sites, predict(sites, 1.0)).to_json()
    assert json.loads(text)["headline"] == first.headline


def test_permutation_p_is_uniform_when_labels_mean_nothing():
    """Over random labels and predictions, p passes a Kolmogorov-Smirnov test against uniform."""
    rng = np.random.default_rng(11)
    plates = np.repeat(np.arange(6), 20)
    p_values = [
        permutation_p(rng.integers(0, 3, 120), rng.permutation(np.repeat([0, 1, 2], 40)), plates, rng)
        for _ in range(60)
    ]
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


def test_permutation_p_sees_through_a_plate_label():
    """A predictor that knows only the plate has p = 1, however high its balanced accuracy."""
    plates = np.repeat([0, 1], 20)
    true = np.repeat([0, 1], 20)
    assert balanced_accuracy(plates, true) == 1
    assert permutation_p(plates, true, plates, np.random.default_rng(0)) == 1


def test_permutation_p_is_the_exact_one_on_a_tiny_plate():
    """For 3 + 2 wells on a plate, all right, p comes near 1 in the 10 ways to choose two of five."""
    true = np.array([0, 0, 0, 1, 1])
    p_value = permutation_p(true, true, np.zeros(5, int), np.random.default_rng(0))
    assert p_value == pytest.approx(0.1, abs=0.03)


def test_the_bootstrap_draws_wells_not_sites():
    """Copying every site of a well leaves the interval as wide as one site a well makes it."""
    rng = np.random.default_rng(0)
    true = np.repeat([0, 1], 30)
    is_right = rng.random(60) < 0.7
    once = bootstrap_interval(is_right, true, np.arange(60), np.random.default_rng(1))
    copied = bootstrap_interval(
        np.repeat(is_right, 4), np.repeat(true, 4), np.repeat(np.arange(60), 4), np.random.default_rng(1)
    )
    assert (copied.low, copied.high) == (once.low, once.high)
    assert once.high - once.low > 0.15


def test_dose_probability_compares_with_the_controls_of_the_same_plate(screen):
    """Per dose, wells are averaged over sites, beside the controls of the dose's plates."""
    sites = screen(num_experiments=1, num_doses=2, plates_per_dose=1)
    probability = sites["plate"].astype(float).to_numpy() / 10 + (sites["treatment"] == "IFN-a") * 0.5
    table = dose_probability(sites, np.arange(len(sites)), "EMPTY", probability.to_numpy())
    assert list(table["treatment"]) == ["IFN-a", "IFN-a", "IFN-b", "IFN-b", "Toxin", "Toxin"]
    assert list(table["treatment_conc"][:2]) == [0.01, 0.1]
    np.testing.assert_allclose(table["probability"][:2], [0.7, 0.6])
    np.testing.assert_allclose(table["control_probability"][:2], [0.2, 0.1])
    assert set(table["num_wells"]) == {3}


def test_dose_probability_keeps_series_and_missing_controls_apart(screen):
    """Two drugs behind one label have rows of their own; without controls on the plate there is NaN."""
    sites = screen(num_experiments=1, num_doses=1, plates_per_dose=1, sites_per_well=1, unlabelled=())
    sites["series"] = np.where(sites.index % 2 == 0, "x", "y")
    rows = np.flatnonzero(sites["treatment"] == "IFN-a")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = dose_probability(sites, rows, "EMPTY", np.full(len(sites), 0.5))
    assert list(table["series"]) == ["x", "y"]
    assert table["control_probability"].isna().all()
    assert (table["num_control_wells"] == 0).all()


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
