"""The notebooks of the docs run from top to bottom on small simulated data, and are committed as they ran."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

from phenoserve.engine.golden_replay import verify

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def read(notebook: Path) -> nbformat.NotebookNode:
    return nbformat.read(notebook, as_version=4)


def execute(name: str, folder: Path, **parameters: Any) -> str:
    """Run a notebook with other values for all that its parameters cell sets; gives all that it printed."""
    notebook = read(ROOT / "docs" / "notebooks" / f"{name}.ipynb")
    (at,) = [
        index for index, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", [])
    ]
    names = {line.partition(" = ")[0] for line in notebook.cells[at].source.splitlines() if " = " in line}
    assert names == set(parameters)
    values = {
        key: f"Path({str(value)!r})" if isinstance(value, Path) else repr(value)
        for key, value in parameters.items()
    }
    source = "\n".join(f"{key} = {value}" for key, value in values.items())
    notebook.cells.insert(at + 1, nbformat.v4.new_code_cell(source))
    NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": str(folder)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.get("text", "") for output in outputs)


@pytest.fixture(autouse=True)
def _commands_on_the_path(monkeypatch):
    """As in an activated environment, which `!phenotrain` in a notebook needs."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def screen(tmp_path) -> Path:
    """A simulated screen of two experiments, a dose and fields of 64 px."""
    out = tmp_path / "screen"
    options = ["--field-px", "64", "--dose", "0.1", "--control-wells", "2", "--wells-per-treatment", "1"]
    command = [Path(sys.executable).with_name("phenotrain"), "simulate", out, *options]
    subprocess.run([*command, "--sites-per-well", "1", "--no-progress"], check=True)
    return out


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_committed_as_it_ran(notebook):
    """A committed notebook ran from top to bottom in one go, without an error, and names no folder of one's own."""
    cells = [cell for cell in read(notebook).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    assert not [
        place for place in (str(ROOT), str(Path.home())) if f"{place}/" in notebook.read_text("utf-8")
    ]


@pytest.mark.slow
def test_a_plate_becomes_a_report(tmp_path, screen, tiny_bundle, free_port):
    """From a plate to a report: every site of the table that the plates have files of is in the results."""
    results = tmp_path / "plate.csv"
    printed = execute(
        "plate_to_report",
        tmp_path,
        URL=f"http://127.0.0.1:{free_port}",
        BUNDLE=tiny_bundle,
        IMAGES=screen / "images" / "HUVEC-2",
        TABLE=screen / "metadata.csv",
        RESULTS=results,
    )
    sites = pd.read_csv(screen / "metadata.csv").query("experiment == 'HUVEC-2'")
    rows = pd.read_csv(results, dtype={"Metadata_Plate": str})
    assert set(rows["Metadata_Well"]) == set(sites["well"])
    assert len(rows) == len(sites) > 0
    assert set(rows["Metadata_treatment"]) == set(sites["treatment"])
    assert f"{len(sites)} sites" in printed
    assert results.with_suffix(".html").stat().st_size > 0


@pytest.mark.slow
@pytest.mark.training
def test_own_plates_become_a_bundle(tmp_path):
    """Training on one's own plates: files and a table of a laboratory's own form end in a bundle that verifies."""
    folder = tmp_path / "own"
    printed = execute(
        "train_on_your_plates",
        tmp_path,
        FOLDER=folder,
        FIELD_PX=64,
        WELLS_PER_TREATMENT=1,
        CONTROL_WELLS=4,
        EPOCHS=1,
        BLOCKS=[1, 1, 1, 1],
    )
    (report,) = verify(folder / "bundle", device="cpu")
    assert report.ok
    assert report.bundle.manifest.treatments == ("EMPTY", "IFN-gamma", "IFNB-1")
    assert "balanced accuracy" in printed
