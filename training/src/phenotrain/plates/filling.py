"""Templates filled from the columns of a table, with messages that name the key of the description."""

from collections.abc import Iterable, Mapping, Sequence

from phenotrain.datasets import Template
from phenotrain.plates.errors import TableError


def fill_rows(template: Template, columns: Mapping[str, Sequence[str]], num_rows: int, key: str) -> list[str]:
    """Fill a template once a row of a table.

    Args:
        template: Its gaps name columns.
        columns: Text columns, `num_rows` long each.
        num_rows: Number of rows.
        key: Key of the description that the template stands under, for messages.

    Returns:
        One text a row.

    Raises:
        TableError: If a gap names no column, or a cell is not the number that a format asks for.
    """
    if not template.fields:
        return [template.fill({})] * num_rows
    require_columns(template, columns, key)
    try:
        return template.fill_all(columns)
    except ValueError as error:
        raise TableError(f"{key} = {template.text!r} cannot be filled: {error}") from error


def require_columns(template: Template, columns: Iterable[str], key: str) -> None:
    """Refuse a template with a gap that no column fills.

    Args:
        template: Its gaps name columns.
        columns: Names of the columns there are.
        key: Key of the description that the template stands under, for messages.

    Raises:
        TableError: If a gap names no column.
    """
    for field in template.fields:
        if field not in columns:
            raise TableError(
                f"{key} = {template.text!r} needs the column {field!r}; there are {', '.join(columns)}"
            )
