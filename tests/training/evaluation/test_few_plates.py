"""Screens of one to six plates: which protocol is possible, what is held out, and what is named where nothing is."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenotrain.errors import ScreenError, SplitError
from phenotrain.grouping import plate_names
from phenotrain.protocols.choose import Asked, folds_of, split_of
from phenotrain.recipe import Recipe
from phenotrain.splits import DEFAULT_ORDER, MIN_PLATES_TO_LEAVE_OUT, ROLES, UNUSED, Split, notes_of
from phenotrain.task import Task

TASK = Task("EMPTY", ("EMPTY", "A", "B"))
RECIPE = Recipe(name="few", seed=3)


def screen(plates: dict[str, dict[str, int]], sites_per_well: int = 1) -> pd.DataFrame:
    """Wells by label on every plate, `experiment/plate` each, in the form of a sites table."""
    rows = []
    for name, wells in plates.items():
        experiment, plate = name.split("/")
        labels = [label for label, number in wells.items() for _ in range(number)]
        for well, label in enumerate(labels, 1):
            well_id = f"{experiment}_{plate}_A{well:02d}"
            conc = np.nan if label == "EMPTY" else 1.0
            rows += [
                (f"{well_id}_{site}", well_id, experiment, plate, f"A{well:02d}", site, label, conc)
                for site in range(1, sites_per_well + 1)
            ]
    columns = ["site_id", "well_id", "experiment", "plate", "well", "site", "treatment", "treatment_conc"]
    return pd.DataFrame(rows, columns=columns).assign(cell_type="HUVEC")


@st.composite
def few_plates(draw) -> pd.DataFrame:
    """One to six plates of one to three experiments, some without a treatment, some without controls."""
    num_plates = draw(st.integers(1, 6))
    num_experiments = draw(st.integers(1, min(3, num_plates)))
    num_wells, most_controls = draw(st.integers(1, 3)), draw(st.integers(0, 8))
    plates = {}
    for plate in range(num_plates):
        carried = draw(st.sampled_from([("A", "B")] * 6 + [("A",), ("B",), ()]))
        wells = dict.fromkeys(carried, num_wells)
        is_bare = draw(st.integers(0, 7)) == 0
        num_controls = 0 if is_bare else draw(st.integers(0, most_controls))
        # A well at least, so that the plate is in the table.
        wells["EMPTY"] = num_controls or int(not wells)
        plates[f"E{plate % num_experiments + 1}/{plate + 1}"] = wells
    return screen(plates, draw(st.integers(1, 2)))


def require_law(sites: pd.DataFrame, made: Split) -> None:
    """What every split of these screens must hold to, whatever its protocol."""
    plates, labels = plate_names(sites), sites["treatment"].to_numpy(dtype=str)
    left_out = np.isin(plates, made.description.get("left_out_plates", []))
    np.testing.assert_array_equal(made.roles == UNUSED, left_out)
    used = pd.DataFrame({"role": made.roles, "well": sites["well_id"]})[~left_out].drop_duplicates()
    assert used["well"].is_unique
    for role in ROLES:
        assert set(labels[made.roles == role]) == set(TASK.treatments)
    if made.protocol == "leave-one-plate-out":
        assert set(plates[made.roles == "test"]) == {made.tested_on}
        assert (made.roles[plates == made.tested_on] == "test").all()


def tried(sites: pd.DataFrame, asked: Asked) -> Split | ScreenError:
    """The split, or the refusal; anything else is raised."""
    try:
        return split_of(sites, TASK, RECIPE, asked)
    except ScreenError as error:
        return error


@settings(max_examples=25, deadline=None)
@given(few_plates(), st.sampled_from(["refuse", "leave-out"]))
def test_the_first_possible_protocol_is_taken_or_all_reasons_are_given(sites, without_controls):
    """Each screen is split by the first possible protocol, those before it refused when asked for, or not at all."""
    made = tried(sites, Asked(without_controls=without_controls))
    if isinstance(made, Split):
        require_law(sites, made)
        passed_over = list(made.description.get("passed_over", {}))
        assert passed_over == list(DEFAULT_ORDER[: DEFAULT_ORDER.index(made.protocol)])
        folds = [
            split for _, split in folds_of(sites, TASK, RECIPE, Asked(without_controls=without_controls))
        ]
        assert np.sum([fold.roles == "test" for fold in folds], axis=0).max() == 1
        assert {fold.protocol for fold in folds} == {made.protocol}
        for fold in folds:
            require_law(sites, fold)
    elif isinstance(made, SplitError):
        assert all(f"\n  {protocol}: " in str(made) for protocol in DEFAULT_ORDER)
        passed_over = list(DEFAULT_ORDER)
    else:
        assert re.match("The table has no|No plate carries both|No EMPTY on", str(made))
        return
    for protocol in passed_over:
        refused = tried(sites, Asked(protocol, without_controls=without_controls))
        # Of few plates whole ones are held out when that is asked for.
        assert protocol == "leave-plate-out" or isinstance(refused, SplitError)


FULL = {"EMPTY": 2, "A": 1, "B": 1}


@pytest.mark.parametrize("num_plates", [2, 3, 4, 5, 6])
def test_few_plates_are_held_out_one_by_one(num_plates):
    """From two plates to five each plate is tested once; with two, wells of the other validate, and that is said."""
    wells = {"EMPTY": 2, "A": 2, "B": 2}
    sites = screen({f"E/{plate}": wells for plate in range(1, num_plates + 1)})
    made = split_of(sites, TASK, RECIPE, Asked())
    if num_plates >= MIN_PLATES_TO_LEAVE_OUT:
        assert made.protocol == "leave-plate-out"
        return
    assert made.protocol == "leave-one-plate-out"
    assert made.tested_on == f"E plate {num_plates}"
    validated = set(plate_names(sites)[made.roles == "validation"])
    assert validated == {f"E plate {num_plates - 1}"}
    is_by_wells = "validated on wells of the other plate" in made.description["rule"]
    assert is_by_wells == (num_plates == 2)
    folds = folds_of(sites, TASK, RECIPE, Asked())
    assert [split.tested_on for _, split in folds] == [f"E plate {n}" for n in range(1, num_plates + 1)]


def test_a_plate_is_named_as_the_table_does_or_with_its_experiment():
    """`--test-plate` takes the table's name where one plate has it, else asks for the experiment; others are near."""
    sites = screen({"E1/1": FULL, "E1/2": FULL, "E2/2": FULL, "E2/3": FULL})
    for name in ("1", "E1 plate 1"):
        made = split_of(sites, TASK, RECIPE, Asked(test_plate=name))
        assert made.tested_on == "E1 plate 1"
    with pytest.raises(ScreenError, match=r"2 plates are called '2'.*'E1 plate 2'.*'E2 plate 2'"):
        split_of(sites, TASK, RECIPE, Asked(test_plate="2"))
    with pytest.raises(ScreenError, match=r"no plate '4'.*'3'"):
        split_of(sites, TASK, RECIPE, Asked(test_plate="4"))
    with pytest.raises(ScreenError, match=r"--test-plate.*leave-one-plate-out.*leave-experiment-out"):
        split_of(sites, TASK, RECIPE, Asked("leave-experiment-out", test_plate="1"))


def test_a_plate_without_a_class_trains_and_is_not_tested_on():
    """Such a plate has no fold, takes part in training, and asked for is refused with those that can be tested on."""
    sites = screen({"E/1": FULL, "E/2": {"EMPTY": 2, "A": 2}, "E/3": FULL, "E/4": FULL})
    folds = [split for _, split in folds_of(sites, TASK, RECIPE, Asked())]
    assert [split.tested_on for split in folds] == ["E plate 1", "E plate 3", "E plate 4"]
    for split in folds:
        assert set(split.roles[(sites["plate"] == "2").to_numpy()]) == {"train"}
        assert "Not tested on E plate 2: E plate 2 has no B." in notes_of(split.description)
    with pytest.raises(ScreenError, match=r"cannot test on E plate 2.*no B.*E plate 1, E plate 3, E plate 4"):
        split_of(sites, TASK, RECIPE, Asked(test_plate="2"))


def test_plates_without_controls_are_refused_by_name_or_left_out():
    """Treated plates without a control are named with the option; left out, their sites have no role and are noted."""
    sites = screen({"E/1": FULL, "E/2": FULL, "E/3": FULL, "E/4": {"A": 2, "B": 2}, "E/5": {"EMPTY": 3}})
    with pytest.raises(ScreenError, match=r"No EMPTY on E plate 4 .*`--without-controls leave-out`"):
        split_of(sites, TASK, RECIPE, Asked())
    made = split_of(sites, TASK, RECIPE, Asked(without_controls="leave-out"))
    assert set(made.roles[(sites["plate"] == "4").to_numpy()]) == {UNUSED}
    assert set(made.roles[(sites["plate"] == "5").to_numpy()]) == {"train"}
    assert notes_of(made.description)[-2:] == [
        "Left out for want of controls beside treated wells: E plate 4.",
        "Controls only, without a treated well: E plate 5.",
    ]


@pytest.mark.parametrize("without_controls", ["refuse", "leave-out"])
def test_treatments_alone_on_their_plates_are_one_sentence(without_controls):
    """Where no plate has a control beside a treatment, both options end in the sentence that says so and what to do."""
    sites = screen({"A/1": {"A": 3}, "B/1": {"B": 3}, "C/1": {"EMPTY": 3}})
    with pytest.raises(
        ScreenError, match=r"No plate carries both the control EMPTY and a treatment .A, B.*put con"
    ):
        split_of(sites, TASK, RECIPE, Asked(without_controls=without_controls))
