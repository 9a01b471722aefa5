"""The manifest: a value that survives its file, and refuses what contradicts itself."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from phenoserve.bundle import InputSpec, Manifest, read_bundle
from phenoserve.bundle.outputs import GRAPH_OUTPUT_AXES

FILES = ("model.onnx", "forest.joblib", "golden.npz", "calibration.npz", "card.md")

names = st.text("aZ0 é-_.:µ/β", min_size=1, max_size=8).filter(lambda name: name == name.strip())
json_values = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e300, 1e300) | names
objects = st.dictionaries(names, json_values | st.lists(json_values, max_size=3), max_size=3)
records = st.fixed_dictionaries(
    {"sha256": st.text("0123456789abcdef", min_size=64, max_size=64), "size_bytes": st.integers(0, 2**53)}
)
manifests = st.fixed_dictionaries(
    {
        "name": st.text("aZ0", min_size=1),
        "version": st.sampled_from(["1", "1.0.0", "2026-01-01", "1.0+local"]),
        "created": st.sampled_from(["2026-01-01T00:00:00Z", "2026-12-31T23:59:59.123456-05:00"]),
        "channels": st.lists(names, min_size=1, max_size=6, unique=True),
        "downsample": st.integers(1, 16),
        "treatments": st.lists(names, min_size=2, max_size=5, unique=True),
        "control": st.integers(0, 1),
        "files": st.tuples(records, records, records, records, records, records),
        "calibration": st.fixed_dictionaries(
            {
                "temperature": st.floats(0.01, 100),
                "coverage": st.floats(0.01, 0.99),
                "threshold": st.floats(0, 1),
                "num_sites": st.integers(0, 10**6),
                "max_distance": st.floats(1e-3, 1e6),
                "num_neighbours": st.integers(1, 50),
            }
        ),
        "tolerance": st.fixed_dictionaries({"absolute": st.floats(0, 1e6), "relative": st.floats(0, 1)}),
        "git_commit": st.none() | names,
        "recipe": objects,
        "simulated": st.booleans(),
        "packages": st.dictionaries(names, names, max_size=3).map(
            lambda packages: {**packages, "scikit-learn": "1"}
        ),
    }
)


def calibration_of(drawn, treatments):
    """Build the field `calibration`."""
    return {
        "temperature": drawn["temperature"],
        "prediction_sets": {
            "coverage": drawn["coverage"],
            "thresholds": dict.fromkeys(treatments, drawn["threshold"]),
            "num_sites": dict.fromkeys(treatments, drawn["num_sites"]),
        },
        "out_of_distribution": {
            "num_neighbours": drawn["num_neighbours"],
            "num_components": 64,
            "max_distance": drawn["max_distance"],
            "false_positive_rate": 0.05,
            "num_references": 50,
            "num_control_sites": 1,
        },
    }


def manifest_of(drawn):
    """Build a manifest that follows the format."""
    treatments = drawn["treatments"]
    return Manifest.model_validate(
        {
            "format_version": 3,
            **{name: drawn[name] for name in ("name", "version", "created", "treatments", "tolerance")},
            "input": InputSpec.of(tuple(drawn["channels"]), drawn["downsample"]),
            "outputs": dict(GRAPH_OUTPUT_AXES),
            "control": treatments[drawn["control"]],
            "calibration": calibration_of(drawn["calibration"], treatments),
            "files": dict(zip((*FILES, "report/a/b.png"), drawn["files"], strict=True)),
            "provenance": {
                **{name: drawn[name] for name in ("git_commit", "recipe", "packages")},
                "dataset": {
                    "name": "d",
                    "licence": "l",
                    "fingerprint": "f",
                    "simulated": drawn["simulated"],
                },
                "split": {},
            },
        }
    )


@settings(max_examples=50, deadline=None)
@given(manifests)
def test_a_manifest_survives_its_file(drawn):
    """A manifest read back from its own bytes is equal to what was written."""
    manifest = manifest_of(drawn)
    assert Manifest.model_validate_json(manifest.to_json(), strict=True) == manifest


@settings(max_examples=50, deadline=None)
@given(manifests)
def test_treated_is_the_treatments_without_the_control_in_order(drawn):
    """`treated` keeps the order of the treatments and lacks exactly the control."""
    manifest = manifest_of(drawn)
    position = manifest.treatments.index(manifest.control)
    assert manifest.treated == manifest.treatments[:position] + manifest.treatments[position + 1 :]


def test_a_manifest_is_never_edited(tiny_bundle):
    """A field of a manifest cannot be set."""
    manifest = read_bundle(tiny_bundle).manifest
    with pytest.raises(ValidationError, match="frozen"):
        manifest.name = "other"


def spec(channels, downsample=2, min_size_px=64):
    return {"input": {"channels": channels, "downsample": downsample, "min_size_px": min_size_px}}


REFUSED = {
    "an unknown field": ({"licence": "MIT"}, "licence"),
    "a downsample in words": (spec(["a"], downsample="2"), "downsample"),
    "no channels": (spec([]), "channels"),
    "a stain twice": (spec(["a", "a"]), "Repeated: a"),
    "a stain with a comma": (spec(["a,b"]), "comma"),
    "another least size": (spec(["a"], min_size_px=32), "32 \\* downsample = 64"),
    "a foreign control": ({"control": "DMSO"}, "'DMSO'"),
    "a treatment twice": ({"treatments": ["EMPTY", "EMPTY"]}, "Repeated: EMPTY"),
    "one treatment": ({"treatments": ["EMPTY"]}, "treatments"),
    "a name with a line break": ({"treatments": ["EMPTY", "a\nb"]}, "printable"),
    "a name with a path": ({"name": "../model"}, "name"),
    "a version with a line break": ({"version": "1\n"}, "version"),
    "other outputs": ({"outputs": {"embedding": ["batch", "embedding"]}}, "outputs"),
    "a date without a zone": ({"created": "2026-01-01T00:00:00"}, "created"),
    "a negative tolerance": ({"tolerance": {"absolute": -1.0, "relative": 0.0}}, "absolute"),
}


@pytest.mark.parametrize(("fields", "named"), REFUSED.values(), ids=REFUSED)
def test_a_contradiction_is_refused_and_named(tiny_bundle, fields, named):
    """A manifest that breaks a rule of the format is refused with the field at fault."""
    manifest = json.loads((tiny_bundle / "manifest.json").read_bytes())
    with pytest.raises(ValidationError, match=named):
        Manifest.model_validate_json(json.dumps({**manifest, **fields}), strict=True)


@pytest.mark.parametrize(
    "path",
    [
        "../model.onnx", "/etc/passwd", "report/../../x", "report//x", "report/./x", "./card.md", "report",
        "report/", "C:/x", "report\\x", "report/a\nb", "weights.bin", "manifest.json", "",
    ],
)  # fmt: skip
def test_a_path_outside_the_format_is_refused(tiny_bundle, path):
    """A manifest may list the files of the format and files under `report/`, and no other path."""
    manifest = json.loads((tiny_bundle / "manifest.json").read_bytes())
    record = {"sha256": "0" * 64, "size_bytes": 0}
    with pytest.raises(ValidationError, match=r"Received: |separated"):
        Manifest.model_validate_json(
            json.dumps({**manifest, "files": {**manifest["files"], path: record}}), strict=True
        )


@pytest.mark.parametrize("path", FILES)
def test_a_file_of_the_format_may_not_be_left_out(tiny_bundle, path):
    """A manifest records every file of the format."""
    manifest = json.loads((tiny_bundle / "manifest.json").read_bytes())
    del manifest["files"][path]
    with pytest.raises(ValidationError, match=f"Absent: {path}"):
        Manifest.model_validate_json(json.dumps(manifest), strict=True)


def test_the_scikit_learn_of_the_forest_may_not_be_left_out(tiny_bundle):
    """A manifest says which scikit-learn wrote the forest, so that a reader can say which one to install."""
    manifest = json.loads((tiny_bundle / "manifest.json").read_bytes())
    manifest["provenance"]["packages"] = {}
    with pytest.raises(ValidationError, match="the version of scikit-learn"):
        Manifest.model_validate_json(json.dumps(manifest), strict=True)


def with_calibration(manifest: dict, part: str, **fields: object) -> dict:
    """Return a copy of a manifest with these fields of a part of its calibration, or of the calibration itself."""
    calibration = manifest["calibration"]
    changed = fields if not part else {part: {**calibration[part], **fields}}
    return {**manifest, "calibration": {**calibration, **changed}}


CALIBRATIONS = {
    "no temperature": ("", {"temperature": 0.0}, "temperature"),
    "an infinite temperature": ("", {"temperature": float("inf")}, "temperature"),
    "a certain coverage": ("prediction_sets", {"coverage": 1.0}, "coverage"),
    "a threshold above 1": ("prediction_sets", {"thresholds": {"EMPTY": 1.5}}, "thresholds"),
    "other treatments": (
        "prediction_sets",
        {"thresholds": {"DMSO": 0.5}, "num_sites": {"DMSO": 20}, "num_wells": {"DMSO": 20}},
        "thresholds of the treatments",
    ),
    "sites of other treatments": ("prediction_sets", {"num_sites": {"EMPTY": 1}}, "num_sites of the same"),
    "wells of other treatments": ("prediction_sets", {"num_wells": {"EMPTY": 1}}, "num_wells of the same"),
    "a threshold from too few wells": (
        "prediction_sets",
        {"thresholds": {"A": 0.5}, "num_sites": {"A": 80}, "num_wells": {"A": 8}},
        "exactly where it has 9 wells or more",
    ),
    "no threshold from enough wells": (
        "prediction_sets",
        {"thresholds": {"A": None}, "num_sites": {"A": 9}, "num_wells": {"A": 9}},
        "exactly where it has 9 wells or more",
    ),
    "a limit from too few wells": (
        "out_of_distribution",
        {"num_validation_wells": 8},
        "exactly where there are 9 validation wells or more",
    ),
    "no limit from enough wells": (
        "out_of_distribution",
        {"max_distance": None},
        "exactly where there are 9 validation wells or more",
    ),
    "sites without wells": ("out_of_distribution", {"num_validation_wells": None}, "together"),
    "no word of the sites": ("stain_order", {"num_validation_sites": None}, "one of num_validation_sites"),
    "too few references": ("out_of_distribution", {"num_references": 2}, "at least num_neighbours = 3"),
    "no control": ("out_of_distribution", {"num_control_sites": 0}, "num_control_sites"),
    "no room": ("out_of_distribution", {"max_distance": 0.0}, "max_distance"),
    "a rate of 0": ("out_of_distribution", {"false_positive_rate": 0.0}, "false_positive_rate"),
    "an unknown field": ("out_of_distribution", {"k": 3}, "k"),
}


@pytest.mark.parametrize(("part", "fields", "named"), CALIBRATIONS.values(), ids=CALIBRATIONS)
def test_an_impossible_calibration_is_refused_and_named(tiny_bundle, part, fields, named):
    """A calibration that breaks a rule of the format is refused with the field at fault."""
    manifest = json.loads((tiny_bundle / "manifest.json").read_bytes())
    with pytest.raises(ValidationError, match=named):
        Manifest.model_validate_json(json.dumps(with_calibration(manifest, part, **fields)), strict=True)


def test_each_version_holds_what_it_has_and_nothing_else(tiny_bundle):
    """Formats from 2 on have a calibration, from 3 on components, from 5 on the stains' order, from 6 on wells."""
    manifest = json.loads((tiny_bundle / "manifest.json").read_bytes())
    assert manifest.pop("variants") == {}
    with pytest.raises(ValidationError, match="from format 6 on"):
        Manifest.model_validate_json(json.dumps({**manifest, "format_version": 5}), strict=True)
    manifest["format_version"] = 3
    stain_order = manifest["calibration"].pop("stain_order")
    stain_order["num_control_sites"] = stain_order.pop("num_validation_sites")
    del manifest["calibration"]["prediction_sets"]["num_wells"]
    for name in ("num_validation_sites", "num_validation_wells"):
        del manifest["calibration"]["out_of_distribution"][name]
    with pytest.raises(ValidationError, match="from format 6 on"):
        Manifest.model_validate_json(
            json.dumps({**manifest, "format_version": 6, "variants": {}}), strict=True
        )

    def refused(changed: dict, named: str) -> None:
        with pytest.raises(ValidationError, match=named):
            Manifest.model_validate_json(json.dumps(changed), strict=True)

    refused(
        {**manifest, "calibration": {**manifest["calibration"], "stain_order": stain_order}},
        "Expected no stain_order in format 3",
    )
    older = {name: value for name, value in manifest.items() if name != "calibration"}
    refused(older, "Expected a calibration, as format 3 has one")
    refused({**manifest, "format_version": 2}, "Expected num_components .* in every format but 2")
    files = {path: record for path, record in manifest["files"].items() if path != "calibration.npz"}
    refused({**manifest, "format_version": 1, "files": files}, "Expected no calibration in format 1")
    refused({**older, "format_version": 1, "files": files, "calibration": None}, "Expected no calibration")
    refused({**older, "format_version": 1}, r"no file that format 1 lacks.*calibration\.npz")
    second = with_calibration(manifest, "out_of_distribution", num_components=None) | {"format_version": 2}
    del second["calibration"]["out_of_distribution"]["num_components"]
    assert Manifest.model_validate_json(json.dumps(second), strict=True).dump() == second
    refused({**second, "format_version": 3}, "Expected num_components")
    older = {**older, "format_version": 1, "files": files}
    assert Manifest.model_validate_json(json.dumps(older), strict=True).dump() == older
