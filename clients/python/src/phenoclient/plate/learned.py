"""Which wells the served bundle has learned from, as far as names of experiments, plates and wells tell."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from phenoclient.plate.reading.sites import Site, well_name

LearnedFrom = Literal["yes", "perhaps", "no"]

_LEARNED_ROLES = ("train", "validation")
_RUN = re.compile(r"([A-Z]{1,2})([0-9]{2})-\1([0-9]{2})")
_PLATE_WORD = re.compile(r"\A(?:plate|p)[ _-]*(?=\d)")


@dataclass(frozen=True)
class LearnedWells:
    """The wells that a bundle states to have learned from.

    Attributes:
        wells: By experiment and plate; None for the wells of a bundle of an earlier phenotrain, which tells plates
            alone.
    """

    wells: Mapping[tuple[str, str], frozenset[str] | None]

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> "LearnedWells | None":
        """Reads a bundle's manifest; None where it tells neither wells nor plates."""
        split = _member(_member(manifest, "provenance"), "split")
        if (learned_wells := split.get("learned_wells")) is not None:
            plates = {
                (experiment, plate): frozenset(name for run in runs for name in _wells(str(run)))
                for experiment, of_experiment in _mapping(learned_wells).items()
                for plate, runs in _mapping(of_experiment).items()
            }
            return cls(plates)
        by_role = _member(split, "plates")
        named = [str(name) for role in _LEARNED_ROLES for name in by_role.get(role) or ()]
        parts = [name.rpartition(" plate ") for name in named]
        return cls({(experiment, plate): None for experiment, _, plate in parts}) if parts else None

    def state(self, site: Site) -> LearnedFrom:
        """Whether a site's well was learned from.

        `yes` where experiment, plate and well have the names of a well that was; `perhaps` where the images tell no
        experiment, names differ as `Plate1` and `1` do, or the bundle tells plates alone; `no` for any other name.
        """
        wells = self.wells.get((site.experiment or "", site.plate))
        if wells is not None and site.well in wells:
            return "yes"
        is_perhaps = any(
            _plain(plate) == _plain(site.plate)
            and (site.experiment is None or _plain(experiment) == _plain(site.experiment))
            and (known is None or site.well in known)
            for (experiment, plate), known in self.wells.items()
        )
        return "perhaps" if is_perhaps else "no"

    def remarks(self, sites: Iterable[Site]) -> list[str]:
        """What is to be said of the wells of these sites, a sentence each."""
        wells = {(site.experiment, site.plate, site.well): self.state(site) for site in sites}
        states = Counter(wells.values())
        said = list[str]()
        if states["yes"]:
            of_all = f"{states['yes']} of the {len(wells)} wells"
            said.append(f"the bundle learned from {of_all}; what it says of them is no test of it")
        if states["perhaps"]:
            of_all = f"{states['perhaps']} of the {len(wells)} wells"
            said.append(f"the bundle may have learned from {of_all}, by the names of plates and wells")
        return said


def _wells(run: str) -> Iterator[str]:
    """The wells of `B02-B11`, or the one well that it is."""
    found = _RUN.fullmatch(run)
    if found is not None:
        yield from (f"{found[1]}{column:02d}" for column in range(int(found[2]), int(found[3]) + 1))
        return
    try:
        yield well_name(run)
    except ValueError:
        yield run


def _plain(name: str) -> str:
    """A plate's or experiment's name without case, the word plate, and zeros before numbers."""
    text = _PLATE_WORD.sub("", name.strip().casefold())
    return re.sub(r"0+(?=\d)", "", text)


def _member(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return _mapping(record.get(name))


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
