import inspect
import re
from pathlib import Path

import pytest
import typer.main

import phenoclient
import phenoclient.errors
from phenoclient import AsyncClient, Client, RetryPolicy
from phenoclient.cli import app
from phenoclient.exit_codes import ExitCode
from phenoclient.problems import ERRORS_BY_CODE

PAGE = (Path(__file__).parents[2] / "docs" / "client.md").read_text(encoding="utf-8")
COMMANDS = typer.main.get_command(app).commands


def rows(first_cell: str) -> dict[str, str]:
    """Rows of the page's tables whose first cell matches, as first cell and rest."""
    found = re.findall(rf"^\| ({first_cell}) \| (.*) \|$", PAGE, flags=re.MULTILINE)
    return {row[0]: row[-1] for row in found}


def test_the_page_shows_the_error_tree():
    """The tree of errors on the page is that of the module's docstring, line by line."""
    tree = [
        line for line in (phenoclient.errors.__doc__ or "").splitlines() if re.match(r" *[*x+·-] \w", line)
    ]
    assert "\n".join(tree) in PAGE


def test_the_page_lists_every_code_with_its_class():
    """The table of codes on the page is the table of the code, no more and no less."""
    written = {
        code: error for error, codes in rows(r"`\w+Error`").items() for code in re.findall(r"`(\w+)`", codes)
    }
    assert written == {code: f"`{error.__name__}`" for code, error in ERRORS_BY_CODE.items()}


def test_the_page_lists_every_exit_status():
    """The exit statuses on the page, with their names, are those of the command."""
    written = dict(re.findall(r"^\| (\d+) \| `(\w+)` \|", PAGE, flags=re.MULTILINE))
    assert written == {str(code.value): code.name for code in ExitCode}


def test_the_page_lists_every_method_as_it_is():
    """The methods on the page, with their parameters and defaults, are those of both clients."""
    for client_class in (Client, AsyncClient):
        methods = {
            f"`{name}{without_types(method)}`"
            for name, method in vars(client_class).items()
            if not name.startswith("_") and name not in {"close", "aclose"}
        }
        assert set(rows(r"`\w+\(.*?\)`")) == methods


def without_types(method) -> str:
    signature = inspect.signature(method)
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for name, parameter in signature.parameters.items()
        if name != "self"
    ]
    written = inspect.Signature(parameters)
    return str(written).replace("'", '"')


@pytest.mark.parametrize("command", COMMANDS)
def test_the_page_lists_every_option(command):
    """Every command and every option of the command line has its place on the page."""
    assert f"phenoclient {command}" in PAGE
    options = {
        option
        for parameter in COMMANDS[command].params
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("--")
    }
    assert {f"`{option}`" for option in options - {"--help"}} <= set(rows(r"`--[a-z-]+`"))


def test_the_page_states_the_default_policy():
    """The numbers of the retry policy on the page are the defaults."""
    policy = RetryPolicy()
    waits = [min(policy.wait_max_s, policy.wait_initial_s * 2**n) for n in range(policy.attempts - 1)]
    text = " ".join(PAGE.split())
    assert f"at most {policy.attempts} times in all" in text
    assert "after {:g} s, {:g} s, {:g} s and {:g} s".format(*waits) in text
    assert f"up to {policy.wait_jitter_s:g} s" in text
    assert f"more than {policy.wait_max_s:g} s" in text


def test_the_page_names_every_public_name():
    """Nothing is exported that the page does not name, except the small parts that answers are made of."""
    parts = {
        "BundleName",
        "StackSummary",
        "StackNotice",
        "TreatmentProbability",
        "ForestPrediction",
        "Heatmap",
    }
    types = {"FilePath", "StackArgument", "DEFAULT_TIMEOUT"}
    assert {name for name in phenoclient.__all__ if name not in PAGE} <= parts | types
