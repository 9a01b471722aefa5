"""Every odd or malformed TIFF at hand, posted to a service in a process of its own, for every kind of answer."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from phenoserve.errors import ERRORS

from .problem import assert_problem
from .test_scheduling import address

pytestmark = pytest.mark.data
LIMIT_S = 5
LIMIT_GROWTH_MIB = 1024
REQUESTS = (
    ("/predict", "application/json"),
    ("/embed", "application/json"),
    ("/embed", "application/x-npy"),
    ("/explain", "application/json"),
    ("/explain", "image/png"),
    ("/explain", "image/tiff"),
)


@contextmanager
def serving(bundle: Path, log: Path) -> Iterator[tuple[httpx.Client, subprocess.Popen]]:
    command = [Path(sys.executable).with_name("phenoserve"), "serve", bundle, "--port", "0"]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            with httpx.Client(base_url=address(process, log), timeout=60) as client:
                while client.get("/readyz").status_code != 200:
                    time.sleep(0.05)
                yield client, process
        finally:
            process.terminate()
    assert "Traceback" not in log.read_text()


def resident_mib(process: subprocess.Popen) -> float:
    fields = (line.split() for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
    return next(int(field[1]) for field in fields if field[0] == "VmRSS:") / 1024


@pytest.mark.parametrize("num_channels", [1, 3, 5, 6])
def test_every_file_is_answered_or_refused(num_channels: int, data_root, make_tiny_bundle, tmp_path) -> None:
    """Each route answers each file in each media type, or with a documented 4xx, in time and in bounded memory."""
    bundle = tmp_path / "bundle"
    make_tiny_bundle(bundle, channels=tuple(f"stain {index}" for index in range(num_channels)), downsample=1)
    files = sorted(path for path in (data_root / "tiffs").rglob("*") if path.suffix in {".tif", ".tiff"})
    assert len(files) > 100
    with serving(bundle, tmp_path / "log") as (client, process):
        before = resident_mib(process)
        for path in files:
            content = path.read_bytes()
            for route, accept in REQUESTS:
                began = time.monotonic()
                response = client.post(
                    route, content=content, headers={"content-type": "image/tiff", "accept": accept}
                )
                assert time.monotonic() - began < LIMIT_S, path
                if response.is_success:
                    assert response.headers["content-type"] == accept, path
                else:
                    code = response.json()["code"]
                    assert 400 <= ERRORS[code].status < 500, path
                    assert_problem(response, code)
        assert process.poll() is None
        assert resident_mib(process) - before < LIMIT_GROWTH_MIB
