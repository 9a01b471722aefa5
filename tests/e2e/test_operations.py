"""What whoever runs the service sees of it: logs and metrics of real processes, and what its page says of them."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from .conftest import serving
from .load import encode, wait_until

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
TIFF = {"content-type": "image/tiff"}


def scrape(url: str) -> dict[str, float]:
    """Every sample, summed over its labels, as one process tells it."""
    samples: dict[str, float] = {}
    for family in text_string_to_metric_families(httpx.get(f"{url}/metrics").text):
        for sample in family.samples:
            samples[sample.name] = samples.get(sample.name, 0) + sample.value
    return samples


def test_the_log_is_json_and_its_lines_are_as_documented(tiny_bundle, stacks, tmp_path) -> None:
    """Every line of a real service is an object, and that of a request has the documented fields, once a request."""
    log = tmp_path / "log"
    with serving(tiny_bundle, log) as url:
        answer = httpx.post(f"{url}/predict", content=encode(stacks[0]), headers=TIFF)
        assert "server" not in answer.headers
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {"phenoserve.process.serve", "uvicorn.error"} <= {line["logger"] for line in lines}
    its_id = answer.headers["x-request-id"]
    (line,) = [line for line in lines if line.get("request_id") == its_id]
    (example,) = re.findall(r"```json\n(\{[^`]*access_log[^`]*\})\n```", PAGE.read_text("utf-8"))
    assert set(line) == set(json.loads(example))
    assert (line["route"], line["status"], line["sent_bytes"]) == ("/predict", 200, len(answer.content))


@pytest.mark.slow
def test_metrics_add_up_over_processes(tiny_bundle, stacks, tmp_path) -> None:
    """Whichever of two processes is asked tells the sum of both, and a killed one's counts are not lost."""
    body, log = encode(stacks[0]), tmp_path / "log"
    with serving(tiny_bundle, log, "--workers", "2") as url:
        wait_until(lambda: scrape(url)["phenoserve_ready"] == 2)
        for _ in range(12):
            assert httpx.post(f"{url}/embed", content=body, headers=TIFF).status_code == 200
        # Each scrape is a connection of its own, which either process may take.
        assert {scrape(url)["phenoserve_stacks_total"] for _ in range(12)} == {12}
        assert {scrape(url)["phenoserve_inference_batch_size_sum"] for _ in range(12)} == {12}
        started = re.findall(r"Worker (\d+) started", log.read_text())
        os.kill(int(started[0]), signal.SIGKILL)
        wait_until(lambda: len(re.findall(r"Worker (\d+) started", log.read_text())) == 3)
        wait_until(lambda: scrape(url)["phenoserve_processes"] == scrape(url)["phenoserve_ready"] == 2)
        assert scrape(url)["phenoserve_stacks_total"] == 12


def test_a_revoked_key_is_refused_after_sighup(tiny_bundle, tmp_path) -> None:
    """The commands of the page make a key that is let in, and SIGHUP takes it out again."""
    keys = tmp_path / "keys.txt"
    (command,) = re.findall(r"^(printf .*sha256sum.*)$", PAGE.read_text("utf-8"), re.MULTILINE)
    subprocess.run(command, shell=True, check=True, cwd=tmp_path, env=os.environ | {"KEY": "mine"})
    log = tmp_path / "log"
    with serving(tiny_bundle, log, "--api-keys-file", str(keys)) as url:
        assert httpx.get(f"{url}/bundle", headers={"x-api-key": "mine"}).status_code == 200
        assert httpx.get(f"{url}/bundle", headers={"x-api-key": "other"}).status_code == 401
        keys.write_text("0" * 64)
        (pid,) = {line["pid"] for line in map(json.loads, log.read_text().splitlines()) if "pid" in line}
        os.kill(pid, signal.SIGHUP)
        wait_until(lambda: httpx.get(f"{url}/bundle", headers={"x-api-key": "mine"}).status_code == 401)
