"""The page that shows the reference project's leaking split beside an honest one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from phenotrain.evaluate import interval_text
from phenotrain.protocols.reference_table import ReferenceRow
from phenotrain.report.section import render


def reference_headline(rows: Sequence[ReferenceRow], *, simulated: bool) -> str:
    """Say what the leaking split reaches and what the honest one does, averaged over the treatments.

    Args:
        rows: Lines of the table, the classifier's among them.
        simulated: Whether the images are simulated.
    """
    told = [row for row in rows if row.model == "classifier"]
    leaking, honest = ([row for row in told if row.leaks is leaks] for leaks in (True, False))
    note = " (simulated data)" if simulated else ""
    return (
        f"Mean site-level test accuracy of one treatment against control over {len(leaking)} treatments: "
        f"{np.mean([row.test_accuracy for row in leaking]):.2f} under the reference split, which leaks; "
        f"{np.mean([row.test_accuracy for row in honest]):.2f} under {honest[0].protocol}; chance 0.50{note}."
    )


def build_reference_report(
    rows: Sequence[ReferenceRow],
    splits: Sequence[Mapping[str, Any]],
    *,
    dataset_name: str,
    dataset_licence: str,
    recipe: Mapping[str, Any],
    simulated: bool,
) -> dict[str, bytes]:
    """Render the comparison.

    Args:
        rows: Lines of the table, two a treatment and model.
        splits: Descriptions of all splits behind them, the leaking ones among them.
        dataset_name: Name of the dataset.
        dataset_licence: Its licence.
        recipe: The recipe that both followed.
        simulated: Whether the images are simulated.

    Returns:
        Content by file name: `report.html` and `metrics.json`.
    """
    headline = reference_headline(rows, simulated=simulated)
    html = render(
        "reference.html.j2",
        dataset_licence=dataset_licence,
        dataset_name=dataset_name,
        headline=headline,
        interval=interval_text,
        recipe_name=recipe.get("name", ""),
        rows=rows,
        simulated=simulated,
        splits=splits,
    )
    numbers = {
        "headline": headline,
        "dataset": {"name": dataset_name, "licence": dataset_licence},
        "simulated": simulated,
        "recipe": dict(recipe),
        "table": [asdict(row) for row in rows],
        "splits": [dict(split) for split in splits],
    }
    return {
        "report.html": html.encode(),
        "metrics.json": (json.dumps(numbers, indent=2, allow_nan=False) + "\n").encode(),
    }
