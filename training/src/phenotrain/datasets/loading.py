"""Finding and parsing descriptions: those shipped with the package by name, one's own by path."""

import tomllib
from importlib import resources
from pathlib import Path

from pydantic import ValidationError

from phenotrain.datasets.description import Description
from phenotrain.datasets.errors import DescriptionError


def shipped_names() -> tuple[str, ...]:
    """Names of the descriptions that come with the package, sorted."""
    files = resources.files("phenotrain.datasets").joinpath("shipped").iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def load_description(name_or_path: str | Path) -> Description:
    """Load a shipped description by its name, or any other by the path of its TOML file.

    Args:
        name_or_path: A name in `shipped_names()`, or a path; a text that ends in `.toml` or names a folder
            level is taken for a path.

    Returns:
        The checked description.

    Raises:
        DescriptionError: If there is no such description, or the file is not TOML of the documented form; the
            message names every key that is wrong.
    """
    text = str(name_or_path)
    if text in shipped_names():
        content = (
            resources.files("phenotrain.datasets").joinpath("shipped", f"{text}.toml").read_text("utf-8")
        )
        return parse_description(content, text)
    path = Path(name_or_path)
    if path.suffix != ".toml" and path.name == text:
        raise DescriptionError(
            f"no dataset is called {text!r}; expected one of {', '.join(shipped_names())}, or the path of a"
            " .toml file"
        )
    try:
        content = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DescriptionError(f"the dataset description {path} cannot be read: {error}") from error
    return parse_description(content, str(path))


def parse_description(content: str, origin: str) -> Description:
    """Parse the text of a description.

    Args:
        content: TOML text.
        origin: What the messages call it: a file or a name.

    Returns:
        The checked description.

    Raises:
        DescriptionError: As `load_description`.
    """
    try:
        return Description.model_validate(tomllib.loads(content))
    except tomllib.TOMLDecodeError as error:
        raise DescriptionError(f"{origin} is not valid TOML: {error}") from error
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(step) for step in e['loc'])}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        )
        raise DescriptionError(
            f"{origin} is not a dataset description (docs/datasets.md): {wrong}"
        ) from error
