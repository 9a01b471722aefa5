"""Every version of the bundle format that was ever written stays readable."""

import json
from pathlib import Path

import numpy as np
import pytest

from phenoserve.bundle import FORMAT_VERSION, read_bundle
from phenoserve.engine.golden_replay import verify

FOLDER = Path(__file__).parent
STACK = np.zeros((6, 64, 64), np.uint8)
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
    "format-5": "ab32661d4476a29b16a97179d51c532df547ed311c30db6e239be7cad15451fc",
    "format-6": "6ab13047280753f3f48a2bfb956e085a98dd513966cdc9e475d48c9cb40f3883",
    "format-7": "019b0f3d5dc7d2b6bd69d8b5aa0bd7de17cb171ac231d7ce41fdd6406d510f0e",
}


def test_the_manifests_are_pinned():
    """The committed bundles are those that were committed first: none is ever written anew."""
    assert {path.name: read_bundle(path).digest for path in BUNDLES} == DIGESTS


def test_format_1_has_no_calibration():
    """A bundle of format 1 is read without a calibration, and its manifest is shown without one."""
    bundle = read_bundle(FOLDER / "format-1")
    assert bundle.calibration is None
    assert bundle.manifest.dump() == json.loads((bundle.path / "manifest.json").read_bytes())


def test_formats_before_5_say_nothing_of_the_stains_order():
    """Bundles of formats 2 to 4 are in distribution by their distance alone; later ones describe their stains."""
    known = {path.name: read_bundle(path).calibration for path in BUNDLES if path.name != "format-1"}
    assert [name for name, calibration in known.items() if calibration.stain_order is not None] == [
        "format-5",
        "format-6",
        "format-7",
    ]
    means = [known[name].stain_order.mean.shape for name in ("format-5", "format-6", "format-7")]
    assert means == [(1, 6, 12), (5, 6, 12), (5, 6, 12)]
    assert known["format-4"].in_distribution(0.0, known["format-4"].mismatch(STACK, 2))
    assert known["format-4"].mismatch(STACK, 2) is None
