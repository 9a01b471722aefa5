"""The counts of a split on the console."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from phenotrain.errors import SplitError
from phenotrain.grouping import natural_order
from phenotrain.splits import ROLES, Protocol, Split, notes_of, some_plates
from phenotrain.task import Task


def protocols_table(
    found: Mapping[Protocol, Sequence[tuple[Task, Split]] | Exception], taken: Protocol
) -> RenderableType:
    """Say in a line each which protocols are possible, the one that is taken first, then why others are not.

    Args:
        found: By protocol, its folds or what speaks against it, the shortest reason first.
        taken: The protocol that is taken when none is asked for.
    """
    table = Table(box=box.SIMPLE, show_header=False, pad_edge=False)
    against: list[tuple[str, str]] = []
    for name in sorted(found, key=lambda name: name != taken):
        made = found[name]
        if isinstance(made, Exception):
            against.append((name, made.reason if isinstance(made, SplitError) else str(made)))
            continue
        folds = "" if len(made) == 1 or name == "reference" else f", {len(made)} folds"
        only = "taken when none is asked for" if name == taken else "possible when asked for"
        table.add_row(Text(name), Text(f"{only}{folds}"))
    for name, reason in sorted(against, key=lambda item: len(item[1])):
        table.add_row(Text(name), Text(f"not possible: {reason}"))
    return table


def folds_table(title: str, descriptions: Sequence[Mapping[str, Any]], control: str) -> RenderableType:
    """Lay out the folds of a protocol, a line each, and the wells of every plate.

    Args:
        title: What to call them.
        descriptions: As `phenotrain.splits.Split.description`, one a fold.
        control: Name of the control.
    """
    table = Table(title="sites", title_justify="left")
    for column in ("tested on", "validated on"):
        table.add_column(column)
    for role in ROLES:
        table.add_column(role, justify="right")
    for description in descriptions:
        tested_on = description.get("test_experiment", description.get("test_plate", ""))
        validated = natural_order(
            description["experiments" if "test_experiment" in description else "plates"]["validation"]
        )
        table.add_row(
            Text(tested_on),
            Text(some_plates(validated)),
            *(str(description["num_sites"][role]) for role in ROLES),
        )
    notes = [Text(note) for note in notes_of({"not_tested": descriptions[0].get("not_tested", {})})]
    first = descriptions[0]
    plates: dict[str, tuple[int, int]] = {}
    for entry in first["controls_by_plate"]:
        num_controls, num_treated = plates.get(entry["plate"], (0, 0))
        plates[entry["plate"]] = (
            num_controls + entry["num_control_wells"],
            num_treated + entry["num_treated_wells"],
        )
    wells = Table(title="wells", title_justify="left")
    wells.add_column("plate")
    for column in (f"{control} wells", "treated wells"):
        wells.add_column(column, justify="right")
    for plate, (num_controls, num_treated) in plates.items():
        wells.add_row(Text(plate), str(num_controls), str(num_treated))
    return Group(Text(title, style="bold"), *notes, table, wells, Text(""))


def split_tables(title: str, description: Mapping[str, Any], control: str) -> RenderableType:
    """Lay out what a split's description says.

    Args:
        title: What to call the split.
        description: As `phenotrain.splits.Split.description`.
        control: Name of the control.

    Returns:
        The rule, the counts of every class and role, and the wells of every plate and role.
    """
    parts: list[RenderableType] = [Text(title, style="bold"), Text(description["rule"])]
    if description["leaks"]:
        parts.append(Text(f"LEAKS: {description['why_it_leaks']}", style="red"))
    parts += [Text(note) for note in notes_of({"not_tested": description.get("not_tested", {})})]
    return Group(*parts, _classes(description), _plates(description, control), Text(""))


def print_nesting(console: Console, nesting: Mapping[str, Any]) -> None:
    """Print what the doses and plates have to do with each other, and which plates carry which doses."""
    console.print(Text(nesting["statement"]))
    if len(nesting["groups"]) > 1:
        table = Table("doses", "plates")
        for group in nesting["groups"]:
            table.add_row(", ".join(f"{dose:g}" for dose in group["doses"]), ", ".join(group["plates"]))
        console.print(table)
    console.print()


def _classes(description: Mapping[str, Any]) -> Table:
    table = Table(title="wells (sites)", title_justify="left")
    table.add_column("class")
    roles = list(description["num_sites"])
    for role in roles:
        table.add_column(role, justify="right")
    for name, wells in description["num_wells"].items():
        sites = description["num_sites_of_class"][name]
        table.add_row(Text(name), *(f"{wells[role]} ({sites[role]})" for role in roles))
    table.add_section()
    unlabelled = description["num_unlabelled_sites"]
    table.add_row("sites without a learned label", *(str(unlabelled[role]) for role in roles))
    table.add_row("plates", *(str(len(description["plates"][role])) for role in roles))
    return table


def _plates(description: Mapping[str, Any], control: str) -> Table:
    entries = description["controls_by_plate"]
    unmatched = [entry for entry in entries if not entry["is_matched"]]
    title = (
        f"{len(unmatched)} times treated wells have no control on their plate and side"
        if unmatched
        else "every plate with treated wells has controls on the same side"
    )
    table = Table(title=title, title_justify="left")
    for column in ("plate", "role"):
        table.add_column(column)
    for column in (f"{control} wells", "treated wells"):
        table.add_column(column, justify="right")
    for entry in entries:
        table.add_row(
            Text(entry["plate"]),
            entry["role"],
            str(entry["num_control_wells"]),
            str(entry["num_treated_wells"]),
            style=None if entry["is_matched"] else "red",
        )
    return table
