"""What `phenotrain splits` does with its arguments."""

from pathlib import Path

import pandas as pd
from rich.console import Console

from phenotrain.batches import BatchError
from phenotrain.datasets import DescriptionError, load_description
from phenotrain.errors import PhenotrainError
from phenotrain.evaluate.confounding import confounding, confounding_text
from phenotrain.labelled import check_steps
from phenotrain.plates import PlateError, read_sites
from phenotrain.protocols.choose import Asked, folds_of, honest_protocol
from phenotrain.protocols.split_json import splits_json
from phenotrain.protocols.split_tables import folds_table, print_nesting, protocols_table, split_tables
from phenotrain.recipe import Recipe, load_recipe
from phenotrain.splits import PROTOCOLS, Protocol, Split, WithoutControls, notes_of
from phenotrain.task import Task
from phenotrain.terminal import fail, show_result, wants_json

_MAX_FOLDS_SHOWN = 2
"""Folds whose counts are shown each; more are shown a line each."""

Found = dict[Protocol, list[tuple[Task, Split]] | PhenotrainError]


def splits_command(
    out: Console,
    errors: Console,
    *,
    dataset: str,
    data: Path,
    protocol: Protocol | None,
    without_controls: WithoutControls,
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
        protocol: One protocol only; all that are possible when None.
        without_controls: What is done with plates of treated wells without a control.
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
        asked = Asked(protocol, without_controls=without_controls)
        taken = protocol or chosen.split.protocol or honest_protocol(sites, task, chosen, asked)
        found: Found = {}
        asked_for: tuple[Protocol, ...] = (protocol,) if protocol else tuple(PROTOCOLS)
        for name in asked_for:
            try:
                found[name] = folds_of(sites, task, chosen, Asked(name, without_controls=without_controls))
            except PhenotrainError as error:
                if name == taken:
                    raise
                found[name] = error
    except (DescriptionError, OSError, PlateError, ValueError) as error:
        return fail(errors, error)
    made = {name: folds for name, folds in found.items() if not isinstance(folds, PhenotrainError)}
    misfit = _misfit(sites, made[taken], chosen)
    if wants_json(as_json):
        show_result(splits_json(sites, found, taken, misfit), as_json=True)
        return 0
    first = made[taken][0][1].description
    counts = (("site", len(sites)), ("well", sites["well_id"].nunique()))
    places = (
        ("plate", len({plate for names in first["plates"].values() for plate in names})),
        ("experiment", sites["experiment"].nunique()),
    )
    counted, lying = (", ".join(f"{n} {what}{'s' * (n != 1)}" for what, n in of) for of in (counts, places))
    out.print(f"{counted}; {lying}", highlight=False)
    for note in notes_of({key: first.get(key, []) for key in ("left_out_plates", "controls_only_plates")}):
        out.print(note, markup=False, highlight=False)
    print_nesting(out, first["dose_nesting"])
    one, split = made[taken][0]
    if sentence := confounding_text(confounding(sites, split.roles, one.treatments, one.control)):
        out.print(sentence, markup=False, highlight=False)
    if not protocol:
        out.print(protocols_table(found, taken))
    if misfit is not None:
        out.print(f"The recipe {chosen.name} does not fit: {misfit}\n", markup=False, highlight=False)
    for name, folds in sorted(made.items(), key=lambda item: item[0] != taken):
        if name != "reference" and len(folds) > _MAX_FOLDS_SHOWN:
            out.print(folds_table(name, [split.description for _, split in folds], task.control))
            continue
        for number, (one, split) in enumerate(folds, 1):
            which = f", fold {number} of {len(folds)}" if name != "reference" and len(folds) > 1 else ""
            which = f", {one.treated[0]}" if name == "reference" else which
            out.print(split_tables(f"{name}{which}", split.description, one.control), highlight=False)
    return 0


def _misfit(sites: pd.DataFrame, folds: list[tuple[Task, Split]], recipe: Recipe) -> str | None:
    """Why the plates cannot fill the recipe's steps, which a split does not depend on."""
    try:
        for task, split in folds:
            check_steps(sites, split.roles, task, recipe)
    except BatchError as error:
        return str(error)
    return None
