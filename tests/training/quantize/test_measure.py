"""When a graph of lower precision is refused."""

import numpy as np
import pytest

from phenotrain.quantize.measure import Change, WorseError, measure_change

TREATMENTS = 2


class Fake:
    """Answers each stack by its mean: an embedding, and logits that are right below a threshold."""

    def __init__(self, wrong_beyond: float) -> None:
        self.wrong_beyond = wrong_beyond

    def run(self, stacks):
        """Every output that is looked at."""
        value = float(stacks.mean())
        target = int(value) % TREATMENTS
        answer = target if value < self.wrong_beyond else 1 - target
        return {
            "embedding": np.array([[1.0, value * (value >= self.wrong_beyond)]]),
            "logits": np.eye(2)[[answer]],
        }


def measured(num_wrong: int, num_sites: int = 200) -> Change:
    """The change of a graph that errs on the last sites where the first errs nowhere."""
    rows = range(num_sites)
    return measure_change(
        Fake(np.inf),
        Fake(num_sites - num_wrong),
        lambda row: np.full((1, 2, 2), row, np.float32),
        rows,
        np.arange(num_sites) % TREATMENTS,
        lambda *_: None,
    )


def test_the_loss_is_that_of_balanced_accuracy():
    """Accuracy is counted on both graphs, and the cosine is 1 where an embedding did not change."""
    change = measured(20)
    assert (change.accuracy_fp32, change.accuracy, change.num_sites) == (1.0, 0.9, 200)
    assert change.loss == pytest.approx(0.1)
    assert change.min_cosine < 0.01
    assert measured(0).min_cosine == measured(0).mean_cosine == pytest.approx(1)


def test_sites_too_few_for_half_a_point_say_so():
    """Of 200 sites one is half a point; of fewer, one is more, and that is said."""
    assert measured(0).note is None
    assert measured(0, num_sites=4).note == (
        "4 held-out sites cannot show a loss of 0.5 points: one of them is 25.0 points. 200 sites or more could."
    )


def test_more_than_half_a_point_is_refused():
    """A loss of half a point passes, and one of more is refused with both accuracies."""
    Change(1.0, 1.0, 0.895, 0.9, 1000).require_as_good("int8")
    with pytest.raises(WorseError, match=r"0\.8940 and 0\.9000 at fp32: 0\.60 points"):
        Change(1.0, 1.0, 0.894, 0.9, 1000).require_as_good("int8")
