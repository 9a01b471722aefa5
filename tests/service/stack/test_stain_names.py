"""How the names of a file's channels are read as stains."""

import json
from pathlib import Path

import pytest

from phenoserve.stack import AmbiguousChannelsError, match_stains

CASES = json.loads((Path(__file__).parents[2] / "cases" / "stains.json").read_text(encoding="utf-8"))["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['stains']}: {case['names']}")
def test_the_shared_cases_are_read(case: dict) -> None:
    """Each case of the shared table is an order, the bundle's own, or refused."""
    if case.get("refused"):
        with pytest.raises(AmbiguousChannelsError) as caught:
            match_stains(case["names"], case["stains"])
        assert ", ".join(case["stains"]) in caught.value.detail
        assert "?channels=" in caught.value.detail
        return
    order = match_stains(case["names"], case["stains"]).order
    assert order == (None if case.get("position") else tuple(case["order"]))


def test_marks_of_trade_and_fluorophores_say_nothing() -> None:
    """A dye as its maker writes it, conjugate and all, is the stain."""
    names = ["MitoTracker™ Deep Red FM", "WGA Alexa Fluor® 555 conjugate", "Texas Red Phalloidin"]
    assert match_stains(names, ["WGA", "Phalloidin", "MitoTracker"]).order == (
        "MitoTracker",
        "WGA",
        "Phalloidin",
    )


@pytest.mark.parametrize(
    ("name", "stain"),
    [
        ("MitoTracker Green", "MitoTracker Red"),
        ("Hoechst 33258", "Hoechst 33342"),
        ("WGA AF488", "WGA AF555"),
    ],
)
def test_another_of_the_same_family_is_no_match(name: str, stain: str) -> None:
    """Two members of one family of dyes are never taken for each other."""
    match = match_stains([name, "DNA"], [stain, "DNA"])
    assert (match.order, match.strangers) == (None, (0,))
