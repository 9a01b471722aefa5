"""The page that shows a plate's results."""

import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from phenoclient import PlateError
from phenoclient.cli import app
from phenoclient.plate import write_report
from phenoclient.plate.report.cautions import cautions
from phenoclient.plate.report.outliers import outliers
from phenoclient.plate.report.results import Well, read_results
from phenoclient.plate.tables import read_table, write_table

DOSES = (None, 0.5, 5.0)


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
    """`phenoclient report RESULTS` writes RESULTS with the ending .html and says so."""
    result = CliRunner().invoke(app, ["report", str(results), "--treatment", "drug A"])
    page = results.with_suffix(".html")
    assert (result.exit_code, result.stderr) == (0, f"phenoclient: report: {page}\n")
    assert ">EMPTY</option>" not in page.read_text()
