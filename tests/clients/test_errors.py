import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

import phenoclient
import phenoclient.errors
from phenoclient.errors import (
    InternalServiceError,
    OverloadedError,
    PhenoclientError,
    RequestRefusedError,
    ServiceError,
    ServiceFailureError,
    ServiceUnavailableError,
)
from phenoclient.problems import ERRORS_BY_CODE, error_of
from phenoserve.errors import ERRORS, ErrorCode

from .fake_service import problem


def subclasses(error_class: type) -> set[type]:
    return {error_class}.union(*(subclasses(child) for child in error_class.__subclasses__()))


def written_tree() -> list[tuple[str, str]]:
    """Every error in the module's docstring with the one that it hangs below."""
    parents: list[tuple[int, str]] = [(-1, "Exception")]
    pairs = []
    for line in (phenoclient.errors.__doc__ or "").splitlines():
        found = re.match(r"^( *)[*x+·-] (\w+Error)", line)
        if found:
            depth, name = len(found[1]), found[2]
            parents = [parent for parent in parents if parent[0] < depth]
            pairs.append((name, parents[-1][1]))
            parents.append((depth, name))
    return pairs


def test_the_docstring_is_the_tree():
    """The tree in the module's docstring is exactly the tree of the classes."""
    classes = subclasses(PhenoclientError)
    assert sorted(written_tree()) == sorted(
        (child.__name__, child.__bases__[0].__name__) for child in classes
    )


def test_every_error_says_when_it_is_raised_and_is_exported():
    """Every class of the tree has a docstring and can be imported from phenoclient."""
    for error_class in subclasses(PhenoclientError):
        assert error_class.__doc__
        assert getattr(phenoclient, error_class.__name__) is error_class
        assert error_class.__name__ in phenoclient.__all__


def test_everything_exported_exists_and_nothing_else_is_public():
    """`__all__` names every public member of the package that is no module, and no other."""
    members = {name for name, value in vars(phenoclient).items() if not name.startswith("_")}
    modules = {name for name in members if type(getattr(phenoclient, name)).__name__ == "module"}
    assert sorted(members - modules) == sorted(phenoclient.__all__)


def test_every_code_of_the_service_has_a_class():
    """The client's table holds the codes of the service's table, all of them and no others."""
    assert set(ERRORS_BY_CODE) == {code.value for code in ErrorCode}


@pytest.mark.parametrize("code", ErrorCode)
def test_the_class_of_a_code_states_its_status(code):
    """A code becomes a class below that of its status family, whose docstring names the very status."""
    status = ERRORS[code].status
    error = error_of(problem(status, code.value))
    assert isinstance(error, RequestRefusedError if status < 500 else ServiceFailureError)
    assert (type(error), error.code, error.status) == (ERRORS_BY_CODE[code], code.value, status)
    assert str(status) in (type(error).__doc__ or "")


@pytest.mark.parametrize(
    ("status", "error_class"),
    [(418, RequestRefusedError), (422, RequestRefusedError), (502, ServiceFailureError)],
)
def test_an_unknown_code_falls_back_to_its_family(status, error_class):
    """A code of a newer service gives the class of the status family, with the code at hand."""
    error = error_of(problem(status, "invented_tomorrow"))
    assert type(error) is error_class
    assert error.code == "invented_tomorrow"


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(502, html="<h1>Bad Gateway</h1>"),
        httpx.Response(502),
        httpx.Response(502, headers={"content-type": "application/json"}, content=b"{"),
        httpx.Response(502, json=["a", "list"]),
        httpx.Response(502, json={"code": 7, "detail": {"a": 1}}),
    ],
)
def test_an_error_of_something_before_the_service_is_an_error_too(response):
    """An error answer without a readable problem body keeps its status and has no code."""
    error = error_of(response)
    assert type(error) is ServiceFailureError
    assert (error.status, error.code, error.detail) == (502, None, None)
    assert "Bad Gateway" in str(error)


def test_an_error_carries_all_that_the_answer_says():
    """Status, code, title, detail, incident and the answer itself are on the error."""
    response = problem(500, "internal_error", incident="i-7")
    error = error_of(response)
    assert isinstance(error, InternalServiceError)
    assert (error.status, error.code, error.title, error.detail) == (
        500,
        "internal_error",
        "A title",
        "A detail.",
    )
    assert error.incident == "i-7"
    assert error.response is response
    assert str(error) == "500 internal_error: A detail. (incident i-7)"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("0", 0), ("2", 2), ("1.5", 1.5), ("-3", 0), ("soon", None), ("nan", None), ("inf", None), ("", None)],
)
def test_retry_after_is_read_in_seconds(header, seconds):
    """`Retry-After` in seconds is read; what is no number of seconds counts as absent."""
    error = error_of(problem(429, "too_many_requests", headers={"retry-after": header}))
    assert isinstance(error, OverloadedError)
    assert error.retry_after_s == seconds


def test_retry_after_is_read_as_a_date():
    """`Retry-After` as an HTTP date counts from now, and never below zero."""
    now = datetime.now(UTC)
    later, earlier = (format_datetime(now + timedelta(seconds=s), usegmt=True) for s in (100, -100))
    for header, low, high in [(later, 90, 101), (earlier, 0, 0)]:
        error = error_of(problem(503, "not_ready", headers={"retry-after": header}))
        assert isinstance(error, ServiceUnavailableError)
        assert low <= error.retry_after_s <= high


def test_a_service_error_is_caught_as_one():
    """Every class in the table is a ServiceError, so that one handler catches them all."""
    assert all(issubclass(error_class, ServiceError) for error_class in ERRORS_BY_CODE.values())
