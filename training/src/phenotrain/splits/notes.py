"""What is worth a line about a split beside its rule."""

from collections.abc import Mapping
from typing import Any

from phenotrain.splits.controls import some_plates


def notes_of(description: Mapping[str, Any]) -> list[str]:
    """Say in a line each what a split's rule does not: why it was chosen, and what takes no part or only half.

    Args:
        description: As `phenotrain.splits.Split.description`.
    """
    notes = [f"Not {name}: {reason}." for name, reason in description.get("passed_over", {}).items()]
    notes += [
        f"Not tested on {name}: {reason}." for name, reason in description.get("not_tested", {}).items()
    ]
    left_out = description.get("left_out_plates", [])
    if left_out:
        notes.append(f"Left out for want of controls beside treated wells: {some_plates(left_out)}.")
    controls_only = description.get("controls_only_plates", [])
    if controls_only:
        notes.append(f"Controls only, without a treated well: {some_plates(controls_only)}.")
    return notes
