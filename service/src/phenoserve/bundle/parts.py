"""What the parts of the manifest have in common."""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_serializer


def _plain_name(name: str) -> str:
    if not name.isprintable() or name != name.strip():
        raise ValueError(f"Expected a printable name without spaces at its ends. Received: {name!r}")
    return name


Bound = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_plain_name)]


class Part(BaseModel):
    """A part of the manifest: immutable, with no fields but its own, and JSON types taken literally.

    Attributes:
        absent_if_none: Fields that some versions of the format lack; None is written as no field at all.
    """

    absent_if_none: ClassVar[tuple[str, ...]] = ()

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_serializer(mode="wrap")
    def _without_what_it_lacks(self, dump: Callable[[Self], dict[str, Any]]) -> dict[str, Any]:
        fields = dump(self)
        for name in self.absent_if_none:
            if fields[name] is None:
                del fields[name]
        return fields


class Tolerance(Part):
    """How far an output may lie from the golden one: `|out - golden| <= absolute + relative * |golden|`.

    Attributes:
        absolute: Allowed absolute difference, in the output's unit.
        relative: Allowed difference as a share of the golden value, unitless.
    """

    absolute: Bound
    relative: Bound
