"""`docs/bundle-format.md` names what the code names."""

from pathlib import Path
from types import ModuleType

import pytest

import phenoserve.bundle as bundle
from phenoserve.bundle.calibration_spec import CalibrationSpec, OutOfDistribution, PredictionSets
from phenoserve.bundle.manifest import (
    REQUIRED_FILES,
    DatasetProvenance,
    InputSpec,
    Manifest,
    Provenance,
    Tolerance,
)
from phenoserve.bundle.outputs import GRAPH_OUTPUT_AXES
from phenoserve.bundle.stain_order import StainOrderSpec
from phenoserve.bundle.unpickle import _ADMITTED
from phenoserve.bundle.variants import VARIANT_FILES, VariantSpec

PAGE = (Path(__file__).parents[3] / "docs" / "bundle-format.md").read_text()
MANIFEST = (Manifest, InputSpec, Tolerance, Provenance, DatasetProvenance)
CALIBRATION = (CalibrationSpec, PredictionSets, OutOfDistribution, StainOrderSpec)
FIELDS = [
    name
    for part in (*MANIFEST, *CALIBRATION, VariantSpec)
    for name in part.model_fields
    if name not in {"input", "tolerance", "provenance", "calibration", "variants"}
]


@pytest.mark.parametrize("field", sorted(set(FIELDS)))
def test_every_field_of_the_manifest_is_documented(field):
    """Every field of the manifest stands in the page."""
    assert f"{field}`" in PAGE


@pytest.mark.parametrize(
    "name", [*REQUIRED_FILES, *VARIANT_FILES["int8"], *VARIANT_FILES["fp16"], "manifest.json", "report/"]
)
def test_every_file_is_documented(name):
    """Every file of a bundle stands in the page."""
    assert name in PAGE


@pytest.mark.parametrize(("name", "axes"), GRAPH_OUTPUT_AXES.items())
def test_every_output_is_documented(name, axes):
    """Every output of the graph stands in the page with its axes."""
    assert f"| out `{name}` | `{', '.join(axes)}`" in PAGE


@pytest.mark.parametrize(("module", "name"), _ADMITTED)
def test_every_admitted_class_is_documented(module, name):
    """Every class the unpickler admits stands in the page, beside its module."""
    [row] = (line for line in PAGE.splitlines() if line.startswith(f"| `{module}` |"))
    assert f"`{name}`" in row


@pytest.mark.parametrize("name", sorted(name for name in bundle.__all__ if name.endswith("Error")))
def test_every_error_is_documented(name):
    """Every error that names a refusal stands in the page."""
    groups = {"BundleFormatError"}
    assert name in groups or f"`{name}`" in PAGE


def test_what_is_public_is_exported():
    """The package exports exactly its public names."""
    members = {name for name, value in vars(bundle).items() if not isinstance(value, ModuleType)}
    public = {name for name in members if not name.startswith("_")}
    assert set(bundle.__all__) == public
