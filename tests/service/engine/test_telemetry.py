"""What a session leaves behind on the machine."""

import os
import subprocess
import sys

LOAD = (
    "import sys; from phenoserve.engine.golden_replay import verify; from pathlib import Path;"
    " verify(Path(sys.argv[1]), 'cpu')"
)


def test_a_session_writes_nothing_into_the_home_folder(tiny_bundle, tmp_path):
    """Loading and running a bundle leaves no device id, database or other file in the home folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    subprocess.run(
        [sys.executable, "-c", LOAD, str(tiny_bundle)], check=True, env=environment | {"HOME": str(tmp_path)}
    )
    assert list(tmp_path.rglob("*")) == []
