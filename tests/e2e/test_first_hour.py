"""docs/first-hour.md, followed from its first line to its last on drawn plates."""

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest

from phenoclient.cli import app as phenoclient_app
from phenotrain.cli import app as phenotrain_app
from phenotrain.datasets import parse_description

from .pilots import TINY, Pilot, called

pytestmark = pytest.mark.training

PAGE = (Path(__file__).parents[2] / "docs" / "first-hour.md").read_text(encoding="utf-8")
APPS = {"phenotrain": phenotrain_app, "phenoclient": phenoclient_app}


def blocks(language: str) -> list[str]:
    """The page's fenced blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_every_shape_of_folder_is_a_description():
    """Each shape of folder on the page, put into its description, is read."""
    *shapes, whole = blocks("toml")
    before, after = re.split(r"\[images\].*?(?=\n\[task\])", whole, flags=re.DOTALL)
    assert len(shapes) == 3
    for shape in shapes:
        assert parse_description(before + shape + after, "page").stains
    assert "[images]" in whole


@pytest.mark.slow
def test_the_page_leads_from_files_to_a_finding(serve, tmp_path, monkeypatch):
    """By a small recipe every command gives a result on drawn plates; `evaluate` takes over what `run` learned."""
    monkeypatch.chdir(tmp_path)
    pilot = Pilot(3, 2, 2, 4, "free", names=("nocodazole", "taxol"))
    pilot.write(Path("pilot"))
    Path("pilot.toml").write_text(blocks("toml")[-1], encoding="utf-8")
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    served_from = lines.index("phenoserve serve bundle")
    told = {line: follow(line) for line in lines[:served_from]}
    with serve(Path("bundle")) as url:
        monkeypatch.setenv("PHENOCLIENT_URL", url)
        told |= {line: follow(line) for line in lines[served_from + 1 :]}
    assert [line for line, said in told.items() if "learned before" in said] == [
        line for line in lines if " evaluate " in line
    ]
    results = pd.read_csv("results.csv")
    assert len(results) == len(pilot.table())
    assert set(results["Metadata_learned_from"]) == {"yes", "no"}
    assert Path("results.html").is_file()


def follow(line: str) -> str:
    """Run a line of the page, by the small recipe; gives what it told."""
    program, *arguments = shlex.split(line.replace("--recipe laptop", f"--recipe {TINY}"))
    status, _, told = called(APPS[program], *arguments)
    assert status == 0, f"{line}: {told}"
    return told
