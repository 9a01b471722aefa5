import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phenoclient.napari.matching import BY_NAMES, BY_PLACE, propose

CASES = json.loads((Path(__file__).parents[2] / "cases" / "stains.json").read_text("utf-8"))["cases"]
# A channel of a file is a plane to send; of the layers that are open some may stay out.
PLANE_CASES = [case for case in CASES if len(case["names"]) in {0, len(case["stains"])}]
DYES = ["Hoechst", "ConA", "Phalloidin", "Syto14", "MitoTracker", "WGA"]
names_or_stains = st.sampled_from([*DYES, "SYTO 14", "WGA-Alexa Fluor 555", "DNA and ER"]) | st.text(
    "dnaer1 _", max_size=6
)


@pytest.mark.parametrize("case", PLANE_CASES, ids=lambda case: f"{case['stains']}: {case['names']}")
def test_names_are_read_as_everywhere(case):
    """Names propose the planes that the common table says, the bundle's order, or what they tell with both readings."""
    stains, names = case["stains"], case["names"]
    found = propose(stains, names)
    if "order" in case:
        assert found.origin == BY_NAMES
        assert found.planes == tuple(case["order"].index(stain) for stain in stains)
    elif case.get("refused"):
        assert found.origin is None
        assert None in found.planes
        assert all(name in found.advice for name in [*names, *stains])
    elif names:
        assert (found.origin, found.planes) == (BY_PLACE, tuple(range(len(stains))))
    else:
        assert (found.origin, set(found.planes)) == (None, {None})


@pytest.mark.parametrize("prefix", ["plate.ome.tif: ", "Image 3 :: 20x ", "c1_"])
def test_words_that_all_names_share_tell_nothing(prefix):
    """What a reader puts before or behind the name of every channel is passed over, whatever their order."""
    names = [f"{prefix}{name} raw" for name in ("Hoechst 33342", "SYTO 14", "wga")]
    for order in ((0, 1, 2), (2, 0, 1)):
        found = propose(["Hoechst", "Syto14", "WGA"], [names[index] for index in order])
        assert (found.origin, found.planes) == (BY_NAMES, tuple(order.index(stain) for stain in range(3)))


def test_more_layers_than_stains_are_told_by_their_names_alone():
    """Beside a mask each stain has the layer that is named for it; what no name tells, or two do, is left open."""
    assert propose(["DNA", "RNA"], ["mask", "rna", "DNA"]).planes == (2, 1)
    assert propose(["DNA", "RNA"], ["mask", "rna", "x"]).planes == (None, 1)
    assert propose(["DNA", "RNA"], ["DNA", "dna", "rna"]).planes == (None, 2)
    found = propose(["DNA", "RNA"], ["Image [0]", "Image [1]", "Image [2]"])
    assert (found.origin, found.planes) == (None, (None, None))
    assert "3 planes are open and the bundle takes 2" in found.advice


def test_no_stain_is_what_is_left_over():
    """One name that stands at another stain's place rules out the order, and the other is not told by elimination."""
    assert propose(["DNA", "RNA"], ["Image", "DNA"]).planes == (1, None)


@given(st.lists(st.sampled_from(DYES), unique=True, max_size=7), st.lists(names_or_stains, max_size=7))
def test_no_name_is_given_to_two_stains(stains, names):
    """Each stain gets one name or none, and no name is given twice, whatever the names."""
    found = propose(stains, names).planes
    assert len(found) == len(stains)
    taken = [index for index in found if index is not None]
    assert len(set(taken)) == len(taken)
    assert all(0 <= index < len(names) for index in taken)
