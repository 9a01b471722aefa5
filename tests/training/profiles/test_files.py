import json

import anndata
import numpy as np
import pandas as pd
import pytest

from phenotrain.profiles.errors import ProfileError
from phenotrain.profiles.files import load_correction, profile_table, write_profiles
from phenotrain.profiles.findings import find_profiles
from phenotrain.profiles.notes import notes_on_draws
from phenotrain.report.profiles import profiles_page, profiles_section


@pytest.fixture(scope="module")
def findings(make_screen):
    made = make_screen(0, {"A": np.full(24, 1.5)}, sites_per_well=2)
    return find_profiles(made.sites, made.embeddings, made.roles, "EMPTY", num_draws=39, with_umap=False)


@pytest.fixture(scope="module")
def folder(findings, tmp_path_factory):
    path = tmp_path_factory.mktemp("profiles")
    write_profiles(path, findings)
    return path


def test_a_well_profile_is_the_mean_of_its_sites(make_screen):
    """A well's profile is the mean of its sites' embeddings, and num_sites their number."""
    made = make_screen(sites_per_well=3)
    rng = np.random.default_rng(0)
    noisy = type(made)(made.sites, made.embeddings + rng.normal(size=made.embeddings.shape), made.roles)
    wells = noisy.wells
    row = 5
    mine = (made.sites["well_id"] == wells.wells["well_id"][row]).to_numpy()
    np.testing.assert_allclose(wells.profiles[row], noisy.embeddings[mine].mean(axis=0))
    assert wells.wells["num_sites"][row] == 3


def test_a_well_with_two_roles_is_refused(make_screen):
    """Sites of a well on two sides of a split are an error that names the well."""
    made = make_screen(sites_per_well=2)
    roles = made.roles.copy()
    roles[0] = "validation"
    with pytest.raises(ValueError, match=made.sites["well_id"][0]):
        _ = type(made)(made.sites, made.embeddings, roles).wells


def test_parquet_reads_back_equal(findings, folder):
    """Raw and corrected profiles and every Metadata_ column come back from Parquet as they were."""
    for name, profiles, prefix in (
        ("profiles.parquet", findings.wells.profiles, "emb"),
        ("profiles_corrected.parquet", findings.corrected, "tvn"),
    ):
        read = pd.read_parquet(folder / name)
        expected = profile_table(findings, profiles, prefix)
        pd.testing.assert_frame_equal(read, expected, check_dtype=False)
        assert f"{prefix}_0000" in read
        assert {"Metadata_Plate", "Metadata_Well", "Metadata_treatment", "Metadata_treatment_conc"} <= set(
            read
        )


def test_anndata_reads_back_equal(findings, folder):
    """X, obsm and obs come back from h5ad, with the correction's parameters beside them."""
    read = anndata.read_h5ad(folder / "profiles.h5ad")
    np.testing.assert_array_equal(read.X, findings.wells.profiles.astype(np.float32))
    np.testing.assert_array_equal(read.obsm["X_tvn"], findings.corrected.astype(np.float32))
    assert list(read.obs_names) == list(findings.wells.wells["well_id"])
    assert list(read.obs["Metadata_treatment"]) == list(findings.wells.wells["treatment"])
    np.testing.assert_array_equal(
        read.uns["correction"]["whitening_components"], findings.correction.whitening.components
    )
    assert list(read.uns["correction"]["settings"]["batches"]) == list(findings.correction.batches)


def test_a_saved_correction_corrects_as_before(findings, folder):
    """Applied again after reading, the correction gives the same profiles to the last bit."""
    np.testing.assert_array_equal(load_correction(folder).apply(findings.wells), findings.corrected)


def test_a_damaged_correction_is_refused(folder, tmp_path):
    """A truncated archive is an error that names the folder and the remedy."""
    (tmp_path / "correction.json").write_bytes((folder / "correction.json").read_bytes())
    (tmp_path / "correction.npz").write_bytes((folder / "correction.npz").read_bytes()[:100])
    with pytest.raises(ProfileError, match="Make it again"):
        load_correction(tmp_path)


def test_nothing_half_written_is_left(folder):
    """After writing there are the files, and no partial ones."""
    names = {path.name for path in folder.iterdir()}
    assert names == {
        *(
            "profiles.parquet",
            "profiles_corrected.parquet",
            "profiles.h5ad",
            "correction.npz",
            "correction.json",
        )
    }


def test_findings_are_json_and_the_section_carries_them(findings):
    """The section's numbers are the findings', valid JSON without NaN, and its page asks nothing of the network."""
    section = profiles_section(findings)
    assert json.loads(json.dumps(section.numbers, allow_nan=False)) == json.loads(
        json.dumps(findings.to_json())
    )
    page = profiles_page(findings, title="T", subtitle="S", notes=["<b>"], simulated=True)
    assert "://" not in page.replace("http://www.w3.org", "")
    assert "&lt;b&gt;" in page
    assert "Simulated images" in page


def test_plates_with_too_few_controls_keep_raw_profiles_and_are_named(make_screen, tmp_path):
    """Wells of a plate with three controls are in the raw file with a reason, not in the corrected one, and noted."""
    made = make_screen()
    here = ((made.sites["experiment"] == "E2") & (made.sites["plate"] == "1")).to_numpy()
    dropped = here & (made.sites["treatment"] == "EMPTY").to_numpy()
    dropped &= np.cumsum(dropped) > 3
    kept = ~dropped
    found = find_profiles(
        made.sites[kept].reset_index(drop=True),
        made.embeddings[kept],
        made.roles[kept],
        "EMPTY",
        num_draws=19,
        with_umap=False,
    )
    poor = found.wells.batches("plate") == "E2 plate 1"
    assert np.isnan(found.corrected[poor]).all()
    assert np.isfinite(found.corrected[~poor]).all()
    assert any("E2 plate 1 (3)" in note and "--batch experiment" in note for note in found.notes)
    write_profiles(tmp_path, found)
    raw, corrected = (
        pd.read_parquet(tmp_path / name) for name in ("profiles.parquet", "profiles_corrected.parquet")
    )
    assert set(raw["Metadata_well_id"]) - set(corrected["Metadata_well_id"]) == set(
        found.wells.wells["well_id"][poor]
    )
    assert list(raw["Metadata_is_corrected"]) == list(~poor)
    assert set(raw.loc[poor, "Metadata_why_uncorrected"]) == {"3 control wells on its plate, 4 needed"}
    read = anndata.read_h5ad(tmp_path / "profiles.h5ad")
    np.testing.assert_array_equal(np.isnan(read.obsm["X_tvn"]).all(axis=1), poor)
    assert "E2 plate 1" in profiles_section(found).html


@pytest.mark.parametrize(
    ("num_judged", "num_draws", "note"),
    [
        (6, 19, "no q can fall below 0.05"),
        (6, 39, "fewer than 4 of the 6 treatments and doses cannot be active"),
        (6, 199, None),
    ],
)
def test_draws_that_cannot_call_anything_active_are_told(num_judged, num_draws, note):
    """With k of 6 at p = 1/(1 + draws), q is 6/k of it: below 0.05 never at 19, from 4 on at 39, from 1 on at 199."""
    notes = notes_on_draws(
        pd.DataFrame({"p_value": [0.5] * num_judged, "smallest_p": 1 / (1 + num_draws)}), num_draws
    )
    assert len(notes) == (note is not None)
    assert all(note in sentence for sentence in notes)
