"""The dataset description: where the table and the images of a screen lie, and what its words mean."""

from functools import cached_property
from pathlib import PurePosixPath
from typing import Annotated, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from phenotrain.datasets.spelling import stain_key, two_spellings
from phenotrain.datasets.template import Template

Column = Literal[
    "site_id", "well_id", "cell_type", "experiment", "plate", "well", "site", "treatment", "treatment_conc"
]
COLUMNS: tuple[Column, ...] = get_args(Column)

_ALIASES: dict[Column, tuple[str, ...]] = {
    "experiment": ("experiment", "experiment_name"),
    "well": ("well", "address"),
    "treatment_conc": ("treatment_conc", "concentration"),
}


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
OneOrMore = Annotated[tuple[Word, ...], BeforeValidator(_as_tuple), Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TableDescription(_Part):
    """Section `[table]`: the metadata table, one row a site."""

    path: OneOrMore
    """Path of the CSV or TSV table under the data root; of several, the first that exists is read."""
    columns: dict[Column, OneOrMore] = {}
    """For a column of the sites table, the name it has in the metadata table; of several, the first that exists."""
    defaults: dict[Column, OneOrMore] = {}
    """What stands in a cell that is blank or whose column is absent: templates, the first not blank counts."""
    concentration_unit: str | dict[str, str] = ""
    """Unit of `treatment_conc`, or one for each treatment or series: a word beside doses, not computed with."""

    @field_validator("path")
    @classmethod
    def _path_inside_the_root(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for path in value:
            _require_relative(path)
        return value

    @field_validator("defaults")
    @classmethod
    def _parse_defaults(cls, value: dict[Column, tuple[str, ...]]) -> dict[Column, tuple[str, ...]]:
        for texts in value.values():
            for text in texts:
                Template(text)
        return value

    def unit_of(self, treatment: str, series: str = "") -> str:
        """Unit of the doses of a treatment and series; empty where none is stated."""
        if isinstance(self.concentration_unit, str):
            return self.concentration_unit
        return self.concentration_unit.get(series) or self.concentration_unit.get(treatment, "")

    def names(self, column: Column) -> tuple[str, ...]:
        """Names under which a column may appear in the metadata table, most preferred first."""
        return self.columns.get(column, _ALIASES.get(column, (column,)))


class Channel(_Part):
    """One entry of `channels` in section `[images]`."""

    id: Word | None = None
    """What `{channel}` becomes in the path of this channel's file; None where a file holds the whole stack."""
    stain: Word
    """The dye or label that the channel shows; the bundle's channel name."""


def _as_channel(value: object) -> object:
    return {"stain": value} if isinstance(value, str) else value


class ImagesDescription(_Part):
    """Section `[images]`: a single-channel file a channel, or one file that holds the whole stack of a site."""

    path: Word
    """Template of a file's path under the data root: gaps are columns of the table, and `{channel}`."""
    channels: Annotated[tuple[Annotated[Channel, BeforeValidator(_as_channel)], ...], Field(min_length=1)]
    """The channels in the order in which a stack carries them."""

    @field_validator("path")
    @classmethod
    def _path_inside_the_root(cls, value: str) -> str:
        Template(value)
        _require_relative(value)
        return value

    @model_validator(mode="after")
    def _channels_differ(self) -> "ImagesDescription":
        stains = [channel.stain for channel in self.channels]
        if len(set(self._ids)) != len(self._ids):
            raise ValueError(f"two channels have the same id in {self._ids}; each must be different")
        if len({stain_key(stain) for stain in stains}) != len(stains):
            raise ValueError(
                f"two channels have the same stain in {stains}; each must be different in its letters and digits"
            )
        return self

    @model_validator(mode="after")
    def _path_and_channels_agree(self) -> "ImagesDescription":
        has_gap, num_ids, num_channels = "channel" in self.template.fields, len(self._ids), len(self.channels)
        found = None
        if has_gap and num_ids < num_channels:
            found = (
                f"path {self.path!r} has {{channel}}, as where each channel has a file of its own, but"
                f" {num_channels - num_ids} of {num_channels} channels have no id to fill it"
            )
        if not has_gap and num_ids and num_channels > 1:
            found = (
                f"path {self.path!r} has no {{channel}}, as where a file holds the whole stack, but channels have the"
                f" ids {', '.join(self._ids)}"
            )
        if found is None:
            return self
        stains = [f'"{channel.stain}"' for channel in self.channels]
        raise ValueError(
            f"{found}. Where each channel has a file of its own, put {{channel}} into path and give channels ="
            f' [{{ id = "1", stain = {stains[0]} }}, ...]; where a file holds the whole stack (TIFF pages, OME,'
            f" ImageJ), leave {{channel}} out and give channels = [{', '.join(stains)}] in the file's order"
        )

    @cached_property
    def template(self) -> Template:
        """The parsed `path`."""
        return Template(self.path)

    @property
    def hold_stacks(self) -> bool:
        """Whether one file holds the whole stack of a site."""
        return not self._ids

    @property
    def _ids(self) -> list[str]:
        return [channel.id for channel in self.channels if channel.id is not None]


class TaskDescription(_Part):
    """Section `[task]`: what is compared with what, unless a recipe says otherwise."""

    control: Word
    """The treatment's label of untreated wells."""
    treatments: tuple[Word, ...] = ()
    """Labels of the treatments learned by default; empty where there is no natural choice."""
    measurement: Word | None = None
    """Column of the table with a number measured by other means, drawn beside the model's dose response."""

    @model_validator(mode="after")
    def _treatments_are_others(self) -> "TaskDescription":
        if self.control in self.treatments:
            raise ValueError(f"treatments contain the control {self.control!r}; name treated labels only")
        if len(set(self.treatments)) != len(self.treatments):
            raise ValueError(f"treatments repeat a label: {list(self.treatments)}")
        if pair := two_spellings((self.control, *self.treatments)):
            raise ValueError(
                f"the labels {pair[0]!a} and {pair[1]!a} differ only in case, blanks or Unicode form; spell each"
                " as the table does"
            )
        return self


class Description(_Part):
    """A dataset description, as one TOML file states it (docs/datasets.md explains every key)."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    """Short name, as used on the command line."""
    title: str = ""
    """One line for a reader."""
    licence: Word
    """Licence of the images; it is written beside every weight learned from them."""
    source: str = ""
    """Where the data come from, an address or a citation: a note for readers."""
    table: TableDescription
    images: ImagesDescription
    task: TaskDescription

    @property
    def stains(self) -> tuple[str, ...]:
        """The stains in channel order."""
        return tuple(channel.stain for channel in self.images.channels)

    @property
    def stack_stains(self) -> tuple[str, ...]:
        """The stains where one file holds the whole stack of a site; none where each channel has a file of its own."""
        return self.stains if self.images.hold_stacks else ()


def _require_relative(path: str) -> None:
    pure = PurePosixPath(path.replace("\\", "/"))
    if pure.is_absolute() or ".." in pure.parts:
        raise ValueError(
            f"path {path!r} leaves the data root; write it relative to the root and without '..'"
        )
