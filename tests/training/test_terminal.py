"""What a command says, where it says it, and what is not heard."""

import io
import json
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from phenotrain import progress
from phenotrain.cli import app
from phenotrain.progress import step_bar, uncounted_step
from phenotrain.tensorflow_start import _kept_back

CHATTER = re.compile(
    r"absl::|oneDNN|cudart|cuInit|cpu_feature_guard|rebuild TensorFlow|retracing|WARNING|Warning|onnxruntime:|"
    r"^[IWEF]\d{4} |━|\x1b",
    re.MULTILINE,
)
"""What libraries write of themselves, and what only a terminal shows."""


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands until it is moved on."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def piped() -> Console:
    return Console(file=io.StringIO(), width=200)


def said(console: Console) -> list[str]:
    return console.file.getvalue().splitlines()


def test_a_piped_step_is_told_in_lines_half_a_minute_apart(clock):
    """A line at the start, one each half minute with the time that new work leaves, one at the end; no bar."""
    console = piped()
    with step_bar("SimCLR", console) as advance:
        advance(100, 400)
        for done in range(101, 401):
            clock[0] += 1.0
            advance(done, 400, 2.5)
    assert said(console)[:3] == [
        "SimCLR: 100/400 …",
        "SimCLR: 130/400, loss 2.500, 0:04:30 left",
        "SimCLR: 160/400, loss 2.500, 0:04:00 left",
    ]
    assert said(console)[-1] == "SimCLR: done in 0:05:00"
    assert len(said(console)) == 2 + 9


def test_a_step_that_fails_is_not_called_done(clock):
    """A step that ends in an error has its start told and no end."""
    console = piped()
    with pytest.raises(ValueError, match="why"), uncounted_step("Export", console):
        raise ValueError("why")
    assert said(console) == ["Export …"]


@pytest.mark.parametrize("done", [0, 7, 10])
def test_a_bar_starts_at_what_was_done_before(done):
    """On a terminal a resumed step shows its own count from the first moment, even where nothing is left to do."""
    console = Console(file=io.StringIO(), width=100, force_terminal=True, force_interactive=True)
    with step_bar("Embeddings", console) as advance:
        advance(done, 10)
    assert f"{done}/10" in console.file.getvalue().replace(" ", "")


def fail_to_start():
    with _kept_back():
        os.write(2, b"the reason\n")
        raise ImportError


def test_what_is_kept_back_is_shown_after_an_error(capfd):
    """What a library writes to the file descriptor is not heard, and is heard in full where it then fails."""
    with _kept_back():
        os.write(2, b"chatter\n")
    assert capfd.readouterr().err == ""
    with pytest.raises(ImportError):
        fail_to_start()
    assert capfd.readouterr().err == "the reason\n"


def test_the_version_is_one_line():
    """`--version` names the package's version and TensorFlow's."""
    result = CliRunner().invoke(app, ["--version"])
    expected = f"phenotrain {metadata.version('phenoserve-training')} (tensorflow {metadata.version('tensorflow')})\n"
    assert (result.exit_code, result.stdout) == (0, expected)


@pytest.mark.parametrize("command", ["run", "evaluate", "splits", "profile", "quantize", "cache"])
@pytest.mark.parametrize("what", ["a file", "nothing"])
def test_a_wrong_folder_says_what_stands_where(tmp_path, command, what):
    """Swapped or wrong arguments end in a line that says what the folder is and what was expected; status 2."""
    wrong = tmp_path / "data"
    if what == "a file":
        wrong.touch()
    rest = {"run": 1, "evaluate": 1, "splits": 0, "profile": 2, "quantize": 2, "cache": 1}[command]
    result = CliRunner().invoke(app, [command, str(tmp_path), str(wrong), *["out"] * rest])
    assert result.exit_code == 2
    found = "is a file" if what == "a file" else "does not exist"
    line = result.stderr.splitlines()[-1]
    assert f"{wrong} {found}. Expected the dataset, and after it the folder of its table." in line


TINY = Path(__file__).parents[1] / "cases" / "tiny.toml"


def phenotrain(*arguments: object) -> tuple[dict, str]:
    """Result and messages of a command whose outputs are piped, and in which no library is heard."""
    program = Path(sys.executable).with_name("phenotrain")
    done = subprocess.run(
        [program, *map(str, arguments)], check=True, text=True, capture_output=True, timeout=600
    )
    assert not CHATTER.search(done.stderr), done.stderr
    return json.loads(done.stdout), done.stderr


@pytest.mark.training
@pytest.mark.slow
def test_no_library_is_heard_and_every_result_is_json(tmp_path):
    """A command's standard output is one JSON object, its messages are plain lines; what it writes names no folder."""
    screen, recipe, bundle = tmp_path / "screen", tmp_path / "tiny.toml", tmp_path / "bundle"
    recipe.write_text(TINY.read_text().replace("encoders = false", "encoders = true"))
    small = ["--field-px", "64", "--dose", "0.1", "--control-wells", "4", "--wells-per-treatment", "1"]
    made, _ = phenotrain("simulate", screen, *small, "--sites-per-well", "1")
    assert made["num_sites"] == 32
    cached, messages = phenotrain(
        "cache", "rxrx2", screen, tmp_path / "cache", "--downsample", "1", "--workers", "2"
    )
    assert (cached["num_sites"], cached["num_left_out"]) == (32, 0)
    assert "Caching sites: 0/32 …" in messages
    splits, _ = phenotrain("splits", "rxrx2", screen, "--recipe", recipe)
    assert splits["protocols"]["leave-experiment-out"]["is_possible"]
    asked = ["rxrx2", screen, bundle, "--recipe", recipe, "--cache", tmp_path / "cache"]
    learned, messages = phenotrain("run", *asked)
    assert "simulated data" in learned["headline"]
    assert re.search(r"^(No GPU.*: t|T)raining on ", messages, re.MULTILINE)
    profiles, _ = phenotrain("profile", "rxrx2", screen, bundle, tmp_path / "profiles", "--draws", "19")
    assert Path(profiles["report"]).is_file()
    for folder in (bundle, tmp_path / "profiles"):
        for file in folder.rglob("*"):
            if file.suffix in {".json", ".md", ".html", ".csv"} and "embeddings" not in file.parts:
                assert str(tmp_path) not in file.read_text("utf-8"), file
