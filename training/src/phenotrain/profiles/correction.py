"""Typical variation normalisation with CORAL, fitted on controls: takes plates' own look out of profiles.

The steps are those of EFAAR's `centerscale_on_controls` and `tvn_on_controls` (github.com/recursionpharma/
EFAAR_benchmarking; Celik et al. 2024): every batch is centred and scaled by its own controls; then, fitted on the
training controls, StandardScaler, PCA, StandardScaler; then every batch X is multiplied by
(cov(controls of the batch) + 0.5 I)^(-1/2) (CORAL; Sun et al. 2016).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from phenotrain.grouping import natural_order
from phenotrain.profiles.errors import ProfileError
from phenotrain.profiles.wells import WellProfiles

Batch = Literal["plate", "experiment"]

MIN_CONTROLS: Final = 4
"""Fewest control wells of a batch: a spread needs some."""
RIDGE: Final = 0.5
"""What CORAL adds to the diagonal of a batch's covariance; EFAAR's constant."""
MIN_SCALE: Final = 0.1
"""Least spread of a batch, as a share of the training controls' spread within batches, of each dimension."""
CONTROLS_PER_COMPONENT: Final = 4
"""Training controls that each principal component needs; fewer would whiten noise."""
_CONSTANT: Final = 1e-9


@dataclass(frozen=True)
class BatchCorrection:
    """What one batch's controls say.

    Attributes:
        mean: Of the batch's references, `(embedding,)`.
        scale: Their standard deviation, with its floor, `(embedding,)`.
        directions: Orthonormal directions in which the references vary, `(num_directions, component)`.
        gains: Factor along each, minus that of all other directions, `(num_directions,)`.
    """

    mean: np.ndarray
    scale: np.ndarray
    directions: np.ndarray
    gains: np.ndarray


@dataclass(frozen=True)
class Whitening:
    """What the training controls say: `((x - mean) / scale) @ components`, then divided by `spread`.

    Attributes:
        typical_scale: Standard deviation of the training controls within their batches, `(embedding,)`.
        kept: Mask of the dimensions in which the training controls vary at all, `(embedding,)`.
        mean: Of StandardScaler and PCA together, after centring and scaling by batch, `(kept,)`.
        scale: Of StandardScaler, `(kept,)`.
        components: Principal axes, `(component, kept)`.
        spread: Standard deviation of the training controls along each, `(component,)`.
    """

    typical_scale: np.ndarray
    kept: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    components: np.ndarray
    spread: np.ndarray


@dataclass(frozen=True)
class Correction:
    """A fitted correction.

    Attributes:
        batch: What a batch is.
        whitening: The part fitted on training controls.
        batches: The part fitted on each batch's own controls, by its name.
        num_training_controls: Training control wells behind `whitening`.
        num_references: Control wells behind each batch's part.
    """

    batch: Batch
    whitening: Whitening
    batches: Mapping[str, BatchCorrection]
    num_training_controls: int
    num_references: Mapping[str, int] = field(default_factory=dict)

    @property
    def num_components(self) -> int:
        """Dimensions of a corrected profile."""
        return len(self.whitening.spread)

    def apply(self, wells: WellProfiles) -> np.ndarray:
        """Correct profiles.

        Args:
            wells: Wells of batches that the correction was fitted with.

        Returns:
            `(num_wells, component)`, float64.

        Raises:
            ProfileError: If a batch is unknown.
        """
        names = wells.batches(self.batch)
        unknown = natural_order(set(names) - set(self.batches))
        if unknown:
            raise ProfileError(
                f"The correction knows nothing of {', '.join(unknown[:3])}. Fit it on a table that holds "
                f"{MIN_CONTROLS} control wells or more of every {self.batch}."
            )
        corrected = np.empty((len(wells), self.num_components))
        for name in np.unique(names):
            rows = np.flatnonzero(names == name)
            corrected[rows] = coral(
                whiten(wells.profiles[rows], self.batches[name], self.whitening), self.batches[name]
            )
        return corrected


def fit_correction(
    wells: WellProfiles, batch: Batch = "plate", *, max_components: int | None = None
) -> Correction:
    """Fit the correction on controls alone; no treated well takes part.

    The references of a batch are its training controls where it has `MIN_CONTROLS` of them, else all its controls: on
    a held-out plate they are what an experimenter has there too. The shared part is fitted on training controls, on all
    controls where those are too few.

    EFAAR keeps the PCA's full rank, with thousands of controls to 128 dimensions. Here there may be fewer controls than
    dimensions, and whitening then blows up directions in which the training controls vary by chance: the number of
    components is at most the training controls' rank and at most one for each `CONTROLS_PER_COMPONENT` of them, so all
    of EFAAR's where controls abound.

    Args:
        wells: Well profiles of the screen.
        batch: Correct by `plate` or by `experiment`.
        max_components: Replaces the rule of one component for each `CONTROLS_PER_COMPONENT` training controls.

    Returns:
        The correction.

    Raises:
        ProfileError: If a batch has fewer than `MIN_CONTROLS` controls, or the training controls are all alike.
    """
    names = wells.batches(batch)
    references = reference_rows(wells, batch)
    _require_controls(references, batch)
    training = training_rows(wells, batch)
    profiles = wells.profiles
    deviations = np.concatenate(
        [profiles[rows] - profiles[rows].mean(axis=0) for rows in _grouped(training, names).values()]
    )
    typical_scale = np.sqrt((deviations**2).mean(axis=0))
    magnitude = np.abs(profiles[training]).max(axis=0)
    kept = typical_scale > _CONSTANT * np.maximum(magnitude, np.finfo(float).tiny)
    if not kept.any():
        raise ProfileError(
            "The training controls of a batch are all alike, so nothing can be scaled by them. Check the embeddings."
        )
    scaled = {name: _centre_scale(profiles[rows], typical_scale) for name, rows in references.items()}
    rows_of = _grouped(training, names)
    centred = np.concatenate(
        [((profiles[rows] - scaled[name][0]) / scaled[name][1])[:, kept] for name, rows in rows_of.items()]
    )
    limit = max_components or max(1, len(training) // CONTROLS_PER_COMPONENT)
    whitening = _fit_whitening(centred, typical_scale, kept, limit)
    batches = {name: fit_batch(profiles[rows], whitening, scaled[name]) for name, rows in references.items()}
    counts = {name: len(rows) for name, rows in references.items()}
    return Correction(batch, whitening, batches, len(training), counts)


def training_rows(wells: WellProfiles, batch: Batch) -> np.ndarray:
    """Choose the controls that the shared part is fitted on: the training ones if they suffice, else all of them.

    They suffice where their spread within batches is known as well as from `MIN_CONTROLS` wells of one batch.

    Args:
        wells: Well profiles of the screen.
        batch: `plate` or `experiment`.

    Returns:
        Row numbers, ascending.
    """
    training = np.flatnonzero(wells.is_control & (wells.wells["role"] == "train").to_numpy(dtype=bool))
    num_batches = len(np.unique(wells.batches(batch)[training]))
    return training if len(training) - num_batches >= MIN_CONTROLS - 1 else np.flatnonzero(wells.is_control)


def num_controls(wells: WellProfiles, batch: Batch) -> np.ndarray:
    """Count the control wells of every well's batch, `(num_wells,)`; a batch with `MIN_CONTROLS` can be corrected."""
    _, batch_of = np.unique(wells.batches(batch), return_inverse=True)
    return np.bincount(batch_of, weights=wells.is_control).astype(int)[batch_of]


def reference_rows(wells: WellProfiles, batch: Batch) -> dict[str, np.ndarray]:
    """Choose the controls that a batch is centred by: its training ones if they suffice, else all of them.

    Args:
        wells: Well profiles of the screen.
        batch: `plate` or `experiment`.

    Returns:
        Row numbers by batch, in natural order; a batch without controls has none.
    """
    names = wells.batches(batch)
    is_training = (wells.wells["role"] == "train").to_numpy(dtype=bool)
    chosen = {}
    for name in natural_order(names):
        rows = np.flatnonzero((names == name) & wells.is_control)
        training = rows[is_training[rows]]
        chosen[name] = training if len(training) >= MIN_CONTROLS else rows
    return chosen


def fit_batch(
    references: np.ndarray,
    whitening: Whitening,
    centre_scale: tuple[np.ndarray, np.ndarray] | None = None,
) -> BatchCorrection:
    """Fit one batch's part on its reference profiles.

    Args:
        references: `(num_references, embedding)`.
        whitening: The part that all batches share.
        centre_scale: Mean and scale of the references, when they are known already.
    """
    mean, scale = centre_scale or _centre_scale(references, whitening.typical_scale)
    nothing = BatchCorrection(mean, scale, np.zeros((0, len(whitening.spread))), np.zeros(0))
    white = whiten(references, nothing, whitening)
    # (C + ridge I)^(-1/2) from the few directions in which the references vary, rather than from a full matrix.
    _, singular, directions = np.linalg.svd(white - white.mean(axis=0), full_matrices=False)
    gains = (singular**2 / (len(references) - 1) + RIDGE) ** -0.5 - RIDGE**-0.5
    return BatchCorrection(mean, scale, directions, gains)


def whiten(profiles: np.ndarray, of_batch: BatchCorrection, whitening: Whitening) -> np.ndarray:
    """Centre and scale by the batch's controls, then rotate and scale by the training controls: all but CORAL."""
    centred = ((profiles - of_batch.mean) / of_batch.scale)[..., whitening.kept]
    return ((centred - whitening.mean) / whitening.scale) @ whitening.components.T / whitening.spread


def coral(white: np.ndarray, of_batch: BatchCorrection) -> np.ndarray:
    """Multiply by (cov(references) + ridge I)^(-1/2)."""
    return white * RIDGE**-0.5 + (white @ of_batch.directions.T * of_batch.gains) @ of_batch.directions


def _centre_scale(references: np.ndarray, typical_scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # A dimension that hardly varies among one plate's few controls must not be blown up there.
    scale = np.maximum(references.std(axis=0), MIN_SCALE * typical_scale)
    return references.mean(axis=0), np.where(scale > 0, scale, 1.0)


def _fit_whitening(centred: np.ndarray, typical_scale: np.ndarray, kept: np.ndarray, limit: int) -> Whitening:
    mean, scale = centred.mean(axis=0), centred.std(axis=0)
    standard = (centred - mean) / np.where(scale > 0, scale, 1.0)
    # The principal axes are the right singular vectors; PCA itself would only add their signs.
    _, singular, axes = np.linalg.svd(standard, full_matrices=False)
    rank = int((singular > singular[0] * max(standard.shape) * np.finfo(float).eps).sum())
    components = axes[: min(rank, limit)]
    spread = singular[: len(components)] / np.sqrt(len(standard))
    return Whitening(typical_scale, kept, mean, np.where(scale > 0, scale, 1.0), components, spread)


def _grouped(rows: np.ndarray, names: np.ndarray) -> dict[str, np.ndarray]:
    return {name: rows[names[rows] == name] for name in natural_order(names[rows])}


def _require_controls(references: Mapping[str, np.ndarray], batch: Batch) -> None:
    poor = [f"{name} ({len(rows)})" for name, rows in references.items() if len(rows) < MIN_CONTROLS]
    if poor:
        raise ProfileError(
            f"Expected {MIN_CONTROLS} control wells or more of every {batch}. Too few: {', '.join(poor[:4])}. "
            "Leave these wells out, or correct by a larger batch."
        )
