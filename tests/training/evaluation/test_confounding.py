"""The cases that `phenotrain` and `phenoclient` share on what is confounded with where wells lie."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from phenotrain.evaluate.confounding import confounding

CASES = json.loads((Path(__file__).parents[2] / "cases" / "confounding.json").read_text())["cases"]


@pytest.mark.parametrize("case", CASES, ids=[case["why"] for case in CASES])
def test_places_are_told_as_the_table_of_cases_has_it(case):
    """Of wells that are all held out, the clauses are those that the client says of a plate map."""
    sites = pd.DataFrame(case["wells"], columns=["plate", "well", "treatment"]).assign(experiment="E")
    sites["well_id"] = sites["plate"] + "_" + sites["well"]
    classes = ("ctrl", *sorted(set(sites["treatment"]) - {"ctrl"}))
    found = confounding(sites, np.full(len(sites), "test"), classes, "ctrl")
    assert [clause.replace("test plate", "plate") for clause in found] == case["clauses"]
