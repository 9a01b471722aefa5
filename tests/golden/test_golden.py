"""Every version of the bundle format that was ever written stays readable."""

from pathlib import Path

import pytest

from phenoserve.bundle import FORMAT_VERSION, read_bundle
from phenoserve.verify import verify

FOLDER = Path(__file__).parent
BUNDLES = sorted(FOLDER.glob("format-*"))


@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: path.name)
def test_a_bundle_of_every_format_is_read_and_replayed(path):
    """A committed bundle of each format is read and repeats its golden answers within its tolerance."""
    report = verify(path, "cpu")
    assert [difference for difference in report.differences if not difference.ok] == []
    assert path.name == f"format-{report.bundle.manifest.format_version}"


def test_the_current_format_is_among_them():
    """The format that is written now has its committed bundle."""
    assert f"format-{FORMAT_VERSION}" in [path.name for path in BUNDLES]


def test_the_manifest_is_pinned():
    """The committed bundle of format 1 is the one that was committed first: it is never written anew."""
    digest = read_bundle(FOLDER / "format-1").digest
    assert digest == "04ec2d39dd6cdc1d83d246c40ff336eac346a46dcfc49c389eb45cd8b201f32b"
