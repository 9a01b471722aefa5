"""A real napari on a screen that nobody sees, in a home of its own."""

import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

from phenoclient import Client

KEY = "letmein"
LIMIT_S = 60


@pytest.fixture(scope="session")
def service_url(serve, tiny_bundle, tmp_path_factory) -> Iterator[str]:
    """A service that asks for `KEY`."""
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text(hashlib.sha256(KEY.encode()).hexdigest())
    with serve(tiny_bundle, "--api-keys-file", str(keys)) as url:
        yield url


@pytest.fixture
def client(service_url) -> Iterator[Client]:
    with Client(service_url, api_key=KEY) as client:
        yield client


@pytest.fixture(scope="session")
def display() -> Iterator[str | None]:
    """An X server of this process's own; None where windows need none. A skip that says what is missing."""
    if "tensorflow" in sys.modules:
        pytest.skip("TensorFlow is in this process, where Mesa crashes; `make test-viewer` runs these alone")
    try:
        core = import_module("PyQt6.QtCore")
        import_module("PyQt6.QtWidgets")
    except ImportError as error:
        pytest.skip(f"Qt cannot be loaded ({error}); `make qt` installs Debian's libraries for it")
    if sys.platform != "linux":
        yield None
        return
    plugins = core.QLibraryInfo.path(core.QLibraryInfo.LibraryPath.PluginsPath)
    try:
        ctypes.CDLL(str(Path(plugins, "platforms", "libqxcb.so")))
    except OSError as error:
        pytest.skip(f"Qt cannot open windows ({error}); `make qt` installs Debian's libraries for it")
    if not shutil.which("Xvfb"):
        pytest.skip("Xvfb is not installed; `make qt` installs Debian's")
    read_end, write_end = os.pipe()
    # It ends by itself after its last client. That is Qt, whose connection lasts as long as this process: a server that
    # ended before would take the process with it.
    command = [
        "Xvfb",
        "-displayfd",
        str(write_end),
        "-terminate",
        "-nolisten",
        "tcp",
        "-screen",
        "0",
        "1600x1200x24",
    ]
    subprocess.run(
        ["sh", "-c", '"$@" &', "sh", *command],
        pass_fds=[write_end],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    os.close(write_end)
    with os.fdopen(read_end) as numbers:
        number = numbers.readline().strip()
    assert number, "Xvfb did not start"
    yield f":{number}"


@pytest.fixture(scope="session")
def napari_home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("napari")


@pytest.fixture(autouse=True)
def _desktop(monkeypatch, display, napari_home) -> None:
    monkeypatch.setenv("QT_API", "pyqt6")
    monkeypatch.setenv("NAPARI_CONFIG", str(napari_home / "settings.yaml"))
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(napari_home / name))
    for name in ("PHENOCLIENT_URL", "PHENOCLIENT_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    if display is not None:
        monkeypatch.setenv("DISPLAY", display)
        monkeypatch.setenv("QT_QPA_PLATFORM", "xcb")


@pytest.fixture
def viewer(_desktop) -> Iterator:
    import napari

    viewer = napari.Viewer(show=False)
    yield viewer
    viewer.close()


@pytest.fixture
def dock(viewer):
    """The plugin's widget, opened as its menu entry opens it."""
    _, widget = viewer.window.add_plugin_dock_widget("phenoserve-client", "Explain a stack")
    return widget


@pytest.fixture
def wait_until() -> Callable:
    """Runs Qt's events until a condition holds."""
    from qtpy.QtCore import QEvent
    from qtpy.QtWidgets import QApplication

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not condition():
            assert time.monotonic() < deadline, "the condition did not come to hold in time"
            QApplication.processEvents()
            QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
            time.sleep(0.01)

    return wait
