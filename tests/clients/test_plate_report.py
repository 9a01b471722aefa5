"""The page that shows a plate's results."""

import json
import re
import warnings
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, settings
from hypothesis import given as given_screen
from hypothesis import strategies as st
from typer.testing import CliRunner

from phenoclient import PlateError
from phenoclient.cli import app
from phenoclient.plate import Site, read_plate_map, write_report
from phenoclient.plate.report.cautions import cautions
from phenoclient.plate.report.confounding import confounding
from phenoclient.plate.report.figures import dose_response
from phenoclient.plate.report.heat_map import PlateDrawing, Scale
from phenoclient.plate.report.log_odds import log_odds
from phenoclient.plate.report.notices import in_words
from phenoclient.plate.report.outliers import outliers
from phenoclient.plate.report.results import Results, Well, read_results
from phenoclient.plate.report.thumbnails import picture
from phenoclient.plate.report.wells import confusions, strongest, well_lines
from phenoclient.plate.tables import read_table, write_table

DOSES = (None, 0.5, 5.0)
CONFOUNDED = json.loads((Path(__file__).parents[1] / "cases" / "confounding.json").read_text())["cases"]


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """Nine wells of one plate, three doses, the last well far out; the images of the first three are there."""
    folder = tmp_path_factory.mktemp("results")
    rows = []
    for index in range(9):
        name = f"f{index}.tif"
        if index < 3:
            tifffile.imwrite(folder / name, np.arange(64 * 48, dtype=np.uint16).reshape(64, 48))
        rows.append(
            {
                "Metadata_experiment": None,
                "Metadata_Plate": "<7>",
                "Metadata_Well": f"B{index + 2:02d}",
                "Metadata_Site": "1",
                "Metadata_site_id": f"7_{index}",
                "Metadata_treatment": "drug & co" if index % 3 else "DMSO",
                "Metadata_treatment_conc": DOSES[index % 3],
                "Metadata_role": "treated" if index % 3 else "control",
                "Metadata_Folder": str(folder),
                "Metadata_FileName_DNA": name,
                "Metadata_bundle": "b 1",
                "Metadata_bundle_digest": "ab",
                "channel_order": "DNA",
                "channel_order_from": "numbers",
                "notices": "dead_channel:DNA|saturated_channel:DNA" if index == 4 else None,
                "predicted_treatment": "EMPTY",
                "probability_EMPTY": 0.9 - 0.1 * index,
                "probability_drug A": 0.1 + 0.1 * index,
                "versus_control_drug A": 0.5,
                "in_distribution": index != 8,
                "distance": 100.0 if index == 8 else 10.0 + index,
            }
        )
    path = folder / "plate.csv"
    write_table(path, rows, list(rows[0]))
    failed = {"Metadata_site_id": "7_x", "code": "incomplete", "reason": "no file for channel <2>"}
    write_table(folder / "plate.failed.csv", [failed], list(failed))
    return path


def test_the_page_holds_every_part_and_asks_nothing_of_the_network(results, tmp_path):
    """Heat maps, dose response, outliers, pictures and failures are in one file without any outside address."""
    page = write_report(results, tmp_path / "page.html").read_text()
    for choice in ("EMPTY", "drug A", "anything but EMPTY", "distance from what the model learned from"):
        assert f">{choice}</option>" in page
    assert "drug &amp; co: 6 wells, 2 doses, 3 untreated wells" in page
    assert "9 sites: channels taken as DNA (order from: numbers)." in page
    for notice in (
        "DNA shows nothing: all pixels are alike.",
        "DNA is saturated: many pixels are at the camera&#39;s limit.",
    ):
        assert f'<td>{notice}</td><td class="number">1</td>\n<td>&lt;7&gt; B06</td>' in page
    assert "1 of 1 sites out of distribution; farther out than its plate" in page
    assert page.count('<img src="data:image/png;base64,') == 3
    assert "no file for channel &lt;2&gt;" in page
    assert "<7>" not in page
    outside = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?!#|data:)\w[^"')]*""", page)
    assert [address for address in outside if "w3.org" not in address] == []


def test_the_same_results_give_the_same_page(results, tmp_path):
    """Two reports of one table are the same, byte by byte."""
    pages = [write_report(results, tmp_path / name).read_bytes() for name in ("a.html", "b.html")]
    assert pages[0] == pages[1]


def test_outliers_follow_the_definition(results):
    """The robust z of a well is 0.6745 (x - median) / MAD of its plate."""
    found = read_results(results)
    distances = np.array([well.mean("distance") for well in found.wells])
    (outlier,) = outliers(found)
    spread = np.median(np.abs(distances - np.median(distances)))
    assert outlier.well.name == "B10"
    assert outlier.robust_z == pytest.approx(0.6745 * (100 - np.median(distances)) / spread)


def test_the_control_is_the_treatment_that_has_no_head_of_its_own(results):
    """The bundle's control is told from the columns, the untreated wells from their role, not from a word."""
    found = read_results(results)
    assert found.control == "EMPTY"
    assert [found.is_control(well) for well in found.wells] == [True, False, False] * 3


def rows_of(results: Path, **columns: list) -> list[dict]:
    rows = read_table(results)
    for name, values in columns.items():
        for row, value in zip(rows, values, strict=True):
            row[name] = value
    return rows


@pytest.fixture
def page_of(tmp_path):
    """Writes rows as a table and gives the text of its page."""

    def write(rows: list[dict], ending: str = ".csv") -> str:
        path = tmp_path / f"table{ending}"
        write_table(path, rows, list(rows[0]))
        return write_report(path, tmp_path / "page.html").read_text()

    return write


def test_csv_and_parquet_give_the_same_page(results, page_of):
    """Names that look like numbers or are blank, and every figure, are the same out of both kinds of table."""
    names = ["123", "NaN", "1e5", "True", "007", "", "x", "123", "123"]
    rows = rows_of(results, predicted_treatment=names, Metadata_treatment=names)
    assert page_of(rows) == page_of(rows, ".parquet")


def test_wells_that_the_map_lacks_are_unknown_and_no_controls(results, page_of):
    """A well without a role is counted apart and stays out of the band of the untreated."""
    treatments, roles = ["drug"] * 3 + [None] * 6, ["treated"] * 3 + [None] * 6
    doses = [0.5, 5.0, 50.0] + [None] * 6
    page = page_of(
        rows_of(results, Metadata_treatment=treatments, Metadata_role=roles, Metadata_treatment_conc=doses)
    )
    for number, what in ((0, "untreated"), (3, "treated"), (6, "unknown")):
        assert re.search(rf"<b>{number}</b> wells {what}", page)
    assert "drug: 3 wells, 3 doses, 0 untreated wells" in page
    assert "No well of its plates is known to be untreated: there is nothing to compare with." in page
    assert "No well is known to be untreated on plate &lt;7&gt;." in page


def test_a_table_without_notices_and_order_says_that_it_has_none(results, page_of):
    """Of a table of an earlier version nothing is claimed that it does not hold."""
    new = ("channel_order", "channel_order_from", "notices", "in_distribution", "Metadata_role")
    rows = [{name: value for name, value in row.items() if name not in new} for row in read_table(results)]
    page = page_of(rows)
    assert "9 sites: the table does not say which channel was taken for which stain." in page
    assert "sites with notices" not in page
    assert "sites out of distribution" not in page


def wells_of(*told: tuple[str, str, float | None]) -> list[Well]:
    """Wells of a plate, a name and a dose each."""
    return [Well(plate, name, ({"Metadata_treatment_conc": dose},)) for plate, name, dose in told]


@pytest.mark.parametrize(
    ("treated", "controls", "said"),
    [
        (
            [("1", "B02", 1.0), ("1", "B03", 10.0)],
            [("1", "B02", None)],
            "Only 1 well a dose.|Each dose has columns of its own|The band is the range of the one untreated well.",
        ),
        (
            [("1", "B02", 1.0), ("1", "C02", 10.0), ("2", "C02", 1.0), ("2", "B02", 10.0)],
            [("1", "B02", None), ("2", "C02", None)],
            "Only 2 wells a dose.|The band is the range of all 2 untreated wells.",
        ),
        (
            [("1", "B02", 1.0), ("1", "C03", 1.0), ("2", "B02", 10.0), ("2", "C03", 10.0)],
            [("1", "B02", None), ("2", "C03", None)],
            "Only 2 wells a dose.|Each dose has plates of its own",
        ),
        (
            [("1", "B02", 1.0), ("1", "C02", 10.0), ("2", "B02", 1.0), ("2", "C02", 10.0)],
            [("1", "D03", None)],
            (
                "Each dose has rows and positions of its own|No well is known to be untreated on plate 2.|"
                "No untreated well stands in its rows and columns"
            ),
        ),
    ],
)
def test_what_a_dose_response_does_not_show_is_said(treated, controls, said):
    """Few wells, and plates, rows, columns or positions that differ with the dose or the treatment, are named."""
    sentences = " ".join(cautions(wells_of(*treated), wells_of(*controls)))
    assert [part for part in said.split("|") if part not in sentences] == []
    assert sentences.count("Each dose has") == said.count("Each dose has")


def test_a_large_screen_laid_out_at_random_needs_no_caution():
    """Where every dose has ten wells in shared rows and columns, and so have the untreated, nothing is said."""
    names = [f"{letter}{column:02d}" for letter in "ABCDE" for column in range(1, 7)]
    drawn = [("1", name, (1.0, 10.0, None)[index * 7 % 31 % 3]) for index, name in enumerate(names)]
    wells = wells_of(*drawn)
    treated = [well for well in wells if well.known("treatment_conc") is not None]
    controls = [well for well in wells if well.known("treatment_conc") is None]
    assert cautions(treated, controls) == ()


def test_an_unknown_treatment_and_another_table_are_refused(results, tmp_path):
    """A treatment that is not in the results and a table of something else are refused, naming what is there."""
    with pytest.raises(PlateError, match="EMPTY, drug A"):
        write_report(results, tmp_path / "page.html", treatments=["x"])
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(PlateError, match="phenoclient plate"):
        write_report(tmp_path / "other.csv", tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_the_command_writes_the_page_beside_the_results(results):
    """`phenoclient report RESULTS` writes RESULTS with the ending .html, and prints the paths as JSON where piped."""
    result = CliRunner().invoke(app, ["report", str(results), "--treatment", "drug A"])
    page = results.with_suffix(".html")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == {"report": str(page), "wells": str(page.with_suffix(".wells.csv"))}
    assert ">EMPTY</option>" not in page.read_text()


NAMES = ("A", "B", "ctrl")


def row_of(well: str, logits: tuple[float, ...] = (0.0, 0.0, 0.0), plate: str = "1", **columns) -> dict:
    """A row of a site: probabilities of A, B and the control by their logits."""
    weights = np.exp(np.array(logits) - max(logits))
    probabilities = dict(zip(NAMES, (weights / weights.sum()).tolist(), strict=True))
    row = {"Metadata_Plate": plate, "Metadata_Well": well, "Metadata_Site": "1", "Metadata_Folder": "images"}
    row |= {f"probability_{name}": value for name, value in probabilities.items()}
    return row | {"versus_control_A": 0.5, "versus_control_B": 0.5} | columns


def given(treatment: str | None, dose: float | None = None) -> dict:
    role = None if treatment is None else "control" if treatment == "ctrl" else "treated"
    return {"Metadata_treatment": treatment, "Metadata_treatment_conc": dose, "Metadata_role": role}


@pytest.fixture
def results_of(tmp_path):
    """Writes rows as a table and reads them as results."""

    def read(rows: list[dict]) -> Results:
        write_table(tmp_path / "rows.csv", rows, list(dict.fromkeys(name for row in rows for name in row)))
        return read_results(tmp_path / "rows.csv")

    return read


@pytest.mark.parametrize("logits", [(1.5, -2.0, 0.25), (80.0, 3.0, -40.0), (-90.0, -20.0, 60.0)])
def test_log_odds_are_those_of_the_logits_however_saturated_the_probabilities(results_of, logits):
    """From probabilities the log odds of a treatment are its logit less the log-sum-exp of the other logits."""
    results = results_of([row_of("A01", logits)])
    row, (a, b, control) = results.rows[0], logits
    assert log_odds(row, results, "A") == pytest.approx(a - np.logaddexp(b, control))
    assert log_odds(row, results, "B") == pytest.approx(b - np.logaddexp(a, control))
    assert log_odds(row, results, "ctrl") == pytest.approx(control - np.logaddexp(a, b))
    for name in (None, "a drug of tomorrow"):
        assert log_odds(row, results, name) == pytest.approx(np.logaddexp(a, b) - control)


def test_wells_are_ranked_by_logit_where_probabilities_are_all_one(results_of):
    """Of wells whose probability prints as 1.000 the one of the larger log odds comes first; failed wells come last."""
    rows = [row_of(f"A{index:02d}", (10.0 * index, 0.0, -20.0), **given("A")) for index in (2, 4, 1, 3)]
    failed = [
        {"Metadata_experiment": None, "Metadata_Plate": "1", "Metadata_Well": well}
        for well in ("B01", "A01", "B01")
    ]
    lines = well_lines(results_of(rows), failed)
    assert [line.name for line in lines] == ["A01", "A02", "A03", "A04", "B01"]
    assert [line.name for line in strongest(lines, "ctrl")] == ["A04", "A03", "A02", "A01", "B01"]
    assert [(line.row["num_sites"], line.row["num_failed"]) for line in lines] == [
        (1, 1),
        (1, 0),
        (1, 0),
        (1, 0),
        (0, 2),
    ]


def test_given_and_predicted_are_counted_apart_by_what_the_bundle_learned_from(results_of):
    """Each table counts its wells by hand; those that were learned from are called no test."""
    rows = [
        row_of("A01", (5, 0, 0), **given("A"), Metadata_learned_from="no"),
        row_of("A02", (0, 5, 0), **given("A"), Metadata_learned_from="no"),
        row_of("A03", (0, 0, 5), **given("ctrl"), Metadata_learned_from="no"),
        row_of("A04", (5, 0, 0), **given("A"), Metadata_learned_from="yes"),
        row_of("A05", (5, 0, 0), **given("C"), Metadata_learned_from="no"),
        row_of("A06", (5, 0, 0), **given(None), Metadata_learned_from="no"),
    ]
    unseen, seen = confusions(results_of(rows))
    assert (unseen.predicted, unseen.num_wells, unseen.num_right) == (NAMES, 3, 2)
    assert unseen.lines == (("A", (1, 1, 0), 1), ("ctrl", (0, 0, 1), 1))
    assert not unseen.is_caution
    assert (seen.num_wells, seen.num_right, seen.is_caution) == (1, 1, True)
    assert seen.words == "This is no test of the bundle: it has seen these wells."


@pytest.mark.parametrize("case", CONFOUNDED, ids=[case["why"] for case in CONFOUNDED])
def test_places_are_told_as_the_table_of_cases_has_it(results_of, page_of, case):
    """Of a plate map the clauses are those that `phenotrain` says of a table, and the page says them."""
    rows = [row_of(well, plate=plate, **given(told)) for plate, well, told in case["wells"]]
    assert list(confounding(results_of(rows))) == case["clauses"]
    unknown = [row_of("H12", plate=plate, **given(None)) for plate in ("1", "2")]
    assert list(confounding(results_of([*rows, *unknown]))) == case["clauses"]


def test_a_map_without_treated_wells_is_confounded_with_nothing(results_of):
    """Where all wells are untreated, or it is not known what any holds, there is nothing to tell apart."""
    for told in (given("ctrl"), given(None)):
        assert confounding(results_of([row_of(well, **told) for well in ("A01", "B02")])) == ()


@pytest.mark.parametrize(
    ("notice", "words"),
    [
        (
            "swapped_channels:ConA,Phalloidin",
            "ConA and Phalloidin look swapped: each looks like the other's stain",
        ),
        ("repeated_channel:A,B,C", "A, B and C show the same picture"),
        ("a_code_of_tomorrow:WGA", "a code of tomorrow: WGA"),
        ("a_code_of_tomorrow", "a code of tomorrow"),
    ],
)
def test_a_notice_is_told_in_words(notice, words):
    """A code and its stains become a sentence; a code that this client does not know stands for itself."""
    assert in_words(notice) == words


def map_of(*told: dict) -> list[dict]:
    return [row_of(f"A{index:02d}", **columns) for index, columns in enumerate(told, 1)]


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (map_of({}, {}), "It is not known what wells hold. Expected a plate map"),
        (map_of(given("ctrl")), "No well is known to be treated."),
        (map_of({"Metadata_treatment": "A", "Metadata_role": "treated"}), "The plate map tells no doses."),
        (
            map_of(given("A"), given("A")),
            "The plate map&#39;s cells of doses are blank for all 2 treated wells.",
        ),
        (
            map_of(given("A", 0.1), given("B", 5.0)),
            "Each treatment has one dose (A 0.1, B 5), so there is no response",
        ),
    ],
)
def test_why_there_is_no_dose_response_is_stated_by_its_cause(page_of, rows, why):
    """No map, no treated well, no column, no value and one dose each are told apart; a map is asked for if missing."""
    page = page_of(rows)
    assert why in page
    assert ("with --plate-map" in page) == why.startswith("It is not known")


def test_doses_stand_on_the_axis_with_their_unit(page_of):
    """Every dose that has room is a number on the axis, its unit beside; log odds and probabilities are both drawn."""
    told = [given("A", dose) | {"Metadata_treatment_conc_unit": "nM"} for dose in (0.3, 3.0, 30.0)]
    page = page_of(map_of(*told, given("ctrl")))
    for text in ("0.3", "3", "30", "dose / nM", "P(A)", "log odds of", "A"):
        assert re.search(
            rf"<text[^>]*>{re.escape(text)}</text>|<tspan[^>]*>{re.escape(text)}</tspan>", page
        ), text
    assert "dose, unit not given" in page_of(map_of(given("A", 0.3), given("A", 3.0)))


@pytest.mark.parametrize(("wells", "num_columns"), [(["A01"], 12), (["P24"], 24), (["AF48", "A01"], 48)])
def test_marks_show_on_every_colour(wells, num_columns):
    """On 96, 384 and 1536 wells every mark is drawn dark and light, so that it shows on any colour."""
    drawing = PlateDrawing(
        wells, {"control": wells, "unknown": wells, "notice": wells, "learned": wells}, "p"
    )
    text = drawing.shared()
    assert text.count('stroke="#fff"') == 4
    assert text.count("#000") == 4
    figure = drawing.figure({wells[0]: 1.0}, Scale.around_zero("x", [1.0, -2.0]), "m")
    assert f">{num_columns if num_columns < 48 else 47}</text>" in text
    assert 'aria-label="Plate of 1 wells coloured by x."' in figure
    assert ">\N{MINUS SIGN}2</text>" in figure


def test_nothing_on_the_page_says_where_the_files_lie(results, tmp_path):
    """No local path stands in a report or its table a well, whatever the results say of the folder."""
    text = (
        write_report(results, tmp_path / "page.html").read_text() + (tmp_path / "plate.wells.csv").read_text()
    )
    assert str(results.parent) not in text
    assert str(tmp_path) not in text


STACKS = {
    "pages": lambda path, stack: tifffile.imwrite(path, stack, photometric="minisblack", metadata=None),
    "imagej": lambda path, stack: tifffile.imwrite(path, stack, imagej=True, metadata={"axes": "CYX"}),
    "ome": lambda path, stack: tifffile.imwrite(path, stack, ome=True, metadata={"axes": "CYX"}),
    "samples": lambda path, stack: tifffile.imwrite(
        path, np.moveaxis(stack, 0, -1), photometric="minisblack", planarconfig="contig", metadata=None
    ),
    "planar": lambda path, stack: tifffile.imwrite(
        path, stack, photometric="minisblack", planarconfig="separate", metadata=None
    ),
}


@pytest.mark.parametrize("write", STACKS.values(), ids=STACKS)
def test_a_whole_stack_has_the_picture_of_its_channel_files(tmp_path, write):
    """The channels of one file, in whatever order they were taken, make the same picture as files of one channel."""
    stack = np.random.default_rng(0).integers(0, 4000, (2, 40, 48)).astype(np.uint16)
    write(tmp_path / "stack.tif", stack[::-1])
    for name, channel in zip(("DNA", "RNA"), stack, strict=True):
        tifffile.imwrite(tmp_path / f"{name}.tif", channel)
    files = {"Metadata_FileName_DNA": "DNA.tif", "Metadata_FileName_RNA": "RNA.tif"}
    whole = {"Metadata_FileName_stack": "stack.tif", "channel_order": "RNA|DNA"}
    of_files = picture(files, tmp_path, ("DNA", "RNA"))
    assert of_files is not None
    assert picture(whole, tmp_path, ("DNA", "RNA")) == of_files
    assert picture(whole | {"channel_order": "RNA|DNA|ER"}, tmp_path, ("DNA", "RNA", "ER")) is None
    assert picture(whole | {"channel_order": None}, tmp_path, ("DNA", "RNA")) is None


def test_what_the_service_does_not_give_is_told_with_its_reason(page_of):
    """Sets and flags that are not given are blank in the table, and the page says why."""
    reasons = {
        "prediction_set_reason": "No set: 4 wells of A.",
        "distribution_reason": "No word: 7 wells of ctrl.",
    }
    without = row_of("A01", prediction_set=None, in_distribution=None, **reasons)
    page = page_of([without])
    for reason in reasons.values():
        assert f'<p class="warn">{reason}</p>' in page
    assert "No set: 4 wells of A. This is of 1 of the 2 sites." in page_of(
        [without, without | dict.fromkeys(reasons)]
    )
    assert "out of distribution</" not in page


@st.composite
def small_screens(draw) -> list[tuple[str, str, str]]:
    """Plate, well and treatment: one to six plates, one to three wells a treatment, none to eight controls."""
    is_confounded = draw(st.booleans())
    wells = list[tuple[str, str, str]]()
    for plate in range(draw(st.integers(1, 6))):
        told = ["ctrl"] * draw(st.integers(0, 8))
        told += [name for name in ("A", "B", "C") for _ in range(draw(st.integers(0, 3)))]
        places = [f"{letter}{column:02d}" for letter in "ABCD" for column in range(1, 7)]
        places = places if is_confounded else draw(st.permutations(places))
        wells += [(str(plate), well, name) for well, name in zip(places, told, strict=False)]
    return wells


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given_screen(wells=small_screens().filter(bool))
def test_a_small_screen_has_a_report_that_tells_what_it_is_confounded_with(tmp_path, wells):
    """Whatever a pilot's layout, the page is drawn, and a treatment on no plate with a control is named."""
    text = "".join(f"{plate},{well},{name}\n" for plate, well, name in wells)
    (tmp_path / "map.csv").write_text(f"plate,well,treatment\n{text}")
    plate_map = read_plate_map(tmp_path / "map.csv", "ctrl")
    sites = [Site(None, plate, well, "1", {}) for plate, well, _ in wells]
    rows = [row_of(one.well, plate=one.plate, **plate_map.row(one)) for one in sites]
    write_table(tmp_path / "rows.csv", rows, list(rows[0]))
    page = write_report(tmp_path / "rows.csv", tmp_path / "page.html").read_text()
    clauses = confounding(read_results(tmp_path / "rows.csv"))
    plates = {name: {plate for plate, _, other in wells if other == name} for _, _, name in wells}
    for name, own in plates.items():
        is_apart = name != "ctrl" and "ctrl" in plates and own.isdisjoint(plates["ctrl"])
        assert is_apart == any(
            re.match(rf"no plate holds both ctrl and .*\b{name}\b", one) for one in clauses
        )
    assert ("treatments are confounded" in page) == bool(clauses)
    assert all(clause in page for clause in clauses)


def test_results_without_an_answer_say_where_the_reasons_are(tmp_path):
    """Of a plate whose sites all failed there is nothing to draw, and the sentence names the list of failures."""
    write_table(tmp_path / "r.csv", [], ["Metadata_Plate", "Metadata_Well"])
    with pytest.raises(PlateError, match=r"has no rows.*r\.failed\.csv beside it says why"):
        write_report(tmp_path / "r.csv", tmp_path / "r.html")


def test_units_and_treatments_in_any_script_stand_in_a_figure_as_they_are():
    """Words that matplotlib's font lacks, or takes for formulae, are text that the page's fonts draw, untold of."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = dose_response([1.0, 10.0], [("P(TNF-\u03b1 抗体)", [0.2, 0.9])], "$抗$ (µM)", "any")

    texts = [
        "".join(text.itertext()).strip()
        for text in ET.fromstring(figure).iter("{http://www.w3.org/2000/svg}text")
    ]
    assert {"P(TNF-\u03b1 抗体)", "$抗$ (µM)"} <= set(texts)
