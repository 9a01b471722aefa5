"""One site, from its plan to its pixels and the truth about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from phenotrain.simulate.acquisition import acquisition_of, digitise
from phenotrain.simulate.cells import sample_cells
from phenotrain.simulate.layout import SitePlan
from phenotrain.simulate.phenotypes import PHENOTYPES, cells_in_a_disc, treat
from phenotrain.simulate.scene import lay_out
from phenotrain.simulate.spec import STAINS
from phenotrain.simulate.stains import STAIN_MODELS
from phenotrain.simulate.streams import Stream, stream

TRUTH_THRESHOLD_GREY: Final = (1.0, 2.0, 0.75, 1.5, 0.5, 1.0)
"""Least change of the expected grey level that the truth mask marks, by stain: a seventh to a third of the
stain's standard deviation, and never less than half a grey level."""


@dataclass(frozen=True)
class SiteImages:
    """What one site looks like.

    Attributes:
        stack: The images, uint8, `(channel, y, x)`.
        mask: The truth, uint8, `(y, x)`: bit c, counted from the least significant as 0, is set where the
            treatment changed the stain of channel w(c+1).
    """

    stack: NDArray[np.uint8]
    mask: NDArray[np.uint8]


def render_site(
    seed: int, field_px: int, plan: SitePlan, *, effect: bool = True, responding_share: float = 1.0
) -> SiteImages:
    """Draw one site, and mark where it differs from its twin that was given nothing.

    The twin has the same cells, textures and acquisition; only the treatment's shifts are left out.

    Args:
        seed: Seed of the screen.
        field_px: Side of the field in pixels.
        plan: The site.
        effect: Whether the treatment does anything.
        responding_share: Share of the field, as one disc, within which cells respond.

    Returns:
        Its images and its truth mask; the same for the same arguments, whatever was drawn before.
    """
    acquisition = acquisition_of(seed, plan.address)
    untreated = sample_cells(stream(seed, Stream.CELLS, *plan.address), field_px, acquisition.density)
    cells = untreated
    if effect:
        is_reached = cells_in_a_disc(untreated, field_px, responding_share, seed, plan.address)
        cells = treat(untreated, plan.treatment, plan.dose, seed, plan.address, is_reached=is_reached)
    changed = () if cells is untreated else PHENOTYPES[plan.treatment].stains
    scene = lay_out(untreated, field_px, seed, plan.address)
    noise = stream(seed, Stream.NOISE, *plan.address)
    stack = np.empty((len(STAINS), field_px, field_px), dtype=np.uint8)
    mask = np.zeros((field_px, field_px), dtype=np.uint8)
    for channel, stain in enumerate(STAINS):
        expected = acquisition.expose(channel, STAIN_MODELS[stain](scene, cells))
        stack[channel] = digitise(noise, expected)
        if stain in changed:
            twin = acquisition.expose(channel, STAIN_MODELS[stain](scene, untreated))
            differs = np.abs(expected - twin) >= TRUTH_THRESHOLD_GREY[channel]
            mask |= differs.astype(np.uint8) << np.uint8(channel)
    return SiteImages(stack, mask)
