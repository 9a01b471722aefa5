"""Libraries without types or with dangers are imported in one file each."""

import ast
from pathlib import Path

import pytest

import phenoserve

ROOT = Path(phenoserve.__file__).parent
OWNERS = {
    "tifffile": {"stack/tiff.py"},
    "onnxruntime": {"engine/session.py"},
    "python_multipart": {"http/body.py"},
    "prometheus_client": {"http/metrics.py", "http/operations.py"},
    "uvicorn": {"http/server.py"},
    "typer": {"cli.py"},
}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_is_imported_by_its_owner_alone(library: str) -> None:
    """No file but those named imports the library."""
    found = {path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py") if library in imported(path)}
    assert found
    assert found <= OWNERS[library]
