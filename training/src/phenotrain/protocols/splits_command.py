"""What `phenotrain splits` does with its arguments."""

from pathlib import Path

from rich.console import Console

from phenotrain.datasets import DescriptionError, load_description
from phenotrain.plates import PlateError, read_sites
from phenotrain.protocols.choose import folds_of
from phenotrain.protocols.split_json import splits_json
from phenotrain.protocols.split_tables import print_nesting, split_tables
from phenotrain.recipe import load_recipe
from phenotrain.splits import PROTOCOLS, Protocol, Split
from phenotrain.task import Task
from phenotrain.terminal import fail, show_result, wants_json


def splits_command(
    out: Console,
    errors: Console,
    *,
    dataset: str,
    data: Path,
    protocol: Protocol | None,
    treatments: tuple[str, ...],
    recipe: str,
    as_json: bool,
) -> int:
    """Prints every protocol's groups and counts.

    Args:
        out: Where the tables go.
        errors: Where errors go.
        dataset: Name or path of the dataset's description.
        data: Folder of its table.
        protocol: One protocol only; all that the screen allows when None.
        treatments: Treatments to learn; the description's when empty.
        recipe: Name or path of the recipe whose seed and shares are used.
        as_json: Print JSON.

    Returns:
        The exit code: 0, or 1 after an error that the user can mend.
    """
    try:
        description = load_description(dataset)
        task, chosen = Task.of(description, treatments), load_recipe(recipe)
        sites = read_sites(description, data)
        task.require_in(sites)
        asked: list[Protocol] = [protocol] if protocol else list(PROTOCOLS)
        found: dict[Protocol, list[tuple[Task, Split]] | ValueError] = {}
        for name in asked:
            try:
                found[name] = folds_of(sites, task, chosen, name)
            except ValueError as error:
                if protocol:
                    raise
                found[name] = error
    except (DescriptionError, OSError, PlateError, ValueError) as error:
        return fail(errors, error)
    if wants_json(as_json):
        show_result(splits_json(sites, found), as_json=True)
        return 0
    out.print(f"{len(sites)} sites, {sites['well_id'].nunique()} wells", highlight=False)
    nesting = next(
        (made[0][1].description["dose_nesting"] for made in found.values() if isinstance(made, list)), None
    )
    if nesting is not None:
        print_nesting(out, nesting)
    for name, made in found.items():
        if isinstance(made, ValueError):
            out.print(f"{name}: not on this screen. {made}\n", markup=False, highlight=False)
            continue
        for number, (one, split) in enumerate(made, 1):
            which = f", fold {number} of {len(made)}" if name != "reference" and len(made) > 1 else ""
            which = f", {one.treated[0]}" if name == "reference" else which
            out.print(split_tables(f"{name}{which}", split.description, one.control), highlight=False)
    return 0
