"""What passes the check of a screen's table also passes all that learning, scoring and reports ask of the table."""

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from phenotrain.batches import BatchError
from phenotrain.calibrate import calibrate
from phenotrain.cross_fit import can_learn, cross_fit_folds
from phenotrain.errors import PhenotrainError
from phenotrain.evaluate import ModelPredictions, Predictions, draws, evaluate
from phenotrain.explain.sites import choose_rows
from phenotrain.export import scored_rows
from phenotrain.gallery import golden_rows
from phenotrain.labelled import Labelled, classifier_data, unlabelled_rows, versus_control_data
from phenotrain.protocols.choose import Asked
from phenotrain.recipe import Recipe, load_recipe
from phenotrain.run import RunRequest, plan
from phenotrain.splits import PROTOCOLS, learnable_roles
from phenotrain.task import Task
from phenotrain.two_heads import HeldOut

pytestmark = pytest.mark.training

TASK = Task("EMPTY", ("EMPTY", "A", "B"))


def drawn_screen(rng: np.random.Generator) -> pd.DataFrame:
    """A screen of one to three experiments with few plates, doses and wells, odd numbers of controls or none.

    A third of them are pilots: one experiment, one or two doses, one to three plates each.
    """
    is_pilot = rng.random() < 1 / 3
    num_doses, plates_per_dose = int(rng.integers(1, 6)), int(rng.integers(1, 3))
    if is_pilot:
        num_doses, plates_per_dose = int(rng.integers(1, 3)), int(rng.integers(1, 4))
    wells, controls = (
        rng.integers(1, 4, 2),
        rng.choice([0, 1, 2, 3, 6], p=[0.05, 0.1, 0.2, 0.25, 0.4], size=64),
    )
    is_uneven, rows = rng.random() < 0.4, []
    for experiment in range(1, 2 if is_pilot else int(rng.integers(1, 4)) + 1):
        for plate in range(1, num_doses * plates_per_dose + 1):
            dose = 10.0 ** -((plate - 1) // plates_per_dose)
            num_controls = int(controls[plate]) if is_uneven else max(2, int(controls[0]))
            labels = ["A"] * int(wells[0]) + ["B"] * int(wells[1]) + ["C"] + ["EMPTY"] * num_controls
            if is_uneven and rng.random() < 0.2:
                labels = [label for label in labels if label != rng.choice(["A", "B"])]
            for well, label in enumerate(labels):
                name = f"{experiment}-{plate}-{well}"
                conc = np.nan if label == "EMPTY" else dose
                rows += [
                    (f"{name}-{site}", name, f"E{experiment}", str(plate), f"A{well + 1:02d}", label, conc)
                    for site in range(int(rng.integers(1, 3)))
                ]
    columns = ["site_id", "well_id", "experiment", "plate", "well", "treatment", "treatment_conc"]
    return pd.DataFrame(rows, columns=columns).assign(cell_type="HUVEC")


def drawn_recipe(rng: np.random.Generator) -> Recipe:
    """A recipe that differs in protocol, doses, sites a class, steps and pairs."""
    return Recipe.model_validate(
        {
            "name": "drawn",
            "seed": int(rng.integers(100)),
            "encoder": {"weights": "none"},
            "simclr": {
                "batches": str(rng.choice(["mixed", "plate"])),
                "positives": str(rng.choice(["site", "well"])),
                "batch_size": int(rng.choice([2, 8])),
                "sites_per_class": int(rng.choice([0, 5])),
            },
            "heads": {
                "num_top_doses": int(rng.choice([0, 1, 2, 3])),
                "sites_per_class": int(rng.choice([0, 3])),
                "refit": bool(rng.random() < 0.7),
            },
            "split": {"protocol": rng.choice([None, None, *PROTOCOLS])},
        }
    )


def request_of(recipe: Recipe, task: Task) -> RunRequest:
    described = SimpleNamespace(control=task.control, treatments=task.treated)
    description = SimpleNamespace(name="drawn", task=described)
    asked = Asked(without_controls="leave-out" if recipe.seed % 2 else "refuse")
    return RunRequest(description, None, recipe, None, None, "drawn", asked=asked)


def table_parts(sites: pd.DataFrame, roles: np.ndarray, task: Task, recipe: Recipe) -> None:
    """What `learn`, `evaluate` and `export` do, guesses in place of what networks answer."""
    rng, seed = np.random.default_rng(0), recipe.seed
    learned_roles = learnable_roles(sites, roles, task)
    labelled = Labelled.of(sites, learned_roles, task, recipe.heads, seed=seed)
    embeddings = rng.normal(size=(len(sites), 1024)).astype(np.float32)
    assert len(unlabelled_rows(sites, learned_roles, task, recipe)) >= 2
    for rows in labelled.rows.values():
        for data in (classifier_data, versus_control_data):
            weights = data(sites, rows, embeddings, task).weights
            assert (weights.sum(axis=0) > 0).all()
    folds = cross_fit_folds(sites, labelled.rows["fitted"], task, seed=seed)
    for fold in folds:
        left = np.setdiff1d(labelled.rows["fitted"], fold)
        assert can_learn(sites, left, task)
        classifier_data(sites, left, embeddings, task)
        versus_control_data(sites, left, embeddings, task)
    held_out = np.concatenate(folds) if folds else labelled.rows["validation"]
    probabilities = rng.dirichlet(np.ones(len(task.treatments)), len(sites))
    heads = SimpleNamespace(held_out=HeldOut(held_out, probabilities[held_out]), temperature=1.0)
    if len(sites) < 100:  # its decomposition takes most of the time of larger ones
        fields = rng.normal(size=(len(sites), 2, 32, 32)).astype(np.float32)
        cache = SimpleNamespace(stains=("DNA", "ER"), read=lambda rows: fields[rows])
        calibrate(cache, labelled, learned_roles, embeddings, heads, recipe.calibration, seed=seed)
    predictions = Predictions({"classifier": ModelPredictions(probabilities)})
    num_top_doses = recipe.heads.num_top_doses
    evaluate(sites, roles, task.treatments, task.control, predictions, num_top_doses=num_top_doses, seed=seed)
    scored = scored_rows(sites, roles, task, num_top_doses)
    assert set(sites["treatment"].iloc[scored]) == set(task.treatments)
    assert golden_rows(sites, roles, task)
    assert choose_rows(
        sites, roles, task.treated, task.control, num_top_doses=num_top_doses, num_sites=2, seed=seed
    )


@pytest.mark.parametrize("numbers", [range(60), pytest.param(range(60, 600), marks=pytest.mark.slow)])
def test_what_passes_the_check_is_not_refused_later(monkeypatch, numbers):
    """Over drawn screens and recipes, whatever the check lets pass is learned, scored and reported on.

    A refusal of the check is an error of the package. More than a quarter of the screens pass, and every protocol.
    """
    monkeypatch.setattr(draws, "NUM_DRAWS", 99)
    monkeypatch.setattr(draws, "NUM_PERMUTATIONS", 99)
    found = Counter()
    for number in numbers:
        rng = np.random.default_rng(number)
        sites, recipe = drawn_screen(rng), drawn_recipe(rng)
        task = Task("EMPTY", ("EMPTY", "A")) if recipe.split.protocol == "reference" else TASK
        try:
            split = plan(request_of(recipe, task), sites)
        except PhenotrainError:
            found["refused"] += 1
            continue
        found["passed"] += 1
        found[split.protocol] += 1
        table_parts(sites, split.roles, task, recipe)
    assert found["passed"] > len(numbers) / 4, found
    assert all(found[protocol] for protocol in PROTOCOLS), found


@pytest.mark.parametrize("num_top_doses", [1, 2, 3])
@pytest.mark.parametrize("plates_per_dose", [2, 3])
def test_any_dose_can_validate(num_top_doses, plates_per_dose):
    """With two plates a dose or more, one experiment is learned from at the top dose alone, whatever the seed."""
    for num_doses in (4, 6, 9):
        for seed in range(5):
            rows = [
                (f"{plate}-{well}-{site}", f"{plate}-{well}", "E1", str(plate), label, conc)
                for plate in range(num_doses * plates_per_dose)
                for well, label in enumerate(["A", "A", "B", "B", "EMPTY", "EMPTY", "EMPTY"])
                for site in range(2)
                for conc in [np.nan if label == "EMPTY" else 10.0 ** -(plate // plates_per_dose)]
            ]
            columns = ["site_id", "well_id", "experiment", "plate", "treatment", "treatment_conc"]
            recipe = Recipe.model_validate(
                {
                    "name": "top",
                    "seed": seed,
                    "simclr": {"batch_size": 2},
                    "heads": {"num_top_doses": num_top_doses},
                }
            )
            split = plan(request_of(recipe, TASK), pd.DataFrame(rows, columns=columns))
            assert split.protocol == "leave-plate-out"


@pytest.mark.parametrize(
    ("wells", "fitting"), [(2, "laptop, reference"), (10, "laptop, demo, reference"), (128, None)]
)
def test_a_recipe_too_big_for_the_plates_names_those_that_fit(wells, fitting):
    """The shipped recipes that this very table can be learned with are named, and the largest batch of the own one."""
    rows = [
        (
            f"{plate}-{well}",
            f"{plate}-{well}",
            "E1",
            str(plate),
            f"A{well}",
            label,
            np.nan if label == "EMPTY" else 1.0,
        )
        for plate in range(1, 6)
        for well, label in enumerate(["A", "EMPTY"] * wells)
    ]
    columns = ["site_id", "well_id", "experiment", "plate", "well", "treatment", "treatment_conc"]
    sites = pd.DataFrame(rows, columns=columns).assign(cell_type="HUVEC")
    request = request_of(load_recipe("default"), Task("EMPTY", ("EMPTY", "A")))
    if fitting is None:
        plan(request, sites)
        return
    with pytest.raises(BatchError) as raised:
        plan(request, sites)
    assert f"E1 plate 1 has {2 * wells} to learn from" in str(raised.value)
    assert f"lower `simclr.batch_size` to {2 * wells} or less" in str(raised.value)
    assert f"that fit these plates: {fitting} (such as `--recipe laptop`)." in str(raised.value)
    named = fitting.split(", ")
    assert [plan(replace(request, recipe=load_recipe(name)), sites).protocol for name in named]
