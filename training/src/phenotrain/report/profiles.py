"""The report's part on profiles: activity, batch effect, similarity, layout; as a section or as a page of its own."""

import math
from collections.abc import Sequence
from typing import Any, Final

import pandas as pd

from phenotrain.doses import UnitOf, as_recorded
from phenotrain.grouping import natural_order
from phenotrain.profiles.findings import ProfileFindings
from phenotrain.report import profile_figures as figures
from phenotrain.report.section import Section, render

MAX_ROWS: Final = 40
"""Treatments that tables and the matrix show; the files hold all."""
NUM_NEAREST: Final = 3


def profiles_section(findings: ProfileFindings, unit_of: UnitOf = as_recorded) -> Section:
    """Render the findings.

    Args:
        findings: What `phenotrain.profiles.findings.find_profiles` found.
        unit_of: Gives the unit of a treatment's and series' doses.

    Returns:
        The section `profiles`, its numbers those of `findings.to_json()`.
    """
    shown = _shown(findings)
    similarity = findings.similarity
    in_matrix = (
        [] if similarity is None else [name for name in similarity.names if _treatment_of(name) in set(shown)]
    )
    judged = findings.activity[findings.activity["p_value"].notna()]
    html = render(
        "profiles.html.j2",
        activity=figures.activity_panels(findings.activity, unit_of),
        activity_rows=_records(findings.activity[findings.activity["treatment"].isin(shown)]),
        batch_effect=figures.batch_effect_figure(findings.batch_effect)
        if len(findings.batch_effect)
        else None,
        batch_rows=_records(findings.batch_effect),
        findings=findings,
        layouts=figures.layout_figures(findings) if len(findings.layout) else [],
        max_panels=figures.MAX_PANELS,
        nearest=_nearest(findings, shown),
        num_corrected=int(findings.is_corrected.sum()),
        num_panels=int((judged.groupby(["treatment", "series"]).size() > 1).sum()),
        num_shown=len(shown),
        number=_number,
        p_value=_p_value,
        matrix=figures.similarity_matrix(similarity, in_matrix)
        if similarity and len(in_matrix) > 1
        else None,
        reasons=_reasons(findings),
        settings=findings.to_json()["correction"],
        unit_of=unit_of,
    )
    return Section("profiles", "Profiles: activity, batch effect and similarity", html, findings.to_json())


def profiles_page(
    findings: ProfileFindings,
    *,
    title: str,
    subtitle: str,
    notes: Sequence[str],
    simulated: bool,
    unit_of: UnitOf = as_recorded,
) -> str:
    """Render the section as a self-contained page.

    Args:
        findings: What was found.
        title: Heading of the page.
        subtitle: Line below it: data and licence.
        notes: Sentences on the data, shown above the section.
        simulated: Whether the images are simulated; the page then says so.
        unit_of: Gives the unit of a treatment's and series' doses.
    """
    section = profiles_section(findings, unit_of)
    return render(
        "profiles_page.html.j2",
        headline=findings.headline,
        notes=notes,
        section=section,
        simulated=simulated,
        subtitle=subtitle,
        title=title,
    )


def _shown(findings: ProfileFindings) -> list[str]:
    """Choose the treatments that are drawn, the most active first where there are too many."""
    best = findings.activity.groupby("treatment", sort=False)["normalised_map"].max()
    ranked = best.sort_values(ascending=False, kind="stable").index[:MAX_ROWS]
    return [name for name in findings.treatments if name in set(ranked)]


def _treatment_of(name: str) -> str:
    """The treatment in the name of a treatment and its series."""
    return name.split(" · ")[0]


def _nearest(findings: ProfileFindings, shown: Sequence[str]) -> list[dict[str, Any]]:
    if findings.similarity is None:
        return []
    pairs = findings.similarity.pairs()
    pairs = pairs[pairs["treatment"].map(_treatment_of).isin(list(shown))]
    return [
        {"treatment": treatment, "neighbours": _records(rows.head(NUM_NEAREST))}
        for treatment, rows in pairs.groupby("treatment", sort=False)
    ]


def _reasons(findings: ProfileFindings) -> list[dict[str, Any]]:
    """Uncorrected wells by reason: `reason`, `num_wells` and their plates."""
    wells = findings.wells.wells.assign(reason=findings.why_uncorrected)
    return [
        {"reason": reason, "num_wells": len(rows), "plates": natural_order(rows["plate_name"])}
        for reason, rows in wells[~findings.is_corrected].groupby("reason", sort=False)
    ]


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {str(k): None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}
        for row in table.to_dict(orient="records")
    ]


def _p_value(value: float | None) -> str:
    return "-" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
