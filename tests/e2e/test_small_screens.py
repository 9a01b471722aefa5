"""A pilot of one to six plates: every command ends in a result, or in a sentence that says what to do."""

import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phenoclient.cli import app as phenoclient_app
from phenoserve.bundle import read_bundle
from phenotrain.cli import app as phenotrain_app

from .pilots import TINY, Pilot, called

pytestmark = pytest.mark.training

DESCRIPTION = """
name = "pilot"
licence = "CC0-1.0"
[table]
path = "layout.csv"
[images]
path = "{plate}/{well}_s{site}_w{channel}.tif"
channels = [{ id = "1", stain = "DNA" }, { id = "2", stain = "actin" }]
[task]
control = "DMSO"
"""


def options(pilot: Pilot) -> list[str]:
    return [word for name in pilot.treatments for word in ("--treatment", name)]


PILOTS = st.builds(
    Pilot,
    num_plates=st.integers(1, 6),
    num_treatments=st.integers(1, 3),
    num_wells=st.integers(1, 3),
    num_controls=st.integers(0, 8),
    arrangement=st.sampled_from(["free", "columns", "plates"]),
    seed=st.integers(0, 99),
)


@given(pilot=PILOTS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
def test_splits_of_a_pilot_end_in_a_protocol_or_in_a_reason_and_tell_confounding(pilot, tmp_path_factory):
    """`splits` names a protocol, or why none is possible; classes that never share a column or a plate are told."""
    folder = tmp_path_factory.mktemp("pilot")
    pilot.table().to_csv(folder / "layout.csv", index=False)
    (folder / "pilot.toml").write_text(DESCRIPTION, encoding="utf-8")
    status, out, err = called(
        phenotrain_app,
        "splits",
        folder / "pilot.toml",
        folder,
        "--recipe",
        "laptop",
        "--json",
        *options(pilot),
    )
    if status:
        assert status == 1
        assert err.endswith(".")
        assert not out
        if pilot.num_controls == 0:
            assert "DMSO" in err
        return
    found = json.loads(out)
    possible = [name for name, said in found["protocols"].items() if said["is_possible"]]
    assert found["taken"] in possible or (found["taken"] is None and not possible)
    for said in found["protocols"].values():
        assert said.get("folds") or said["reason"]
        for fold in said.get("folds", []):
            assert (
                any("no column holds" in clause for clause in fold["confounded"])
                or pilot.arrangement != "columns"
            )


# From a pilot that carries hardly anything to one that carries a verdict; what cannot be learned from is among them.
WHOLE = {
    "one plate without controls": Pilot(1, 1, 1, 0, "free"),
    "one plate": Pilot(1, 2, 3, 8, "free"),
    "one well of each on two plates": Pilot(2, 1, 1, 1, "columns"),
    "columns of four plates": Pilot(4, 2, 2, 4, "columns"),
    "a plate of each": Pilot(3, 2, 2, 3, "plates"),
}


@pytest.fixture(scope="module")
def reserve(tmp_path_factory) -> Path:
    """A bundle of the same stains and labels, for pilots that nothing can be learned from."""
    pilot = Pilot(6, 2, 3, 8, "free", seed=5)
    folder = written(pilot, tmp_path_factory.mktemp("reserve") / "pilot")
    bundle = folder.with_name("bundle")
    status, _, err = learn(pilot, folder, bundle)
    assert status == 0, err
    return bundle


def written(pilot: Pilot, folder: Path) -> Path:
    """A pilot with its description."""
    pilot.write(folder)
    (folder / "pilot.toml").write_text(DESCRIPTION, encoding="utf-8")
    return folder


def learn(pilot: Pilot, folder: Path, bundle: Path) -> tuple[int, str, str]:
    """`run` on a pilot, by the miniature recipe."""
    arguments = [folder / "pilot.toml", folder, bundle, "--recipe", TINY, "--workers", 1]
    return called(phenotrain_app, "run", *arguments, *options(pilot))


@pytest.mark.slow
@pytest.mark.parametrize("pilot", WHOLE.values(), ids=WHOLE.keys())
def test_every_command_ends_in_a_result_or_in_a_sentence(pilot, reserve, serve, tmp_path):
    """Training, profiles, the plate run and its report end so, and none gives what so few wells cannot carry."""
    folder, bundle = written(pilot, tmp_path / "pilot"), tmp_path / "bundle"
    status, out, err = learn(pilot, folder, bundle)
    assert (status == 0) == bundle.exists()
    if not pilot.is_learnable:
        assert status == 1
    if status:
        assert err.endswith(".")
        bundle = reserve
    else:
        assert "no column holds" in json.loads(out)["headline"] or pilot.arrangement != "columns"
        check_claims(bundle, pilot)

    profiles = tmp_path / "profiles"
    status, out, err = called(
        phenotrain_app, "profile", folder / "pilot.toml", folder, bundle, profiles, "--draws", 19
    )
    assert status == 0, err
    raw = pd.read_parquet(profiles / "profiles.parquet")
    assert len(raw) == len(pilot.table().drop_duplicates(["plate", "well"]))

    with serve(bundle) as url:
        status, out, err = called(
            phenoclient_app,
            *("plate", folder, "--url", url, "--out", tmp_path / "results.csv"),
            *("--pattern", "{plate}/{well}_s{site}_w{channel}.tif", "--plate-map", folder / "layout.csv"),
        )
    assert status == 0, err
    assert len(pd.read_csv(tmp_path / "results.csv")) == len(pilot.table())
    status, _, err = called(phenoclient_app, "report", tmp_path / "results.csv")
    assert status == 0, err
    page = (tmp_path / "results.html").read_text(encoding="utf-8")
    assert "no column holds" in page or pilot.arrangement != "columns"


def check_claims(bundle: Path, pilot: Pilot) -> None:
    """No prediction set, flag or verdict of a bundle rests on fewer wells than it needs."""
    found = read_bundle(bundle)
    calibration, metrics = found.calibration, json.loads((bundle / "report" / "metrics.json").read_text())
    assert calibration is not None
    num_wells = pilot.num_plates * min(pilot.num_wells, pilot.num_controls)
    sets, flag = calibration.spec.prediction_sets, calibration.spec.out_of_distribution
    # (9 + 1) (1 - 0.9) is 1, and (19 + 1) 0.05 is 1.
    assert sets.reason or num_wells >= 9
    assert flag.reason or pilot.num_plates * pilot.num_controls >= 19
    if num_wells < 10:
        assert "does not beat" not in metrics["headline"]
        assert " above intensity" not in metrics["headline"]
