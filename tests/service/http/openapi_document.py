"""The OpenAPI document with everything in it: API keys, and the routes for whoever runs the service.

Run as a program it writes the committed document anew:

    make openapi
"""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from phenoserve.bundle import read_bundle
from phenoserve.engine import Engine
from phenoserve.http import create_app
from phenoserve.scheduling import Engines
from phenoserve.settings import Settings

ROOT = Path(__file__).parents[3]
COMMITTED = ROOT / "docs" / "openapi.json"


def openapi_text() -> str:
    """The document, as it is committed; it does not depend on the bundle."""
    bundle = read_bundle(ROOT / "tests" / "golden" / "format-3")
    with TemporaryDirectory() as folder:
        keys = Path(folder) / "keys"
        keys.write_text("0" * 64)
        app = create_app(
            Engines.of(Engine.load(bundle, device="cpu", num_threads=1)),
            Settings(api_keys_file=keys, admin_keys_file=keys),
        )
        return json.dumps(app.openapi(), indent=2) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(openapi_text(), encoding="utf-8")
