"""Which sites a bundle was tested on, from its manifest and the screen's table."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from tests.tiny_bundle import tiny_contents

from phenoserve.bundle import write_bundle
from phenotrain.learned_wells import learned_wells
from phenotrain.profiles.screen_roles import roles_of
from phenotrain.splits import split_sites


def plate(treatments: tuple[str, ...], control: str, num_wells: int = 6) -> pd.DataFrame:
    """One plate with so many wells of each treatment, two sites a well."""
    wells = [name for name in (control, *treatments) for _ in range(num_wells)]
    rows = [
        {
            "site_id": f"w{index}s{site}",
            "well_id": f"w{index}",
            "experiment": "one",
            "plate": "1",
            "well": f"A{index:02}",
            "site": site,
            "cell_type": "HUVEC",
            "treatment": name,
            "treatment_conc": 0.0 if name == control else 1.0,
        }
        for index, name in enumerate(wells)
        for site in (1, 2)
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def trained(tmp_path):
    """A bundle that held out wells of one plate, that plate, and the roles of its sites."""
    contents = tiny_contents()
    control, *treatments = contents.treatments
    sites = plate(tuple(treatments), control)
    split = split_sites(
        sites, control=control, treatments=treatments, seed=5, test_fraction=0.4, validation_fraction=0.2
    )
    assert split.protocol == "leave-well-out"
    stated = contents.provenance.model_copy(
        update={"split": {**split.description, "learned_wells": learned_wells(sites, split.roles)}}
    )
    return (
        write_bundle(tmp_path / "bundle", dataclasses.replace(contents, provenance=stated)),
        sites,
        split.roles,
    )


def test_wells_that_were_held_out_are_found_again(trained):
    """Drawn anew from the manifest and a table in any order, every site has the role it had."""
    bundle, sites, roles = trained
    np.testing.assert_array_equal(roles_of(bundle, sites)[0], roles)
    order = np.random.default_rng(1).permutation(len(sites))
    shuffled = sites.iloc[order].reset_index(drop=True)
    np.testing.assert_array_equal(roles_of(bundle, shuffled)[0], roles[order])


def test_another_plate_holds_nothing_out(trained):
    """Where the table is not the one that was learned from, no site counts as held out."""
    bundle, sites, _ = trained
    control = bundle.manifest.treatments[0]
    for other in (
        sites.iloc[2:].reset_index(drop=True),
        sites.assign(plate="2"),
        sites[sites["treatment"] == control],
    ):
        assert set(roles_of(bundle, other)[0]) == {"train"}


def test_wells_that_validated_beside_a_test_plate_are_found_again(tmp_path):
    """With two plates, one tested on, the wells of the other that validated are found again."""
    contents = tiny_contents()
    control, *treatments = contents.treatments
    one = plate(tuple(treatments), control)
    two = one.assign(plate="2", site_id="p2" + one["site_id"], well_id="p2" + one["well_id"])
    sites = pd.concat([one, two], ignore_index=True)
    split = split_sites(
        sites, control=control, treatments=treatments, seed=5, test_fraction=0.4, validation_fraction=0.2
    )
    assert split.protocol == "leave-one-plate-out"
    assert len(np.unique(split.roles[sites["plate"] == "1"])) == 2
    # What a bundle's manifest holds beside the split's own description.
    recorded = {**split.description, "learned_wells": {}}
    stated = contents.provenance.model_copy(update={"split": recorded})
    bundle = write_bundle(tmp_path / "bundle", dataclasses.replace(contents, provenance=stated))
    np.testing.assert_array_equal(roles_of(bundle, sites)[0], split.roles)
    assert set(roles_of(bundle, sites.iloc[2:].reset_index(drop=True))[0]) == {"train"}
