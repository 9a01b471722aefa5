"""What makes a probability trustworthy: prediction sets, distances to the training sites, the order of the stains."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Float64, Shaped

from phenoserve.bundle.calibration_spec import CALIBRATION_FILE, CalibrationSpec
from phenoserve.bundle.errors import CalibrationError
from phenoserve.bundle.npz import FIX, read_npz, write_npz
from phenoserve.bundle.outputs import EMBEDDING_SIZE
from phenoserve.bundle.stain_order import NUM_DESCRIPTORS, POOLING, Mismatch, StainOrder, describe_channels

MAX_CALIBRATION_BYTES: Final = 256 * 1024**2
_ARRAYS: Final = ("mean", "whitening", "reference", "control_distances")
_STAIN_ARRAYS: Final = ("stain_mean", "stain_whitening")
_CHUNK: Final = 1024
"""Reference embeddings whose differences are held at once: 8 MiB."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Calibration:
    """Prediction sets, the out-of-distribution test by nearest neighbours, and what every stain looks like.

    Attributes:
        spec: What the manifest states of it.
        mean: Mean of every number of the embedding over training sites, float32 `(1024,)`.
        whitening: From the embedding's numbers, their mean subtracted, to components of unit variance over training
            sites; float32 `(1024, num_components)`.
        reference: Whitened embeddings of training sites, float32 `(num_references, num_components)`.
        control_distances: Distances of the validation control sites, ascending, float64 `(num_control_sites,)`.
        stain_order: What every stain looks like; None where `spec` states none.

    Raises:
        CalibrationError: If an array has another type, size or order than said above, does not fit `spec`, or
            holds a number that is not finite.
    """

    spec: CalibrationSpec
    mean: np.ndarray
    whitening: np.ndarray
    reference: np.ndarray
    control_distances: np.ndarray
    stain_order: StainOrder | None = None

    def __post_init__(self) -> None:
        ood = self.spec.out_of_distribution
        _require("mean", self.mean, "float32", (EMBEDDING_SIZE,))
        num_components = ood.num_components or EMBEDDING_SIZE
        _require("whitening", self.whitening, "float32", (EMBEDDING_SIZE, num_components))
        _require("reference", self.reference, "float32", (ood.num_references, num_components))
        _require("control_distances", self.control_distances, "float64", (ood.num_control_sites,))
        if self.control_distances[0] < 0 or (np.diff(self.control_distances) < 0).any():
            raise CalibrationError(
                f"control_distances of {CALIBRATION_FILE} are not ascending from 0 on. Sort them. {FIX}"
            )
        if (self.spec.stain_order is None) != (self.stain_order is None):
            raise CalibrationError(
                f"The manifest and {CALIBRATION_FILE} differ in whether the stains are described. {FIX}"
            )
        if self.stain_order is not None:
            # Before format 6 there is one mean of all treatments.
            is_pooled = ood.num_validation_sites is None
            num_treatments = 1 if is_pooled else len(self.spec.prediction_sets.thresholds)
            num_stains = max(2, self.stain_order.mean.shape[1])
            shape = (num_treatments, num_stains, NUM_DESCRIPTORS)
            _require("stain_mean", self.stain_order.mean, "float64", shape)
            square = (NUM_DESCRIPTORS, NUM_DESCRIPTORS)
            _require("stain_whitening", self.stain_order.whitening, "float64", square)

    def prediction_set(self, probabilities: Mapping[str, float]) -> tuple[str, ...] | None:
        """Return the treatments that a stack is compatible with at the stated coverage.

        A treatment is in the set if its probability is at least its threshold (LAC, Sadinle et al. 2019, "Least
        ambiguous set-valued classifiers with bounded error levels"). The set may be empty: the stack is then
        unlike every treatment.

        Args:
            probabilities: Softmax of the logits, by treatment.

        Returns:
            Treatments in the order of `probabilities`; None where one of them has too few wells for a threshold.
        """
        if self.spec.prediction_sets.reason is not None:
            return None
        thresholds = self.spec.prediction_sets.thresholds
        return tuple(
            name for name, probability in probabilities.items() if probability >= (thresholds[name] or 0.0)
        )

    def distance(self, embedding: Float[np.ndarray, " embedding"]) -> float:
        """Return how far an embedding `(1024,)` lies from the training sites, as `neighbour_distances` does."""
        [distance] = neighbour_distances(
            embedding[np.newaxis],
            mean=self.mean,
            whitening=self.whitening,
            reference=self.reference,
            num_neighbours=self.spec.out_of_distribution.num_neighbours,
        )
        return float(distance)

    def percentile(self, distance: float) -> float:
        """Return the share of the validation controls that lie at this distance or nearer, in percent."""
        num_nearer = np.searchsorted(self.control_distances, distance, side="right")
        return 100.0 * float(num_nearer) / len(self.control_distances)

    def mismatch(self, stack: Shaped[np.ndarray, "channel y x"], downsample: int) -> Mismatch | None:
        """Return the two channels that look most like each other's stain; None where stains are not described.

        Args:
            stack: Raw intensities `(channel, y, x)`, channels in the bundle's order.
            downsample: Side of the squares that the graph pools first, in pixels.
        """
        if self.stain_order is None:
            return None
        return self.stain_order.mismatch(describe_channels(stack, POOLING * downsample))

    def looks_swapped(self, mismatch: Mismatch | None) -> bool:
        """Return whether a mismatch is larger than that of stacks whose channels are in order.

        Never where too few sites were there to tell.
        """
        spec = self.spec.stain_order
        if spec is None or mismatch is None or self.spec.out_of_distribution.reason is not None:
            return False
        return bool(mismatch.value > spec.max_mismatch)

    @property
    def false_positive_rate(self) -> float:
        """Share of the validation sites that both tests were chosen to flag together, at most."""
        ood, stains = self.spec.out_of_distribution, self.spec.stain_order
        return ood.false_positive_rate + (0 if stains is None else stains.false_positive_rate)

    def in_distribution(
        self, distance: float, mismatch: Mismatch | None, *, is_usable: bool = True
    ) -> bool | None:
        """Return whether a stack is like what the model learned from: near it, and its channels like their stains.

        Args:
            distance: As `distance` gives it.
            mismatch: As `mismatch` gives it.
            is_usable: Whether its pixels are those of images at all, which no distance has to tell: no dead,
                repeated, overexposed or noise channel.

        Returns:
            None where too few sites were there to tell.
        """
        limits = self.spec.out_of_distribution
        if limits.reason is not None or limits.max_distance is None:
            return None
        is_near = bool(distance <= limits.max_distance)
        return is_usable and is_near and not self.looks_swapped(mismatch)

    def to_npz(self) -> bytes:
        """Return the arrays as the bytes of `calibration.npz`, equal for equal content."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        if self.stain_order is not None:
            arrays |= dict(
                zip(_STAIN_ARRAYS, (self.stain_order.mean, self.stain_order.whitening), strict=True)
            )
        return write_npz(arrays)


def neighbour_distances(
    embeddings: Float[np.ndarray, "site embedding"],
    *,
    mean: Float[np.ndarray, " embedding"],
    whitening: Float[np.ndarray, "embedding component"],
    reference: Float[np.ndarray, "reference component"],
    num_neighbours: int,
) -> Float64[np.ndarray, " site"]:
    """Mean Euclidean distance of every whitened embedding to its nearest references.

    After Sun et al. 2022, "Out-of-distribution detection with deep nearest neighbors", with the mean over the
    neighbours instead of the last of them. Every difference is taken in float64, one embedding after the other,
    so that an embedding has the same distance alone and among others.

    Args:
        embeddings: As the graph gives them, `(site, embedding)`.
        mean: Subtracted from them, `(embedding,)`.
        whitening: What they are then multiplied by, `(embedding, component)`.
        reference: Whitened embeddings, `(reference, component)`.
        num_neighbours: Neighbours that the distance is averaged over, 1 to the number of references.

    Returns:
        `(site,)`, in standard deviations of a component over training sites.

    Raises:
        ValueError: If `num_neighbours` is not in that range.
    """
    if not 1 <= num_neighbours <= len(reference):
        raise ValueError(
            f"Expected 1 to {len(reference)} neighbours, the number of references. Received: {num_neighbours}"
        )
    # Row by row: a product of matrices may round otherwise than that of one row.
    matrix = whitening.astype(np.float64)
    whitened = ((row.astype(np.float64) - mean) @ matrix for row in embeddings)
    return np.array([_neighbour_distance(row, reference, num_neighbours) for row in whitened], np.float64)


def read_calibration(content: bytes, spec: CalibrationSpec, *, num_channels: int) -> Calibration:
    """Read the bytes of `calibration.npz`; never unpickles.

    Args:
        content: The file's content.
        spec: What the manifest states of it.
        num_channels: Channels of a stack.

    Returns:
        The calibration.

    Raises:
        CalibrationError: If it is not an archive of plain arrays, or one does not fit the manifest.
    """
    arrays = read_npz(
        content, file=CALIBRATION_FILE, max_bytes=MAX_CALIBRATION_BYTES, error_class=CalibrationError
    )
    is_diagonal = spec.out_of_distribution.num_components is None
    names = ("scale" if is_diagonal and name == "whitening" else name for name in _ARRAYS)
    names = (*names, *(_STAIN_ARRAYS if spec.stain_order is not None else ()))
    if set(arrays) != set(names):
        raise CalibrationError(
            f"{CALIBRATION_FILE} holds the arrays {sorted(arrays)}; expected {', '.join(names)}. {FIX}"
        )
    if is_diagonal:
        arrays["whitening"] = _whitening_of_scale(arrays.pop("scale"))
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    stains = [arrays.pop(name) for name in _STAIN_ARRAYS if name in arrays]
    if stains:
        is_pooled = spec.out_of_distribution.num_validation_sites is None
        of_treatments = () if is_pooled else (len(spec.prediction_sets.thresholds),)
        _require("stain_mean", stains[0], "float64", (*of_treatments, num_channels, NUM_DESCRIPTORS))
        stains[0] = stains[0][np.newaxis] if is_pooled else stains[0]
    return Calibration(spec=spec, stain_order=StainOrder(*stains) if stains else None, **arrays)


def _whitening_of_scale(scale: np.ndarray) -> np.ndarray:
    """Format 2 divided every number of the embedding by a scale of its own."""
    _require("scale", scale, "float32", (EMBEDDING_SIZE,))
    if not (scale > 0).all():
        raise CalibrationError(f"scale of {CALIBRATION_FILE} holds numbers that are not positive. {FIX}")
    return np.diag(1 / scale)


def _neighbour_distance(whitened: np.ndarray, reference: np.ndarray, num_neighbours: int) -> float:
    squares = [
        np.square(reference[start : start + _CHUNK] - whitened).sum(axis=1)
        for start in range(0, len(reference), _CHUNK)
    ]
    nearest = np.partition(np.concatenate(squares), num_neighbours - 1)[:num_neighbours]
    return float(np.sqrt(np.sort(nearest)).mean())


def _require(name: str, array: np.ndarray, dtype: str, shape: tuple[int, ...]) -> None:
    if array.dtype.name != dtype or array.shape != shape or not np.isfinite(array).all():
        raise CalibrationError(
            f"{name} of {CALIBRATION_FILE} is {array.dtype.name} {array.shape}; expected {dtype} {shape}, as the "
            f"manifest states, every number finite. {FIX}"
        )
