from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import stamina
import tifffile

from phenoclient import Client

from .fake_service import FakeService

BASE_URL = "http://phenoserve.test"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch) -> None:
    for name in (
        "PHENOCLIENT_URL",
        "PHENOCLIENT_API_KEY",
        *(
            name
            for proxy in ("http", "https", "all", "no")
            for name in (f"{proxy}_proxy", f"{proxy}_PROXY".upper())
        ),
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _retries_without_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=100, cap=True):
        yield
    stamina.instrumentation.set_on_retry_hooks(None)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def client(service) -> Iterator[Client]:
    with Client(BASE_URL, transport=httpx.MockTransport(service)) as client:
        yield client


@pytest.fixture
def stack() -> np.ndarray:
    return np.arange(2 * 40 * 36, dtype=np.uint16).reshape(2, 40, 36)


@pytest.fixture
def channel_files(tmp_path, stack) -> list[Path]:
    """One LZW TIFF a channel."""
    paths = [tmp_path / f"w{index + 1}.tif" for index in range(len(stack))]
    for path, channel in zip(paths, stack, strict=True):
        tifffile.imwrite(path, channel, compression="lzw")
    return paths


@pytest.fixture
def stack_file(tmp_path, stack) -> Path:
    """All channels in one TIFF."""
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, stack, photometric="minisblack")
    return path


def touch(folder: Path, *names: str) -> Path:
    """Empty files in a folder, and the folders that they lie in."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.fixture
def folder(tmp_path) -> Path:
    """The folder of a plate, empty."""
    (tmp_path / "plate").mkdir()
    return tmp_path / "plate"
