"""Which file of a site shows which stain of the bundle."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from phenoclient.errors import PlateError
from phenoclient.plate.sites import WHOLE_STACK, Failure, Site, natural
from phenoclient.stacks import StackArgument


@dataclass(frozen=True)
class StainFiles:
    """How the files of every site become a stack.

    Attributes:
        channels: Channel of every stain, in the bundle's order of stains; empty where each file is a whole stack.
        stains: Stains in the order of the stack that is sent; None leaves the order of a whole stack to the service.
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
    """Decides which channel shows which stain.

    Args:
        sites: All sites found.
        stains: The bundle's stains in its order, from `GET /bundle`.
        mapping: `ID=STAIN,…` with every stain once, where channels of other ids are left alone; or `STAIN,STAIN,…` for
            the channels in the order of their ids, or of the pages where each file is a whole stack. None takes
            the channels in the order of their ids for the bundle's stains in its order.

    Raises:
        PlateError: If there are not as many channels as stains, or the mapping does not name each stain once and
            channels that exist.
    """
    found = sorted({channel for site in sites for channel in site.files} - {WHOLE_STACK}, key=natural)
    wanted = f"Expected each stain of the bundle once: {', '.join(stains)}"
    pairs = [part.strip().rpartition("=") for part in mapping.split(",")] if mapping is not None else []
    named = [stain.strip() for _, _, stain in pairs]
    if pairs and sorted(named) != sorted(stains):
        raise PlateError(f"--channels {mapping} names {', '.join(named)}. {wanted}.")
    if not found:
        if any(equals for _, equals, _ in pairs):
            raise PlateError(
                f"--channels {mapping}: the file names tell no channels, as each file is a whole stack. {wanted}, in "
                "the order of the stack, without `=`."
            )
        return StainFiles((), tuple(named) or None, "service")
    source = "numbers" if mapping is None else "--channels"
    if any(equals for _, equals, _ in pairs):
        by_stain = {stain.strip(): channel.strip() for channel, _, stain in pairs}
        unknown = sorted(set(by_stain.values()) - set(found))
        if unknown or len(set(by_stain.values())) != len(stains):
            raise PlateError(
                f"--channels {mapping}: expected a different channel for each stain, out of those found: "
                f"{', '.join(found)}."
            )
        return StainFiles(tuple(by_stain[stain] for stain in stains), tuple(stains), source)
    if len(found) != len(stains):
        raise PlateError(
            f"Found {len(found)} channels ({', '.join(found)}) but the bundle takes {len(stains)}: {', '.join(stains)}"
            ". Say which is which: pass --channels ID=STAIN,ID=STAIN,…"
        )
    by_stain = dict(zip(named or stains, found, strict=True))
    return StainFiles(tuple(by_stain[stain] for stain in stains), tuple(stains), source)
