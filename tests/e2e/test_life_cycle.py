"""SIGTERM, reload and the kill of a worker, each under load, on real processes."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest

from phenoserve.bundle import read_bundle
from phenoserve.engine import Engine

from .conftest import free_port, wait_until_ready
from .load import under_load, wait_until

KEY = "the admin's"
STACKS = [
    np.random.default_rng(seed).integers(0, 250, (6, 64, 64 + seed)).astype(np.uint16) for seed in range(4)
]


@pytest.fixture(scope="module")
def other_bundle(tmp_path_factory, make_tiny_bundle) -> Path:
    path = tmp_path_factory.mktemp("other") / "bundle"
    make_tiny_bundle(path, seed=1)
    return path


@pytest.fixture(scope="module")
def engines(tiny_bundle, other_bundle) -> dict[str, Engine]:
    """Both bundles' engines by their digest."""
    loaded = [Engine.load(read_bundle(path), device="cpu") for path in (tiny_bundle, other_bundle)]
    return {engine.bundle.digest: engine for engine in loaded}


@pytest.fixture
def current(tiny_bundle, tmp_path) -> Path:
    """A link to the bundle that serves."""
    link = tmp_path / "current"
    link.symlink_to(tiny_bundle)
    return link


def point(link: Path, target: Path) -> None:
    """Let the link lead elsewhere, in one step."""
    link.with_name("next").symlink_to(target)
    link.with_name("next").rename(link)


@contextmanager
def process_of(bundle: Path, tmp_path: Path, *options: str):
    """A service, its address, its process, and its log; whatever the test leaves of it is killed."""
    port, log = free_port(), tmp_path / "log"
    admin_keys = tmp_path / "admin_keys"
    admin_keys.write_text(hashlib.sha256(KEY.encode()).hexdigest())
    command = [Path(sys.executable).with_name("phenoserve"), "serve", bundle, "--port", str(port)]
    command += ["--device", "cpu", "--admin-keys-file", admin_keys, *options]
    url = f"http://127.0.0.1:{port}"
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            wait_until_ready(url, process, log)
            yield url, process, log
        finally:
            for pid in workers_of(process):
                os.kill(pid, signal.SIGKILL)
            process.kill()


def workers_of(process: subprocess.Popen) -> list[int]:
    """Processes that this one started."""
    try:
        return [
            int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        ]
    except FileNotFoundError:
        return []


def reload(url: str, key: str | None = KEY) -> httpx.Response:
    return httpx.post(f"{url}/admin/reload", headers={} if key is None else {"x-api-key": key}, timeout=30)


def test_sigterm_under_load_loses_nothing(tiny_bundle, tmp_path, engines) -> None:
    """After SIGTERM every accepted request is answered, each with its own stack's numbers, and the exit code is 0."""
    with process_of(tiny_bundle, tmp_path) as (url, process, log):
        with under_load(url, STACKS) as load:
            load.wait_for(30)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, log.read_text()
            wait_until(lambda: load.refused == 6)
        assert load.lost == []
        load.check(engines)
        assert "Traceback" not in log.read_text()


def test_reload_under_load_switches_between_two_requests(current, other_bundle, tmp_path, engines) -> None:
    """Under a reload every answer is of the bundle it names; a bad bundle is refused, says why, and changes nothing."""
    first, second = engines
    with process_of(current, tmp_path) as (url, process, log):
        with under_load(url, STACKS) as load:
            load.wait_for(20)
            point(current, other_bundle)
            assert reload(url).json() == {
                "status": "reloaded",
                "bundle": {"name": "tiny", "version": "1.0.0", "digest": second},
            }
            load.wait_for(20)
            assert reload(url).json()["status"] == "unchanged"
            broken = shutil.copytree(other_bundle, tmp_path / "broken")
            (broken / "model.onnx").write_bytes((broken / "model.onnx").read_bytes()[:-1] + b"?")
            point(current, broken)
            refused = reload(url)
            assert (refused.status_code, refused.json()["code"]) == (422, "bundle_refused")
            assert "model.onnx" in refused.json()["detail"]
            process.send_signal(signal.SIGHUP)
            wait_until(lambda: log.read_text().count("refused") == 2)
            load.wait_for(20)
            assert httpx.get(f"{url}/bundle").json()["digest"] == second
            assert f'digest="{second}"' in httpx.get(f"{url}/metrics").text
            assert httpx.get(f"{url}/readyz").status_code == 200
        assert load.lost == []
        assert load.check(engines) == {first, second}
        assert reload(url, key=None).status_code == 401
        assert reload(url, key="guess").status_code == 401


@pytest.mark.slow
def test_the_service_survives_the_kill_of_any_worker(current, other_bundle, tmp_path, engines) -> None:
    """A killed worker fails what it held, at once, and is replaced; reload and SIGTERM reach all, lose nothing."""
    first, second = engines
    with process_of(current, tmp_path, "--workers", "2") as (url, process, log):
        wait_until(lambda: len(workers_of(process)) == 2)
        with under_load(url, STACKS) as load:
            load.wait_for(20)
            before = workers_of(process)
            for victim in before:
                os.kill(victim, signal.SIGKILL)
                load.wait_for(20)
                wait_until(lambda victim=victim: len(set(workers_of(process)) - {victim}) == 2)
            assert not set(workers_of(process)) & set(before)
            load.wait_for(20)
            assert len(load.lost) <= 2 * 6
            assert not any("Timeout" in what for what in load.lost)
            load.lost.clear()
            point(current, other_bundle)
            assert reload(url).json()["bundle"]["digest"] == second
            seen_s = time.monotonic()
            while time.monotonic() < seen_s + 1:
                if httpx.get(f"{url}/bundle").json()["digest"] != second:
                    seen_s = time.monotonic()
            assert load.refused == 0
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, log.read_text()
            wait_until(lambda: load.refused == 6)
        assert load.lost == []
        assert load.check(engines) == {first, second}
        assert "Traceback" not in log.read_text()
