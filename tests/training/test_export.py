"""What becomes of a report whose parts fail."""

import io

import pytest
from rich.console import Console

from phenotrain.export import optional
from phenotrain.profiles.errors import ProfileError
from phenotrain.report.section import Section

pytestmark = pytest.mark.training
MADE = Section("profiles", "Profiles", "<p>made</p>", {"num": 1})


def failing(error: Exception):
    def make() -> list[Section]:
        raise error

    return make


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ProfileError("2 controls a plate. Expected 4."), "2 controls a plate. Expected 4."),
        (ZeroDivisionError("no wells"), "Could not be computed: no wells (ZeroDivisionError)"),
        (OSError("the disk is full"), "Could not be computed: the disk is full (OSError)"),
    ],
)
def test_a_part_that_fails_leaves_its_reason(error, reason):
    """The reason stands in the part's place on the page and in its numbers, and is printed; what is learned is kept."""
    said = io.StringIO()
    [section] = optional("profiles", "Profiles", failing(error), Console(file=said, width=200))
    assert (section.key, section.numbers) == ("profiles", {"reason": reason})
    assert reason in section.html
    assert said.getvalue() == f"The report goes without its part 'Profiles'. {reason}\n"


def test_a_part_that_is_made_is_kept():
    """A part that does not fail is on the page as it was made, and nothing is printed."""
    said = io.StringIO()
    assert optional("profiles", "Profiles", lambda: [MADE], Console(file=said)) == [MADE]
    assert said.getvalue() == ""


def test_what_nobody_foresaw_is_not_hidden():
    """An interrupt, and an error of the program's own making, end the run as they did."""
    for error in (KeyboardInterrupt(), AssertionError("no such case")):
        with pytest.raises(type(error)):
            optional("profiles", "Profiles", failing(error), Console(file=io.StringIO()))
