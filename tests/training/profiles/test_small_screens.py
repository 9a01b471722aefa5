"""Any small screen ends in raw profiles, in corrected ones where controls allow, and in a reason for all else."""

import dataclasses
import json
import re
from math import comb, prod

import anndata
import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phenotrain.profiles.correction import MIN_CONTROLS
from phenotrain.profiles.files import load_correction, write_profiles
from phenotrain.profiles.findings import find_profiles
from phenotrain.report.profiles import profiles_page

COUNTS = st.integers(0, 8)


@dataclasses.dataclass(frozen=True)
class Small:
    """Controls and wells of every treatment on every plate, and what is asked of them."""

    controls: list[int]
    treated: list[list[int]]
    doses: list[float]
    sites_per_well: int
    experiments: int
    roles: list[str]
    batch: str


@st.composite
def small_screens(draw):
    """1 to 6 plates, 0 to 3 treatments, 0 to 3 wells of each a plate, 0 to 8 controls a plate, one well at least."""
    num_plates, num_treatments = draw(st.integers(1, 6)), draw(st.integers(0, 3))
    same_controls = draw(st.booleans())
    controls = [draw(COUNTS)] * num_plates if same_controls else [draw(COUNTS) for _ in range(num_plates)]
    treated = [[draw(st.integers(0, 3)) for _ in range(num_treatments)] for _ in range(num_plates)]
    if not sum(controls) + sum(map(sum, treated)):
        controls[0] = 1
    return Small(
        controls,
        treated,
        doses=[draw(st.sampled_from([float("nan"), 0.1, 1.0])) for _ in range(num_plates)],
        sites_per_well=draw(st.integers(1, 2)),
        experiments=draw(st.integers(1, 2)),
        roles=[draw(st.sampled_from(["train", "validation", "test"])) for _ in range(num_plates)],
        batch=draw(st.sampled_from(["plate", "experiment"])),
    )


def sites_of(small: Small) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Sites, embeddings with an offset a plate, and roles."""
    rng = np.random.default_rng(0)
    rows, embeddings, roles = [], [], []
    for plate, (num_controls, treated) in enumerate(zip(small.controls, small.treated, strict=True)):
        offset = rng.normal(size=12)
        labels = ["DMSO"] * num_controls
        labels += [f"T{number}" for number, count in enumerate(treated) for _ in range(count)]
        for number, label in enumerate(labels):
            for site in range(small.sites_per_well):
                rows.append(
                    {
                        "site_id": f"{plate}-{number}-{site}",
                        "well_id": f"{plate}-{number}",
                        "cell_type": "U2OS",
                        "experiment": f"E{plate % small.experiments}",
                        "plate": str(plate),
                        "well": f"A{number + 1:02d}",
                        "site": site,
                        "treatment": label,
                        "treatment_conc": float("nan") if label == "DMSO" else small.doses[plate],
                    }
                )
                embeddings.append(offset + rng.normal(size=12))
                roles.append(small.roles[plate])
    return pd.DataFrame(rows), np.array(embeddings, np.float32), np.array(roles)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(small=small_screens())
def test_any_small_screen_ends_in_profiles_and_reasons(small, tmp_path):
    """No screen ends in an error: four controls correct a batch, every p could fall below 0.05 or has a reason."""
    sites, embeddings, roles = sites_of(small)
    found = find_profiles(sites, embeddings, roles, "DMSO", batch=small.batch, num_draws=39, with_umap=False)
    wells = found.wells.wells
    assert set(wells["well_id"]) == set(sites["well_id"])
    names = wells["plate_name"] if small.batch == "plate" else wells["experiment"]
    num_controls = wells["is_control"].groupby(names).transform("sum").to_numpy()
    np.testing.assert_array_equal(found.is_corrected, num_controls >= MIN_CONTROLS)
    np.testing.assert_array_equal(
        np.isfinite(found.corrected).all(axis=1) & (found.corrected.shape[1] > 0), found.is_corrected
    )
    assert found.is_corrected.all() or "needs 4 wells" in " ".join(found.notes) or not sum(small.controls)
    activity = found.activity
    assert ((activity["why_no_p"] == "") == activity["p_value"].notna()).all()
    for row in activity[activity["p_value"].notna()].itertuples():
        mine = found.is_corrected & (wells["treatment"] == row.treatment).to_numpy()
        dose = wells["treatment_conc"].to_numpy()
        mine &= (dose == row.treatment_conc) | (np.isnan(dose) & np.isnan(row.treatment_conc))
        counts = wells[mine]["plate_name"].value_counts()
        spare = {plate: small.controls[int(plate.rsplit(" ", 1)[1])] for plate in counts.index}
        assert prod(comb(spare[plate], count) for plate, count in counts.items() if spare[plate]) >= 20
    is_on_one = ((activity["compared_on"] == "same plate") & activity["p_value"].notna()).any()
    assert is_on_one == ("positions on the plate is not excluded" in " ".join(found.notes))
    json.dumps(found.to_json(), allow_nan=False)
    write_profiles(tmp_path, found)
    raw = pd.read_parquet(tmp_path / "profiles.parquet")
    assert list(raw["Metadata_is_corrected"]) == list(found.is_corrected)
    assert (tmp_path / "profiles_corrected.parquet").exists() == found.is_corrected.any()
    assert len(anndata.read_h5ad(tmp_path / "profiles.h5ad")) == len(wells)
    if found.correction is not None:
        again = load_correction(tmp_path).apply(found.wells.take(found.is_corrected))
        np.testing.assert_array_equal(again, found.corrected[found.is_corrected])
    page = profiles_page(found, title="T", subtitle="S", notes=[], simulated=False)
    assert re.search(r"\bnan\b", re.sub(r"base64,[^\"]*", "", page)) is None
