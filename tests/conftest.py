"""What the tests share: a tiny bundle, the real images, and an environment without the service's settings."""

import contextlib
import fcntl
import importlib.util
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from phenoserve.bundle import Bundle

ROOT = Path(__file__).parent.parent
DATA_VARIABLE = "PHENOSERVE_DATA"


def _load_tiny_bundle_module():
    """Import the helper by its file: importlib mode puts no test folder on the path."""
    spec = importlib.util.spec_from_file_location("tiny_bundle", Path(__file__).parent / "tiny_bundle.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tiny_module():
    """The helper module itself: graphs, stacks and contents of tiny bundles."""
    return _load_tiny_bundle_module()


@pytest.fixture(scope="session")
def make_tiny_bundle(tiny_module) -> Callable[..., Bundle]:
    """The function that writes a tiny bundle of any channels and treatments."""
    return tiny_module.make_tiny_bundle


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory, make_tiny_bundle) -> Path:
    """A bundle of six stains and five treatments, downsample 2. Never change it: copy it first."""
    path = tmp_path_factory.mktemp("tiny") / "bundle"
    make_tiny_bundle(path)
    return path


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real images, or a skip that says so."""
    path = Path(os.environ.get(DATA_VARIABLE, ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"the real images are not at {path}; {DATA_VARIABLE} names their folder")
    return path.resolve()


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    """Take every setting of the service out of the environment of every test."""
    for variable in [name for name in os.environ if name.startswith("PHENOSERVE_") and name != DATA_VARIABLE]:
        monkeypatch.delenv(variable)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests come first, so that no worker is left alone with them at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def on_terminal() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command of this environment with its standard output on a terminal of 24 lines of 80 columns."""

    def run(program: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        command = [str(Path(sys.executable).with_name(program)), *map(str, arguments)]
        plain = {"TERM": "dumb"}  # no colours
        with subprocess.Popen(
            command, stdout=theirs, stderr=subprocess.PIPE, env=os.environ | plain | environment
        ) as process:
            os.close(theirs)
            said = bytearray()
            # Linux ends the reading of a terminal whose other side is closed with an error.
            with contextlib.suppress(OSError), os.fdopen(ours, "rb", buffering=0) as terminal:
                while piece := terminal.read(65536):
                    said += piece
            _, stderr = process.communicate()
        text = said.decode().replace("\r\n", "\n")
        return subprocess.CompletedProcess(command, process.returncode, text, stderr.decode())

    return run
