"""Staining and microscope: what differs between experiments, plates and wells whatever these were given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from phenotrain.simulate.spec import STAINS
from phenotrain.simulate.streams import Stream, stream
from phenotrain.simulate.textures import Field

PerStain = NDArray[np.float64]
"""One value a stain, `(channel,)`, in the order of `STAINS`."""

# Grey levels of an empty pixel and of a unit of signal, fitted so that an average plate has RxRx2's channel
# means and standard deviations.
_BACKGROUND: Final = (1.33, 4.2, 2.9, 2.65, 0.97, 3.5)
_GREY_PER_SIGNAL: Final = (17.5, 39.0, 5.1, 20.5, 17.0, 14.7)

# Relative spreads (of the logarithm) from experiment to experiment, plate to plate and well to well.
_GAIN_SPREAD: Final = (0.08, 0.10, 0.04)
_BACKGROUND_SPREAD: Final = (0.06, 0.08, 0.03)
_DENSITY_SPREAD: Final = (0.06, 0.08, 0.12)
_TILT_SPREAD: Final = 0.07
_VIGNETTE_MEAN: Final = 0.12
_BLUR_PX: Final = (0.55, 1.05)
_READ_VARIANCE: Final = 0.03
_SHOT_VARIANCE_PER_GREY: Final = 0.02


@dataclass(frozen=True)
class Acquisition:
    """How one well was stained and imaged.

    Attributes:
        gain: Grey levels a unit of signal, `(channel,)`.
        background: Grey levels without signal, `(channel,)`.
        tilt: Relative change of the illumination from the centre to the edge along y and x, `(channel, 2)`.
        vignette: Relative loss of light from the centre to the middle of an edge, `(channel,)`.
        blur_px: Standard deviation of the point spread, in pixels.
        density: Cells a unit of area, 1 for the average screen.
    """

    gain: PerStain
    background: PerStain
    tilt: PerStain
    vignette: PerStain
    blur_px: float
    density: float

    def expose(self, channel: int, signal: Field) -> Field:
        """Turn a stain's signal into the grey levels expected at the camera, before noise.

        Args:
            channel: Index of the stain, from 0.
            signal: The stain's signal, `(y, x)`.

        Returns:
            Expected grey levels, `(y, x)`.
        """
        blurred = ndimage.gaussian_filter(signal, self.blur_px, mode="nearest", truncate=3.0)
        line = np.linspace(-1, 1, signal.shape[0])
        tilt_y, tilt_x = self.tilt[channel]
        falloff = self.vignette[channel] * (line**2 - 1 / 3)
        light_y = (1 + tilt_y * line - falloff).astype(np.float32)
        light_x = (1 + tilt_x * line - falloff).astype(np.float32)
        blurred *= np.float32(self.gain[channel])
        blurred += np.float32(self.background[channel])
        blurred *= light_y[:, None]
        blurred *= light_x[None, :]
        return blurred


def acquisition_of(seed: int, address: tuple[int, int, int, int, int]) -> Acquisition:
    """Draw how a site was acquired: its experiment's effects times its plate's times its well's.

    Args:
        seed: Seed of the screen.
        address: Experiment, plate, row, column and site.

    Returns:
        The acquisition, which no treatment changes.
    """
    gain = np.array(_GREY_PER_SIGNAL)
    background = np.array(_BACKGROUND)
    density = 1.0
    experiment, plate, row, column, _ = address
    batches = (
        stream(seed, Stream.EXPERIMENT, experiment),
        stream(seed, Stream.PLATE, experiment, plate),
        stream(seed, Stream.WELL, experiment, plate, row, column),
    )
    for rng, gain_spread, background_spread, density_spread in zip(
        batches, _GAIN_SPREAD, _BACKGROUND_SPREAD, _DENSITY_SPREAD, strict=True
    ):
        gain = gain * _lognormal(rng, gain_spread, len(STAINS))
        background = background * _lognormal(rng, background_spread, len(STAINS))
        density *= float(_lognormal(rng, density_spread, 1)[0])
    plate_rng = batches[1]
    return Acquisition(
        gain=gain,
        background=background,
        tilt=plate_rng.normal(0, _TILT_SPREAD, (len(STAINS), 2)),
        vignette=_VIGNETTE_MEAN * _lognormal(plate_rng, 0.3, len(STAINS)),
        blur_px=float(plate_rng.uniform(*_BLUR_PX)),
        density=density,
    )


def _lognormal(rng: np.random.Generator, spread: float, count: int) -> PerStain:
    """Factors with mean 1 and the given standard deviation of their logarithm, `(count,)`."""
    return np.exp(spread * rng.standard_normal(count) - spread**2 / 2)


def digitise(rng: np.random.Generator, expected: Field) -> NDArray[np.uint8]:
    """Add camera noise to expected grey levels and round them to 8 bits.

    Args:
        rng: Source of the noise; the same state gives the same deviates, scaled to the expected level.
        expected: Expected grey levels, `(y, x)`.

    Returns:
        The image, `(y, x)`.
    """
    noise = rng.standard_normal(expected.shape, dtype=np.float32)
    noise *= np.sqrt(
        np.float32(_READ_VARIANCE) + np.float32(_SHOT_VARIANCE_PER_GREY) * np.maximum(expected, 0)
    )
    noise += expected
    return np.clip(np.rint(noise), 0, 255).astype(np.uint8)
