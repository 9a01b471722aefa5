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
from phenoclient.plate.report.outliers import outliers
from phenoclient.plate.report.results import read_results
from phenoclient.plate.tables import write_table

DOSES = (0.0, 0.5, 5.0)


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
                "Metadata_treatment": "drug & co" if index % 3 else "none",
                "Metadata_treatment_conc": DOSES[index % 3],
                "Metadata_Folder": str(folder),
                "Metadata_FileName_DNA": name,
                "Metadata_bundle": "b 1",
                "Metadata_bundle_digest": "ab",
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
    assert "drug &amp; co: 6 wells, 2 doses" in page
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
    """The control is told from the columns, and a well at dose 0 or of the control counts as untreated."""
    found = read_results(results)
    assert found.control == "EMPTY"
    assert [found.is_control(well) for well in found.wells] == [True, False, False] * 3


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
