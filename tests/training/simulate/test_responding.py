"""Screens in which nothing, or only a part of each field, responds to the treatments."""

import csv
import json

import imagecodecs
import numpy as np
import pytest
from pydantic import ValidationError
from typer import Typer
from typer.testing import CliRunner

from phenotrain.simulate import CONTROL, PHENOTYPES, STATEMENT_FILE, ScreenSpec, simulate_screen
from phenotrain.simulate.cells import sample_cells
from phenotrain.simulate.cli import simulate
from phenotrain.simulate.layout import SitePlan, plan_screen
from phenotrain.simulate.phenotypes import cells_in_a_disc
from phenotrain.simulate.render import render_site

SMALL = {
    "seed": 5,
    "field_px": 64,
    "num_experiments": 1,
    "doses": (0.1,),
    "wells_per_treatment": 1,
    "control_wells": 1,
    "sites_per_well": 1,
}


def site(treatment, number=1):
    return SitePlan(1, 2, 7, 21, number, treatment, None if treatment == CONTROL else 0.1)


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("treatment", PHENOTYPES)
def test_without_effect_a_site_is_its_untreated_twin(treatment):
    """Without effect a site at the top dose is, byte for byte, the site that was given nothing."""
    inert, twin = render_site(3, 128, site(treatment), effect=False), render_site(3, 128, site(CONTROL))
    np.testing.assert_array_equal(inert.stack, twin.stack)
    assert not inert.mask.any()


def test_a_screen_without_effect_names_its_treatments_and_says_that_they_do_nothing(tmp_path):
    """The table is that of the same screen with effect; truth.csv says 0 everywhere, and SIMULATED.json why."""
    inert, active = ScreenSpec(**SMALL, effect=False), ScreenSpec(**SMALL)
    simulate_screen(tmp_path / "inert", inert, num_workers=1)
    simulate_screen(tmp_path / "active", active, num_workers=1)
    ours, theirs = files(tmp_path / "inert"), files(tmp_path / "active")
    assert ours["metadata.csv"] == theirs["metadata.csv"]
    with (tmp_path / "inert" / "truth" / "truth.csv").open(newline="") as file:
        assert {row["effect"] for row in csv.DictReader(file)} == {"0"}
    statement = json.loads(ours[STATEMENT_FILE])
    assert "do nothing" in statement["truth"]["no_effect"]
    assert ScreenSpec.model_validate(statement["spec"]) == inert
    for plan in plan_screen(inert):
        assert not imagecodecs.png_decode(ours[str(plan.mask_path)]).any()
        paths = [str(plan.image_path(channel)) for channel in range(1, 7)]
        changed = any(ours[path] != theirs[path] for path in paths)
        assert changed == (plan.treatment != CONTROL)


def test_a_screen_that_uses_no_option_says_nothing_of_options(tmp_path):
    """All cells responding is what a screen does unless told otherwise: asking for it changes no file."""
    simulate_screen(tmp_path / "asked", ScreenSpec(**SMALL, responding_share=1.0), num_workers=1)
    simulate_screen(tmp_path / "not", ScreenSpec(**SMALL), num_workers=1)
    assert files(tmp_path / "asked") == files(tmp_path / "not")
    assert b"respond" not in (tmp_path / "not" / STATEMENT_FILE).read_bytes()


@pytest.mark.parametrize("share", [0.05, 0.2, 0.6, 0.9])
def test_the_disc_covers_its_share_of_the_field(share):
    """Averaged over sites, the share of a field's cells that respond is the disc's share of its area."""
    reached, total = 0, 0
    for number in range(60):
        cells = sample_cells(np.random.default_rng(number), 512, 1.0)
        inside = (np.abs(cells.y_px - 256) <= 256) & (np.abs(cells.x_px - 256) <= 256)
        reached += int(cells_in_a_disc(cells, 512, share, 1, (1, 1, 1, 2, number))[inside].sum())
        total += int(inside.sum())
    assert reached / total == pytest.approx(share, abs=5 * np.sqrt(share * (1 - share) / total) + 0.01)


def test_cells_respond_in_a_disc_or_not_at_all():
    """Some circle holds the nuclei of all responding cells and of no other; its centre differs between sites."""
    chosen = []
    for number in range(5):
        cells = sample_cells(np.random.default_rng(2), 512, 1.0)
        reached = cells_in_a_disc(cells, 512, 0.2, 1, (1, 1, 1, 2, number))
        points = np.stack([cells.y_px, cells.x_px], axis=1)
        centres = np.stack(np.meshgrid(np.arange(0, 512, 8), np.arange(0, 512, 8)), axis=-1).reshape(-1, 2)
        distance = np.linalg.norm(points - centres[:, np.newaxis], axis=2)
        overlap = np.where(reached, distance, -1).max(axis=1) - np.where(reached, 1e9, distance).min(axis=1)
        assert overlap.min() < 8
        chosen.append(reached)
    assert len({reached.tobytes() for reached in chosen}) == 5


@pytest.mark.parametrize("treatment", PHENOTYPES)
def test_the_truth_lies_where_cells_respond(treatment):
    """The responding cells look exactly as they do when all respond; the others exactly as untreated ones."""
    everywhere = render_site(8, 384, site(treatment))
    here = render_site(8, 384, site(treatment), responding_share=0.2)
    untreated = render_site(8, 384, site(CONTROL))
    is_treated = (here.stack != untreated.stack).any(axis=0)
    differs_from_treated = (here.stack != everywhere.stack).any(axis=0)
    assert 0 < here.mask.astype(bool).mean() < 0.5 * everywhere.mask.astype(bool).mean()
    # A blurred border between responding cells and others is neither.
    assert (is_treated & differs_from_treated).mean() < 0.02
    assert ((here.mask & ~everywhere.mask) > 0).mean() < 0.002


def test_the_command_takes_both_options(tmp_path):
    """`--no-effect` and `--responding-share` make the screen of the specification that says the same."""
    app = Typer()
    app.command()(simulate)
    small = "--seed 5 --field-px 64 --num-experiments 1 --dose 0.1 --wells-per-treatment 1 --control-wells 1"
    small += " --sites-per-well 1 --num-workers 1 --no-progress"
    for name, options, spec in (
        ("inert", "--no-effect", ScreenSpec(**SMALL, effect=False)),
        ("part", "--responding-share 0.2", ScreenSpec(**SMALL, responding_share=0.2)),
    ):
        result = CliRunner().invoke(app, [str(tmp_path / name), *small.split(), *options.split()])
        assert result.exit_code == 0, result.output
        statement = json.loads((tmp_path / name / STATEMENT_FILE).read_text())
        assert ScreenSpec.model_validate(statement["spec"]) == spec


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1, float("nan")])
def test_a_share_is_above_nothing_and_at_most_all(share):
    """A responding share outside (0, 1] is refused; a screen without effect has an option of its own."""
    with pytest.raises(ValidationError, match="responding_share"):
        ScreenSpec(responding_share=share)
