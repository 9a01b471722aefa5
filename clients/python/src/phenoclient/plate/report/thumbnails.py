"""Small pictures of sites: each stain in a colour of its own, added up."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from jaxtyping import Float, UInt8

from phenoclient.errors import StackArgumentError
from phenoclient.images import read_channel, read_planes
from phenoclient.plate.columns import FILE_NAME, SEPARATOR, WHOLE_STACK_FILE
from phenoclient.plate.report.results import Row

SIZE_PX = 220
_LOW, _HIGH = 1.0, 99.8
_COLOURS = (
    (0.25, 0.45, 1.0),
    (0.0, 0.85, 0.45),
    (1.0, 0.35, 0.15),
    (0.95, 0.85, 0.1),
    (0.9, 0.3, 0.85),
    (0.0, 0.8, 0.9),
)
_TWO_COLOURS = ((0.1, 0.95, 0.35), (0.75, 0.25, 1.0))


@dataclass(frozen=True)
class Thumbnail:
    """A picture and what to say about it.

    Attributes:
        title: Which site.
        caption: Why it is shown.
        source: `data:` address of a PNG; None where the images are not to be had.
    """

    title: str
    caption: str
    source: str | None


def stains_of(row: Row) -> tuple[str, ...]:
    """Stains of a row's picture: those whose files it names, or those of its whole stack in the order of the channels.

    Empty where a file is a whole stack and the row, of an earlier phenoclient, does not tell its order.
    """
    names = [column.removeprefix(FILE_NAME) for column in row if column.startswith(FILE_NAME)]
    if names != [WHOLE_STACK_FILE]:
        return tuple(names)
    return tuple(filter(None, (row.get("channel_order") or "").split(SEPARATOR)))


def colour_names(num_stains: int) -> list[str]:
    """CSS colours of the stains, in order."""
    return [f"rgb({', '.join(str(round(255 * part)) for part in colour)})" for colour in _palette(num_stains)]


def picture(row: Row, folder: Path, stains: Sequence[str]) -> str | None:
    """A site as the `data:` address of a PNG, no side longer than `SIZE_PX`.

    Args:
        row: A row of the results.
        folder: Folder of the plate's images.
        stains: Its stains in the order of the colours.

    Returns:
        None where a file is gone or cannot be read.
    """
    try:
        channels = {stain: _shrunk(channel) for stain, channel in _channels(row, folder).items()}
    except (StackArgumentError, KeyError):
        return None
    if not channels or set(channels) != set(stains):
        return None
    png: Any = imagecodecs.png_encode(_composite([channels[stain] for stain in stains]))
    return f"data:image/png;base64,{b64encode(bytes(png)).decode()}"


def _channels(row: Row, folder: Path) -> dict[str, np.ndarray]:
    stains = stains_of(row)
    if row.get(f"{FILE_NAME}{WHOLE_STACK_FILE}") is None:
        return {stain: read_channel(folder / str(row[f"{FILE_NAME}{stain}"])) for stain in stains}
    path = folder / str(row[f"{FILE_NAME}{WHOLE_STACK_FILE}"])
    return dict(zip(stains, read_planes(path, len(stains)), strict=True))


def _shrunk(channel: np.ndarray) -> Float[np.ndarray, "y x"]:
    step = max(1, -(-max(channel.shape) // SIZE_PX))
    height, width = (size - size % step for size in channel.shape)
    squares = channel[:height, :width].reshape(height // step, step, width // step, step)
    return squares.mean(axis=(1, 3), dtype=np.float64)


def _composite(channels: Sequence[Float[np.ndarray, "y x"]]) -> UInt8[np.ndarray, "y x 3"]:
    image = np.zeros((*channels[0].shape, 3))
    for channel, colour in zip(channels, _palette(len(channels)), strict=True):
        low, high = np.percentile(channel, (_LOW, _HIGH))
        shade = np.clip((channel - low) / max(float(high - low), 1e-9), 0, 1)
        image += shade[..., np.newaxis] * np.asarray(colour)
    return (255 * np.clip(image, 0, 1)).astype(np.uint8)


def _palette(num_stains: int) -> list[tuple[float, float, float]]:
    colours = _TWO_COLOURS if num_stains <= len(_TWO_COLOURS) else _COLOURS
    return [colours[index % len(colours)] for index in range(num_stains)]
