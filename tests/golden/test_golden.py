"""Every version of the bundle format that was ever written stays readable."""

import json
from pathlib import Path

import pytest

from phenoserve.bundle import FORMAT_VERSION, read_bundle
from phenoserve.verify import verify

FOLDER = Path(__file__).parent
BUNDLES = sorted(FOLDER.glob("format-*"))


@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: path.name)
def test_a_bundle_of_every_format_is_read_and_replayed(path):
    """A committed bundle of each format is read and repeats its golden answers within its tolerance."""
    reports = verify(path, "cpu")
    assert [difference for report in reports for difference in report.differences if not difference.ok] == []
    assert path.name == f"format-{reports[0].bundle.manifest.format_version}"


def test_the_current_format_is_among_them():
    """The format that is written now has its committed bundle."""
    assert f"format-{FORMAT_VERSION}" in [path.name for path in BUNDLES]


DIGESTS = {
    "format-1": "04ec2d39dd6cdc1d83d246c40ff336eac346a46dcfc49c389eb45cd8b201f32b",
    "format-2": "35f41f11d4a06a5fb4ebda64191ed186c29e52d2f4a3e2d6aa31851701227472",
    "format-3": "9fd8fbf95c0aeff4788365d72fe41b2e9682bd88d2a52a30f654db2c53108ca0",
    "format-4": "2a8a1366bafc63468549841dc8d2dac60faa3303f18d1b8607bc22fff5245ace",
}


def test_the_manifests_are_pinned():
    """The committed bundles are those that were committed first: none is ever written anew."""
    assert {path.name: read_bundle(path).digest for path in BUNDLES} == DIGESTS


def test_format_1_has_no_calibration():
    """A bundle of format 1 is read without a calibration, and its manifest is shown without one."""
    bundle = read_bundle(FOLDER / "format-1")
    assert bundle.calibration is None
    assert bundle.manifest.dump() == json.loads((bundle.path / "manifest.json").read_bytes())
