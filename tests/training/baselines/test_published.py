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


def test_columns_of_the_table_are_no_features(tmp_path):
    """The number of a plate and words beside the embedding are not learned from."""
    (tmp_path / "embeddings.csv").write_text("site_id;plate;well;f0\na;7;A01;1e-3\n", "utf-8")
    np.testing.assert_array_equal(published_embeddings(tmp_path, pd.DataFrame({"site_id": ["a"]})), [[0.001]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("site_id,f0\na,1\na,2\n", "line 3: the site 'a' occurs twice"),
        ("site_id,f0,f1\na,1,2\nb,3\n", "line 3: the row has 2 cells"),
        ("site_id,f0\nb,1\na,\n", "line 3: an embedding of 'a' is no finite number"),
        ("site_id,f0\na,1\nb,inf\n", "line 3: an embedding of 'b'"),
        ("site_id,f0,F0\na,1,2\n", "line 1: the columns 'f0' and 'F0'"),
        ("site,f0\na,1\n", "expected a column site_id"),
    ],
)
def test_embeddings_that_are_no_table_of_numbers_are_refused(tmp_path, text, message):
    """A row of another length, a site twice or a blank among the numbers is refused with its line."""
    (tmp_path / "embeddings.csv").write_text(text, "utf-8")
    with pytest.raises(TableError, match=message):
        published_embeddings(tmp_path, pd.DataFrame({"site_id": ["a", "b"]}))


def test_a_missing_site_is_named(tmp_path):
    """A file that lacks a site is refused, the site named, as its numbers cannot be made up."""
    pd.DataFrame({"site_id": ["a"], "feature_0": [1.0]}).to_csv(tmp_path / "embeddings.csv", index=False)
    with pytest.raises(TableError, match="1 are missing, first z"):
        published_embeddings(tmp_path, pd.DataFrame({"site_id": ["a", "z"]}))
