import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenotrain.doses import dose_rank
from phenotrain.errors import SplitError
from phenotrain.grouping import natural_order, plate_names
from phenotrain.splits import PROTOCOLS, ROLES, UNUSED, fold_splits, split_sites

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


GROUP_OF = {
    "leave-experiment-out": lambda sites: sites["experiment"],
    "leave-plate-out": plate_names,
    "leave-one-plate-out": plate_names,
    "leave-well-out": lambda sites: sites["well_id"],
}
HONEST = tuple(protocol for protocol in PROTOCOLS if protocol != "reference")


def possible_folds(sites, protocol, seed):
    """The folds of a protocol; none where it is refused."""
    try:
        return fold_splits(
            sites,
            control="EMPTY",
            treatments=TREATMENTS,
            seed=seed,
            test_fraction=0.25,
            validation_fraction=0.2,
            protocol=protocol,
        )
    except SplitError:
        return []


@LAW
@given(SHAPES, st.sampled_from(HONEST), st.integers(0, 2**32 - 1))
def test_nothing_that_is_fitted_on_shares_a_group_with_the_test_set(screen, shape, protocol, seed):
    """Under every honest protocol and in all its folds, train and validation share no group with test."""
    sites = screen(**shape)
    folds = possible_folds(sites, protocol, seed)
    tested = np.zeros(len(sites), dtype=int)
    for made in folds:
        groups = np.asarray(GROUP_OF[protocol](sites))
        assert not set(groups[made.roles == "test"]) & set(groups[made.roles != "test"])
        # Validation shares nothing with training that is smaller than a plate (by plate or experiment) or a well.
        by_well = protocol == "leave-well-out" or "validated on wells" in made.description["rule"]
        finer = sites["well_id"].to_numpy() if by_well else plate_names(sites)
        assert not set(finer[made.roles == "validation"]) & set(finer[made.roles == "train"])
        assert made.description["leaks"] is False
        tested += made.roles == "test"
    assert tested.max() <= 1
    if folds and protocol in {"leave-experiment-out", "leave-one-plate-out"}:
        assert tested.min() == 1


def test_three_experiments_validate_on_one_and_each_does_once(screen):
    """With three experiments, every fold trains, validates and tests on whole experiments, each in every role once."""
    sites = screen(num_experiments=3)
    folds = fold_splits(
        sites, control="EMPTY", treatments=TREATMENTS, seed=0, test_fraction=0.25, validation_fraction=0.2
    )
    for role in ROLES:
        held = [set(sites.loc[made.roles == role, "experiment"]) for made in folds]
        assert sorted(name for names in held for name in names) == ["E-1", "E-2", "E-3"]
        assert all(len(names) == 1 for names in held)


@LAW
@given(st.integers(0, 2**32 - 1), st.randoms(use_true_random=False))
def test_the_reference_split_leaks_wells_and_says_so(screen, seed, random):
    """Under `reference`, test wells are training wells; the description counts them, whatever the order of rows."""
    sites = screen(sites_per_well=4, wells_per_treatment=6)
    order = list(range(len(sites)))
    random.shuffle(order)
    sites = sites.iloc[order].reset_index(drop=True)
    made = split(sites, seed, treatments=("IFN-a",), protocol="reference")
    wells = sites["well_id"].to_numpy()
    shared = np.isin(wells[made.roles == "test"], wells[made.roles == "train"])
    assert shared.any()
    assert made.description["leaks"] is True
    assert made.description["num_test_sites_of_training_wells"] == shared.sum()
    assert f"{shared.sum()} of {len(shared)} test sites" in made.description["why_it_leaks"]
    assert made.description["num_sites"][UNUSED] == (made.roles == UNUSED).sum()
    in_order = split(
        sites.sort_values("site_id", ignore_index=True), seed, treatments=("IFN-a",), protocol="reference"
    )
    np.testing.assert_array_equal(
        in_order.roles, made.roles[np.argsort(sites["site_id"].to_numpy(dtype=str))]
    )


def test_the_reference_split_has_the_reference_projects_numbers(screen):
    """From classes of 287 sites or more it draws 287 each and deals them 344 / 115 / 115, evenly by class."""
    sites = screen(num_doses=6, wells_per_treatment=6, sites_per_well=2)
    assert (sites["treatment"] == "IFN-a").sum() == 288
    made = split(sites, treatments=("EMPTY", "IFN-a"), protocol="reference")
    assert {role: made.description["num_sites"][role] for role in ROLES} == {
        "train": 344,
        "validation": 115,
        "test": 115,
    }
    for role, number in (("train", 172), ("validation", 57.5), ("test", 57.5)):
        counts = [made.description["num_sites_of_class"][name][role] for name in ("EMPTY", "IFN-a")]
        assert counts == pytest.approx([number, number], abs=0.6)
    with pytest.raises(ValueError, match="one treatment at a time"):
        split(sites, protocol="reference")
    with pytest.raises(ValueError, match="10 sites or more of a class"):
        split(
            screen(num_experiments=1, num_doses=1, plates_per_dose=1),
            treatments=("IFN-a",),
            protocol="reference",
        )


def test_nested_doses_are_detected_and_mixed_ones_are_not(screen):
    """Doses on plates of their own are called nested; one plate with two doses, or a single dose, is not."""
    nested = split(screen(num_doses=3)).description["dose_nesting"]
    assert nested["is_nested"]
    assert [group["doses"] for group in nested["groups"]] == [[0.1], [0.01], [0.001]]
    assert nested["groups"][0]["plates"] == [f"E-{e} plate {p}" for e in (1, 2) for p in (1, 2)]
    assert "nested in plates" in nested["statement"]
    mixed = screen(num_doses=2)
    first = mixed.index[(mixed["treatment"] == "IFN-a") & (mixed["plate"] == "1")]
    wells = mixed.loc[first, "well_id"].unique()[:1]
    mixed.loc[mixed["well_id"].isin(wells), "treatment_conc"] = 0.01
    found = split(mixed).description["dose_nesting"]
    assert not found["is_nested"]
    assert found["statement"].startswith("Doses are nested in plates for IFN-b alone: 1 plate carries more")
    single = split(screen(num_doses=1)).description["dose_nesting"]
    assert not single["is_nested"]
    assert "No learned treatment has more than one" in single["statement"]


def test_controls_are_counted_on_every_plate_of_every_role(screen):
    """Per plate and role the description counts control and treated wells, and marks treated wells without control."""
    sites = screen(num_experiments=1, num_doses=3, plates_per_dose=2, unlabelled=())
    made = split(sites)
    counted = made.description["controls_by_plate"]
    assert [entry["plate"] for entry in counted] == [f"E-1 plate {n}" for n in range(1, 7)]
    assert {(entry["num_control_wells"], entry["num_treated_wells"]) for entry in counted} == {(6, 6)}
    assert all(entry["is_matched"] for entry in counted)
    bare = sites[(sites["treatment"] != "EMPTY") | (sites["plate"] != "3")].reset_index(drop=True)
    lonely = [e for e in split(bare).description["controls_by_plate"] if not e["is_matched"]]
    assert [entry["plate"] for entry in lonely] == ["E-1 plate 3"]


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
    swapped = split(sites, protocol="leave-experiment-out", tested_on="E-1")
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
    """In one experiment of three plates or more, plates stay whole and no dose is only held out."""
    sites = screen(num_experiments=1, num_doses=num_doses, plates_per_dose=plates_per_dose)
    made = split(sites, seed)
    expected = "leave-plate-out" if num_doses * plates_per_dose >= 7 else "leave-one-plate-out"
    assert made.protocol == expected
    ranks = dose_rank(sites, "EMPTY")
    assert set(ranks[made.roles == "train"][~np.isnan(ranks[made.roles == "train"])]) == set(
        range(1, num_doses + 1)
    )
    if num_doses * plates_per_dose > 2:
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


def test_a_treatment_of_one_experiment_makes_the_next_protocol_the_first_possible(screen):
    """A treatment that lies in one experiment only is named; asked for, the protocol is refused with the ways out."""
    sites = screen()
    sites = sites[(sites["treatment"] != "IFN-b") | (sites["experiment"] == "E-1")].reset_index(drop=True)
    reason = "IFN-b is in fewer than 2 experiments"
    with pytest.raises(SplitError, match=f"{reason}. Possible are: leave-plate-out, leave-one-plate-out"):
        split(sites, protocol="leave-experiment-out")
    made = split(sites)
    assert made.protocol == "leave-plate-out"
    assert made.description["passed_over"] == {"leave-experiment-out": reason}


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
        ({"protocol": "leave-experiment-out", "tested_on": "E-9"}, "Received: 'E-9'"),
        ({"treatments": ("EMPTY",)}, "at least one treatment"),
        ({"protocol": "leave-well-out", "tested_on": "E-1"}, "nothing to test on"),
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
def test_every_protocol_fits_the_real_rxrx2_metadata(data_root):
    """On RxRx2 all protocols give whole groups, matched controls on all 24 plates, and the doses' plate pairs."""
    sites = pd.read_csv(data_root / "rxrx2" / "metadata.csv", dtype={"plate": str}, keep_default_na=True)
    treatments = ("IFN-alpha-A", "IFNB-1", "IFN-gamma", "IFN-omega")
    num_folds = {"leave-experiment-out": 2, "leave-plate-out": 1, "leave-well-out": 1, "reference": 1}
    num_folds["leave-one-plate-out"] = 24
    for protocol, number in num_folds.items():
        folds = fold_splits(
            sites,
            control="EMPTY",
            treatments=treatments[:1] if protocol == "reference" else treatments,
            seed=42,
            test_fraction=0.4,
            validation_fraction=0.2,
            protocol=protocol,
        )
        assert len(folds) == number
        for made in folds:
            nesting = made.description["dose_nesting"]
            assert nesting["is_nested"]
            assert [group["doses"] for group in nesting["groups"]] == [
                [0.1],
                [0.01],
                [1e-3],
                [1e-4],
                [1e-5],
                [1e-6],
            ]
            assert [group["plates"] for group in nesting["groups"]] == [
                [f"HUVEC-{e} plate {p}" for e in (1, 2) for p in (2 * k - 1, 2 * k)] for k in range(1, 7)
            ]
            if protocol == "reference":
                assert made.description["num_sites"]["train"] == 344
                assert made.description["leaks"]
                continue
            groups = np.asarray(GROUP_OF[protocol](sites))
            assert not set(groups[made.roles == "test"]) & set(groups[made.roles != "test"])
            counted = made.description["controls_by_plate"]
            assert all(entry["is_matched"] for entry in counted)
            assert sum(entry["num_control_wells"] for entry in counted) == 1896
            assert sum(entry["num_treated_wells"] for entry in counted) == 4 * 72
            wells = made.description["num_wells"]["IFN-gamma"]
            assert sum(wells.values()) == 72
            if protocol == "leave-experiment-out":
                assert wells == {"test": 36, "train": 18, "validation": 18}


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
