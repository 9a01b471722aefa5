import pytest
from hypothesis import given
from hypothesis import strategies as st

from phenoclient.napari.matching import match, propose

DYES = ["Hoechst", "ConA", "Phalloidin", "Syto14", "MitoTracker", "WGA"]
PARTS = ["DNA", "ER", "Actin", "RNA", "Mito", "Golgi"]
names_or_stains = st.sampled_from([*DYES, *PARTS, "DNA mask", "Mito 2", "DNA and ER"]) | st.text(
    "dnaer1 _", max_size=6
)


@pytest.mark.parametrize(
    "names",
    [
        DYES,
        PARTS,
        ["hoechst 33342", "Concanavalin A", "phalloidin-568", "SYTO 14", "mito_tracker", "wga"],
        ["w1 DAPI", "w2 ER", "w3 actin", "w4 RNA", "w5 Mitochondria", "w6 Golgi"],
        ["plate.ome.tif: DNA", "plate.ome.tif: ER", "plate.ome.tif: Actin", "p: RNA", "p: Mito", "p: WGA"],
    ],
)
@pytest.mark.parametrize("stains", [DYES, PARTS])
def test_usual_names_are_understood(stains, names):
    """Dyes and what they bind, with and without what instruments add, are matched both ways, whatever their order."""
    assert match(stains, names) == [0, 1, 2, 3, 4, 5]
    assert match(stains, names[::-1]) == [5, 4, 3, 2, 1, 0]


def test_what_fits_twice_is_left_to_the_user():
    """Where two names fit a stain, or one name two stains, nothing is chosen for it."""
    assert match(["DNA", "ER"], ["DNA raw", "DNA smooth", "ER"]) == [None, 2]
    assert match(["DNA", "ER"], ["DNA and ER", "x", "y"]) == [None, None]


def test_an_exact_name_goes_first():
    """A name that is the stain's is taken, though others hold it."""
    assert match(["DNA", "RNA"], ["DNA mask", "DNA", "RNA"]) == [1, 2]


def test_letters_inside_a_word_are_no_name():
    """`ER` is not found in `layer`."""
    assert match(["ER", "DNA"], ["layer", "DNA", "x"]) == [None, 1]


def test_unknown_names_are_proposed_in_order():
    """As many names as stains, none of them known, are proposed in their order; fewer or more are not, nor matched."""
    assert propose(["A1", "B2"], ["Image", "Image [1]"]) == [0, 1]
    assert propose(["A1", "B2"], ["Image", "Image [1]", "Image [2]"]) == [None, None]
    assert propose(["A1", "B2"], []) == [None, None]
    assert match(["A1", "B2"], ["Image", "Image [1]"]) == [None, None]


def test_one_known_name_rules_out_the_order():
    """Where some names are known, the others are not guessed from their order."""
    assert propose(["DNA", "RNA"], ["Image", "DNA"]) == [1, None]


@given(st.lists(names_or_stains, max_size=7), st.lists(names_or_stains, max_size=7))
def test_no_name_is_given_to_two_stains(stains, names):
    """Each stain gets one name or none, and no name is given twice, whatever the names."""
    found = propose(stains, names)
    assert len(found) == len(stains)
    taken = [index for index in found if index is not None]
    assert len(set(taken)) == len(taken)
    assert all(0 <= index < len(names) for index in taken)
