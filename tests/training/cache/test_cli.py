import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from phenotrain.cache import FieldCache
from phenotrain.cache.cli import cache


@pytest.fixture
def run():
    app = typer.Typer()
    app.command()(cache)
    runner = CliRunner()
    return lambda *words: runner.invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})


def test_command_builds_a_cache(run, make_screen, tmp_path):
    """The command pools the screen as told and says how many sites it stored."""
    screen = make_screen()
    result = run(
        screen.root / "description.toml", screen.root, tmp_path / "cache", "--downsample", 2, "--workers", 1
    )
    assert result.exit_code == 0, result.stderr
    assert "6 sites of 2 x 11 x 13" in result.stderr
    assert FieldCache.open(tmp_path / "cache").downsample == 2


def test_command_fails_with_the_reason_and_offers_the_way_out(run, make_screen, tmp_path):
    """An incomplete screen ends the command with 1 and every fault; with --skip-incomplete it counts them."""
    screen = make_screen()
    screen.path("E_1_B01_1", 1).unlink()
    words = (screen.root / "description.toml", screen.root, tmp_path / "cache", "--workers", 1)
    result = run(*words)
    assert result.exit_code == 1
    assert "E_1_B01_1: images/E/Plate1/B01_s1_w1.png: is missing" in result.stderr
    result = run(*words, "--skip-incomplete")
    assert result.exit_code == 0
    assert "1 sites left out" in result.stderr


def test_treated_plates_without_controls_are_named_before_images_are_read(run, make_screen, tmp_path):
    """A plate of treated wells alone is named with the option that leaves it out, though no image of it can be read."""
    screen = make_screen()
    table = screen.root / "metadata.csv"
    row = "E_9_B01_1,E_9_B01,HUVEC,E,9,B01,1,drug,0.1"
    table.write_text(f"{table.read_text('utf-8').rstrip()}\n{row}\n", "utf-8")
    result = run(screen.root / "description.toml", screen.root, tmp_path / "cache", "--workers", 1)
    told = result.stderr
    assert "No EMPTY on E plate 9 beside treated wells" in told
    assert told.index("--without-controls leave-out") < told.index("is missing")


def test_help_tells_the_default(run):
    """The help of the number of workers says what it is where none is given."""
    assert "one a core" in run("--help").stdout


def test_unknown_dataset_ends_the_command(run, tmp_path):
    """A dataset that is not known ends the command with 1 and the known names."""
    result = run("rxrx9", tmp_path, tmp_path / "cache")
    assert result.exit_code == 1
    assert "bbbc013" in result.stderr


def test_reading_and_caching_never_import_tensorflow():
    """The description, plate and cache packages do without TensorFlow, so that workers start fast."""
    code = "import sys, phenotrain.cache.cli; print([m for m in ('tensorflow', 'keras') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
