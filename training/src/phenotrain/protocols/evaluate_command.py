"""What `phenotrain evaluate` does with its arguments, and how it says what went wrong."""

from pathlib import Path

from rich.console import Console

from phenotrain.baselines.published import published_embeddings
from phenotrain.command import MENDABLE
from phenotrain.datasets import load_description
from phenotrain.encoder import build_encoder
from phenotrain.learn import check_learning
from phenotrain.plates import read_sites
from phenotrain.protocols.choose import fitting, folds_of
from phenotrain.protocols.evaluation import EvaluateRequest, run_evaluation
from phenotrain.recipe import load_recipe
from phenotrain.splits import Protocol
from phenotrain.task import Task


def evaluate_command(
    console: Console,
    *,
    dataset: str,
    data: Path,
    out: Path,
    protocol: Protocol | None,
    recipe: str,
    work: Path,
    cache: Path | None,
    treatments: tuple[str, ...],
    weights: str | None,
    skip_incomplete: bool,
    num_workers: int | None,
) -> int:
    """Learns, scores, and writes `report.html` and `metrics.json`.

    Args:
        console: Where progress, findings and errors go.
        dataset: Name or path of the dataset's description.
        data: Root folder of the dataset.
        out: Folder to write to; must not hold a report yet.
        protocol: What to hold out.
        recipe: Name or path of the recipe.
        work: Folder of cache and checkpoints.
        cache: Folder of the cache; inside `work` when not given.
        treatments: Treatments to learn; the description's when empty.
        weights: Replaces the recipe's initial weights when given.
        skip_incomplete: Leave out unusable sites.
        num_workers: Processes that decode images.

    Returns:
        The command's exit code: 0, or 1 after an error that the user can mend.
    """
    try:
        chosen = load_recipe(recipe)
        if weights is not None:
            chosen = chosen.changed(encoder={**chosen.encoder.model_dump(), "weights": weights})
        description = load_description(dataset)
        request = EvaluateRequest(
            description=description,
            data=data,
            recipe=chosen,
            task=Task.of(description, treatments),
            protocol=protocol,
            work=work,
            cache=cache,
            skip_incomplete=skip_incomplete,
            num_workers=num_workers,
        )
        _check(request, out)
    except (*MENDABLE, ValueError) as error:
        return _fail(console, error)
    try:
        files = run_evaluation(request, console)
        out.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (out / name).write_bytes(content)
    except MENDABLE as error:
        return _fail(console, error)
    console.print(f"Report {out / 'report.html'}", markup=False, highlight=False)
    return 0


def _check(request: EvaluateRequest, out: Path) -> None:
    """Find within seconds what would otherwise end an evaluation after hours."""
    if (out / "report.html").exists():
        raise FileExistsError(
            f"{out / 'report.html'} exists. Choose another folder, or delete the report to write a new one."
        )
    sites, recipe = read_sites(request.description, request.data), request.recipe
    request.task.require_in(sites)
    folds = folds_of(sites, request.task, recipe, request.protocol)
    if any(split.protocol == "reference" for _, split in folds):
        honest = fitting(sites, request.task)
        folds += [fold for task, _ in folds for fold in folds_of(sites, task, recipe, honest)]
    for task, split in folds:
        check_learning(sites, split.roles, task, recipe)
    published_embeddings(request.data, sites)
    if request.recipe.encoder.weights != "none":
        build_encoder(len(request.description.stains), request.recipe.encoder)


def _fail(console: Console, error: Exception) -> int:
    console.print(str(error), style="red", markup=False, highlight=False)
    return 1
