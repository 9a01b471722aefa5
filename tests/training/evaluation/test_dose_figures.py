"""Figures and tables of doses: log odds with probabilities beside, every dose, its unit."""

import re

import numpy as np
import pandas as pd
import pytest

from phenotrain.datasets.description import TableDescription
from phenotrain.evaluate.dose_fit import fit_doses
from phenotrain.evaluate.hill import HillCurve
from phenotrain.report.dose_fit import dose_fit_section
from phenotrain.report.figures import response_per_dose

DOSES = np.array([0.31, 1.25, 5.0, 20.0, 80.0])
UNITS = TableDescription(path="x.csv", concentration_unit={"LY": "uM", "W": "nM"})


@pytest.fixture(scope="module")
def screen() -> tuple[pd.DataFrame, np.ndarray]:
    """One plate: two drugs behind the treatment `dose`, four wells a dose, their log odds around an EC50 of 5."""
    rng = np.random.default_rng(0)
    rows, values = [], []
    for series in ("LY", "W"):
        for dose in np.repeat(DOSES, 4):
            rows.append(("dose", series, dose))
            values.append(HillCurve(-5.0, 10.0, 5.0, 2.0).at(np.array([dose]))[0])
    rows += [("none", "", np.nan)] * 8
    values += [-5.0] * 8
    table = pd.DataFrame(rows, columns=["treatment", "series", "treatment_conc"])
    table = table.assign(experiment="e", plate="1", well_id=[f"w{n}" for n in range(len(table))])
    return table, np.array(values) + rng.normal(0, 0.1, len(values))


def texts(svg: str) -> list[str]:
    """Every text of a figure."""
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_fitted_curves_stand_over_every_dose_in_its_unit_with_probabilities_beside(screen):
    """Ticks are the doses, the axis has the unit of its drug, the EC50 too, and the right axis probabilities."""
    table, log_odds = screen
    fits = fit_doses(
        table, np.arange(len(table)), "none", log_odds, "log odds of treated", is_log_odds=True, seed=0
    )
    section = dose_fit_section(fits, UNITS.unit_of)
    for svg, unit in zip(re.findall(r"<svg.*?</svg>", section.html, re.DOTALL), ("uM", "nM"), strict=True):
        found = texts(svg)
        assert {"0.31", "1.25", "5", "20", "80", f"dose ({unit})", "log odds of treated"} <= set(found)
        assert {"P(treated)", "0.01", "0.5", "0.99"} <= set(found)
        assert any(re.fullmatch(rf"\w+ · EC50 (4\.\d+|5|5\.\d+) {unit}", text) for text in found)
    assert [fit["unit"] for fit in section.numbers["fits"]] == ["uM", "nM"]
    assert "cannot tell" not in section.html


def test_wells_that_cannot_tell_say_so_in_place_of_p():
    """Four plates of one dose each: the table has no p, and the smallest possible one."""
    rows = [(f"{plate}", "dose", "", 10.0**plate) for plate in range(4) for _ in range(3)]
    rows += [(f"{plate}", "none", "", np.nan) for plate in range(4) for _ in range(3)]
    table = pd.DataFrame(rows, columns=["plate", "treatment", "series", "treatment_conc"])
    table = table.assign(experiment="e", well_id=[f"w{n}" for n in range(len(table))])
    values = np.random.default_rng(0).normal(size=len(table))
    fits = fit_doses(table, np.arange(len(table)), "none", values, "x", is_log_odds=False, seed=0)
    html = dose_fit_section(fits).html
    assert "cannot tell (smallest possible p 0.0" in html
    assert '<td class="n">cannot tell</td>' in html
    assert "dose, as recorded" in html


def test_treatments_of_one_dose_share_a_panel():
    """Two treatments without a dose and one with two give two panels: a line over doses, and a row for each other."""
    table = pd.DataFrame(
        [
            ("A", "", 1.0, 2.0, -3.0),
            ("A", "", 10.0, 4.0, -3.0),
            ("B", "", np.nan, 1.0, -3.0),
            ("C", "", 5.0, 0.0, -3.0),
        ],
        columns=["treatment", "series", "treatment_conc", "log_odds", "control_log_odds"],
    )
    over_doses, single = response_per_dose(table, lambda *_: "uM")
    assert {"1", "10", "dose (uM)", "log odds of treated"} <= set(texts(over_doses))
    assert {"B", "C 5 uM"} <= set(texts(single))
