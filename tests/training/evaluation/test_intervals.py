import numpy as np
import pytest
from scipy import stats

from phenotrain.evaluate import (
    METRICS,
    Answers,
    ModelPredictions,
    Predictions,
    answers_at_wells,
    balanced_accuracy_difference,
    evaluate,
)
from phenotrain.evaluate.classification import classify, permutation_p
from phenotrain.evaluate.difference import paired_balanced_accuracy
from phenotrain.evaluate.draws import bootstrap_counts, draw, permutations
from phenotrain.evaluate.estimates import centred_interval
from phenotrain.evaluate.units import Wells

CLASSES = ("EMPTY", "IFN-a", "IFN-b")


def wells_of(sites):
    return Wells.among(sites, sites["treatment"].isin(CLASSES).to_numpy(), CLASSES)


def test_draws_keep_strata_and_permutations_keep_plates():
    """Every draw has each stratum's number of wells, every permutation each plate's wells, all of them moved."""
    rng = np.random.default_rng(0)
    strata, plates = rng.integers(0, 3, 30), np.repeat([0, 1], 15)
    made = draw(strata, plates, rng)
    for stratum in range(3):
        assert set(made.counts[:, strata == stratum].sum(axis=1)) == {(strata == stratum).sum()}
    np.testing.assert_array_equal(made.counts[0], 1)
    np.testing.assert_array_equal(np.sort(made.permuted, axis=1), np.tile(np.arange(30), (1999, 1)))
    np.testing.assert_array_equal(plates[made.permuted], np.tile(plates, (1999, 1)))
    # Each well takes each place of its plate equally often.
    places = np.bincount(made.permuted[:, 0], minlength=15)
    assert stats.chisquare(places[:15]).pvalue > 1e-4


def p_of(predicted, true, plates, rng):
    gain = 1 / np.bincount(true)
    relabelled = true[permutations(plates, rng)]
    found = np.where(predicted == relabelled, gain[relabelled], 0).sum(axis=1)
    return permutation_p(gain[true][predicted == true].sum(), found)


def test_permutation_p_is_uniform_when_labels_mean_nothing():
    """Over random labels and predictions, p passes a Kolmogorov-Smirnov test against uniform."""
    rng = np.random.default_rng(11)
    plates = np.repeat(np.arange(6), 20)
    p_values = [
        p_of(rng.integers(0, 3, 120), rng.permutation(np.repeat([0, 1, 2], 40)), plates, rng)
        for _ in range(60)
    ]
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


def test_permutation_p_sees_through_a_plate_label():
    """A predictor that knows only the plate has p = 1, however high its balanced accuracy."""
    plates = np.repeat([0, 1], 20)
    assert p_of(plates, plates, plates, np.random.default_rng(0)) == 1


def test_permutation_p_is_the_exact_one_on_a_tiny_plate():
    """For 3 + 2 wells on a plate, all right, p comes near 1 in the 10 ways to choose two of five."""
    true = np.array([0, 0, 0, 1, 1])
    assert p_of(true, true, np.zeros(5, int), np.random.default_rng(0)) == pytest.approx(0.1, abs=0.03)


def test_the_interval_of_a_mean_is_the_plain_percentile_one():
    """For an unbiased metric, centring moves the percentile interval by no more than the draws' own error."""
    rng = np.random.default_rng(0)
    right = (rng.random(60) < 0.7).astype(float)
    labels = np.repeat([0, 1], 30)
    replicates = paired_balanced_accuracy(bootstrap_counts(labels, rng), labels, right, np.ones(60))
    found = centred_interval(replicates, 0, 1)
    plain = np.quantile(replicates[1:], [0.025, 0.975])
    np.testing.assert_allclose([found.low, found.high], plain, atol=4 * replicates.std() / np.sqrt(999))


def test_the_bootstrap_draws_wells_not_sites():
    """Copying every site of a well leaves the interval as wide as one site a well makes it."""
    rng = np.random.default_rng(0)
    true = np.repeat(["x", "y"], 30)
    predicted = np.where(rng.random(60) < 0.7, true, "z")
    wells = np.array([f"w{number:02d}" for number in range(60)])
    always = Answers(true, true, wells)
    once = balanced_accuracy_difference(always, Answers(predicted, true, wells))
    four = [np.repeat(column, 4) for column in (predicted, true, wells)]
    copied = balanced_accuracy_difference(always, Answers(*four))
    assert (copied.value, copied.interval) == (once.value, once.interval)
    assert once.interval.high - once.interval.low > 0.15
    assert (once.level, copied.level) == ("well", "site")


def test_a_paired_difference_is_narrower_than_two_intervals_and_blind_to_order():
    """Two models that fail on the same wells differ by exactly nothing, in whatever order the wells come."""
    rng = np.random.default_rng(1)
    true = np.repeat(["x", "y"], 20)
    wells = np.array([f"w{number:02d}" for number in range(40)])
    predicted = np.where(rng.random(40) < 0.6, true, "z")
    order = rng.permutation(40)
    first, second = Answers(predicted, true, wells), Answers(predicted[order], true[order], wells[order])
    found = balanced_accuracy_difference(first, second, names=("default", "reference"))
    assert (found.value, found.interval.low, found.interval.high) == (0, 0, 0)
    assert (found.model, found.other, found.is_positive) == ("default", "reference", False)
    better = balanced_accuracy_difference(Answers(true, true, wells), second)
    assert better.is_positive
    assert better.value == pytest.approx(np.mean([(predicted[true == k] != k).mean() for k in ("x", "y")]))


def test_answers_about_different_wells_are_refused():
    """Two sets of answers about other wells, other labels or a well with two labels cannot be compared."""
    one = Answers(np.array(["x", "y"]), np.array(["x", "y"]), np.array(["a", "b"]))
    for other in (
        Answers(one.predicted, one.true, np.array(["a", "c"])),
        Answers(one.predicted, np.array(["y", "y"]), one.wells),
    ):
        with pytest.raises(ValueError, match="same wells"):
            balanced_accuracy_difference(one, other)
    with pytest.raises(ValueError, match="one true class"):
        balanced_accuracy_difference(Answers(one.predicted, one.true, np.array(["a", "a"])), one)
    with pytest.raises(ValueError, match="one predicted class"):
        Answers(one.predicted, one.true[:1], one.wells)


def test_answers_at_wells_are_those_that_the_headline_scores(screen):
    """The answers collected for a paired comparison give the report's well-level balanced accuracy."""
    sites = screen(num_doses=3)
    roles = np.where(sites["experiment"] == "E-2", "test", "train")
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), len(sites))
    predictions = Predictions({"classifier": ModelPredictions(probabilities)})
    found = evaluate(sites, roles, CLASSES, "EMPTY", predictions, num_top_doses=1, seed=0).test
    answers = answers_at_wells(sites, roles, CLASSES, "EMPTY", predictions, num_top_doses=1)
    assert len(answers.wells) == len(set(answers.wells)) == found.num_wells
    recall = [(answers.predicted[answers.true == name] == name).mean() for name in CLASSES]
    assert np.mean(recall) == pytest.approx(found.classified("classifier", "well").balanced_accuracy.value)
    truth = sites.drop_duplicates("well_id").set_index("well_id")["treatment"]
    np.testing.assert_array_equal(truth[answers.wells], answers.true)


@pytest.mark.parametrize("level", ["site", "well"])
def test_intervals_of_guesses_contain_chance_at_about_the_nominal_rate(screen, level):
    """Of 80 screens of guesses, each metric's 95 % interval holds its chance level in 85 % or more."""
    sites = screen(num_experiments=1, num_doses=2, wells_per_treatment=6, num_controls=12, unlabelled=())
    wells = wells_of(sites)
    num_screens = 80
    held = dict.fromkeys(METRICS, 0)
    for seed in range(num_screens):
        rng = np.random.default_rng(seed)
        # Wells and plates have effects of their own, and confidence varies, as with real answers.
        _, well = np.unique(sites["well_id"], return_inverse=True)
        _, plate = np.unique(sites["plate"], return_inverse=True)
        logits = rng.normal(size=(len(sites), 3)) + rng.normal(size=(len(wells), 3))[well]
        logits += rng.normal(size=(plate.max() + 1, 3))[plate]
        found = ModelPredictions(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))
        units = wells.unit_predictions(found, "classifier", level)
        draws = draw(wells.codes, wells.plates, rng)
        estimates = classify(
            "classifier", level, 1, units, wells, draws, CLASSES, "EMPTY"
        ).classification.estimates
        for name, estimate in estimates.items():
            held[name] += estimate.contains_chance
    # A binomial of 80 at 0.95 falls below 68 in one of ten thousand cases; small samples cost a little more.
    assert {name: count >= 68 for name, count in held.items()} == dict.fromkeys(METRICS, True), held
