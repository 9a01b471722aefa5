"""The whole line: a simulated screen in, a killed and resumed run, a bundle that the service's own code verifies."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from phenoserve.engine.golden_replay import verify
from phenotrain.training_log import read_log

pytestmark = [pytest.mark.training, pytest.mark.slow]

TINY = Path(__file__).parents[1] / "cases" / "tiny.toml"


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    out = tmp_path_factory.mktemp("screen") / "screen"
    options = ["--field-px", "64", "--dose", "0.1", "--control-wells", "2", "--wells-per-treatment", "1"]
    phenotrain("simulate", str(out), *options, "--sites-per-well", "1", "--no-progress")
    return out


def command(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name("phenotrain")), *arguments]


def phenotrain(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), check=True, text=True, capture_output=True)


def test_a_killed_run_goes_on_to_a_bundle_that_verifies(screen, tmp_path):
    """Killed with SIGKILL after an epoch and called again, `phenotrain run` ends in a bundle that verifies."""
    recipe, work, bundle = tmp_path / "tiny.toml", tmp_path / "work", tmp_path / "bundle"
    recipe.write_text(TINY.read_text().replace("epochs = 1", "epochs = 3"))
    arguments = ["run", "rxrx2", str(screen), str(bundle), "--recipe", str(recipe), "--work", str(work)]
    held_out = tmp_path / "held_out.csv"
    process = subprocess.Popen(command(*arguments), stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while (
        not list(work.glob("simclr/*/checkpoint.npz"))
        and process.poll() is None
        and time.monotonic() < deadline
    ):
        time.sleep(0.05)
    assert process.poll() is None, process.stderr.read() if process.stderr else ""
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not bundle.exists()
    (simclr,) = work.glob("simclr/*")
    (first, *_) = read_log(simclr)

    done = phenotrain(*arguments, "--held-out", str(held_out))
    (report,) = verify(bundle, device="cpu")
    assert report.ok
    assert list(work.glob("simclr/*")) == [simclr]
    log = read_log(simclr)
    assert log[0] == first, "the finished epoch was trained again"
    assert [row.epoch for row in log] == [0, 1, 2]
    manifest = report.bundle.manifest
    assert manifest.control == manifest.treatments[0] == "EMPTY"
    assert manifest.provenance.dataset.simulated
    assert "Simulated" in manifest.provenance.dataset.name
    assert manifest.provenance.split["protocol"] == "leave-experiment-out"
    assert set(manifest.provenance.split["learned_wells"]) == {"HUVEC-1"}
    assert "simulated" in json.loads(done.stdout)["headline"]
    assert set(pd.read_csv(held_out)["experiment"]) == {"HUVEC-2"}
    page = (bundle / "report" / "report.html").read_text(encoding="utf-8")
    assert "simulated" in page.lower()

    evaluated = phenotrain(
        "evaluate", "rxrx2", str(screen), str(tmp_path / "out"), "--recipe", str(recipe), "--work", str(work)
    )
    assert evaluated.stderr.count("learned before, taken from") == 1, (
        "the run's own fold is not learned again"
    )
    assert len(list(work.glob("simclr/*"))) == 2


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--name", "my run"], "my run"),
        (["--version", "1 beta"], "1 beta"),
        (["--treatment", "IFN-delta"], "IFN-delta"),
        (["--test-experiment", "HUVEC-9"], "HUVEC-9"),
        (["--recipe", "nothing"], "nothing"),
        (["--recipe", "default", "--weights", "none"], "A step takes"),
    ],
)
def test_mistakes_are_found_before_the_work(screen, tmp_path, options, named):
    """What cannot be used, be it name, treatment, experiment, recipe or plate, is named before anything is cached."""
    arguments = ["run", "rxrx2", str(screen), str(tmp_path / "bundle"), "--recipe", "demo"]
    done = subprocess.run(command(*arguments, *options), check=False, text=True, capture_output=True)
    assert done.returncode == 1
    assert named in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_offline_weights_name_the_other_choices(screen, tmp_path):
    """Where ImageNet weights cannot be had, the error names `--weights none` and `--weights PATH`."""
    arguments = ["run", "rxrx2", str(screen), str(tmp_path / "bundle"), "--recipe", "reference", "--weights"]
    done = subprocess.run(
        command(*arguments, str(tmp_path / "missing.h5")), check=False, text=True, capture_output=True
    )
    assert done.returncode == 1
    assert "missing.h5" in "".join(done.stderr.split())  # the console wraps long paths
    assert "none" in done.stderr
    assert "Traceback" not in done.stderr
