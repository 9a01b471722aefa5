import io
import json
import re
import warnings
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from phenotrain.evaluate import (
    DoseTable,
    ModelPredictions,
    Predictions,
    dose_probability,
    evaluate,
    treated_log_odds,
)
from phenotrain.report import Overlay, ReportContext, build_report, card_markdown
from phenotrain.report.figures import confusion_matrix
from phenotrain.splits import split_sites

CLASSES = ("EMPTY", "IFN-a", "IFN-b")


def png() -> bytes:
    figure = Figure(figsize=(1, 1))
    figure.subplots().imshow(np.eye(3))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def context(screen) -> ReportContext:
    sites = screen()
    split = split_sites(
        sites, control="EMPTY", treatments=CLASSES, seed=0, test_fraction=0.2, validation_fraction=0.2
    )
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), len(sites))
    predictions = Predictions(
        {
            "classifier": ModelPredictions(probabilities, probabilities[:, 1:]),
            "forest": ModelPredictions(probabilities),
            "intensity and cell count": ModelPredictions(probabilities[::-1].copy()),
        }
    )
    metrics = evaluate(
        sites, split.roles, CLASSES, "EMPTY", predictions, num_top_doses=2, seed=0, simulated=True
    )
    rows = np.flatnonzero(split.roles == "test")
    return ReportContext(
        name="tiny",
        headline=metrics.headline,
        metrics=metrics,
        dataset_name="A <screen> & more",
        dataset_licence="CC BY-NC-SA 4.0",
        simulated=True,
        split=split.description,
        left_out=pd.DataFrame([{"site_id": "E-1_1_B02_1", "file": "a_w3.png", "reason": "missing"}]),
        training_log=pd.DataFrame(
            {
                "epoch": [1, 2],
                "loss": [4.0, 3.0],
                "contrastive_accuracy": [0.1, 0.4],
                "learning_rate": [1e-3, 5e-4],
            }
        ),
        recipe={"simclr": {"temperature": 0.2}},
        overlays=[Overlay("right one", png(), False), Overlay("wrong one", png(), True)],
        packages={"numpy": "2.4"},
        dose_probability=dose_probability(sites, rows, "EMPTY", treated_log_odds(probabilities, 0)),
    )


@pytest.fixture(scope="module")
def report(context) -> dict[str, bytes]:
    return build_report(context)


@pytest.fixture(scope="module")
def html(report) -> str:
    return report["report.html"].decode()


@pytest.fixture(scope="module")
def bare(context) -> ReportContext:
    """The same run without training log, gallery, dose table and left-out sites, on real images."""
    metrics = replace(context.metrics, simulated=False)
    return replace(
        context,
        simulated=False,
        metrics=metrics,
        headline=metrics.headline,
        left_out=context.left_out.iloc[:0],
        training_log=context.training_log.iloc[:0],
        overlays=[],
        dose_probability=DoseTable(context.dose_probability.table.iloc[:0]),
    )


@pytest.fixture(scope="module")
def bare_html(bare) -> str:
    return build_report(bare)["report.html"].decode()


class Tags(HTMLParser):
    """Collect every start tag with its attributes, and check that tags close in order."""

    VOID = frozenset({"meta", "img", "br", "link", "use", "path"})

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        """Note a tag and wait for its end."""
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        """Note a tag that ends itself."""
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        """Check that the innermost open tag ends."""
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_page_asks_nothing_of_the_network(html):
    """Nothing in the report names anything outside it, it runs no script, and its policy forbids both."""
    parser = Tags()
    parser.feed(html)
    assert not parser.open
    assert not {"script", "link", "iframe"} & {tag for tag, _ in parser.tags}
    for _, attributes in parser.tags:
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))
    assert not re.search(r"url\((?!#)|@import", html)
    policies = [
        attributes.get("content") or "" for _, attributes in parser.tags if "http-equiv" in attributes
    ]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_ids_are_unique_and_every_reference_is_met(html):
    """The embedded figures do not share ids, and what they refer to is on the page."""
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', html)) <= set(ids)


def test_every_figure_is_svg_that_follows_the_page_and_describes_itself(html):
    """Each figure parses as XML, has a description, and draws its ink in the page's text colour."""
    figures = re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)
    per_dose = 2 + 3  # AUROC of two treatments, probability of three
    models, confusion, ranks, training = 1, 2, 2, 1
    assert len(figures) == models + confusion + ranks + per_dose + training
    for figure in figures:
        assert ET.fromstring(figure).get("aria-label")
        assert "currentColor" in figure
        assert "#010203" not in figure


def test_a_simulated_run_says_so_on_screen_on_paper_and_in_the_card(context, html, bare, bare_html):
    """Simulated data are named in the title, the banner, the print margin and the card; real data nowhere."""
    assert "(simulated data)</title>" in html
    assert '<div class="simulated">' in html
    assert "@top-center" in html
    assert "**Simulated images" in card_markdown(context)
    assert "imulated" not in bare_html.replace(".simulated", "")
    assert "imulated" not in card_markdown(bare)


def test_every_model_has_a_row_with_all_metrics_intervals_and_chance(context, html):
    """The table of test wells holds each model's six metrics, each with its interval and chance level."""
    table = html.split("<h2>Results on held-out sites</h2>")[1].split("</table>")[0]
    rows = re.findall(r"<tr><td>(.*?)</td>(.*?)</tr>", table)
    assert [name for name, _ in rows] == ["classifier", "forest", "intensity and cell count"]
    for name, cells in rows:
        found = context.metrics.test.classified(name, "well")
        for estimate in found.estimates.values():
            interval = f"[{estimate.interval.low:.2f}, {estimate.interval.high:.2f}]"
            assert (
                f'<td class="n">{estimate.value:.2f}<br><span class="quiet">{interval}<br>'
                f"chance {estimate.chance:.2f}</span></td>" in cells
            )


def test_the_report_prints_the_counts_of_the_split(context, html):
    """Wells and sites of every class and side, the nesting of doses, and each plate's controls are on the page."""
    part = html.split('<h2 id="split">')[1].split("<h3>Left out</h3>")[0]
    assert context.split["dose_nesting"]["statement"] in part
    for name in CLASSES:
        wells, sites = context.split["num_wells"][name], context.split["num_sites_of_class"][name]
        cells = "".join(
            f'<td class="n">{wells[role]}</td><td class="n">{sites[role]}</td>'
            for role in context.split["num_sites"]
        )
        assert f"<tr><td>{name}</td>{cells}</tr>" in part
    assert part.count("<tr><td>E-") == len(context.split["controls_by_plate"]) == 12
    assert "carries controls on the same side" in part


def test_a_leaking_split_is_marked_wherever_its_result_is_told(screen, bare):
    """Under `reference`, page and card say beside the headline that the split leaks, and why."""
    split = split_sites(
        screen(wells_per_treatment=6),
        control="EMPTY",
        treatments=("IFN-a",),
        seed=0,
        test_fraction=0.2,
        validation_fraction=0.2,
        protocol="reference",
    )
    leaking = replace(bare, split=split.description)
    page = build_report(leaking)["report.html"].decode()
    why = split.description["why_it_leaks"]
    assert f'<span class="badge">leaking split</span>{why}' in page.split("<main>")[0]
    assert f"**This split leaks.** {why}" in card_markdown(leaking)
    assert "leak" not in build_report(bare)["report.html"].decode()


def test_a_report_without_validation_or_other_models_is_whole(bare):
    """With one model and no validation side, nothing is left dangling."""
    test = bare.metrics.test
    only = replace(
        test,
        classification=tuple(c for c in test.classification if c.model == "classifier"),
        versus_control=tuple(c for c in test.versus_control if c.model == "classifier"),
        by_dose_rank=(),
        by_dose=(),
        differences=(),
    )
    metrics = replace(bare.metrics, test=only, validation=None)
    page = build_report(replace(bare, metrics=metrics))["report.html"].decode()
    parser = Tags()
    parser.feed(page)
    assert not parser.open
    assert "forest" not in page.split("<main>")[1].split("<h2>Data and split")[0]
    assert "| validation |" not in card_markdown(replace(bare, metrics=metrics)).split("## Results")[1]


def test_a_misclassified_picture_is_labelled_as_one(html):
    """Only the wrong picture carries the badge, in its caption and in its alternative text."""
    assert html.count('<span class="badge">misclassified</span>wrong one') == 1
    assert 'alt="wrong one, misclassified"' in html
    assert 'alt="right one"' in html
    assert html.count("data:image/png;base64,") == 2


def test_names_from_the_data_cannot_become_markup(html):
    """A dataset name with markup in it is shown, not obeyed."""
    assert "A &lt;screen&gt; &amp; more" in html
    assert "<screen>" not in html


def test_the_report_names_what_was_left_out_or_that_nothing_was(html, bare_html):
    """Every file left out is listed with its reason; with none, the report says so."""
    assert "<td>a_w3.png</td><td>missing</td>" in html
    assert "every site of the table could be read" in bare_html


def test_metrics_json_holds_the_numbers_of_the_page(context, report):
    """metrics.json is strict JSON with the headline, the split and every dose's probability."""
    numbers = json.loads(report["metrics.json"], parse_constant=pytest.fail)
    assert numbers["headline"] == context.headline
    assert numbers["split"] == context.split
    assert len(numbers["dose_probability"]) == len(context.dose_probability.table)
    assert numbers["test"] == json.loads(json.dumps(context.metrics.to_json()["test"]))
    assert numbers["num_left_out"] == 1


def test_the_same_run_gives_the_same_report(bare, bare_html):
    """Rendering twice gives the same bytes."""
    assert build_report(bare)["report.html"].decode() == bare_html


def test_a_run_without_pretraining_or_pictures_still_has_a_report(bare_html):
    """An empty log, gallery and dose table leave their sections out, and nothing fails."""
    assert "The encoder was not pretrained" in bare_html
    assert "Where the classifier looked" not in bare_html
    assert "Dose and response" not in bare_html


def test_the_card_states_result_interval_split_licence_and_limits(context):
    """The card has the headline, the wells of each class, the interval, the licence and the limits."""
    card = card_markdown(context)
    assert context.headline in card
    assert "CC BY-NC-SA 4.0" in card
    found = context.metrics.test.classified("classifier", "well")
    accuracy = found.balanced_accuracy
    assert f"{accuracy.value:.2f} [{accuracy.interval.low:.2f}, {accuracy.interval.high:.2f}]" in card
    assert "| EMPTY | 18 | 18 | 36 |" in card
    assert "## Limits" in card
    assert card.endswith("\n")
    assert not card.endswith("\n\n")


def test_names_in_any_script_stand_in_a_figure_as_they_are(context):
    """Names that matplotlib's font lacks, or takes for formulae, are text that the page's fonts draw, untold of."""
    names = ["TNF-\u03b1", "抗体", "\U0001f9ec dye", "a $1$ dose"]
    [found, *_] = context.metrics.test.classification
    found = replace(found, confusion=((1,) * 4,) * 4)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = ET.fromstring(confusion_matrix(found, names, "any"))

    texts = ["".join(text.itertext()).strip() for text in figure.iter("{http://www.w3.org/2000/svg}text")]
    assert [text for text in texts if text in names] == 2 * names
