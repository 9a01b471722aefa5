"""When two labels are one thing spelled twice."""

import re
import unicodedata
from collections.abc import Callable, Iterable


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
