"""The report's part on explanations: verdicts that say pass or fail, figures, and what was not tested."""

import json
import re
from dataclasses import replace

import pytest

from phenotrain.evaluate import Interval
from phenotrain.explain.agreement import Agreement
from phenotrain.explain.estimates import Estimate
from phenotrain.explain.findings import ExplanationFindings
from phenotrain.explain.localisation import Inside, Localisation, Pointing
from phenotrain.explain.perturbation import Curve, Perturbation
from phenotrain.explain.randomisation_result import Randomisation, Stage
from phenotrain.explain.stains import StainEffect, StainFindings
from phenotrain.report.explanation import estimate_text, explanation_section, verdicts

FRACTION = (0.0, 0.5, 1.0)


def estimate(value, half=0.1, num=20):
    return Estimate(value, Interval(value - half, value + half), num, num)


def curve(gain):
    return Curve((0.9, 0.4, 0.1), (0.9, 0.5, 0.1), estimate(0.4), estimate(0.5), estimate(gain, 0.05))


def randomisation(*values):
    stages = tuple(Stage(f"part {place}", estimate(value), value) for place, value in enumerate(values))
    return Randomisation(stages, 0.2, 3, 1)


def inside(ratio):
    return Inside(estimate(0.1 * ratio), estimate(0.1), estimate(ratio, 0.2), 0)


def stains(truth, agreement):
    effects = tuple(
        StainEffect(treatment, stain, estimate(value, 0.3), truth and value / 4)
        for treatment in ("A<b>", "B")
        for stain, value in (("Hoechst", 1.0), ("ConA & co", 0.0))
    )
    return StainFindings(effects, 1, 20, 2, 1e-6, agreement)


AGREEMENT = Agreement(0.6, Interval(0.5, 0.7), 0.76, 0.9, Interval(0.8, 1.0), 4, 2, 2)
FULL = ExplanationFindings(
    treatments=("A<b>", "B"),
    num_treatments=2,
    num_sites=20,
    num_right=15,
    cell_px=64,
    simulated=True,
    randomisation=randomisation(0.6, 0.3, 0.2),
    perturbation=Perturbation(FRACTION, curve(0.2), curve(0.1), 4),
    truth=Localisation(Pointing(estimate(0.9), estimate(0.3), 32.0), inside(3.0)),
    truth_right=Localisation(Pointing(estimate(0.95), estimate(0.3), 32.0), inside(3.5)),
    foreground=inside(1.5),
    stains=stains(True, AGREEMENT),
)
NOTHING = replace(
    FULL, randomisation=None, perturbation=None, truth=None, truth_right=None, foreground=None, stains=None
)


def test_the_section_brings_figures_and_numbers():
    """Every figure has ids and a description of its own, and the numbers are plain JSON without NaN."""
    section = explanation_section(FULL)
    assert section.key == "explanation"
    assert section.html.count("<svg ") == section.html.count('role="img" aria-label="') == 6
    ids = re.findall(r'\bid="([^"]+)"', section.html)
    assert len(set(ids)) == len(ids)
    numbers = json.loads(json.dumps(section.numbers, allow_nan=False))
    assert numbers["randomisation"]["passes"] is True
    assert numbers["stains"]["agreement"]["ceiling"] == 0.76


def test_names_are_escaped():
    """A treatment's name is text, not markup."""
    html = explanation_section(FULL).html
    assert "A<b>" not in html
    assert "A&lt;b&gt;" in html


def test_what_was_not_tested_is_said():
    """Without findings the section stands, has no figure, and says of every test that it was not made."""
    section = explanation_section(NOTHING)
    assert "<svg" not in section.html
    for verdict in verdicts(NOTHING).values():
        assert re.search(r"not tested|could not|not attributed", verdict)
        assert verdict.replace("'", "&#39;") in section.html


@pytest.mark.parametrize(
    ("values", "start"),
    [
        ((0.6, 0.3, 0.2), "Passes"),
        ((0.9, 0.5, 0.2), "Fails"),
        ((0.1, 0.1, 0.7), "Fails"),
        ((0.2,), "Passes"),
    ],
)
def test_randomisation_is_judged_from_the_last_block_on(values, start):
    """The maps must be others once head and last block are shuffled and at every later stage."""
    assert verdicts(replace(FULL, randomisation=randomisation(*values)))["randomisation"].startswith(start)


@pytest.mark.parametrize(
    ("gains", "start"),
    [
        ((0.2, 0.1), "Passes:"),
        ((0.2, 0.01), "Passes for deletion only"),
        ((-0.2, 0.2), "Passes for insertion only"),
        ((0.0, -0.3), "Fails"),
    ],
)
def test_each_curve_is_judged_by_its_interval(gains, start):
    """A gain passes when its interval lies above 0."""
    perturbation = Perturbation(FRACTION, curve(gains[0]), curve(gains[1]), 4)
    assert verdicts(replace(FULL, perturbation=perturbation))["perturbation"].startswith(start)


@pytest.mark.parametrize(("ratio", "start"), [(3.0, "Better"), (1.1, "Not distinguishable"), (0.5, "Worse")])
def test_place_is_judged_against_a_map_that_knows_nothing(ratio, start):
    """The interval of the ratio against 1 decides, in both directions."""
    found = replace(FULL, truth=Localisation(FULL.truth.pointing, inside(ratio)), foreground=inside(ratio))
    assert verdicts(found)["truth"].startswith(start)
    words = {"Better": " more on", "Worse": " less on", "Not distinguishable": "no more than"}
    assert words[start] in verdicts(found)["foreground"]


def test_pointing_that_cannot_miss_is_called_that():
    """Where a random cell nearly always hits, the verdict says that pointing says little."""
    everywhere = Localisation(Pointing(estimate(1.0, 0), estimate(0.98, 0.01), 32.0), inside(1.2))
    assert "says little" in verdicts(replace(FULL, truth=everywhere))["truth"]
    assert "says little" not in verdicts(FULL)["truth"]


def test_both_correlations_and_the_ceiling_are_stated():
    """The verdict on stains has the tied rho, the raw one, and the most that the raw one can be."""
    text = verdicts(FULL)["stains"]
    assert all(number in text for number in ("0.90 [0.80, 1.00]", "0.60 [0.50, 0.70]", "0.76"))


def test_real_data_show_no_truth():
    """Without a truth nothing is marked as changed, and the significant pairs are counted."""
    found = replace(FULL, stains=stains(None, None), simulated=False, truth=None, truth_right=None)
    assert verdicts(found)["stains"].startswith("2 of 4 pairs")
    html = explanation_section(found).html
    assert "◆" not in html
    assert "not known" in html


def test_an_estimate_without_interval_says_why():
    """Few wells give a value and no interval; no site gives a dash."""
    assert estimate_text(estimate(0.5)) == "0.50 [0.40, 0.60]"
    assert estimate_text(Estimate(0.5, None, 2, 2)) == "0.50 [too few wells]"
    assert estimate_text(Estimate(None, None, 0, 0)) == "-"


def test_blank_maps_everywhere_still_make_a_section():
    """Where every map is the same everywhere there is no correlation and no mass, and nothing fails."""
    none = Estimate(None, None, 0, 0)
    found = replace(
        FULL,
        randomisation=Randomisation((Stage("head", none, None),), None, 3, 20),
        truth=Localisation(FULL.truth.pointing, Inside(none, none, none, 20)),
        truth_right=None,
        foreground=Inside(none, none, none, 20),
    )
    assert "every map is the same" in verdicts(found)["randomisation"]
    assert "could not be measured" in verdicts(found)["foreground"]
    assert "20 blank" in explanation_section(found).html


@pytest.mark.parametrize(("num_wells", "interval"), [(2, None), (5, Interval(0.05, 0.15))])
def test_few_wells_carry_no_verdict(num_wells, interval):
    """Maps from fewer than six wells are neither believed nor doubted: every sentence says so and counts the wells."""

    def few(value):
        return Estimate(value, interval, 4, num_wells)

    found = replace(
        FULL,
        randomisation=Randomisation(tuple(Stage(name, few(0.1), 0.1) for name in "ab"), 0.2, 3, 0),
        perturbation=Perturbation(
            FRACTION, *[replace(curve(0.2), gain=few(0.2)), replace(curve(0.2), gain=few(-0.2))], 4
        ),
        truth=Localisation(Pointing(few(0.9), few(0.3), 32.0), Inside(few(0.3), few(0.1), few(3.0), 0)),
        foreground=Inside(few(0.3), few(0.1), few(3.0), 0),
        stains=StainFindings((StainEffect("A", "ConA", few(1.0), None),), 1, 4, 0, 1e-6, None),
    )
    said = verdicts(found)
    for name in ("randomisation", "perturbation", "truth", "foreground"):
        assert said[name].startswith("No verdict")
        assert f"4 sites of {num_wells} wells" in said[name]
    assert (
        said["stains"]
        == "Whether an attribution is not zero is not known; 1 pairs rest on fewer than 6 wells."
    )
    values = found.to_json()
    assert values["randomisation"]["passes"] is None
    assert values["perturbation"]["deletion"]["passes"] is None
