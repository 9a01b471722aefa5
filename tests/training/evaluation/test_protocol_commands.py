import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from phenotrain.datasets import load_description
from phenotrain.evaluate import Interval
from phenotrain.labelled import Task
from phenotrain.plates import read_sites
from phenotrain.protocol_cli import splits
from phenotrain.protocol_command import folds_of
from phenotrain.recipe import load_recipe
from phenotrain.reference_table import ReferenceRow
from phenotrain.report.reference import build_reference_report

APP = typer.Typer()
APP.command()(splits)


def printed(*arguments: str) -> str:
    """What `phenotrain splits` prints on a wide console."""
    found = CliRunner().invoke(APP, [str(argument) for argument in arguments], env={"COLUMNS": "240"})
    assert found.exit_code == 0, found.output
    return found.stdout


def table_rows(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in re.split("[│┃]", line)[1:-1]]
        for line in text.splitlines()
        if line.startswith(("│", "┃"))
    ]


@pytest.fixture
def table(tmp_path, screen) -> Path:
    """The folder of an RxRx2-like table, without any image."""
    sites = screen(num_doses=2, treatments=("IFN-alpha-A", "IFNB-1", "IFN-gamma", "IFN-omega"))
    sites.to_csv(tmp_path / "metadata.csv", index=False)
    return tmp_path


def test_the_command_prints_every_protocol_from_the_table_alone(table):
    """Without any image, each protocol's folds are printed, the leaking one marked, and why one does not fit."""
    text = printed("rxrx2", table)
    for title in (
        "leave-experiment-out, fold 1 of 2",
        "leave-experiment-out, fold 2 of 2",
        "leave-plate-out",
        "leave-well-out",
    ):
        assert f"\n{title}\n" in text
    assert text.count("LEAKS:") == 4
    assert "reference, IFN-omega" in text
    assert "Doses are nested in plates" in text
    one = pd.read_csv(table / "metadata.csv").query("experiment == 'E-1'")
    one.to_csv(table / "metadata.csv", index=False)
    assert "leave-experiment-out: not on this screen. Expected two or more experiments" in printed(
        "rxrx2", table
    )


def test_a_protocol_that_cannot_be_is_an_error(table):
    """Asked for by name, a protocol that the screen does not allow ends with code 1 and says why."""
    one = pd.read_csv(table / "metadata.csv").query("experiment == 'E-1'")
    one.to_csv(table / "metadata.csv", index=False)
    found = CliRunner().invoke(APP, ["rxrx2", str(table), "--protocol", "leave-experiment-out"])
    assert found.exit_code == 1
    assert "two or more experiments" in " ".join(found.stderr.split())
    assert not found.stdout


@pytest.mark.data
@pytest.mark.parametrize(
    "protocol", ["leave-experiment-out", "leave-plate-out", "leave-well-out", "reference"]
)
def test_the_counts_printed_for_the_real_rxrx2_are_the_splits_own(data_root, protocol):
    """On RxRx2's metadata the printed wells and sites of each class, and controls of each plate, are the roles' own."""
    rows = table_rows(printed("rxrx2", data_root / "rxrx2", "--protocol", protocol))
    description, recipe = load_description("rxrx2"), load_recipe("default")
    sites = read_sites(description, data_root / "rxrx2")
    made = folds_of(sites, Task.of(description), recipe, protocol)
    assert len(made) == {"leave-experiment-out": 2, "reference": 4}.get(protocol, 1)
    expected = []
    for task, split in made:
        roles = list(split.description["num_sites"])
        for name in task.treatments:
            own = [sites[(split.roles == role) & (sites["treatment"] == name)] for role in roles]
            expected.append([name, *(f"{part['well_id'].nunique()} ({len(part)})" for part in own)])
        wells = sites.assign(role=split.roles).drop_duplicates(["well_id", "role"])
        for (experiment, plate, role), part in wells.groupby(["experiment", "plate", "role"]):
            num_controls = (part["treatment"] == "EMPTY").sum()
            num_treated = part["treatment"].isin(task.treated).sum()
            expected.append([f"{experiment} plate {plate}", role, str(num_controls), str(num_treated)])
    for row in expected:
        assert row in rows
    assert ["0.1", "HUVEC-1 plate 1, HUVEC-1 plate 2, HUVEC-2 plate 1, HUVEC-2 plate 2"] in rows


ROW = ReferenceRow(
    "IFN-a", "reference", True, "classifier", 0.6, 0.7, Interval(0.6, 0.8), 0.7, 0.6, 0.65, 115, 90
)


def test_the_reference_page_marks_what_leaks_and_keeps_its_numbers(screen):
    """The page shows both splits' lines with the leaking one marked, and metrics.json holds the same table."""
    sites = screen(wells_per_treatment=6)
    recipe = load_recipe("reference")
    task = Task("EMPTY", ("EMPTY", "IFN-a"))
    descriptions = [
        split.description
        for name in ("reference", "leave-experiment-out")
        for _, split in folds_of(sites, task, recipe, name)
    ]
    honest = ReferenceRow(
        "IFN-a",
        "leave-experiment-out",
        False,
        "classifier",
        0.5,
        0.52,
        Interval(0.4, 0.6),
        0.5,
        0.5,
        0.5,
        72,
        36,
    )
    made = build_reference_report(
        [ROW, honest],
        descriptions,
        dataset_name="A & B",
        dataset_licence="MIT",
        recipe={"name": "reference"},
        simulated=True,
    )
    page, numbers = made["report.html"].decode(), json.loads(made["metrics.json"], parse_constant=pytest.fail)
    assert page.count('<span class="badge">leaks</span>reference') == 2
    assert '<span class="badge">leaks</span>leave' not in page
    assert "70.00 %" in page
    assert "52.00 %" in page
    assert "A &amp; B" in page
    assert '<div class="simulated">' in page
    assert (
        "0.70 under the reference split, which leaks; 0.52 under leave-experiment-out; chance 0.50 (simulated data)"
        in page
    )
    assert [row["leaks"] for row in numbers["table"]] == [True, False]
    assert [split["protocol"] for split in numbers["splits"]] == [d["protocol"] for d in descriptions]


RECIPE = """
name = "tiny"
downsample = 1
[encoder]
weights = "none"
[projection_head]
hidden_units = [16]
[simclr]
crop_px = 32
epochs = 1
batch_size = 8
[heads]
num_top_doses = 1
epochs = 3
[forest]
num_trees = 5
"""


@pytest.mark.training
@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["leave-experiment-out", "reference"])
def test_evaluate_learns_every_fold_and_reports_without_a_bundle(tmp_path, protocol):
    """On a simulated screen both directions are learned, pooled and reported, or set beside the leaking split."""
    screen, out = tmp_path / "screen", tmp_path / "out"
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(RECIPE)
    command = [str(Path(sys.executable).with_name("phenotrain"))]
    options = ["--field-px", "64", "--dose", "0.1", "--control-wells", "4", "--wells-per-treatment", "3"]
    options += ["--sites-per-well", "1", "--no-progress"]
    subprocess.run([*command, "simulate", str(screen), *options], check=True, capture_output=True)
    asked = ["--recipe", str(recipe), "--protocol", protocol, "--treatment", "IFN-gamma"]
    done = subprocess.run(
        [*command, "evaluate", "rxrx2", str(screen), str(out), *asked],
        check=False,
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in out.iterdir()) == ["metrics.json", "report.html"]
    numbers = json.loads((out / "metrics.json").read_text())
    assert "simulated" in numbers["headline"]
    if protocol == "reference":
        assert {(row["protocol"], row["model"]) for row in numbers["table"]} == {
            (name, model)
            for name in ("reference", "leave-experiment-out")
            for model in ("classifier", "forest")
        }
    else:
        assert [fold["name"] for fold in numbers["folds"]["folds"]] == ["HUVEC-1", "HUVEC-2"]
        assert numbers["test"]["num_wells"] == 2 * 2 * (3 + 4)
        assert numbers["validation"] is None
    again = subprocess.run(
        [*command, "evaluate", "rxrx2", str(screen), str(out), *asked],
        check=False,
        text=True,
        capture_output=True,
    )
    assert again.returncode == 1
    assert "exists" in again.stderr
