import json
from pathlib import Path

import pytest

from phenoclient.stain_names import match_stains

CASES = json.loads((Path(__file__).parents[1] / "cases" / "stains.json").read_text("utf-8"))["cases"]
STAINS = ("Hoechst", "ConA", "WGA")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['stains']}: {case['names']}")
def test_names_are_read_as_the_table_says(case):
    """Names give an order, say nothing against the bundle's, or are refused: as the common table of cases says."""
    match = match_stains(case["names"], case["stains"])
    assert list(match.order or ()) == case.get("order", [])
    assert (match.refusal is not None) == case.get("refused", False)


def test_a_refusal_shows_both_readings():
    """A refusal names the channels, what they mean by name, and what they would be in the bundle's order."""
    match = match_stains(("ConA", "DAPI", ""), STAINS)
    assert match.stains == ("ConA", None, None)
    assert match.refusal == (
        "The channels are named ConA, DAPI, (blank). ConA stands where the bundle has Hoechst, and not every name "
        "means a stain. Read by their names they are ConA, ?, ?; in the bundle's order they would be Hoechst, ConA, "
        "WGA."
    )


def test_a_stain_named_twice_is_refused():
    """Two names of one stain are refused, and both are shown."""
    refusal = match_stains(("hoechst", "Hoechst 33342", "WGA"), STAINS).refusal
    assert refusal is not None
    assert "hoechst and Hoechst 33342 both mean Hoechst" in refusal


@pytest.mark.parametrize(
    ("name", "stain"),
    [
        ("Alexa Fluor™ 488 phalloidin", "Phalloidin"),
        ("Texas Red-X Phalloidin", "Phalloidin"),
        ("Wheat Germ Agglutinin, Alexa Fluor 555 Conjugate", "WGA"),
        ("MitoTracker™ Deep Red FM", "MitoTracker"),
        ("Con A-AF488", "ConA"),
        ("SYTO14 Green", "SYTO 14"),
        ("Hoechst", "Hoechst 33342"),
        ("Alexa Fluor 488", None),
        ("DAPI", None),
        ("WGA bleed-through", None),
        ("SYTO 13", None),
        ("\uff37\uff27\uff21", "WGA"),
    ],
)
def test_a_dye_is_known_written_out_and_coupled(name, stain):
    """A dye's own name means its stain whatever it is coupled to; a fluorophore alone or another dye means none."""
    stains = ("Hoechst 33342", "ConA", "SYTO 14", "WGA", "Phalloidin", "MitoTracker")
    assert match_stains((name,), stains).stains == (stain,)


def test_a_name_that_fits_two_stains_means_neither():
    """Where a dye fits two stains of the bundle the name is no match for either."""
    assert match_stains(("MitoTracker Orange",), ("MitoTracker Green", "MitoTracker Red")).stains == (None,)


def test_a_name_as_it_is_goes_first():
    """Stains that differ by case alone are told apart by names written as they are."""
    assert match_stains(("dna", "DNA"), ("DNA", "dna")).order == ("dna", "DNA")


def test_another_number_of_names_is_refused_and_still_read():
    """More names than stains give no order; which stain each means is told all the same."""
    match = match_stains(("Brightfield", "WGA", "ConA", "Hoechst"), STAINS)
    assert match.order is None
    assert match.refusal is not None
    assert match.stains == (None, "WGA", "ConA", "Hoechst")
