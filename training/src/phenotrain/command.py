"""What `phenotrain run` does with its arguments, and how it says what went wrong."""

from pathlib import Path

from rich.console import Console

from phenoserve.bundle import BundleError
from phenotrain.cache import CacheError
from phenotrain.datasets import DescriptionError, load_description
from phenotrain.encoder import WeightsUnavailableError
from phenotrain.errors import PhenotrainError
from phenotrain.onnx_export import ExportError
from phenotrain.plates import PlateError
from phenotrain.protocols.choose import Asked
from phenotrain.recipe import ExportedEncoder, load_recipe
from phenotrain.run import RunRequest, check, require_outside, run
from phenotrain.splits import notes_of
from phenotrain.terminal import fail, show_result

MENDABLE = (
    BundleError,
    CacheError,
    DescriptionError,
    ExportError,
    FloatingPointError,
    OSError,
    PhenotrainError,
    PlateError,
    WeightsUnavailableError,
)
"""What a user can mend; anything else is a defect and shows its traceback."""


def run_command(
    console: Console,
    *,
    dataset: str,
    data: Path,
    bundle: Path,
    recipe: str,
    work: Path,
    treatments: tuple[str, ...],
    asked: Asked,
    weights: str | None,
    encoder: ExportedEncoder | None,
    name: str,
    version: str,
    cache: Path | None,
    skip_incomplete: bool,
    num_workers: int | None,
    held_out: Path | None,
    as_json: bool,
) -> int:
    """Runs the line and reports on the console.

    Args:
        console: Where progress, findings and errors go.
        dataset: Name or path of the dataset's description.
        data: Root folder of the dataset.
        bundle: Folder to write.
        recipe: Name or path of the recipe.
        work: Folder of cache and checkpoints.
        treatments: Treatments to learn; the description's when empty.
        asked: What to hold out.
        weights: Replaces the recipe's initial weights when given.
        encoder: Replaces the recipe's choice of the exported encoder when given.
        name: Name of the bundle.
        version: Version of the bundle.
        cache: Folder of the cache; inside `work` when not given.
        skip_incomplete: Leave out unusable sites.
        num_workers: Processes that decode images.
        held_out: CSV file for the test sites.
        as_json: Print the result as JSON.

    Returns:
        The command's exit code: 0, or 1 after an error that the user can mend.
    """
    try:
        chosen = load_recipe(recipe).with_encoder(weights=weights, export=encoder)
        request = RunRequest(
            description=load_description(dataset),
            data=data,
            recipe=chosen,
            bundle=bundle,
            work=work,
            name=name,
            version=version,
            cache=cache,
            treatments=treatments,
            asked=asked,
            skip_incomplete=skip_incomplete,
            num_workers=num_workers,
        )
        split = check(request)
        if held_out is not None:
            require_outside("held-out", held_out, bundle)
            held_out.parent.mkdir(parents=True, exist_ok=True)
            held_out.touch()
    except (*MENDABLE, ValueError) as error:
        return fail(console, error)
    for note in notes_of(split.description):
        console.print(note, markup=False, highlight=False)
    try:
        result = run(request, console)
        if held_out is not None:
            result.held_out.to_csv(held_out, index=False)
    except MENDABLE as error:
        return fail(console, error)
    report = bundle / "report"
    show_result(
        {
            "bundle": str(bundle),
            "report": str(report / "report.html"),
            "metrics": str(report / "metrics.json"),
            "headline": result.metrics.headline,
        },
        result.metrics.headline,
        f"Bundle {bundle}; report {report / 'report.html'}",
        as_json=as_json,
    )
    return 0
