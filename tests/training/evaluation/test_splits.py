import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenotrain.doses import dose_rank
from phenotrain.grouping import natural_order, plate_names
from phenotrain.splits import ROLES, split_sites

LAW = settings(max_examples=25, deadline=None)
TREATMENTS = ("IFN-a", "IFN-b")


def split(sites, seed=0, **changes):
    arguments = {
        "control": "EMPTY",
        "treatments": TREATMENTS,
        "seed": seed,
        "test_fraction": 0.25,
        "validation_fraction": 0.2,
    }
    return split_sites(sites, **(arguments | changes))


def assert_no_group_on_two_sides(roles, groups):
    assert pd.DataFrame({"role": roles, "group": groups}).drop_duplicates()["group"].is_unique


SHAPES = st.fixed_dictionaries(
    {
        "num_experiments": st.integers(1, 3),
        "num_doses": st.integers(1, 3),
        "plates_per_dose": st.integers(1, 3),
        "wells_per_treatment": st.integers(3, 5),
        "num_controls": st.integers(3, 7),
    }
)


@LAW
@given(SHAPES, st.integers(0, 2**32 - 1))
def test_no_well_is_on_two_sides_and_every_role_has_every_class(screen, shape, seed):
    """Whatever the screen, each well has one role, and each role holds each treatment and the control."""
    sites = screen(**shape)
    if shape["num_experiments"] == 2 and shape["num_doses"] * shape["plates_per_dose"] == 1:
        with pytest.raises(ValueError, match="no EMPTY in validation"):
            split(sites, seed)
        return
    roles = split(sites, seed).roles
    assert_no_group_on_two_sides(roles, sites["well_id"])
    for role in ROLES:
        assert {"EMPTY", *TREATMENTS} <= set(sites.loc[roles == role, "treatment"])


@LAW
@given(SHAPES, st.integers(0, 2**32 - 1), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(screen, shape, seed, random):
    """A split of shuffled rows gives every site the role it had, and the same seed the same split."""
    sites = screen(**(shape | {"num_experiments": 1}))
    order = list(range(len(sites)))
    random.shuffle(order)
    shuffled = sites.iloc[order].reset_index(drop=True)
    np.testing.assert_array_equal(split(shuffled, seed).roles, split(sites, seed).roles[order])


def test_two_experiments_are_split_as_the_science_page_says(screen):
    """The last experiment tests, the even plates of the other validate, its odd plates train."""
    sites = screen(num_doses=6)
    made = split(sites)
    assert made.protocol == "leave-experiment-out"
    expected = np.where(
        sites["experiment"] == "E-2",
        "test",
        np.where(sites["plate"].astype(int) % 2 == 0, "validation", "train"),
    )
    np.testing.assert_array_equal(made.roles, expected)
    swapped = split(sites, test_experiment="E-1")
    assert set(sites.loc[swapped.roles == "test", "experiment"]) == {"E-1"}


def test_every_dose_validates_and_trains_where_it_has_two_plates(screen):
    """With a pair of plates a dose, train, validation and test each hold every dose."""
    sites = screen(num_doses=6)
    made = split(sites)
    ranks = dose_rank(sites, "EMPTY")
    for role in ROLES:
        assert set(ranks[(made.roles == role) & ~np.isnan(ranks)]) == {1, 2, 3, 4, 5, 6}


@LAW
@given(st.integers(1, 4), st.integers(2, 4), st.integers(0, 2**32 - 1))
def test_held_out_plates_leave_every_dose_in_training(screen, num_doses, plates_per_dose, seed):
    """In one experiment of four plates or more, plates stay whole and no dose is only held out."""
    sites = screen(num_experiments=1, num_doses=num_doses, plates_per_dose=plates_per_dose)
    made = split(sites, seed)
    expected = "leave-plate-out" if num_doses * plates_per_dose >= 4 else "leave-well-out"
    assert made.protocol == expected
    ranks = dose_rank(sites, "EMPTY")
    assert set(ranks[made.roles == "train"][~np.isnan(ranks[made.roles == "train"])]) == set(
        range(1, num_doses + 1)
    )
    if expected == "leave-plate-out":
        assert_no_group_on_two_sides(made.roles, plate_names(sites))


@LAW
@given(st.integers(3, 40), st.integers(3, 40), st.integers(0, 2**32 - 1))
def test_one_plate_is_dealt_by_well_in_the_asked_shares(screen, num_treated, num_controls, seed):
    """On one plate every treatment's wells meet the fractions to within one well, and no role is empty."""
    sites = screen(
        num_experiments=1,
        num_doses=1,
        plates_per_dose=1,
        wells_per_treatment=num_treated,
        num_controls=num_controls,
    )
    made = split(sites, seed)
    assert made.protocol == "leave-well-out"
    for name, total in ((TREATMENTS[0], num_treated), ("EMPTY", num_controls)):
        counts = made.description["num_wells"][name]
        assert sum(counts.values()) == total
        for role, fraction in (("test", 0.25), ("validation", 0.2)):
            assert counts[role] >= 1
            assert abs(counts[role] - fraction * total) <= 1


def test_dealing_by_well_spreads_over_series_and_dose(screen):
    """Wells of one treatment that differ in series and dose are held out from all of them, not from one."""
    sites = screen(
        num_experiments=1, num_doses=1, plates_per_dose=1, wells_per_treatment=24, sites_per_well=1
    )
    sites["series"] = np.where(sites.index % 2 == 0, "Wortmannin", "LY294002")
    made = split(sites, test_fraction=0.25, validation_fraction=0.25)
    held_out = sites[(made.roles == "test") & (sites["treatment"] == "IFN-a")]
    assert held_out["series"].value_counts().to_dict() == {"Wortmannin": 3, "LY294002": 3}


def test_unlabelled_treatments_follow_the_same_groups(screen):
    """Sites of treatments that are not learned get the role of their plate and are counted apart."""
    sites = screen()
    made = split(sites)
    assert_no_group_on_two_sides(made.roles, plate_names(sites))
    assert made.description["num_unlabelled_sites"] == {"test": 36, "train": 18, "validation": 18}


def test_the_description_counts_what_the_split_did_and_is_json(screen):
    """The description survives JSON, names every plate once and counts every labelled well."""
    sites = screen()
    made = split(sites)
    assert json.loads(json.dumps(made.description)) == made.description
    plates = [plate for names in made.description["plates"].values() for plate in names]
    assert natural_order(plates) == natural_order(plate_names(sites))
    assert len(plates) == len(set(plates))
    assert sum(made.description["num_sites"].values()) == len(sites)
    assert made.description["num_wells"]["EMPTY"] == {"test": 36, "train": 18, "validation": 18}


def test_a_role_without_a_treatment_is_refused_with_the_way_out(screen):
    """A treatment that lies in one experiment only is named, with the role that misses it and what to do."""
    sites = screen()
    sites = sites[(sites["treatment"] != "IFN-b") | (sites["experiment"] == "E-1")].reset_index(drop=True)
    with pytest.raises(ValueError, match=r"no IFN-b in test\. .*leave-plate-out"):
        split(sites)


def test_a_named_protocol_overrides_the_size_of_the_screen(screen):
    """Two experiments may be split by plate or by well when asked."""
    sites = screen()
    assert split(sites, protocol="leave-plate-out").protocol == "leave-plate-out"
    by_well = split(sites, protocol="leave-well-out")
    assert_no_group_on_two_sides(by_well.roles, sites["well_id"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test_fraction": 0.0}, "between 0 and 1"),
        ({"test_fraction": 0.6, "validation_fraction": 0.4}, "sum below 1"),
        ({"test_experiment": "E-9"}, "Received: 'E-9'"),
        ({"treatments": ("EMPTY",)}, "at least one treatment"),
        ({"protocol": "leave-well-out", "test_experiment": "E-1"}, "no test_experiment"),
    ],
)
def test_a_request_that_cannot_be_met_says_why(screen, changes, message):
    """A fraction, experiment or treatment list out of range is refused with what was passed."""
    with pytest.raises(ValueError, match=message):
        split(screen(), **changes)


@pytest.mark.parametrize(("column", "value"), [("plate", "77"), ("treatment", "IFN-b")])
def test_a_well_is_one_well(screen, column, value):
    """A well_id on two plates or with two treatments is refused by name."""
    sites = screen()
    row = sites.index[sites["treatment"] == "IFN-a"][0]
    sites.loc[row, column] = value
    with pytest.raises(ValueError, match=f"one {column}.*{sites.loc[row, 'well_id']}"):
        split(sites)


@pytest.mark.data
def test_real_rxrx2_is_split_by_experiment_and_even_plates(data_root):
    """RxRx2 is tested on HUVEC-2, validated on HUVEC-1's even plates, with every dose on each side."""
    sites = pd.read_csv(data_root / "rxrx2" / "metadata.csv", dtype={"plate": str}, keep_default_na=True)
    treatments = ("IFN-alpha-A", "IFNB-1", "IFN-gamma", "IFN-omega")
    made = split(sites, treatments=treatments)
    assert made.description["test_experiment"] == "HUVEC-2"
    assert set(made.description["plates"]["validation"]) == {f"HUVEC-1 plate {n}" for n in range(2, 13, 2)}
    assert made.description["num_wells"]["IFN-gamma"] == {"test": 36, "train": 18, "validation": 18}
    ranks = dose_rank(sites, "EMPTY")
    for role in ROLES:
        is_here = (made.roles == role) & sites["treatment"].isin(treatments).to_numpy()
        assert set(ranks[is_here]) == {1, 2, 3, 4, 5, 6}
