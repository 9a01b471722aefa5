"""Compares recipes on one simulated screen under leave-experiment-out, at well level and the top three doses.

    phenotrain simulate screen --seed 29 --field-px 256 --wells-per-treatment 6 --control-wells 16
    python benchmarks/recipes.py screen --work recipes.work [--bundle default_bundle]

Every recipe is cut down in the same way so that the comparison fits two CPU cores: random initial weights
(ImageNet's need a network), views no larger than the fields, which hold a sixteenth of the cells of RxRx2's, batches
of 32 with the learning rate divided by the square root of the factor (Malladi et al. 2022, for Adam), about the same
number of optimiser steps, and none spent on the plates of the three lowest doses, where the simulated treatments do
nothing. What this says about full-size training on real images is not known. A recipe that is
finished is not run again; `--work` holds its answers. With `--bundle`, `default` is exported with its report, so that
its maps and calibration can be looked at too.
"""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

from phenotrain.cache import FieldCache, build_cache
from phenotrain.datasets import load_description
from phenotrain.doses import top_doses
from phenotrain.evaluate import Answers, Interval, answers_at_wells, balanced_accuracy_difference, evaluate
from phenotrain.export import Export, export
from phenotrain.labelled import Task
from phenotrain.learn import learn
from phenotrain.matching import balanced_rows
from phenotrain.profiles.findings import find_profiles
from phenotrain.recipe import Recipe, load_recipe
from phenotrain.simclr import batches_of
from phenotrain.splits import UNUSED, Split, split_sites

NUM_TOP_DOSES = 3
BATCH_SIZE = 32

JITTER = {"channel_gain": 0.1, "channel_offset": 0.1}
"""What the published recipes do to stains; `default` did too until this comparison, and its variants still do."""

VARIANTS: dict[str, tuple[str, dict[str, dict[str, Any]]]] = {
    "default": ("default", {}),
    "reference": ("reference", {}),
    "jitter 0.1": ("default", {"augmentation": JITTER}),
    "jitter 0.1, stem = adapter": ("default", {"augmentation": JITTER, "encoder": {"stem": "adapter"}}),
    "jitter 0.1, pairs of one site": ("default", {"augmentation": JITTER, "simclr": {"positives": "site"}}),
    "jitter 0.1, batches of all plates": (
        "default",
        {"augmentation": JITTER, "simclr": {"batches": "mixed"}},
    ),
    "jitter 0.1, crop scale 0.35 to 0.7": (
        "default",
        {"augmentation": {**JITTER, "crop_scale_min": 0.35, "crop_scale_max": 0.7}},
    ),
    "jitter 0.1, stains dropped 0.3": ("default", {"augmentation": {**JITTER, "channel_drop": 0.3}}),
    "jitter 0.1, temperature 0.5": ("default", {"augmentation": JITTER, "simclr": {"temperature": 0.5}}),
    "jitter 0.1, temperature 0.1": ("default", {"augmentation": JITTER, "simclr": {"temperature": 0.1}}),
    "jitter 0.3": ("default", {"augmentation": {"channel_gain": 0.3, "channel_offset": 0.3}}),
}


def cut_down(name: str, changes: dict[str, dict[str, Any]], field_px: int) -> Recipe:
    """A recipe at the size of the benchmark, for pooled fields of this side; one epoch."""
    values = load_recipe(name).model_dump()
    for section, keys in changes.items():
        values[section].update(keys)
    simclr = values["simclr"]
    factor = math.sqrt(BATCH_SIZE / simclr["batch_size"])
    simclr.update(
        batch_size=BATCH_SIZE,
        learning_rate=simclr["learning_rate"] * factor,
        final_learning_rate=simclr["final_learning_rate"] * factor,
        crop_px=min(simclr["crop_px"], field_px),
        epochs=1,
        steps=0,
    )
    values["encoder"]["weights"] = "none"
    values["heads"]["num_top_doses"] = NUM_TOP_DOSES
    return Recipe.model_validate(values)


def of_top_doses(cache: FieldCache, split: Split, task: Task) -> np.ndarray:
    """Roles to learn from: training and validation sites on plates of the lower doses take no part."""
    is_kept = (split.roles == "test") | top_doses(cache.sites, task.control, NUM_TOP_DOSES)
    return np.where(is_kept, split.roles, UNUSED)


def lengthened(recipe: Recipe, cache: FieldCache, roles: np.ndarray, task: Task, num_steps: int) -> Recipe:
    """The recipe with as many epochs as make about this many optimiser steps of SimCLR."""
    rows = np.flatnonzero(np.isin(roles, ("train", "validation")))
    if recipe.simclr.sites_per_class:
        rows = balanced_rows(
            cache.sites, rows, task.treatments, task.control, recipe.simclr.sites_per_class, recipe.seed
        )
    num_epochs = max(1, round(num_steps / batches_of(cache, rows, recipe).num_steps))
    return recipe.changed(simclr={**recipe.simclr.model_dump(), "epochs": num_epochs})


def run_variant(
    name: str,
    cache: FieldCache,
    split: Split,
    task: Task,
    num_steps: int,
    work: Path,
    bundle: Path | None,
    console: Console,
) -> dict[str, Any]:
    """Trains one recipe and exports it if asked to; gives the wells' answers, and for `default` the profiles."""
    base, changes = VARIANTS[name]
    roles = of_top_doses(cache, split, task)
    recipe = lengthened(cut_down(base, changes, min(cache.field_shape[1:])), cache, roles, task, num_steps)
    console.print(f"{name}: {recipe.simclr.epochs} epochs")
    learned = learn(cache, roles, task, recipe, work, console, with_baselines=name == "default")
    found = {"recipe": recipe.model_dump(mode="json"), "answers": {}, "metrics": {}}
    metrics = evaluate(
        cache.sites,
        split.roles,
        task.treatments,
        task.control,
        learned.predictions,
        num_top_doses=NUM_TOP_DOSES,
        seed=recipe.seed,
        simulated=True,
    )
    if bundle is not None:
        made = Export(
            cache=cache,
            split=replace(split, roles=roles),
            task=task,
            recipe=recipe,
            learned=learned,
            metrics=metrics,
            name=f"{base}-cut-down",
            version="1",
            training_log=learned.training_log,
        )
        export(made, bundle, console)
    for model in learned.predictions:
        answers = answers_at_wells(
            cache.sites,
            split.roles,
            task.treatments,
            task.control,
            learned.predictions,
            num_top_doses=NUM_TOP_DOSES,
            model=model,
        )
        label = name if model == "classifier" else f"{model}, {name}"
        found["answers"][label] = {
            key: np.asarray(getattr(answers, key)).astype(str).tolist()
            for key in ("predicted", "true", "wells")
        }
        estimate = metrics.test.classified(model, "well").balanced_accuracy
        found["metrics"][label] = [estimate.value, estimate.interval.low, estimate.interval.high]
    if name == "default":
        np.savez(work / "embeddings.npz", embeddings=learned.embeddings)
        profiles = find_profiles(
            cache.sites, learned.embeddings, split.roles, task.control, seed=recipe.seed, with_umap=False
        )
        found["profiles"] = profiles.to_json()
    return found


def main(
    screen: Annotated[Path, typer.Argument(help="A simulated screen.", exists=True, file_okay=False)],
    work: Annotated[Path, typer.Option(help="Folder of caches, checkpoints and answers.")] = Path(
        "recipes.work"
    ),
    steps: Annotated[int, typer.Option(help="Optimiser steps of SimCLR.")] = 150,
    bundle: Annotated[
        Path | None, typer.Option(help="Folder to export `default` to; must not exist.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="Run only this one; repeatable.")] = None,
) -> None:
    """Run what is not finished and print the table."""
    console = Console(stderr=True)
    description = load_description("rxrx2")
    task = Task(description.task.control, (description.task.control, *description.task.treatments))
    found: dict[str, dict[str, Any]] = {}
    for name in only or VARIANTS:
        folder = work / name.replace(" ", "_").replace(",", "").replace("=", "")
        done = folder / f"answers_{steps}.json"
        exported = bundle if name == "default" else None
        if exported or not done.exists():
            base = load_recipe(VARIANTS[name][0])
            cache = build_cache(
                description,
                screen,
                work / f"cache_{base.downsample}",
                downsample=base.downsample,
                console=console,
            )
            split = split_sites(
                cache.sites,
                control=task.control,
                treatments=task.treatments,
                seed=base.seed,
                test_fraction=base.split.test_share,
                validation_fraction=base.split.validation_share,
                protocol="leave-experiment-out",
            )
            folder.mkdir(parents=True, exist_ok=True)
            done.write_text(
                json.dumps(run_variant(name, cache, split, task, steps, folder, exported, console))
            )
        found[name] = json.loads(done.read_text())
    _print_table(found)


def _print_table(found: dict[str, dict[str, Any]]) -> None:
    answers = {
        label: Answers(**{k: np.array(v) for k, v in part.items()})
        for run in found.values()
        for label, part in run["answers"].items()
    }
    metrics = {label: part for run in found.values() for label, part in run["metrics"].items()}
    print("| recipe | balanced accuracy, well | default minus this |")
    print("|---|---|---|")
    for label, (value, low, high) in metrics.items():
        lead = ""
        if "default" in answers and label != "default":
            difference = balanced_accuracy_difference(
                answers["default"], answers[label], names=("default", label)
            )
            lead = f"{difference.value:+.2f} {_interval(difference.interval)}"
        print(f"| {label} | {value:.2f} [{low:.2f}, {high:.2f}] | {lead} |")
    if "default" in found:
        _print_profiles(found["default"]["profiles"])


def _print_profiles(profiles: dict[str, Any]) -> None:
    print(f"\n{profiles['headline']}\n\n| treatment | dose | mAP | q |\n|---|---|---|---|")
    for row in profiles["activity"]:
        found = f"{row['mean_average_precision']:.2f} | {row['q_value']:.3f}"
        print(f"| {row['treatment']} | {row['treatment_conc']:g} | {found} |")
    print("\n| predicted | profiles | balanced accuracy | chance |\n|---|---|---|---|")
    for row in profiles["batch_effect"]:
        found = f"{row['balanced_accuracy']:.3f} | {row['chance']:.3f}"
        print(f"| {row['predicted']} | {row['profiles']} | {found} |")


def _interval(interval: Interval) -> str:
    return f"[{interval.low:+.2f}, {interval.high:+.2f}]"


if __name__ == "__main__":
    typer.run(main)
