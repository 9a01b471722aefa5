"""Text with named gaps, `{experiment}/{well}_s{site}_w{channel}.png`, filled from columns of a table."""

from collections.abc import Iterable, Mapping
from string import Formatter

from phenotrain.datasets.errors import DescriptionError

_INTEGER_TYPES = frozenset("bcdoxX")
_FLOAT_TYPES = frozenset("eEfFgG")


class Template:
    """A parsed template; the only gaps allowed are `{column}` and `{column:spec}`.

    Attribute and index access (`{a.b}`, `{a[0]}`) and conversions (`{a!r}`) are refused: a description is
    data, and nothing in it may reach into Python objects.

    Args:
        text: The template. A spec is Python's format mini-language; one that ends in an integer or float
            presentation type (`{col:02d}`) makes a number of the cell first, since every cell is text.

    Raises:
        DescriptionError: If the braces do not match or a gap is not of the form above.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._parts: list[tuple[str, str | None, str]] = []
        try:
            parsed = list(Formatter().parse(text))
        except ValueError as error:
            raise DescriptionError(
                f"template {text!r} cannot be parsed ({error}); write gaps as {{column}}"
            ) from error
        for literal, field, spec, conversion in parsed:
            if field is not None and (not field.isidentifier() or conversion or "{" in (spec or "")):
                raise DescriptionError(
                    f"template {text!r} holds the gap {field!r}; expected the plain name of a column with an"
                    " optional format, such as {well} or {col:02d}"
                )
            self._parts.append((literal, field, spec or ""))

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the columns the template needs, each once, in order of appearance."""
        return tuple(dict.fromkeys(field for _, field, _ in self._parts if field is not None))

    def fill(self, values: Mapping[str, str]) -> str:
        """Fill every gap.

        Args:
            values: Text for each name in `fields`; more is ignored.

        Returns:
            The filled text.

        Raises:
            ValueError: If a number is asked for and the text is none; the message names column and text.
        """
        return "".join(
            literal if field is None else literal + _format(field, values[field], spec)
            for literal, field, spec in self._parts
        )

    def fill_all(self, columns: Mapping[str, Iterable[str]]) -> list[str]:
        """Fill the template once a row.

        Args:
            columns: The columns named by `fields`, equally long.

        Returns:
            One text a row; for a template without gaps the caller must repeat the constant itself.

        Raises:
            ValueError: As `fill`.
        """
        fields = self.fields
        rows = zip(*(columns[field] for field in fields), strict=True)
        return [self.fill(dict(zip(fields, row, strict=True))) for row in rows]


def _format(field: str, value: str, spec: str) -> str:
    if not spec:
        return value
    try:
        if spec[-1] in _INTEGER_TYPES:
            return format(int(value), spec)
        return format(float(value) if spec[-1] in _FLOAT_TYPES else value, spec)
    except ValueError as error:
        raise ValueError(
            f"column {field!r} holds {value!r}, which the format {{{field}:{spec}}} cannot take"
        ) from error
