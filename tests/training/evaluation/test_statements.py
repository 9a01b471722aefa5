"""What reports say of small and odd screens never contradicts the table."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenotrain.calibration_check import CalibrationFindings, Share
from phenotrain.evaluate import ModelPredictions, Predictions, evaluate
from phenotrain.evaluate.confounding import confounding
from phenotrain.evaluate.predictions import INTENSITY
from phenotrain.report.calibration import calibration_section

CLASSES = ("EMPTY", "a", "b")


@pytest.fixture(autouse=True, scope="module")
def _few_draws():
    """The sentences do not depend on how many draws there are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("phenotrain.evaluate.draws.NUM_DRAWS", 39)
        patch.setattr("phenotrain.evaluate.draws.NUM_PERMUTATIONS", 199)
        yield


@st.composite
def small_screens(draw):
    """One to three plates of 4 x 6 wells, a class in one to twelve of them, scattered or in columns of its own."""
    rows = []
    in_columns = draw(st.booleans())
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    num_plates = draw(st.integers(1, 3))
    for number, name in enumerate(CLASSES):
        for plate in draw(st.sets(st.integers(1, num_plates), min_size=1)):
            free = [(r, c) for r in range(4) for c in range(number * 2, number * 2 + 2)]
            if not in_columns:
                taken = {(row[3], row[4]) for row in rows if row[1] == str(plate)}
                free = [(r, c) for r in range(4) for c in range(6) if (r, c) not in taken]
            places = rng.permutation(len(free))[: draw(st.integers(1, 4))]
            rows += [("E", str(plate), name, *free[place]) for place in places]
    table = pd.DataFrame(rows, columns=["experiment", "plate", "treatment", "r", "c"])
    wells = [f"{'ABCD'[r]}{c + 1:02d}" for r, c in zip(table["r"], table["c"], strict=True)]
    return table.assign(
        well=wells, well_id=table["plate"] + "_" + np.array(wells, dtype=object), treatment_conc=np.nan
    )


def predictions(num_sites, seed):
    rng = np.random.default_rng(seed)
    drawn = rng.dirichlet([0.3] * 3, size=(2, num_sites))
    return Predictions({"classifier": ModelPredictions(drawn[0]), INTENSITY: ModelPredictions(drawn[1])})


@settings(max_examples=60, deadline=None)
@given(small_screens(), st.integers(0, 999))
def test_the_headline_never_contradicts_the_table(sites, seed):
    """Confounding is told where, and only where, it is; few wells are counted, and carry neither interval nor lead."""
    roles = np.full(len(sites), "test")
    metrics = evaluate(sites, roles, CLASSES, "EMPTY", predictions(len(sites), seed), num_top_doses=0, seed=0)
    text = metrics.headline
    scored = sites[
        (sites["treatment"] != "EMPTY") | sites["plate"].isin(sites["plate"][sites["treatment"] != "EMPTY"])
    ]
    for place, column in (("test plate", "plate"), ("row", "r"), ("column", "c")):
        levels = {name: set(own[column]) for name, own in sites.groupby("treatment")}
        apart = [name for name in "ab" if not levels[name] & levels["EMPTY"]]
        named = f"{'any of ' if len(apart) > 1 else ''}{', '.join(apart)}"
        assert (f"no {place} holds both EMPTY and {named}" in text) == bool(apart)
        assert (f"no {place} holds two treatments" in text) == (not levels["a"] & levels["b"])
    found = metrics.test.classified("classifier", "well")
    smallest = found.smallest_class
    if found.num_units == len(scored):
        assert smallest == scored["treatment"].value_counts().min()
    assert ("the smallest class has" in text) == (smallest < 10)
    if smallest < 10:
        assert "does not beat" not in text
        assert " above " not in text
    assert ("[too few wells]" in text) == (smallest < 3)
    assert (found.balanced_accuracy.interval is None) == (smallest < 3)
    assert found.p_value >= found.smallest_p - 1e-12
    if found.smallest_p > 0.05:
        assert f"their smallest p is {found.smallest_p:.2f}" in text


def test_one_class_a_plate_can_give_no_p():
    """Where every plate holds one class, no exchange changes anything: p is 1, and the headline says it must be."""
    sites = pd.DataFrame(
        {"experiment": "E", "plate": list("112233"), "treatment": ["EMPTY", "EMPTY", "a", "a", "b", "b"]}
    )
    wells = np.array(["A01", "A02"] * 3, dtype=object)
    sites = sites.assign(well=wells, well_id=sites["plate"] + wells, treatment_conc=np.nan)
    truth = np.eye(3)[[0, 0, 1, 1, 2, 2]]
    metrics = evaluate(
        sites,
        np.full(6, "test"),
        CLASSES,
        "EMPTY",
        Predictions({"classifier": ModelPredictions(truth)}),
        num_top_doses=0,
        seed=0,
    )
    assert metrics.headline == (
        "Held-out experiment E, all doses: classes confounded with where their wells lie (no test plate holds both "
        "EMPTY and any of a, b; no test plate holds two treatments), not distinguishable from chance (no answers on "
        "these wells could be: their smallest p is 1.00), well-level balanced accuracy 1.00 [too few wells], chance "
        "1.00, p = 1.000; the smallest class has 2 wells."
    )


def test_positions_that_repeat_from_plate_to_plate_are_told():
    """Two plates of one layout whose rows and columns are shared: only the positions tell the classes apart."""
    wells = np.array(["A01", "B02", "A02", "B01"] * 2, dtype=object)
    sites = pd.DataFrame(
        {
            "experiment": "E",
            "plate": list("11112222"),
            "well": wells,
            "treatment": ["EMPTY", "EMPTY", "a", "a"] * 2,
        }
    )
    sites = sites.assign(well_id=sites["plate"] + wells)
    roles = np.full(8, "test")
    assert confounding(sites, roles, ("EMPTY", "a"), "EMPTY") == ("no position holds both EMPTY and a",)
    swapped = sites.assign(treatment=["EMPTY", "EMPTY", "a", "a", "a", "a", "EMPTY", "EMPTY"])
    assert confounding(swapped, roles, ("EMPTY", "a"), "EMPTY") == ()
    assert confounding(sites[:4], roles[:4], ("EMPTY", "a"), "EMPTY") == ()


def test_wells_of_1536_have_rows_and_columns_of_their_own():
    """A01.a1 and A01.a2 share a row and not a column, A01.a1 and A01.b1 a column and not a row."""
    sites = pd.DataFrame({"experiment": "E", "plate": "1", "treatment": ["EMPTY", "a"]})
    for wells, expected in (
        (["A01.a1", "A01.a2"], "no column holds both EMPTY and a"),
        (["A01.a1", "A01.b1"], "no row holds both EMPTY and a"),
    ):
        table = sites.assign(well=wells, well_id=wells)
        assert confounding(table, np.full(2, "test"), ("EMPTY", "a"), "EMPTY") == (expected,)


@pytest.mark.parametrize(
    ("num", "num_of", "smallest_class", "verdict"),
    [
        (90, 100, 20, "The prediction sets keep their word"),
        (70, 100, 20, "The prediction sets hold the true treatment less often than they state"),
        (100, 100, 20, "The prediction sets hold the true treatment more often than they state"),
        (70, 100, 9, "The smallest class has 9 wells, too few to judge the prediction sets by"),
    ],
)
def test_coverage_is_judged_by_its_interval_and_enough_wells(num, num_of, smallest_class, verdict):
    """Stated 90 %: more than that breaks no word, less does, and few wells judge nothing."""
    share = Share.of(np.arange(num_of) < num)
    findings = CalibrationFindings(0.9, {"all": share}, 1.0, 1.0, (), 1.0, 0.01, {"held-out controls": share})
    assert f"<p>{verdict}: of {num_of} test sites" in calibration_section(findings, smallest_class).html
