"""The counts of a split on the console."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text


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
