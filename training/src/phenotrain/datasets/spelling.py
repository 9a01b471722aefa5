"""When two labels are one thing spelled twice, and which ones a misspelt label may have meant."""

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Final

_MAX_NEAREST: Final = 3
_MAX_LISTED: Final = 6
_LEAST_LIKENESS: Final = 0.5
"""`difflib`'s ratio from which on a label is near another."""


def spelling_key(text: str) -> str:
    """Reduce a label to what a reader takes it for.

    Args:
        text: Any label.

    Returns:
        The text without case, blanks, invisible characters, and Unicode's several forms of one letter or dash.
    """
    kept = (
        "-" if unicodedata.category(char) == "Pd" or char == "\u2212" else char
        for char in unicodedata.normalize("NFKC", text.casefold())
        if not char.isspace() and unicodedata.category(char) != "Cf"
    )
    return unicodedata.normalize("NFKC", "".join(kept).casefold())


def number_key(text: str) -> str:
    """Reduce a label with numbers in it, so that `1`, `01` and a spreadsheet's `1.0` are one.

    Args:
        text: Name of a plate or an experiment.

    Returns:
        `spelling_key` without the leading zeros of its numbers.
    """
    key = spelling_key(text)
    if re.fullmatch(r"[0-9]+\.0+", key):
        key = key.partition(".")[0]
    return re.sub(r"(?<![0-9])0+(?=[0-9])", "", key)


def stain_key(text: str) -> str:
    """Reduce the name of a stain to its letters and digits, as the service does to match a file's channels.

    Args:
        text: Name of a stain.

    Returns:
        Its letters and digits without case.
    """
    return "".join(char for char in unicodedata.normalize("NFKC", text).casefold() if char.isalnum())


def two_spellings(labels: Iterable[str], key: Callable[[str], str] = spelling_key) -> tuple[str, str] | None:
    """Find two different labels that are one thing.

    Args:
        labels: Labels, repeats allowed.
        key: What is equal for two spellings of one thing.

    Returns:
        The first two that differ and have one key; None where there are none.
    """
    seen: dict[str, str] = {}
    for label in dict.fromkeys(labels):
        other = seen.setdefault(key(label), label)
        if other != label:
            return other, label
    return None


def not_among(what: str, received: str, labels: Iterable[str]) -> str:
    """Say that a label is not one of the table's, with the ones that may have been meant.

    Args:
        what: What the labels are, in the singular, such as `treatment`.
        received: The label that was asked for.
        labels: Labels of the table, repeats allowed.

    Returns:
        One sentence or two: all labels where they are few, else their number and the nearest by spelling.
    """
    known = sorted({str(label) for label in labels}, key=spelling_key)
    if not known:
        return f"The table has no {what} {received!r}, and no other."
    first = f"The table has no {what} {received!r}."
    if len(known) <= _MAX_LISTED:
        return f"{first} It has {', '.join(map(repr, known))}."
    of_key: dict[str, list[str]] = {}
    for label in known:
        of_key.setdefault(spelling_key(label), []).append(label)
    keys = difflib.get_close_matches(spelling_key(received), of_key, _MAX_NEAREST, _LEAST_LIKENESS)
    nearest = [label for key in keys for label in of_key[key]]
    if not nearest:
        return (
            f"{first} None of its {len(known)} is like it; they begin with {', '.join(map(repr, known[:3]))}."
        )
    return f"{first} Nearest of its {len(known)}: {', '.join(map(repr, nearest))}."
