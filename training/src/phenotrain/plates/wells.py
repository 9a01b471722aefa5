"""Wells as people write them, and the one form that a well has here."""

import re

RECORDED_WELL = "recorded_well"
"""Column of a sites table with the wells as written, where one is written in another form."""

_NUM_ROWS, _NUM_COLUMNS = 48, 72  # A to AV: a plate of 3456 wells
_NUM_ROWS_384, _NUM_COLUMNS_384 = 16, 24
_LETTERS_FIRST = re.compile(r"([A-Za-z]{1,2})[-_ :/]?0*([0-9]{1,2})")
_DIGITS_FIRST = re.compile(r"0*([0-9]{1,2})[-_ :/]?([A-Za-z]{1,2})")
_QUADRANT = re.compile(r"(.+)\.([ab][12])", re.IGNORECASE)


def canonical_well(text: str) -> str | None:
    """Read the name of a well.

    Args:
        text: A well as written: `A1`, `a01`, `01A`, `A-1`, `1-A`; a quadrant of CellVoyager's 1536 wells is `A01.a1`.

    Returns:
        Upper row letters and at least two digits, `A01` to `AV72`, with a lower-case quadrant where there is
        one; None where the text is no well.
    """
    text = text.strip()
    quadrant = _QUADRANT.fullmatch(text)
    if quadrant is not None:
        place = _place(quadrant[1], _NUM_ROWS_384, _NUM_COLUMNS_384)
        return place and f"{place}.{quadrant[2].lower()}"
    return _place(text, _NUM_ROWS, _NUM_COLUMNS)


def _place(text: str, num_rows: int, num_columns: int) -> str | None:
    if found := _LETTERS_FIRST.fullmatch(text):
        letters, digits = found[1].upper(), found[2]
    elif found := _DIGITS_FIRST.fullmatch(text):
        letters, digits = found[2].upper(), found[1]
    else:
        return None
    row = ord(letters[-1]) - ord("A") + (26 * (ord(letters[0]) - ord("A") + 1) if len(letters) == 2 else 0)
    column = int(digits)
    return f"{letters}{column:02d}" if row < num_rows and 1 <= column <= num_columns else None
