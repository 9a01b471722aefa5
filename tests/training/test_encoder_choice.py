"""Which encoder is exported."""

import numpy as np
import pytest

from phenotrain.encoder_choice import choose_encoder
from phenotrain.two_heads import HeldOut

pytestmark = pytest.mark.training

LABELS = np.array(["A", "C", "x", "C", "C", "A"])
ROWS = np.array([5, 0, 1, 3])


def held_out(*of_truth: float) -> HeldOut:
    """Answers for the sites `ROWS`, two of `A` and two of `C`, by the probability of the true class."""
    truth = np.array(of_truth)
    return HeldOut(
        ROWS,
        np.where(
            [[False, True], [False, True], [True, False], [True, False]],
            *(np.stack([p, p], axis=1) for p in (truth, 1 - truth)),
        ),
    )


def test_the_smaller_log_loss_is_exported():
    """Of two encoders with equally many right, the surer one is exported; the figures are means over classes."""
    choice = choose_encoder(
        {"trained": held_out(0.6, 0.6, 0.4, 0.6), "untrained": held_out(0.9, 0.9, 0.4, 0.9)},
        LABELS,
        ("C", "A"),
    )
    assert choice.exported == "untrained"
    measured = choice.candidates["untrained"]
    assert measured.log_loss == pytest.approx((-np.log(0.9) + (-np.log(0.4) - np.log(0.9)) / 2) / 2)
    assert (measured.balanced_accuracy, measured.num_sites) == (0.75, 4)
    assert choice.text == (
        "The exported encoder is the untrained one, chosen on 4 labelled sites of training and validation, answered by "
        "heads that had not seen them: log loss 0.31 against 0.61 of the trained one, balanced accuracy 0.75 against "
        "0.75."
    )


def test_the_trained_encoder_is_exported_where_both_do_alike():
    """A tie goes to the trained encoder, and a probability of zero is a large loss, not an infinite one."""
    same = held_out(0.0, 0.9, 0.9, 0.9)
    choice = choose_encoder({"trained": same, "untrained": same}, LABELS, ("C", "A"))
    assert choice.exported == "trained"
    assert np.isfinite(choice.candidates["trained"].log_loss)
