"""Libraries without types or with dangers are imported in one file each."""

import ast
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
SOURCES = {
    "phenoserve": PROJECT / "service/src/phenoserve",
    "phenotrain": PROJECT / "training/src/phenotrain",
    "phenoclient": PROJECT / "clients/python/src/phenoclient",
}
OWNERS = {
    ("phenoserve", "tifffile"): {"stack/tiff.py"},
    ("phenoserve", "onnxruntime"): {"engine/session.py"},
    ("phenoserve", "python_multipart"): {"http/request/body.py"},
    ("phenoserve", "prometheus_client"): {"http/observe/metrics.py", "http/routes/operations.py"},
    ("phenoserve", "pythonjsonlogger"): {"logs.py"},
    ("phenoserve", "uvicorn"): {"process/server.py", "process/connection.py"},
    ("phenoserve", "typer"): {"cli.py"},
    ("phenotrain", "tf2onnx"): {"onnx_export.py"},
    ("phenoclient", "tifffile"): {"images.py"},
}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names


@pytest.mark.parametrize(("package", "library"), OWNERS)
def test_a_library_is_imported_by_its_owner_alone(package: str, library: str) -> None:
    """Of a package's files those named import the library, and no other."""
    root = SOURCES[package]
    found = {path.relative_to(root).as_posix() for path in root.rglob("*.py") if library in imported(path)}
    assert found == OWNERS[package, library]
