"""Embeddings that lie beside a screen."""

import numpy as np
import pandas as pd
import pytest

from phenotrain.baselines.published import published_embeddings
from phenotrain.plates import TableError


def test_embeddings_are_joined_by_site(tmp_path):
    """Rows come in the order of the sites table, whatever the order of the file, further sites left out."""
    sites = pd.DataFrame({"site_id": ["b", "a"]})
    pd.DataFrame({"site_id": ["a", "b", "c"], "feature_0": [1, 2, 3], "feature_1": [4, 5, 6]}).to_csv(
        tmp_path / "embeddings.csv", index=False
    )
    np.testing.assert_array_equal(published_embeddings(tmp_path, sites), [[2, 5], [1, 4]])


def test_without_the_file_there_is_no_baseline(tmp_path):
    """A screen without `embeddings.csv` gives None."""
    assert published_embeddings(tmp_path, pd.DataFrame({"site_id": ["a"]})) is None


def test_a_missing_site_is_named(tmp_path):
    """A file that lacks a site is refused, the site named, as its numbers cannot be made up."""
    pd.DataFrame({"site_id": ["a"], "feature_0": [1.0]}).to_csv(tmp_path / "embeddings.csv", index=False)
    with pytest.raises(TableError, match="1 are missing, first z"):
        published_embeddings(tmp_path, pd.DataFrame({"site_id": ["a", "z"]}))
