"""The README says what is true: its commands, paths and links exist, and CI runs its test command."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main

from phenoclient.cli import app as phenoclient_app
from phenoserve.cli import app as phenoserve_app
from phenotrain.cli import app as phenotrain_app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
APPS = {"phenoclient": phenoclient_app, "phenoserve": phenoserve_app, "phenotrain": phenotrain_app}


def shell_lines(page: str) -> list[str]:
    """Lines of the fenced blocks that are shell or have no language, and inline code that calls one of our commands."""
    fenced = re.findall(r"^[ ]*```(\w*)\n(.*?)^[ ]*```", page, re.MULTILINE | re.DOTALL)
    lines = [line for language, block in fenced if language in {"", "sh"} for line in block.splitlines()]
    inline = re.findall(r"`((?:phenotrain|phenoserve|phenoclient|make) [^`\n]+)`", page)
    return [line.strip() for line in [*lines, *inline] if line.strip()]


def test_ci_runs_the_readmes_test_command():
    """`.ci/run` runs `make test`, the test command that the README names, and nothing else."""
    commands = [
        line
        for line in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith(("#", "set ", "cd "))
    ]
    assert commands == ["exec make test"]
    assert "make test" in shell_lines(README)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_exist(page):
    """Every `make` target that a page names is in the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    words = [line.split() for line in shell_lines(page.read_text(encoding="utf-8"))]
    named = {line[1] for line in words if line[0] == "make" and len(line) > 1}
    assert named <= targets
    assert named or page.name not in {"README.md", "CONTRIBUTING.md"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    """Every relative link and picture of a page leads to a file of the project."""
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_page_can_be_found():
    """Every file of `docs` is linked from, or shown in, the README or another page."""
    linked = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
        if (page.parent / target).resolve() != page
    }
    assert {path for path in (ROOT / "docs").rglob("*") if path.is_file()} <= linked


def test_the_steps_table_names_files_that_exist():
    """Every place in the table of the reference project's steps exists."""
    table = README.split("| step | here |")[1].split("\n## ")[0]
    places = re.findall(r"`(training/[^`]+)`", table)
    assert len(places) >= 10
    for place in places:
        assert (ROOT / place).exists(), place


def our_commands(page: Path) -> list[list[str]]:
    found = []
    for line in shell_lines(page.read_text(encoding="utf-8")):
        call = line.removeprefix("uv run ")
        words = shlex.split(call, comments=True) if call.startswith(tuple(APPS)) else []
        if len(words) > 1 and words[0] in APPS and re.fullmatch(r"[a-z]+", words[1]):
            found.append(words)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_exist(page):
    """Every subcommand and option that a page's shell lines use is one that the program has."""
    for words in our_commands(page):
        group: Any = typer.main.get_command(APPS[words[0]])
        assert words[1] in group.commands, words
        parameters = group.commands[words[1]].params
        known = {name for parameter in parameters for name in (*parameter.opts, *parameter.secondary_opts)}
        assert {word.split("=")[0] for word in words if word.startswith("--")} <= known | {"--help"}, words


def test_the_readme_shows_every_program():
    """The README calls each of the three programs at least once."""
    assert {words[0] for words in our_commands(ROOT / "README.md")} == set(APPS)
