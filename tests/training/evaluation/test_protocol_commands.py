import io
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from phenotrain.datasets import load_description
from phenotrain.errors import ScreenError
from phenotrain.evaluate import Interval, ModelPredictions, Predictions
from phenotrain.plates import read_sites
from phenotrain.protocols.choose import Asked, folds_of, split_of
from phenotrain.protocols.cli import splits
from phenotrain.protocols.reference_table import ReferenceRow
from phenotrain.recipe import load_recipe
from phenotrain.report.reference import build_reference_report
from phenotrain.task import Task

APP = typer.Typer()
APP.command()(splits)


def printed(*arguments: str) -> str:
    """What `phenotrain splits` prints on a wide terminal."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("phenotrain.protocols.splits_command.wants_json", bool)
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
    """Without any image, each protocol's folds are printed, the leaking one marked, and why one is not possible."""
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
    text = printed("rxrx2", table)
    assert re.search("leave-experiment-out +not possible: there is one experiment, E-1 *\n", text)
    assert re.search("leave-one-plate-out +taken when none is asked for, 4 folds *\n", text)
    assert re.search("leave-plate-out +possible when asked for *\n", text)
    assert ["E-1 plate 4", "E-1 plate 2", "42", "84", "42"] in table_rows(text)


def test_a_protocol_that_cannot_be_is_an_error(table):
    """Asked for by name, a protocol that the screen does not allow ends with code 1 and says why."""
    one = pd.read_csv(table / "metadata.csv").query("experiment == 'E-1'")
    one.to_csv(table / "metadata.csv", index=False)
    found = CliRunner().invoke(APP, ["rxrx2", str(table), "--protocol", "leave-experiment-out"])
    assert found.exit_code == 1
    assert "there is one experiment, E-1. Possible are: leave-plate-out, leave-one-plate-out" in " ".join(
        found.stderr.split()
    )
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
    made = folds_of(sites, Task.of(description), recipe, Asked(protocol))
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
        for _, split in folds_of(sites, task, recipe, Asked(name))
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


TINY = Path(__file__).parents[2] / "cases" / "tiny.toml"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> Path:
    """A screen of two experiments with two plates each, drawn small."""
    path = tmp_path_factory.mktemp("evaluate") / "screen"
    options = ["--field-px", "64", "--dose", "0.1", "--control-wells", "4", "--wells-per-treatment", "3"]
    command = [str(Path(sys.executable).with_name("phenotrain")), "simulate", str(path), *options]
    subprocess.run([*command, "--sites-per-well", "2", "--no-progress"], check=True, capture_output=True)
    return path


def asked(screen: Path, out: Path, **changes):
    """Arguments of `evaluate_command`."""
    recipe = out.with_name("tiny.toml")
    recipe.write_text(TINY.read_text().replace("num_top_doses = 0", "num_top_doses = 1"))
    return {
        "dataset": "rxrx2",
        "data": screen,
        "out": out,
        "asked": Asked(),
        "recipe": str(recipe),
        "work": out.with_name("work"),
        "cache": None,
        "treatments": ("IFN-gamma", "IFN-omega"),
        "weights": None,
        "encoder": None,
        "skip_incomplete": False,
        "num_workers": 1,
        "held_out": None,
        "as_json": False,
    } | changes


@pytest.fixture
def guessing(monkeypatch) -> list[tuple[np.ndarray, Task, Path]]:
    """Guesses in place of hours of learning; gives the roles, task and folder that learning was asked with."""
    from phenotrain.protocols import evaluation

    given: list[tuple[np.ndarray, Task, Path]] = []

    def learn(cache, roles, task, recipe, work, console):
        given.append((roles, task, work))
        probabilities = np.random.default_rng(len(given)).dirichlet(np.ones(len(task.treatments)), len(cache))
        models = {name: ModelPredictions(probabilities) for name in ("classifier", "forest")}
        return SimpleNamespace(predictions=Predictions(models), training_log=[])

    monkeypatch.setattr(evaluation, "learn", learn)
    return given


@pytest.mark.training
def test_evaluate_reports_both_directions_together_and_each_by_itself(simulated, tmp_path, guessing):
    """Each experiment is learned without once; the report and the table of test sites pool the answers, no bundle."""
    from phenotrain.protocols.evaluate_command import evaluate_command

    out, console = tmp_path / "out", Console(file=io.StringIO(), width=200)
    held_out = tmp_path / "held_out.csv"
    assert evaluate_command(console, **asked(simulated, out, held_out=held_out)) == 0
    assert sorted(path.name for path in out.iterdir()) == ["metrics.json", "report.html"]
    sites = pd.read_csv(held_out, keep_default_na=False)
    assert sites["site_id"].is_unique
    assert (sites["fold"] == sites["experiment"]).all()
    names = ["EMPTY", "IFN-gamma", "IFN-omega"]
    assert set(sites["treatment"]) == set(names)
    probabilities = sites[[f"p_{name}" for name in names]].to_numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(sites["predicted"], np.array(names)[probabilities.argmax(axis=1)])
    assert all(Path(file).is_file() for files in sites["files"] for file in json.loads(files))
    numbers = json.loads((out / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert numbers["headline"].startswith("Held-out experiments HUVEC-1, HUVEC-2, top dose")
    assert "simulated" in numbers["headline"]
    assert [fold["name"] for fold in numbers["folds"]["folds"]] == ["HUVEC-1", "HUVEC-2"]
    assert numbers["test"]["num_wells"] == 4 * (2 * 3 + 4)
    assert numbers["validation"] is None
    page = (out / "report.html").read_text()
    assert "Every fold by itself" in page
    assert numbers["headline"] in page.replace("&lt;", "<")
    assert evaluate_command(console, **asked(simulated, out)) == 1
    assert "report.html exists" in console.file.getvalue()


@pytest.mark.training
def test_evaluate_sets_the_leaking_split_beside_an_honest_one(simulated, tmp_path, guessing):
    """Under `reference` every treatment is learned alone, once leaking and once in every honest fold."""
    from phenotrain.protocols.evaluate_command import evaluate_command

    out, console = tmp_path / "out", Console(file=io.StringIO(), width=200)
    held_out = tmp_path / "held_out.csv"
    assert (
        evaluate_command(console, **asked(simulated, out, asked=Asked("reference"), held_out=held_out)) == 0
    )
    numbers = json.loads((out / "metrics.json").read_text(), parse_constant=pytest.fail)
    rows = [(row["treatment"], row["protocol"], row["leaks"], row["model"]) for row in numbers["table"]]
    assert sorted(rows) == sorted(
        (treatment, protocol, protocol == "reference", model)
        for treatment in ("IFN-gamma", "IFN-omega")
        for protocol in ("reference", "leave-experiment-out")
        for model in ("classifier", "forest")
    )
    assert [len(task.treatments) for _, task, _ in guessing] == [2] * 6
    assert set(pd.read_csv(held_out)["fold"]) == {
        f"{treatment}, {fold}"
        for treatment in ("IFN-gamma", "IFN-omega")
        for fold in ("reference", "HUVEC-1", "HUVEC-2")
    }
    assert "leaking split" in (out / "report.html").read_text()


@pytest.mark.training
def test_plates_are_held_out_in_turn_and_not_called_an_experiment(simulated, tmp_path, guessing):
    """With a plate a fold every plate is tested once, and the headline says so, though whole experiments are."""
    from phenotrain.protocols.evaluate_command import evaluate_command

    out, console = tmp_path / "out", Console(file=io.StringIO(), width=200)
    assert evaluate_command(console, **asked(simulated, out, asked=Asked("leave-one-plate-out"))) == 0
    numbers = json.loads((out / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert numbers["headline"].startswith("4 plates, each held out in turn, top dose")
    assert [fold["name"] for fold in numbers["folds"]["folds"]] == [
        f"HUVEC-{experiment} plate {plate}" for experiment in (1, 2) for plate in (1, 2)
    ]
    assert len(guessing) == 4


@pytest.mark.training
def test_plates_too_small_for_a_step_are_found_before_the_work(simulated, tmp_path):
    """A recipe whose steps the leaking split's plates cannot fill is refused, before anything is cached."""
    from phenotrain.protocols.evaluate_command import evaluate_command

    recipe, out = tmp_path / "plate.toml", tmp_path / "out"
    recipe.write_text('name = "plate"\n[encoder]\nweights = "none"\n[simclr]\nepochs = 1\n')
    console = Console(file=io.StringIO(), width=200)
    given = asked(simulated, out, asked=Asked("reference")) | {"recipe": str(recipe)}
    assert evaluate_command(console, **given) == 1
    assert "of one plate" in console.file.getvalue()
    assert not out.exists()
    assert not given["work"].exists()


@pytest.mark.training
@pytest.mark.slow
def test_evaluate_learns_and_reports(simulated, tmp_path):
    """The command itself learns both directions with a tiny recipe and reports every model."""
    recipe, out = tmp_path / "tiny.toml", tmp_path / "out"
    recipe.write_text(TINY.read_text().replace("num_top_doses = 0", "num_top_doses = 1"))
    command = [
        str(Path(sys.executable).with_name("phenotrain")),
        "evaluate",
        "rxrx2",
        str(simulated),
        str(out),
    ]
    options = ["--recipe", str(recipe), "--treatment", "IFN-gamma"]
    done = subprocess.run([*command, *options], check=False, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    numbers = json.loads((out / "metrics.json").read_text(), parse_constant=pytest.fail)
    models = {found["model"] for found in numbers["test"]["classification"]}
    assert {"classifier", "forest", "majority class", "intensity and cell count"} <= models


@pytest.mark.parametrize(
    "labels", [["--treatment", "IFN-gama"], ["--treatment", "IFN-gamma", "--treatment", "IFNB1"]]
)
def test_a_treatment_that_the_table_does_not_have_is_told_once_with_the_nearest(table, labels):
    """A misspelt treatment ends the command before any protocol, with the labels that may be meant."""
    found = CliRunner().invoke(APP, ["rxrx2", str(table), *labels], env={"COLUMNS": "240"})
    assert found.exit_code == 1
    assert f"The table has no treatment {labels[-1]!r}." in found.stderr
    assert "'IFN-gamma'" in found.stderr
    assert "'IFNB-1'" in found.stderr
    assert not found.stdout


def test_a_test_experiment_that_the_table_does_not_have_is_told_with_the_ones_it_has(table):
    """A misspelt experiment is refused with the table's own names."""
    description = load_description("rxrx2")
    sites = read_sites(description, table)
    with pytest.raises(ScreenError, match=r"no experiment 'E-3'\. It has 'E-1', 'E-2'\. .*--test-experiment"):
        split_of(sites, Task.of(description), load_recipe("laptop"), Asked(test_experiment="E-3"))
