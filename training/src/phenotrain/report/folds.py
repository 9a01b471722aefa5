"""The report's part about the folds of a protocol, each by itself."""

from collections.abc import Sequence
from typing import Any

from phenotrain.evaluate import Metrics, interval_text, p_text
from phenotrain.report.section import Section, render


def folds_section(folds: Sequence[tuple[str, dict[str, Any], Metrics]]) -> Section:
    """Show every fold's headline, results and counts.

    Args:
        folds: Name, split description and metrics of each.
    """
    return Section(
        key="folds",
        title="Every fold by itself",
        html=render("folds.html.j2", folds=folds, interval=interval_text, p_text=p_text),
        numbers={
            "folds": [{"name": name, "split": split, **metrics.to_json()} for name, split, metrics in folds]
        },
    )
