import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, f1_score

from phenotrain.evaluate.class_metrics import NUM_BINS, WellSums
from phenotrain.evaluate.draws import permutations

LAW = settings(max_examples=25, deadline=None)
NUM_CLASSES = 4


def drawn(seed, num_wells=40, sites_per_well=3):
    """Wells of every class with one to three sites each, and probabilities of every site."""
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.arange(num_wells) % NUM_CLASSES)
    well_of = np.repeat(np.arange(num_wells), rng.integers(1, sites_per_well + 1, num_wells))
    probabilities = rng.dirichlet(np.ones(NUM_CLASSES), len(well_of))
    return rng, codes, well_of, probabilities


def one_hot(codes):
    return [(codes == label).astype(float) for label in range(NUM_CLASSES)]


def balanced_weights(codes):
    return 1 / np.bincount(codes)[codes]


def calibration_error(probabilities, true, weights):
    """The definition, bin by bin: |accuracy - confidence| in each bin, weighed by the bin's share."""
    confidence, predicted = probabilities.max(axis=1), probabilities.argmax(axis=1)
    total = 0.0
    for number in range(NUM_BINS):
        low, high = number / NUM_BINS, (number + 1) / NUM_BINS
        chosen = (confidence > low) & (confidence <= high)
        if chosen.any():
            share = weights[chosen].sum() / weights.sum()
            accuracy = np.average(predicted[chosen] == true[chosen], weights=weights[chosen])
            total += share * abs(accuracy - np.average(confidence[chosen], weights=weights[chosen]))
    return total


@LAW
@given(st.integers(0, 2**32 - 1))
def test_metrics_are_sklearns_with_classes_that_count_alike(seed):
    """Balanced accuracy, F1 and Brier are scikit-learn's, the last two with class-balanced sample weights."""
    _, codes, well_of, probabilities = drawn(seed)
    true, predicted = codes[well_of], probabilities.argmax(axis=1)
    weights = balanced_weights(true)
    found = WellSums(probabilities, well_of, len(codes)).metrics([row[None] for row in one_hot(codes)])
    expected = {
        "balanced_accuracy": balanced_accuracy_score(true, predicted),
        "f1": f1_score(true, predicted, average="macro", sample_weight=weights),
        "brier": brier_score_loss(true, probabilities, sample_weight=weights, labels=range(NUM_CLASSES)),
        "calibration_error": calibration_error(probabilities, true, weights),
    }
    assert {name: values[0] for name, values in found.items()} == pytest.approx(expected)


@LAW
@given(st.integers(0, 2**32 - 1))
def test_a_weight_is_a_number_of_copies(seed):
    """A well that counts n times gives the metrics of a table that holds it n times."""
    rng, codes, well_of, probabilities = drawn(seed)
    counts = rng.integers(0, 4, len(codes))
    counts[:NUM_CLASSES] = 1
    codes[:NUM_CLASSES] = np.arange(NUM_CLASSES)
    weighed = WellSums(probabilities, well_of, len(codes)).metrics(
        [(row * counts)[None] for row in one_hot(codes)]
    )
    wells = np.repeat(np.arange(len(codes)), counts)
    sites = [np.flatnonzero(well_of == well) for well in wells]
    copied_well_of = np.repeat(np.arange(len(wells)), [len(rows) for rows in sites])
    copied = WellSums(probabilities[np.concatenate(sites)], copied_well_of, len(wells)).metrics(
        [row[None] for row in one_hot(codes[wells])]
    )
    assert {k: v[0] for k, v in weighed.items()} == pytest.approx({k: v[0] for k, v in copied.items()})


@LAW
@given(st.integers(0, 2**32 - 1))
def test_the_two_ways_to_the_balanced_accuracy_agree(seed):
    """The quick balanced accuracy under permuted labels is the one of the full metrics, row by row."""
    rng, codes, well_of, probabilities = drawn(seed)
    relabelled = np.stack([rng.permutation(codes) for _ in range(5)])
    sums = WellSums(probabilities, well_of, len(codes))
    full = sums.metrics([(relabelled == label).astype(float) for label in range(NUM_CLASSES)])
    np.testing.assert_allclose(sums.balanced_accuracies(relabelled), full["balanced_accuracy"])


def test_chance_of_balanced_accuracy_and_brier_is_their_closed_form():
    """Permuted labels reach, on the average, each class's mean over the wells of the plates it is on."""
    rng = np.random.default_rng(3)
    plates = np.repeat([0, 1, 2], 24)
    codes = np.concatenate(
        [rng.permutation(np.repeat([0, 1, 2, 3], n)) for n in ([15, 3, 3, 3], [6] * 4, [9, 5, 5, 5])]
    )
    # Every plate leans towards a class of its own, so that chance is not one over the number of classes.
    probabilities = np.vstack([rng.dirichlet(0.3 + 3 * np.eye(NUM_CLASSES)[plate]) for plate in plates])
    sums = WellSums(probabilities, np.arange(72), 72)
    relabelled = codes[permutations(plates, rng)]
    found = sums.metrics([(relabelled == label).astype(float) for label in range(NUM_CLASSES)])
    right = np.eye(NUM_CLASSES)[probabilities.argmax(axis=1)]
    loss = (probabilities**2).sum(axis=1, keepdims=True) - 2 * probabilities + 1
    for name, columns in (("balanced_accuracy", right), ("brier", loss)):
        expected = np.mean(
            [
                sum(
                    (codes[plates == plate] == label).sum()
                    / (codes == label).sum()
                    * columns[plates == plate, label].mean()
                    for plate in range(3)
                )
                for label in range(NUM_CLASSES)
            ]
        )
        spread = found[name].std() / np.sqrt(len(relabelled))
        assert abs(found[name].mean() - expected) < 4 * spread
