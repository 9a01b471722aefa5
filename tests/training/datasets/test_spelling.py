"""Which labels a misspelt one may have meant."""

import pytest

from phenotrain.datasets.spelling import not_among

DRUGS = [f"drug {number}" for number in range(9)]


@pytest.mark.parametrize(
    ("received", "labels", "told"),
    [
        ("huvec", ["U2OS", "HUVEC", "HUVEC"], "The table has no treatment 'huvec'. It has 'HUVEC', 'U2OS'."),
        (
            "IFN-gama",
            ["IFN-gamma", *DRUGS],
            "The table has no treatment 'IFN-gama'. Nearest of its 10: 'IFN-gamma'.",
        ),
        (
            "zzz",
            DRUGS,
            "The table has no treatment 'zzz'. None of its 9 is like it; they begin with 'drug 0', 'drug 1', 'drug 2'.",
        ),
        ("A", [], "The table has no treatment 'A', and no other."),
    ],
)
def test_a_label_that_is_not_there_is_told_with_the_ones_that_may_be_meant(received, labels, told):
    """Few labels are all listed; of many, the nearest by spelling whatever their case, else the first of them."""
    assert not_among("treatment", received, labels) == told


def test_labels_that_differ_only_in_case_or_blanks_are_the_nearest():
    """Another case and another blank are nearer than another letter."""
    assert "Nearest of its 11: 'Drug 1 0', 'drug 1', 'drug 0'." in not_among(
        "t", "DRUG 10", [*DRUGS, "Drug 1 0", "x"]
    )
