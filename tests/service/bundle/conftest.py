"""A copy of the tiny bundle that a test may spoil, and the tools to spoil it consistently."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest


class Spoiled:
    """A bundle's folder under a test's hands."""

    def __init__(self, path: Path):
        self.path = path

    def change_manifest(self, **fields):
        """Overwrite top-level fields of the manifest."""
        manifest = json.loads((self.path / "manifest.json").read_bytes())
        (self.path / "manifest.json").write_text(json.dumps({**manifest, **fields}))

    def replace(self, inside: str, content: bytes):
        """Replace a file and its record, so that only its content can be refused."""
        (self.path / inside).write_bytes(content)
        manifest = json.loads((self.path / "manifest.json").read_bytes())
        record = {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
        self.change_manifest(files={**manifest["files"], inside: record})


@pytest.fixture
def spoiled(tiny_bundle, tmp_path) -> Spoiled:
    """A fresh copy of the tiny bundle."""
    return Spoiled(Path(shutil.copytree(tiny_bundle, tmp_path / "spoiled")))
