"""What the parts of the manifest have in common."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints


def _plain_name(name: str) -> str:
    if not name.isprintable() or name != name.strip():
        raise ValueError(f"Expected a printable name without spaces at its ends. Received: {name!r}")
    return name


Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_plain_name)]


class Part(BaseModel):
    """A part of the manifest: immutable, with no fields but its own, and JSON types taken literally."""

    model_config = ConfigDict(frozen=True, extra="forbid")
