"""Which file of a site shows which stain of the bundle."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from phenoclient.errors import PlateError
from phenoclient.plate.reading.sites import WHOLE_STACK, Failure, Site, natural
from phenoclient.stacks import StackArgument
from phenoclient.stain_names import match_stains

_NUMBERED = re.compile(
    r"(?P<prefix>(?:w|c|ch|channel|wavelength)?)[ _-]?(?P<number>[0-9]+)", re.IGNORECASE | re.ASCII
)

_SHORTEST_WAVELENGTH = 200


@dataclass(frozen=True)
class StainFiles:
    """How the files of every site become a stack.

    Attributes:
        channels: Channel of every stain, in the bundle's order of stains; empty where each file is a whole stack.
        stains: Stains in the order of the stack that is sent; None leaves the order of a whole stack to the service.
        source: Where the order is from: `names` or `numbers` of the channels, `--channels`, or `service` where each
            file is a whole stack, as the service's answer says it.
    """

    channels: tuple[str, ...]
    stains: tuple[str, ...] | None
    source: str

    @property
    def described(self) -> str:
        """The mapping in words."""
        if not self.channels:
            return "each file is a whole stack"
        pairs = zip(self.channels, self.stains or (), strict=True)
        return "channels: " + ", ".join(f"{channel} = {stain}" for channel, stain in pairs)

    def missing(self, site: Site) -> Failure | None:
        """Why the site's files make no stack; None where they do."""
        lacking = [channel for channel in self.channels or (WHOLE_STACK,) if channel not in site.files]
        if not lacking:
            return None
        found = ", ".join(sorted(filter(None, site.files), key=natural)) or "none"
        what = ", ".join(filter(None, lacking)) or "a whole stack"
        return Failure(
            "incomplete",
            f"no file for {'channel ' if any(lacking) else ''}{what}; channels found: {found}. "
            "Expected one file a channel: restore it and run again.",
        )

    def paths(self, site: Site) -> list[Path]:
        """The files of the site's stack, relative to the plate's folder, in the order of the stack."""
        return [site.files[channel] for channel in self.channels or (WHOLE_STACK,)]

    def stack(self, folder: Path, site: Site) -> StackArgument:
        """The site's stack as `Client.predict` takes it."""
        paths = [folder / path for path in self.paths(site)]
        return paths if self.channels else paths[0]


def assign_stains(sites: Sequence[Site], stains: Sequence[str], mapping: str | None = None) -> StainFiles:
    """Decides which channel shows which stain: by the channels' names, or by their order where all are numbers.

    Args:
        sites: All sites found.
        stains: The bundle's stains in its order, from `GET /bundle`.
        mapping: `ID=STAIN,…` with every stain once, where channels of other ids are left alone; or `STAIN,STAIN,…` for
            the channels in the order of their ids, or of the pages where each file is a whole stack. Stains are
            read as `match_stains` reads names. None goes by the channels' names, or by their numbers.

    Raises:
        PlateError: If there are not as many numbered channels as stains, the channels' names do not tell every stain
            once, or the mapping does not name each stain once and channels that exist.
    """
    found = sorted({channel for site in sites for channel in site.files} - {WHOLE_STACK}, key=natural)
    if mapping is not None:
        return _by_mapping(mapping, found, stains)
    if not found:
        return StainFiles((), None, "service")
    meant = match_stains(found, stains).stains
    known = [stain for stain in meant if stain is not None]
    if sorted(known) == sorted(stains):
        by_stain = {stain: channel for channel, stain in zip(found, meant, strict=True) if stain is not None}
        return StainFiles(tuple(by_stain[stain] for stain in stains), tuple(stains), "names")
    if known or not _are_numbers(found):
        raise PlateError(
            f"The channels are named {', '.join(found)}, which does not tell every stain of the bundle once: "
            f"{', '.join(stains)}. Say which is which: {_line_to_copy(found, meant, stains)}"
        )
    if len(found) != len(stains):
        raise PlateError(
            f"Found {len(found)} channels ({', '.join(found)}) but the bundle takes {len(stains)}: {', '.join(stains)}"
            f". Say which is which: {_line_to_copy(found, meant, stains)}"
        )
    return StainFiles(tuple(found), tuple(stains), "numbers")


def _by_mapping(mapping: str, found: Sequence[str], stains: Sequence[str]) -> StainFiles:
    pairs = [part.strip().rpartition("=") for part in mapping.split(",")]
    named = [stain.strip() for _, _, stain in pairs]
    wanted = f"Expected each stain of the bundle once: {', '.join(stains)}"
    order = match_stains(named, stains).order
    if order is None:
        raise PlateError(f"--channels {mapping} names {', '.join(named)}. {wanted}.")
    if not found:
        if any(equals for _, equals, _ in pairs):
            raise PlateError(
                f"--channels {mapping}: the file names tell no channels, as each file is a whole stack. {wanted}, in "
                "the order of the stack, without `=`."
            )
        return StainFiles((), order, "service")
    if any(equals for _, equals, _ in pairs):
        by_stain = {
            stain: _channel(channel, found) for (channel, _, _), stain in zip(pairs, order, strict=True)
        }
        if None in by_stain.values() or len(set(by_stain.values())) != len(stains):
            raise PlateError(
                f"--channels {mapping}: expected a different channel for each stain, out of those found: "
                f"{', '.join(found)}."
            )
        return StainFiles(tuple(by_stain[stain] or "" for stain in stains), tuple(stains), "--channels")
    if len(found) != len(stains):
        raise PlateError(
            f"--channels {mapping}: names {len(stains)} stains, and {len(found)} channels are found: "
            f"{', '.join(found)}. Expected ID=STAIN,ID=STAIN,… where some channels are left alone."
        )
    by_position = dict(zip(order, found, strict=True))
    return StainFiles(tuple(by_position[stain] for stain in stains), tuple(stains), "--channels")


def _channel(text: str, found: Sequence[str]) -> str | None:
    """The channel found that is meant: as written, or but for case, leading zeros and what stands before a number."""
    text = text.strip()
    alike = [channel for channel in found if _number(channel) == _number(text)]
    return text if text in found else alike[0] if len(alike) == 1 else None


def _number(channel: str) -> str:
    """The number of a channel, without `w`, `ch` and the like; the text without case where it is none."""
    found = _NUMBERED.fullmatch(channel)
    return str(int(found["number"])) if found else channel.casefold()


def _are_numbers(channels: Sequence[str]) -> bool:
    """Whether all count channels: numbers, or numbers behind the same letters, such as `w1` and `w2`; each another one.

    Wavelengths in nanometres, such as 405 and 488, say nothing of the order of the stains.
    """
    found = [_NUMBERED.fullmatch(channel) for channel in channels]
    prefixes = {match["prefix"].casefold() for match in found if match}
    numbers = {int(match["number"]) for match in found if match}
    return len(prefixes) == 1 and len(numbers) == len(channels) and max(numbers) < _SHORTEST_WAVELENGTH


def _line_to_copy(channels: Sequence[str], meant: Sequence[str | None], stains: Sequence[str]) -> str:
    open_ones = [stain for stain in stains if meant.count(stain) != 1]
    pairs = [
        f"{channel}={'STAIN' if stain is None or stain in open_ones else stain}"
        for channel, stain in zip(channels, meant, strict=True)
    ]
    return (
        f"--channels '{','.join(pairs)}', with STAIN one of {', '.join(open_ones)} each; leave out channels that the "
        "bundle does not take."
    )
