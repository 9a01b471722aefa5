"""Whether the report on calibration counts right."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta

from phenoserve.bundle import Calibration, CalibrationSpec, OutOfDistribution, PredictionSets
from phenoserve.engine import Graph
from phenotrain.calibration_check import (
    CalibrationFindings,
    ReliabilityBin,
    Share,
    check_calibration,
    reliability,
)
from phenotrain.labelled import Task
from phenotrain.report.calibration import calibration_section

TASK = Task("EMPTY", ("EMPTY", "A", "B"))


class Screen:
    """Raw stacks of three stains, with what the check uses of a cache."""

    downsample = 2
    stains = ("DNA", "ER", "RNA")

    def __init__(self, stacks) -> None:
        self.sites = pd.DataFrame(
            {
                "treatment": ["EMPTY"] * 6 + ["A"] * 6 + ["B"] * 6,
                "well_id": [f"w{site}" for site in range(18)],
            }
        )
        self.stacks = stacks

    def read(self, rows):
        """`(len(rows), channel, y, x)`."""
        return self.stacks[rows].astype(np.float32)

    def read_raw(self, row):
        """`(channel, y, x)`."""
        return self.stacks[row]


def test_a_share_has_the_clopper_pearson_interval():
    """The interval's ends are quantiles of beta distributions (Clopper and Pearson 1934)."""
    share = Share.of(np.arange(40) < 34)
    assert share.value == 34 / 40
    assert share.low == pytest.approx(beta.ppf(0.025, 34, 7))
    assert share.high == pytest.approx(beta.ppf(0.975, 35, 6))


def test_reliability_groups_by_the_largest_probability():
    """A site of probability 1 is in the last bin, and a bin says how many of its sites are right."""
    probabilities = np.array([[1.0, 0.0], [0.95, 0.05], [0.55, 0.45], [0.42, 0.58]])
    low, high = reliability(probabilities, np.array([0, 1, 0, 1]))
    assert (low.right.num, low.right.num_of, high.right.num, high.right.num_of) == (2, 2, 1, 2)
    assert low.mean_probability == pytest.approx(0.565)
    assert high.mean_probability == pytest.approx(0.975)


def test_coverage_and_flags_are_counted_on_the_scored_sites(tiny_module):
    """Sets of every treatment and of all, held-out controls and each corruption are counted as constructed.

    The threshold of B is out of reach, so no site of B is covered; every other is. The largest distance lies between
    the controls', which are references themselves, and everybody else's.
    """
    stacks = tiny_module.random_stack(np.random.default_rng(0), (18, 3, 64, 64), "uint8")
    screen, scored = Screen(stacks), np.arange(18)
    model = tiny_module.tiny_graph(3, 3, 2, np.random.default_rng(1))
    embeddings = Graph.load(model, device="cpu").run(screen.stacks.astype(np.float32))["embedding"]
    calibration = Calibration(
        spec=CalibrationSpec(
            temperature=1.0,
            prediction_sets=PredictionSets(
                coverage=0.9,
                thresholds={"EMPTY": 0.1, "A": 0.1, "B": 0.9},
                num_sites={"EMPTY": 9, "A": 9, "B": 9},
                num_wells={"EMPTY": 9, "A": 9, "B": 9},
            ),
            out_of_distribution=OutOfDistribution(
                num_neighbours=1,
                max_distance=1e-3,
                false_positive_rate=0.05,
                num_references=6,
                num_control_sites=1,
                num_validation_sites=20,
                num_validation_wells=20,
            ),
        ),
        mean=np.zeros(1024, np.float32),
        whitening=np.eye(1024, dtype=np.float32),
        reference=embeddings[:6],
        control_distances=np.zeros(1),
    )
    probabilities = np.tile([0.3, 0.3, 0.4], (18, 1))
    found = check_calibration(screen, scored, TASK, probabilities, embeddings, calibration, model, seed=0)
    assert {name: share.num for name, share in found.covered.items()} == {
        "EMPTY": 6,
        "A": 6,
        "B": 0,
        "all": 12,
    }
    assert found.mean_set_size == 2
    assert found.flagged["held-out controls"].num == 0
    assert (found.flagged["held-out treated sites"].num, found.flagged["held-out treated sites"].num_of) == (
        12,
        12,
    )
    assert all(
        share.num == share.num_of == 6
        for name, share in found.flagged.items()
        if not name.startswith("held-out")
    )

    section = calibration_section(found, 12)
    assert "less often than they state" in section.html
    assert json.loads(json.dumps(section.numbers))["covered"]["all"]["num"] == 12


@pytest.mark.parametrize("num_wells", [1, 8, 9])
def test_no_word_is_kept_by_sets_that_are_not_given(num_wells):
    """Below nine wells of a treatment the section says that sets are not given and why, and draws none."""
    is_given = num_wells >= 9
    sets = PredictionSets(
        coverage=0.9,
        thresholds={"EMPTY": 0.1, "A": 0.1 if is_given else None},
        num_sites={"EMPTY": 40, "A": 2 * num_wells},
        num_wells={"EMPTY": 20, "A": num_wells},
    )
    share = Share(40, 44, 0.78, 0.97)
    found = CalibrationFindings(
        coverage=0.9,
        num_wells=22,
        covered={"all": share} if is_given else {},
        mean_set_size=1.5 if is_given else None,
        share_single=0.5 if is_given else None,
        prediction_set_reason=sets.reason,
        reliability=(ReliabilityBin(0.9, share),),
        temperature=1.0,
        false_positive_rate=0.05,
        flagged={},
        distribution_reason="Not said whether the stack is in distribution: few.",
    )
    html = calibration_section(found, smallest_class=20).html
    assert ("keep their word" in html) == is_given
    assert ("No prediction set: a coverage of 0.9 takes 9 wells" in html) != is_given
    assert "Not said whether" in html
    assert "flagged as out of distribution:" not in html
