"""The demo's verdict."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

NAMES = ["EMPTY", "IFN-alpha-A", "IFN-gamma"]


@pytest.fixture(scope="module")
def demo():
    path = Path(__file__).parents[2] / "clients" / "examples" / "demo.py"
    spec = importlib.util.spec_from_file_location("demo", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def screen(rng, is_right):
    """Twelve wells a treatment of two sites each, with answers that are right with that probability a well."""
    sites, answers = [], []
    for treatment in NAMES:
        for well in range(12):
            said = treatment if rng.random() < is_right else NAMES[rng.integers(3)]
            for _ in range(2):
                sites.append({"well_id": f"{treatment}{well}", "treatment": treatment})
                answers.append({name: 0.8 if name == said else 0.1 for name in NAMES})
    return sites, answers


def test_right_answers_are_told_from_chance(demo):
    """Answers that are all right have accuracy 1 and the smallest p that the permutations allow."""
    accuracy, p, num_wells = demo.well_accuracy(*screen(np.random.default_rng(0), 1.0))
    assert (accuracy, num_wells) == (1.0, 36)
    assert p == pytest.approx(1 / (1 + demo.NUM_PERMUTATIONS))


def test_guesses_are_called_chance(demo):
    """Guessed answers pass for more than chance about as seldom as the significance says."""
    rng = np.random.default_rng(1)
    passed = sum(demo.well_accuracy(*screen(rng, 0.0))[1] < demo.SIGNIFICANCE for _ in range(30))
    assert passed <= 2
