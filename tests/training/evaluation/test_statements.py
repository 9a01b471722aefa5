"""What reports say of small and odd screens never contradicts the table."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenotrain.calibration_check import CalibrationFindings, Share
from phenotrain.evaluate import ModelPredictions, Predictions, evaluate
from phenotrain.evaluate.confounding import accuracy_among, balanced_accuracy, confounding
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


def lonely(sites, column):
    """Whether wells of the control and of the treatments are alone in their place, where nothing tells them."""
    alone = ~sites.duplicated(column, keep=False)
    is_control = sites["treatment"] == "EMPTY"
    return bool(alone[is_control].any() and alone[~is_control].any()) or len(sites) < 4


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
    levels = {name: set(own["plate"]) for name, own in sites.groupby("treatment")}
    apart = [name for name in "ab" if not levels[name] & levels["EMPTY"]]
    named = f"{'any of ' if len(apart) > 1 else ''}{', '.join(apart)}"
    assert (f"no test plate holds both EMPTY and {named}" in text) == bool(apart)
    assert ("no test plate holds two treatments" in text) == (not levels["a"] & levels["b"])
    for place, column in (("row", "r"), ("column", "c")):
        levels = {name: set(own[column]) for name, own in sites.groupby("treatment")}
        is_apart = not levels["EMPTY"] & (levels["a"] | levels["b"])
        assert not is_apart or f"no {place} holds both EMPTY and any of a, b" in text or lonely(sites, column)
        assert f"no {place} holds both EMPTY and any of a, b" not in text or is_apart
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
        assert (
            f"this test set cannot tell the result from chance (smallest possible p {found.smallest_p:.2f})"
            in text
        )
        assert "not distinguishable" not in text


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
        "EMPTY and any of a, b; no test plate holds two treatments), this test set cannot tell the result from "
        "chance (smallest possible p 1.00), well-level balanced accuracy 1.00 [too few wells], chance 1.00, p = 1.000; "
        "the smallest class has 2 wells."
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
    sites = pd.DataFrame({"experiment": "E", "plate": "1", "treatment": ["EMPTY", "EMPTY", "a", "a"]})
    for wells, expected in (
        (["A01.a1", "A01.b1", "A01.a2", "A01.b2"], "no column holds both EMPTY and a"),
        (["A01.a1", "A01.a2", "A01.b1", "A01.b2"], "no row holds both EMPTY and a"),
    ):
        table = sites.assign(well=wells, well_id=wells)
        assert confounding(table, np.full(4, "test"), ("EMPTY", "a"), "EMPTY") == (expected,)


def layout(wells: dict[str, str]) -> pd.DataFrame:
    """A plate: its wells by treatment, separated by blanks."""
    rows = [(well, name) for name, listed in wells.items() for well in listed.split()]
    table = pd.DataFrame(rows, columns=["well", "treatment"])
    return table.assign(experiment="E", plate="1", well_id=table["well"])


def test_all_but_one_well_in_a_column_of_their_own_are_told():
    """Controls in column 1 and treated wells in column 2 but for one: 0.5 (1 + 3/4) by the column alone."""
    sites = layout({"EMPTY": "A01 B01 C01 D01", "a": "A02 B02 C02 E01"})
    assert confounding(sites, np.full(8, "test"), ("EMPTY", "a"), "EMPTY") == (
        "the column alone tells EMPTY from the treatments (balanced accuracy 0.88, chance 0.50)",
    )


def test_one_treatment_in_a_corner_is_told_by_its_name():
    """Of treatments that are spread over the plate one lies in the column of no control: it alone is named."""
    spread = {
        f"t{number}": " ".join(f"{row}{column:02d}" for row in "ABC" for column in (number, number + 1))
        for number in (1, 3)
    }
    controls = " ".join(f"{row}{column:02d}" for row in "DEF" for column in (1, 2, 3, 4))
    corner = "A12 B12 C12 D12 E12 F12"
    sites = layout({"EMPTY": controls, **spread, "x": corner})
    found = confounding(sites, np.full(len(sites), "test"), ("EMPTY", "t1", "t3", "x"), "EMPTY")
    assert "no column holds both EMPTY and x" in found


@pytest.mark.parametrize(
    ("num_controls", "num_treatments", "num_wells"), [(16, 8, 10), (8, 8, 3), (32, 1, 32)]
)
def test_wells_dealt_out_at_random_are_seldom_called_confounded(num_controls, num_treatments, num_wells):
    """Of 40 plates of 96 wells with a random layout at most 4 are told, whatever the design."""
    rng = np.random.default_rng(1)
    every = np.array([f"{row}{column:02d}" for row in "ABCDEFGH" for column in range(1, 13)], dtype=object)
    names = ["EMPTY"] * num_controls + [f"t{i}" for i in range(num_treatments) for _ in range(num_wells)]
    told = 0
    for _ in range(40):
        wells = rng.permutation(every)[: len(names)]
        sites = pd.DataFrame(
            {"experiment": "E", "plate": "1", "well": wells, "treatment": names, "well_id": wells}
        )
        treatments = ("EMPTY", *dict.fromkeys(names[num_controls:]))
        told += bool(confounding(sites, np.full(len(sites), "test"), treatments, "EMPTY"))
    assert told <= 4


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_place_by_the_others_is_worked_out_well_by_well(data):
    """Both accuracies equal a slow count: each well by the shares of the classes among all other wells of its place."""
    num = data.draw(st.integers(4, 14))
    levels = np.array(data.draw(st.lists(st.integers(0, 3), min_size=num, max_size=num)))
    is_treated = np.array([index % 2 == 0 for index in range(num)])
    right: dict[bool, list[float]] = {True: [], False: []}
    for well in range(num):
        others = np.arange(num) != well
        shares = {}
        for label in (True, False):
            of_class = others & (is_treated == label)
            shares[label] = float((levels[of_class] == levels[well]).sum()) / max(of_class.sum(), 1)
        own, other = shares[bool(is_treated[well])], shares[not is_treated[well]]
        right[bool(is_treated[well])].append(0.5 if abs(own - other) < 1e-12 else float(own > other))
    expected = np.mean([np.mean(values) for values in right.values()])
    assert balanced_accuracy(levels, is_treated[np.newaxis])[0] == pytest.approx(expected)
    names = np.where(is_treated, "a", "b")
    assert accuracy_among(levels, names, ("a", "b")) == pytest.approx(expected)


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
    findings = CalibrationFindings(
        0.9, num_of, {"all": share}, 1.0, 1.0, None, (), 1.0, 0.01, {"held-out controls": share}, None
    )
    assert f"<p>{verdict}: of {num_of} test sites" in calibration_section(findings, smallest_class).html
