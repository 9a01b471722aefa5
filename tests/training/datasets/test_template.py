import pytest
from hypothesis import given
from hypothesis import strategies as st

from phenotrain.datasets import Template

cells = st.text(st.characters(codec="ascii", exclude_characters="{}", categories=["L", "N", "P"]), max_size=8)


@given(cells, cells, st.integers(0, 99))
def test_filling_equals_python_formatting(experiment, well, column):
    """A filled template is what str.format gives for the same text and numbers."""
    text = "images/{experiment}/{well}_s{col:02d}.png"
    expected = text.format(experiment=experiment, well=well, col=column)
    assert Template(text).fill({"experiment": experiment, "well": well, "col": str(column)}) == expected


def test_number_formats_take_padded_text():
    """An integer format reads the number behind leading zeros; without a format the zeros stay."""
    values = {"col": "007", "dose": "0.5"}
    assert Template("{col:02d} {col:d} {col} {col:>5} {dose:.2f}").fill(values) == "07 7 007   007 0.50"


def test_text_where_a_number_is_needed_names_column_and_cell():
    """A cell that is no number under a number format is refused by column and content."""
    with pytest.raises(ValueError, match=r"'col' holds 'A1'.*\{col:02d\}"):
        Template("{col:02d}").fill({"col": "A1"})


def test_fields_are_named_once_in_order():
    """The columns a template needs come once each, in order of appearance."""
    assert Template("{b}/{a}{b}.png").fields == ("b", "a")


def test_doubled_braces_are_plain_braces():
    """Doubled braces stand for themselves."""
    assert Template("{{x}}_{a}").fill({"a": "1"}) == "{x}_1"
