"""What the parts of the manifest have in common."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints


def _plain_name(name: str) -> str:
    if not name.isprintable() or name != name.strip():
        raise ValueError(f"Expected a printable name without spaces at its ends. Received: {name!r}")
    return name


Bound = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_plain_name)]


class Part(BaseModel):
    """A part of the manifest: immutable, with no fields but its own, and JSON types taken literally."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Tolerance(Part):
    """How far an output may lie from the golden one: `|out - golden| <= absolute + relative * |golden|`.

    Attributes:
        absolute: Allowed absolute difference, in the output's unit.
        relative: Allowed difference as a share of the golden value, unitless.
    """

    absolute: Bound
    relative: Bound
