"""Graphs of lower precision beside a bundle's own."""

import dataclasses
import json
from pathlib import Path

import pytest
from tests.tiny_bundle import add_tiny_variant

from phenoserve.bundle import BundleContentsError, MissingFileError, MissingVariantError, read_bundle


@pytest.fixture(scope="module")
def extended(tiny_bundle, tmp_path_factory):
    """The tiny bundle with an int8 graph."""
    return add_tiny_variant(tmp_path_factory.mktemp("variants") / "bundle", read_bundle(tiny_bundle))


def test_a_variant_comes_with_its_own_golden_answers(extended, tiny_bundle):
    """At a precision, a bundle gives that graph, its golden answers and their tolerance; the rest is as it was."""
    first, int8 = read_bundle(tiny_bundle), extended.at("int8")
    assert (extended.precision, int8.precision) == ("fp32", "int8")
    assert int8.model_path.name == "model.int8.onnx"
    assert int8.read_model() == first.read_model()
    assert int8.tolerance == int8.manifest.variants["int8"].tolerance
    assert extended.tolerance == first.tolerance
    assert extended.manifest.files.items() >= first.manifest.files.items()


def test_what_is_not_held_is_named(extended):
    """A precision without a graph is refused, naming those that there are and how to make one."""
    with pytest.raises(MissingVariantError, match=r"no fp16 graph; it holds fp32, int8.*phenotrain quantize"):
        extended.at("fp16")


def test_a_graph_and_its_golden_file_go_together(extended):
    """A manifest that states a variant without its files, or files without a variant, is refused."""
    manifest = extended.manifest
    bare = {name: record for name, record in manifest.files.items() if name != "golden.int8.npz"}
    for changed in ({"files": bare}, {"variants": {}}):
        broken = manifest.model_copy(update=changed).to_json()
        with pytest.raises(ValueError, match="both files of each of the variants"):
            type(manifest).model_validate_json(broken, strict=True)


def test_a_variant_that_is_gone_is_refused(extended, tmp_path):
    """A bundle whose lower graph was deleted is refused as a whole."""
    other = add_tiny_variant(tmp_path / "bundle", extended)
    other.at("int8").model_path.unlink()
    with pytest.raises(MissingFileError, match=r"model\.int8\.onnx"):
        read_bundle(other.path)


def test_older_formats_have_no_variants(extended):
    """A manifest of format 3 that states variants is refused."""
    manifest = {**extended.manifest.dump(), "format_version": 3}
    calibration = manifest["calibration"]
    del calibration["stain_order"], calibration["prediction_sets"]["num_wells"]
    for name in ("num_validation_sites", "num_validation_wells"):
        del calibration["out_of_distribution"][name]
    with pytest.raises(ValueError, match="no variants in format 3"):
        type(extended.manifest).model_validate_json(json.dumps(manifest), strict=True)


def test_a_bundle_that_gets_a_variant_keeps_its_format(tmp_path):
    """The graph's standardisation stays, and with it the format that says what it takes."""
    old = read_bundle(Path(__file__).parents[2] / "golden" / "format-6")
    new = add_tiny_variant(tmp_path / "bundle", old)
    assert (new.manifest.format_version, new.least_deviation) == (6, old.least_deviation)


def test_nothing_is_added_to_a_bundle_that_lacks_more(extended, tmp_path):
    """A bundle of a format without whitened distances is not made one of the current format."""
    old = dataclasses.replace(extended, manifest=extended.manifest.model_copy(update={"format_version": 2}))
    with pytest.raises(BundleContentsError, match="Export the bundle again"):
        add_tiny_variant(tmp_path / "bundle", old)
