"""What `phenotrain evaluate` does with its arguments, and how it says what went wrong."""

import json
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from phenotrain.baselines.published import published_embeddings
from phenotrain.command import MENDABLE
from phenotrain.datasets import load_description
from phenotrain.encoder import build_encoder
from phenotrain.labelled import check_steps
from phenotrain.plates import read_sites
from phenotrain.protocols.choose import Asked, folds_of, honest_protocol
from phenotrain.protocols.evaluation import EvaluateRequest, run_evaluation
from phenotrain.recipe import ExportedEncoder, load_recipe
from phenotrain.splits import Split, notes_of
from phenotrain.task import Task
from phenotrain.terminal import fail, show_result


def evaluate_command(
    console: Console,
    *,
    dataset: str,
    data: Path,
    out: Path,
    asked: Asked,
    recipe: str,
    work: Path,
    cache: Path | None,
    treatments: tuple[str, ...],
    weights: str | None,
    encoder: ExportedEncoder | None,
    skip_incomplete: bool,
    num_workers: int | None,
    held_out: Path | None,
    as_json: bool,
) -> int:
    """Learns, scores, and writes `report.html` and `metrics.json`.

    Args:
        console: Where progress, findings and errors go.
        dataset: Name or path of the dataset's description.
        data: Root folder of the dataset.
        out: Folder to write to; must not hold a report yet.
        asked: What to hold out.
        recipe: Name or path of the recipe.
        work: Folder of cache and checkpoints.
        cache: Folder of the cache; inside `work` when not given.
        treatments: Treatments to learn; the description's when empty.
        weights: Replaces the recipe's initial weights when given.
        encoder: Replaces the recipe's choice of the exported encoder when given.
        skip_incomplete: Leave out unusable sites.
        num_workers: Processes that decode images.
        held_out: CSV file for the test sites of every fold.
        as_json: Print the result as JSON.

    Returns:
        The command's exit code: 0, or 1 after an error that the user can mend.
    """
    try:
        chosen = load_recipe(recipe).with_encoder(weights=weights, export=encoder)
        description = load_description(dataset)
        request = EvaluateRequest(
            description=description,
            data=data,
            recipe=chosen,
            task=Task.of(description, treatments),
            asked=asked,
            work=work,
            cache=cache,
            skip_incomplete=skip_incomplete,
            num_workers=num_workers,
        )
        splits = _check(request, out)
        if held_out is not None:
            held_out.parent.mkdir(parents=True, exist_ok=True)
            held_out.touch()
    except (*MENDABLE, ValueError) as error:
        return fail(console, error)
    protocols = dict.fromkeys(split.protocol for split in splits)
    num_folds = f"{len(splits)} fold{'s' * (len(splits) > 1)}"
    console.print(f"{' and '.join(protocols)}, {num_folds} to learn", markup=False, highlight=False)
    for note in dict.fromkeys(note for split in splits for note in notes_of(split.description)):
        console.print(note, markup=False, highlight=False)
    try:
        found = run_evaluation(request, console)
        out.mkdir(parents=True, exist_ok=True)
        for name, content in found.files.items():
            (out / name).write_bytes(content)
        if held_out is not None:
            found.held_out.to_csv(held_out, index=False)
    except MENDABLE as error:
        return fail(console, error)
    headline = json.loads(found.files["metrics.json"])["headline"]
    report = out / "report.html"
    show_result(
        {"report": str(report), "metrics": str(out / "metrics.json"), "headline": headline},
        headline,
        f"Report {report}",
        as_json=as_json,
    )
    return 0


def _check(request: EvaluateRequest, out: Path) -> list[Split]:
    """Find within seconds what would otherwise end an evaluation after hours; return all that is to be learned."""
    if (out / "report.html").exists():
        raise FileExistsError(
            f"{out / 'report.html'} exists. Choose another folder, or delete the report to write a new one."
        )
    sites, recipe, asked = read_sites(request.description, request.data), request.recipe, request.asked
    folds = folds_of(sites, request.task, recipe, asked)
    if any(split.protocol == "reference" for _, split in folds):
        honest = replace(asked, protocol=honest_protocol(sites, request.task, recipe, asked))
        folds += [fold for task, _ in folds for fold in folds_of(sites, task, recipe, honest)]
    for task, split in folds:
        check_steps(sites, split.roles, task, recipe)
    published_embeddings(request.data, sites)
    if request.recipe.encoder.weights != "none":
        build_encoder(len(request.description.stains), request.recipe.encoder)
    return [split for _, split in folds]
