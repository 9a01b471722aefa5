"""The wells that a bundle has learned from."""

import numpy as np
import pandas as pd
import pytest

from phenotrain.learned_wells import learned_wells, well_runs


@pytest.mark.parametrize(
    ("wells", "runs"),
    [
        ([], []),
        (["B02"], ["B02"]),
        (["B04", "B02", "B03", "B02", "C05"], ["B02-B04", "C05"]),
        (["A09", "A10", "A11", "B01"], ["A09-A11", "B01"]),
        (["AF47", "AF48", "B12", "C01"], ["AF47-AF48", "B12", "C01"]),
        (["A01.a1", "A01.a2", "well 7"], ["A01.a1", "A01.a2", "well 7"]),
    ],
)
def test_wells_in_a_row_are_one_run(wells, runs):
    """A run joins neighbours of one row; wells of another form stand for themselves."""
    assert sorted(well_runs(wells)) == sorted(runs)


def test_what_validates_is_learned_from_and_what_is_tested_is_not():
    """Wells of training and validation are listed by experiment and plate, wells of test and unused sites are not."""
    sites = pd.DataFrame(
        {
            "experiment": ["H", "H", "H", "H", "G", "G"],
            "plate": ["1", "1", "1", "10", "2", "2"],
            "well": ["B02", "B02", "B03", "B04", "B05", "B06"],
        }
    )
    roles = np.array(["train", "train", "validation", "validation", "test", "unused"])
    assert learned_wells(sites, roles) == {"H": {"1": ["B02-B03"], "10": ["B04"]}}
