import numpy as np
import pytest
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from phenotrain.evaluate import ModelPredictions, Predictions, evaluate
from phenotrain.grouping import plate_names
from phenotrain.protocols.folds import learn_folds, pooled, pooled_description
from phenotrain.protocols.reference_table import reference_row
from phenotrain.splits import UNUSED, fold_splits, learnable_roles
from phenotrain.task import Task

CLASSES = ("EMPTY", "IFN-a", "IFN-b")
SHARES = {"seed": 0, "test_fraction": 0.3, "validation_fraction": 0.2}


def guesses(sites, num_classes, seed, strength=0.0):
    """Answers drawn anew for every fold, leaning towards the truth by `strength`."""
    logits = np.random.default_rng(seed).normal(size=(len(sites), num_classes))
    for column, name in enumerate(CLASSES[:num_classes]):
        logits[:, column] += strength * (sites["treatment"] == name)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return ModelPredictions(probabilities, 1 / (1 + np.exp(logits[:, :1] - logits[:, 1:])))


def made(sites, treatments=CLASSES[1:], protocol=None, strength=0.0, num_top_doses=0):
    """Folds of a screen, learned by guessing, and what each guesser was given."""
    task = Task("EMPTY", ("EMPTY", *treatments))
    splits = fold_splits(sites, control="EMPTY", treatments=treatments, protocol=protocol, **SHARES)
    given = []

    def learn_fold(roles, name):
        given.append((roles, name))
        found = guesses(sites, len(task.treatments), len(given), strength)
        extra = (
            {"majority class": ModelPredictions(found.probabilities[::-1].copy())} if len(given) == 1 else {}
        )
        return Predictions({"classifier": found, "forest": ModelPredictions(found.probabilities), **extra})

    folds = learn_folds(sites, splits, task, learn_fold, num_top_doses=num_top_doses, seed=0, simulated=False)
    return task, folds, given


def test_every_experiment_is_tested_by_what_was_learned_on_the_others(screen):
    """Both directions: learning is never given a site of the tested experiment, and each is tested once."""
    sites = screen(num_doses=2)
    _, folds, given = made(sites)
    assert [fold.name for fold in folds] == [name for _, name in given] == ["E-1", "E-2"]
    for roles, name in given:
        assert set(sites.loc[np.isin(roles, ("train", "validation")), "experiment"]).isdisjoint({name})
        np.testing.assert_array_equal(roles == "test", sites["experiment"] == name)


def test_pooled_answers_come_from_the_fold_that_tests_the_site(screen):
    """Each site's pooled row is its own fold's; models that a fold lacks are left out; others are NaN."""
    sites = screen(num_doses=2)
    _, folds, _ = made(sites)
    roles, predictions = pooled(folds, len(sites))
    assert set(roles) == {"test"}
    assert set(predictions) == {"classifier", "forest"}
    for fold in folds:
        rows = fold.split.roles == "test"
        for field in ("probabilities", "versus_control"):
            found, expected = (getattr(of["classifier"], field) for of in (predictions, fold.predictions))
            np.testing.assert_array_equal(found[rows], expected[rows])
    assert predictions["forest"].versus_control is None
    one_roles, one = pooled(folds[:1], len(sites))
    assert set(one_roles) == {"test", UNUSED}
    assert np.isnan(one["classifier"].probabilities[one_roles == UNUSED]).all()
    metrics = evaluate(sites, roles, CLASSES, "EMPTY", predictions, num_top_doses=1, seed=0)
    assert metrics.headline.startswith("Held-out experiments E-1, E-2, top dose")
    assert metrics.test.num_wells == sum(fold_wells(sites, fold) for fold in folds)
    assert pooled_description(folds)["folds"] == [fold.split.description for fold in folds]


def fold_wells(sites, fold):
    one = evaluate(sites, fold.split.roles, CLASSES, "EMPTY", fold.predictions, num_top_doses=1, seed=0)
    return one.test.num_wells


def test_treated_sites_without_a_control_are_left_out_of_learning_only(screen):
    """Where a plate lost its controls on one side, its treated sites there are unused; nothing else changes."""
    sites = screen(num_doses=2)
    roles = np.where(sites["experiment"] == "E-2", "test", "train")
    is_bare = (plate_names(sites) == "E-1 plate 3") | (plate_names(sites) == "E-2 plate 3")
    roles[is_bare & (sites["treatment"] == "EMPTY").to_numpy()] = UNUSED
    found = learnable_roles(sites, roles, Task("EMPTY", CLASSES))
    changed = found != roles
    np.testing.assert_array_equal(
        changed, (plate_names(sites) == "E-1 plate 3") & sites["treatment"].isin(CLASSES[1:]).to_numpy()
    )
    assert set(found[changed]) == {UNUSED}


@pytest.mark.parametrize("protocol", ["reference", "leave-experiment-out"])
def test_the_reference_table_is_sklearns_on_as_many_controls_as_treated(screen, protocol):
    """Accuracy, precision, recall and F1 of the line are scikit-learn's over the sites of equal classes it names."""
    sites = screen(num_doses=2, wells_per_treatment=6, sites_per_well=3)
    task, folds, _ = made(sites, ("IFN-a",), protocol, strength=1.0)
    row = reference_row(sites, folds, task, "classifier", num_top_doses=0, seed=0)
    assert (row.leaks, row.protocol, row.treatment) == (protocol == "reference", protocol, "IFN-a")
    if protocol != "reference":
        # All treated sites of both folds, and as many controls.
        assert row.num_test_sites == 2 * (sites["treatment"] == "IFN-a").sum()
        recall = np.concatenate(
            [
                fold.predictions["classifier"]
                .probabilities[(fold.split.roles == "test") & (sites["treatment"] == "IFN-a").to_numpy()]
                .argmax(axis=1)
                for fold in folds
            ]
        ).mean()
        assert row.recall == pytest.approx(recall)
        return
    (fold,) = folds
    rows = fold.split.roles == "test"
    truth = (sites["treatment"] == "IFN-a").to_numpy()[rows]
    called = fold.predictions["classifier"].probabilities[rows].argmax(axis=1) == 1
    precision, recall, f1, _ = precision_recall_fscore_support(truth, called, average="binary")
    found = (row.test_accuracy, row.precision, row.recall, row.f1, row.num_test_sites)
    assert found == pytest.approx((accuracy_score(truth, called), precision, recall, f1, rows.sum()))
    validation = fold.split.roles == "validation"
    assert row.validation_accuracy == pytest.approx(
        accuracy_score(
            (sites["treatment"] == "IFN-a").to_numpy()[validation],
            fold.predictions["classifier"].probabilities[validation].argmax(axis=1) == 1,
        )
    )
    assert row.interval.low < row.test_accuracy < row.interval.high
