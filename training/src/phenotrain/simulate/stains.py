"""The six stains: each draws what its dye shows of the cells, in units of its own.

Every function here takes the scene and the cells and gives a signal `(y, x)`, 0 where there is no dye. None
of them knows of treatments: a treatment changes the cells' parameters (`phenotypes`), and the stains follow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

import numpy as np
from scipy import ndimage

from phenotrain.simulate.cells import Cells
from phenotrain.simulate.scene import Scene
from phenotrain.simulate.streams import Stream, stream
from phenotrain.simulate.textures import Field, ramp, splat

_NUCLEOLI_PER_CELL: Final = 4
_GOLGI_SPOTS_PER_CELL: Final = 5
_FIBRE_STEPS_PER_PX: Final = 3
_FIBRE_TABLE_ACROSS: Final = 1024
_FIBRE_TABLE_ALONG: Final = 256


def hoechst(scene: Scene, cells: Cells) -> Field:
    """DNA: nuclei with mottled chromatin, gathered in bright clumps as `chromatin_clumping` rises."""
    clumping = scene.per_pixel(cells.chromatin_clumping)
    mottled = 1 + np.float32(0.16) * scene.reticulum
    clumps = np.maximum(scene.spots - np.float32(0.7), 0) * np.float32(2.8)
    chromatin = mottled + clumping * (clumps - np.float32(0.45))
    return scene.nucleus * scene.per_pixel(cells.dna) * np.maximum(chromatin, np.float32(0.1))


def cona(scene: Scene, cells: Cells) -> Field:
    """ER: a grainy net that thins out from the nucleus, or a tight ring around it as `er_ring` rises."""
    ring = scene.per_pixel(cells.er_ring)
    sheet = np.exp(-np.square((scene.depth_px - np.float32(3.0)) / np.float32(3.0)))
    sheet *= np.maximum(1 + np.float32(0.25) * scene.facing + np.float32(0.25) * scene.reticulum, 0)
    signal = _cytoplasm(scene, cells) * (1 - np.float32(0.7) * ring) + np.float32(1.15) * ring * sheet
    return scene.per_pixel(cells.protein) * (scene.body * signal + np.float32(0.36) * scene.nucleus)


def phalloidin(scene: Scene, cells: Cells) -> Field:
    """Actin: stress fibres along the cell and a line of cortex at its border, as strong as `cortex`."""
    table = _fibre_table()
    num_across, num_along = table.shape
    across = (scene.across_px + np.float32(2.0) * scene.drift) * np.float32(_FIBRE_STEPS_PER_PX)
    across += scene.per_pixel((cells.pole * np.float32(1000)) % np.float32(num_across))
    along = scene.along_px + scene.per_pixel((cells.pole * np.float32(3000)) % np.float32(num_along))
    index = (across.astype(np.int32) % num_across) * num_along + along.astype(np.int32) % num_along
    bundles = np.maximum(1 + np.float32(0.7) * scene.drift, np.float32(0.1))
    fibres = table.take(index) * bundles * scene.per_pixel(cells.fibres) * ramp(scene.depth_px, -10.0, 14.0)
    line = np.exp(-np.square((scene.border_px - np.float32(0.5)) / np.float32(1.4)))
    line *= np.maximum(1 + np.float32(0.8) * scene.patches, 0) * scene.per_pixel(cells.cortex)
    haze = np.float32(0.9) + np.float32(0.30) * scene.patches + np.float32(0.10) * scene.reticulum
    return scene.body * (haze + np.float32(0.45) * fibres + np.float32(1.0) * line)


@cache
def _fibre_table() -> Field:
    """Streaks along the second axis, one constant texture that every cell reads at a place of its own."""
    rng = stream(0, Stream.FIBRES)
    white = rng.standard_normal((_FIBRE_TABLE_ACROSS, _FIBRE_TABLE_ALONG), dtype=np.float32)
    streaks = ndimage.gaussian_filter(white, (0.55 * _FIBRE_STEPS_PER_PX, 9.0), mode="wrap")
    streaks /= streaks.std()
    return np.square(np.maximum(streaks, 0))


def syto14(scene: Scene, cells: Cells) -> Field:
    """RNA: the cytoplasm much as in ConA, and bright nucleoli as large as `nucleolus_size`."""
    protein = scene.per_pixel(cells.protein)
    cytoplasm = scene.body * _cytoplasm(scene, cells) * scene.per_pixel(cells.rna_cytoplasm)
    return protein * (cytoplasm + np.float32(0.38) * scene.nucleus) + nucleoli(scene, cells)


def nucleoli(scene: Scene, cells: Cells) -> Field:
    """The nucleoli alone: a few spots within each nucleus."""
    spot = np.arange(_NUCLEOLI_PER_CELL, dtype=np.float32)
    turn = cells.pole[:, None] + spot * np.float32(2.4)
    reach = np.float32(0.25) + np.float32(0.11) * spot
    along = reach * np.cos(turn) * cells.long_px[:, None]
    across = reach * np.sin(turn) * cells.short_px[:, None]
    sine, cosine = np.sin(cells.angle)[:, None], np.cos(cells.angle)[:, None]
    size = cells.nucleolus_size[:, None] * (1 - np.float32(0.15) * spot)
    spots = splat(
        scene.field_px,
        (cells.y_px[:, None] + along * sine + across * cosine).ravel(),
        (cells.x_px[:, None] + along * cosine - across * sine).ravel(),
        (np.float32(1.35) * size).ravel(),
        np.broadcast_to(np.float32(0.9) * np.sqrt(cells.nucleolus_size)[:, None], size.shape).ravel(),
    )
    return spots * scene.nucleus


def mitotracker(scene: Scene, cells: Cells) -> Field:
    """Mitochondria: a net of threads around the nucleus, clumped at its pole as `mito_polarity` rises."""
    polarity = scene.per_pixel(cells.mito_polarity)
    threads = ramp(np.abs(scene.grain), 0.6, 0.0) * ramp(scene.patches, -1.4, 1.0)
    width = np.float32(12.0) - np.float32(4.0) * polarity
    window = np.exp(-np.square(np.maximum(scene.depth_px - np.float32(4.0), 0) / width)) * (1 - scene.nucleus)
    side = np.exp(np.float32(2.6) * polarity * (scene.facing - np.float32(0.45)))
    return scene.body * threads * window * side * scene.per_pixel(cells.mitochondria)


def wga(scene: Scene, cells: Cells) -> Field:
    """Membranes: a haze over the cell, a bright Golgi at its pole, puncta and ruffles."""
    outside = scene.body * ramp(scene.depth_px, 0.0, 3.0)
    puncta = np.maximum(scene.spots - np.float32(1.0), 0) * scene.per_pixel(cells.wga_puncta) * outside
    wave = np.maximum(1 + np.float32(0.7) * scene.patches, 0)
    ruffles = np.exp(-np.square((scene.border_px - np.float32(2.5)) / np.float32(2.5))) * wave
    haze = np.float32(0.75) * np.exp(-np.maximum(scene.depth_px, 0) / np.float32(11.0))
    haze *= scene.per_pixel(cells.protein)
    haze += np.float32(0.18) + np.float32(0.06) * scene.reticulum + np.float32(0.08) * scene.patches
    return (
        scene.body * haze
        + np.float32(1.6) * puncta
        + np.float32(0.9) * scene.body * ruffles * scene.per_pixel(cells.wga_ruffles)
        + golgi(scene, cells)
    )


def golgi(scene: Scene, cells: Cells) -> Field:
    """The Golgi alone: a string of spots just outside the nucleus, at its pole."""
    spot = np.arange(_GOLGI_SPOTS_PER_CELL, dtype=np.float32) - _GOLGI_SPOTS_PER_CELL // 2
    turn = cells.pole[:, None] + spot * np.float32(0.22)
    off_px = np.float32(2.0) + np.float32(1.2) * np.cos(spot * np.float32(2.1))
    along = (cells.long_px[:, None] + off_px) * np.cos(turn)
    across = (cells.short_px[:, None] + off_px) * np.sin(turn)
    sine, cosine = np.sin(cells.angle)[:, None], np.cos(cells.angle)[:, None]
    sigma_px = np.broadcast_to(np.float32(1.9) - np.float32(0.25) * np.abs(spot), along.shape)
    spots = splat(
        scene.field_px,
        (cells.y_px[:, None] + along * sine + across * cosine).ravel(),
        (cells.x_px[:, None] + along * cosine - across * sine).ravel(),
        sigma_px.ravel(),
        np.broadcast_to(np.float32(1.0) * cells.golgi[:, None], along.shape).ravel(),
    )
    return spots * scene.body


def _cytoplasm(scene: Scene, cells: Cells) -> Field:
    """Cytoplasm that thins out from the nucleus, more of it at the pole, with the texture of the ER."""
    thinning = np.exp(-np.maximum(scene.depth_px, 0) / scene.per_pixel(cells.extent_px))
    side = 1 + np.float32(0.35) * scene.facing
    texture = (
        1
        + np.float32(0.22) * scene.reticulum
        + np.float32(0.18) * scene.grain
        + np.float32(0.20) * scene.patches
    )
    return thinning * side * np.maximum(texture, np.float32(0.1)) * (1 - scene.nucleus)


STAIN_MODELS: Final[Mapping[str, Callable[[Scene, Cells], Field]]] = MappingProxyType(
    {
        "Hoechst": hoechst,
        "ConA": cona,
        "Phalloidin": phalloidin,
        "Syto14": syto14,
        "MitoTracker": mitotracker,
        "WGA": wga,
    }
)
"""The model of every stain, in the order of the channels w1 to w6."""
