import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenotrain.grouping import plate_names
from phenotrain.matching import balanced_rows, class_weights, plate_matched_weights

LAW = settings(max_examples=25, deadline=None)
TREATMENTS = ("EMPTY", "IFN-a", "IFN-b")


def random_table(seed: int, num_plates: int = 4) -> pd.DataFrame:
    """Lay out uneven numbers of treated sites, at least one control on every plate, in random order."""
    rng = np.random.default_rng(seed)
    rows = []
    for plate in range(num_plates):
        counts = {"EMPTY": rng.integers(1, 6), "IFN-a": rng.integers(1, 4), "IFN-b": rng.integers(0, 4)}
        if plate == 0:
            counts["IFN-b"] = 1
        if plate == num_plates - 1:
            counts |= {"IFN-a": 0, "IFN-b": 0, "Other": 2}
        rows += [(f"{plate}", label) for label, count in counts.items() for _ in range(count)]
    sites = pd.DataFrame(rows, columns=["plate", "treatment"]).sample(frac=1, random_state=seed)
    sites = sites.reset_index(drop=True)
    sites["experiment"] = "E-1"
    sites["well_id"] = [f"w{number // 2}" for number in sites.index]
    return sites


@LAW
@given(st.integers(0, 2**32 - 1))
def test_controls_weigh_on_every_plate_what_the_treatment_weighs(seed):
    """On each plate and in each column, the controls' weights sum to the number of treated sites."""
    sites = random_table(seed)
    rows = np.arange(len(sites))
    weights = plate_matched_weights(sites, rows, ["IFN-a", "IFN-b"], "EMPTY")
    labels, plates = sites["treatment"].to_numpy(), plate_names(sites)
    for column, treatment in enumerate(("IFN-a", "IFN-b")):
        for plate in np.unique(plates):
            on_plate = plates == plate
            num_treated = (on_plate & (labels == treatment)).sum()
            assert weights[on_plate & (labels == "EMPTY"), column].sum() == pytest.approx(num_treated)
            assert weights[on_plate & (labels == treatment), column].sum() == num_treated
        assert (weights[~np.isin(labels, ["EMPTY", treatment]), column] == 0).all()


def test_a_plate_without_controls_is_named(screen):
    """Treated sites on a plate without a control raise an error that names the plate."""
    sites = screen(num_experiments=1)
    is_bare = (sites["plate"] == "3") & (sites["treatment"] == "EMPTY")
    rows = np.flatnonzero(~is_bare)
    with pytest.raises(ValueError, match="none on E-1 plate 3"):
        plate_matched_weights(sites, rows, ["IFN-a"], "EMPTY")
    with pytest.raises(ValueError, match="none on E-1 plate 3"):
        balanced_rows(sites, rows, TREATMENTS, "EMPTY", 0, seed=0)


@LAW
@given(st.integers(0, 2**32 - 1))
def test_every_class_has_the_same_total_weight(seed):
    """Class weights sum alike over classes, to the number of labelled rows in all."""
    sites = random_table(seed)
    weights = class_weights(sites, np.arange(len(sites)), TREATMENTS, "EMPTY")
    labels = sites["treatment"].to_numpy()
    totals = [weights[labels == name].sum() for name in TREATMENTS]
    np.testing.assert_allclose(totals, np.isin(labels, TREATMENTS).sum() / 3)


@LAW
@given(st.integers(0, 2**32 - 1))
def test_the_plate_says_nothing_about_treated_or_control(seed):
    """Under the class weights, control and treated have the same distribution over plates."""
    sites = random_table(seed)
    weights = class_weights(sites, np.arange(len(sites)), TREATMENTS, "EMPTY")
    shares = [
        pd.Series(weights[mask]).groupby(plate_names(sites)[mask]).sum() / weights[mask].sum()
        for mask in (sites["treatment"] == "EMPTY", sites["treatment"].isin(["IFN-a", "IFN-b"]))
    ]
    compared = pd.concat(shares, axis=1).fillna(0)
    np.testing.assert_allclose(compared[0], compared[1], atol=1e-12)


def test_a_class_without_sites_is_named(screen):
    """A class with no site among the rows raises an error that names it."""
    sites = screen(num_experiments=1)
    rows = np.flatnonzero(sites["treatment"] != "IFN-b")
    with pytest.raises(ValueError, match="none of IFN-b"):
        class_weights(sites, rows, TREATMENTS, "EMPTY")
    with pytest.raises(ValueError, match="none of IFN-b"):
        balanced_rows(sites, rows, TREATMENTS, "EMPTY", 3, seed=0)


@LAW
@given(st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_a_draw_holds_at_most_so_many_of_each_class(screen, sites_per_class, seed):
    """Each class gives as many distinct sites as asked, and every plate of drawn treated ones gives a control."""
    sites = screen(num_experiments=1, num_doses=2)
    rows = np.arange(len(sites))
    drawn = balanced_rows(sites, rows, TREATMENTS, "EMPTY", sites_per_class, seed)
    assert (np.diff(drawn) > 0).all()
    chosen = sites.iloc[drawn]
    is_control = chosen["treatment"] == "EMPTY"
    assert set(chosen.loc[is_control, "plate"]) == set(chosen.loc[~is_control, "plate"])
    num_controls = max(sites_per_class, chosen.loc[~is_control, "plate"].nunique())
    expected = {**dict.fromkeys(TREATMENTS, sites_per_class), "EMPTY": num_controls}
    assert chosen["treatment"].value_counts().to_dict() == expected


@LAW
@given(st.integers(0, 2**32 - 1))
def test_controls_are_drawn_in_proportion_to_the_treated_sites_of_a_plate(seed):
    """Each plate's share of the drawn controls is its share of the drawn treated sites."""
    counts = {"1": (6, 20), "2": (2, 20), "3": (0, 20)}
    rows = [
        (plate, label)
        for plate, (num_treated, num_controls) in counts.items()
        for label in ["a"] * num_treated + ["EMPTY"] * num_controls
    ]
    sites = pd.DataFrame(rows, columns=["plate", "treatment"]).assign(experiment="E-1")
    sites["well_id"] = [f"w{number}" for number in sites.index]
    drawn = sites.iloc[balanced_rows(sites, np.arange(len(sites)), ["a"], "EMPTY", 8, seed)]
    assert drawn.loc[drawn["treatment"] == "EMPTY", "plate"].value_counts().to_dict() == {"1": 6, "2": 2}


def test_a_draw_spreads_over_wells_and_depends_only_on_its_seed(screen):
    """A draw of as many sites as wells takes each well once, and only its seed changes it."""
    sites = screen(num_experiments=1)
    rows = np.arange(len(sites))
    num_wells = sites.loc[sites["treatment"] == "IFN-a", "well_id"].nunique()
    drawn = balanced_rows(sites, rows, TREATMENTS, "EMPTY", num_wells, seed=3)
    assert sites.iloc[drawn].query("treatment == 'IFN-a'")["well_id"].is_unique
    np.testing.assert_array_equal(drawn, balanced_rows(sites, rows[::-1], TREATMENTS, "EMPTY", num_wells, 3))
    assert not np.array_equal(drawn, balanced_rows(sites, rows, TREATMENTS, "EMPTY", num_wells, 4))


def test_zero_takes_every_site_that_can_be_matched(screen):
    """Asked for 0 sites a class, a draw is all treated sites and all controls on their plates."""
    sites = screen(num_experiments=1)
    drawn = balanced_rows(sites, np.arange(len(sites)), TREATMENTS, "EMPTY", 0, seed=0)
    np.testing.assert_array_equal(drawn, np.flatnonzero(sites["treatment"].isin(TREATMENTS)))
