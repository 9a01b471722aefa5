import csv
import json
import subprocess
import sys

import imagecodecs
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from phenotrain.simulate import PHENOTYPES, STAINS, STATEMENT_FILE, ScreenSpec, simulate_screen
from phenotrain.simulate.cli import simulate
from phenotrain.simulate.layout import plan_screen
from phenotrain.simulate.truth import EFFECT_COLUMNS

SPEC = ScreenSpec(
    seed=7, field_px=64, doses=(0.1, 0.0001), wells_per_treatment=1, control_wells=1, sites_per_well=2
)


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    out = tmp_path_factory.mktemp("simulated") / "screen"
    simulate_screen(out, SPEC, num_workers=1)
    return out


@pytest.fixture
def command():
    app = typer.Typer()
    app.command()(simulate)
    return app


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_files_do_not_depend_on_the_number_of_workers(tmp_path, screen):
    """One worker and two write byte-identical screens."""
    simulate_screen(tmp_path / "two", SPEC, num_workers=2)
    assert contents(tmp_path / "two") == contents(screen)


def test_another_seed_gives_another_screen(tmp_path, screen):
    """The seed changes the images and the positions of the wells."""
    simulate_screen(tmp_path / "other", SPEC.model_copy(update={"seed": 8}), num_workers=1)
    assert (tmp_path / "other" / "metadata.csv").read_bytes() != (screen / "metadata.csv").read_bytes()


def test_every_site_has_six_images_and_a_mask(screen):
    """Beside the planned images and masks there are only the tables and the statement."""
    plans = plan_screen(SPEC)
    expected = {str(plan.image_path(channel)) for plan in plans for channel in range(1, 7)}
    expected |= {str(plan.mask_path) for plan in plans}
    assert set(contents(screen)) == expected | {"metadata.csv", "truth/truth.csv", STATEMENT_FILE}


def test_images_are_single_channel_8_bit_png(screen):
    """Every image is a PNG of one 8-bit channel and of the field's size."""
    for path in screen.rglob("*.png"):
        data = path.read_bytes()
        assert data.startswith(b"\x89PNG")
        image = imagecodecs.png_decode(data)
        assert (image.shape, image.dtype) == ((64, 64), np.uint8)


def test_the_screen_says_that_it_is_simulated(screen):
    """SIMULATED.json carries the statement, the seed and a specification that makes the same screen again."""
    statement = json.loads((screen / STATEMENT_FILE).read_text())
    assert statement["simulated"] is True
    assert "simulated" in statement["statement"]
    assert statement["seed"] == SPEC.seed
    assert ScreenSpec.model_validate(statement["spec"]) == SPEC
    assert statement["package"]["version"]
    assert statement["truth"]["mask_bits"] == {stain: 2**channel for channel, stain in enumerate(STAINS)}


def test_the_truth_table_has_every_effect(screen):
    """truth.csv has a row for every treatment, dose and moved parameter, with effect 0 at an inert dose."""
    with (screen / "truth" / "truth.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == EFFECT_COLUMNS
    assert len(rows) == len(SPEC.doses) * sum(len(phenotype.shifts) for phenotype in PHENOTYPES.values())
    for row in rows:
        assert row["stain"] in PHENOTYPES[row["treatment"]].stains
        assert (float(row["effect"]) == 0) == (float(row["treatment_conc"]) < 0.001)


def test_masks_mark_treated_sites_at_active_doses_alone(screen):
    """A site's mask is empty if, and only if, its well was given nothing that acts."""
    for plan in plan_screen(SPEC):
        mask = imagecodecs.png_decode((screen / plan.mask_path).read_bytes())
        assert mask.any() == (plan.dose == 0.1)


def test_a_folder_that_holds_files_is_refused(tmp_path):
    """A folder that is not empty is refused by name and left as it was."""
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(FileExistsError, match="holds files already"):
        simulate_screen(tmp_path, SPEC)
    assert list(contents(tmp_path)) == ["mine.txt"]


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    """A file is no place for a screen."""
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError, match="not a folder"):
        simulate_screen(tmp_path / "file", SPEC)


def test_no_workers_are_refused(tmp_path):
    """The number of workers must be at least 1."""
    with pytest.raises(ValueError, match="at least 1"):
        simulate_screen(tmp_path / "out", SPEC, num_workers=0)
    assert not (tmp_path / "out").exists()


def test_the_command_writes_the_same_screen(tmp_path, screen, command):
    """The command's options make the screen that the function makes."""
    options = "--seed 7 --field-px 64 --dose 0.1 --dose 0.0001 --wells-per-treatment 1 --control-wells 1"
    options += " --sites-per-well 2 --num-workers 1 --no-progress"
    result = CliRunner().invoke(command, [str(tmp_path / "out"), *options.split()])
    assert result.exit_code == 0, result.output
    assert contents(tmp_path / "out") == contents(screen)


@pytest.mark.parametrize("options", [["--dose", "0.3"], ["--treatment", "aspirin"], ["--num-workers", "0"]])
def test_the_command_refuses_what_cannot_be_simulated(tmp_path, command, options):
    """A wrong option ends with exit code 2 and names the value."""
    result = CliRunner().invoke(command, [str(tmp_path / "out"), *options])
    assert result.exit_code == 2
    assert options[1] in result.output
    assert not (tmp_path / "out").exists()


def test_simulating_imports_no_tensorflow():
    """The simulation does not load TensorFlow."""
    script = "import sys, phenotrain.simulate.cli; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
