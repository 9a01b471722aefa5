"""What the service answers, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import msgspec
import numpy as np
from jaxtyping import Float32

Vector: TypeAlias = Float32[np.ndarray, " _dim"]
Grid: TypeAlias = Float32[np.ndarray, "_y _x"]
"""Reading checks the type: the underscores keep the sizes out of what a caller's own annotations mean by y and x"""

_LARGEST = float(np.finfo(np.float32).max)
Number: TypeAlias = Annotated[float, msgspec.Meta(ge=-_LARGEST, le=_LARGEST)]
"""A finite number that float32 holds"""
Size: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=2**32)]
"""A number of pixels, cells or numbers"""


@dataclass(frozen=True)
class BundleName:
    """The bundle that an answer comes from.

    Attributes:
        name: Name of the bundle.
        version: Its version.
        digest: sha256 of its manifest, in hex: the same digest is the same model.
    """

    name: str
    version: str
    digest: str


@dataclass(frozen=True)
class StackNotice:
    """Something about a stack that was answered all the same, and that its owner should know.

    Attributes:
        code: The service's stable name of it: `dead_channel`, `saturated_channel`, `noise_channel`,
            `repeated_channel`, `unmatched_channel_names`, `swapped_channels`, or one that this client does not know.
        channels: Stains that it is about.
        detail: What was found, as the service words it.
    """

    code: str
    channels: tuple[str, ...]
    detail: str


@dataclass(frozen=True)
class StackSummary:
    """How the service read the stack that was sent.

    Attributes:
        channels: Stains in the order that the channels of the stack were taken in.
        channel_order: Where that order came from: `bundle`, `query`, `ome`, `imagej` or `pages`.
        height: Height of the field in pixels.
        width: Width of the field in pixels.
        dtype: Pixel type in the file: `uint8`, `uint16` or `float32`.
        notices: What its owner should know about it; empty where there is nothing, and with an older service.
    """

    channels: tuple[str, ...]
    channel_order: str
    height: Size
    width: Size
    dtype: str
    notices: tuple[StackNotice, ...] = ()


@dataclass(frozen=True)
class TreatmentProbability:
    """A treatment and its probability, 0 to 1."""

    treatment: str
    probability: Number


@dataclass(frozen=True)
class ForestPrediction:
    """What the random forest on the embedding says.

    Attributes:
        treatment: The most probable treatment.
        probability: Its probability, 0 to 1.
        probabilities: Probability of every treatment, the control among them; they sum to 1.
    """

    treatment: str
    probability: Number
    probabilities: Mapping[str, Number]


@dataclass(frozen=True)
class PredictionSet:
    """The treatments that a stack is compatible with.

    Attributes:
        treatments: In the order of the logits; may be empty, when the stack is unlike all of them.
        coverage: Share of the sites of each treatment whose set is meant to hold it, 0 to 1.
    """

    treatments: tuple[str, ...]
    coverage: Number


@dataclass(frozen=True)
class Distance:
    """How far a stack's embedding lies from those of the sites the model learned from.

    Attributes:
        value: In standard deviations of the embedding's numbers, not negative.
        percentile: Share of the validation controls that lie as near or nearer, in percent.
    """

    value: Number
    percentile: Number


@dataclass(frozen=True)
class Prediction:
    """The answer of `/predict`.

    Attributes:
        bundle: The bundle that answered.
        stack: How the stack was read.
        prediction: The classifier head's most probable treatment.
        probabilities: Its probability of every treatment, the control among them; they sum to 1.
        versus_control: For every treatment, the probability that the stack is of it rather than of the
            control, by one binary head a treatment; these do not sum to 1.
        forest: What the random forest says.
        prediction_set: The treatments that the stack is compatible with; None where the bundle was calibrated on too
            few wells or not at all, or the service is older.
        in_distribution: Whether the stack is like what the model learned from; None likewise, which is neither.
        distance: How far it lies from that; None where the bundle has no calibration or the service is older.
        logits: The classifier head's number of every treatment before the softmax; None with an older service.
        prediction_set_reason: Why there is no prediction set, in a sentence; None where there is one, and with an older
            service.
        distribution_reason: Why `in_distribution` is None, in a sentence; None likewise.
    """

    bundle: BundleName
    stack: StackSummary
    prediction: TreatmentProbability
    probabilities: Mapping[str, Number]
    versus_control: Mapping[str, Number]
    forest: ForestPrediction
    prediction_set: PredictionSet | None = None
    in_distribution: bool | None = None
    distance: Distance | None = None
    logits: Mapping[str, Number] | None = None
    prediction_set_reason: str | None = None
    distribution_reason: str | None = None


@dataclass(frozen=True, eq=False)
class Embedding:
    """The answer of `/embed`.

    Attributes:
        bundle: The bundle that answered.
        stack: How the stack was read.
        kind: `embedding` (pooled encoder features) or `projection` (L2-normalised projection head).
        embedding: float32, `(dim,)`.
        dim: Its length.
    """

    bundle: BundleName
    stack: StackSummary
    kind: str
    embedding: Vector
    dim: Size

    def __post_init__(self) -> None:
        if len(self.embedding) != self.dim:
            raise ValueError(f"`embedding` has {len(self.embedding)} numbers, and `dim` says {self.dim}")


@dataclass(frozen=True, eq=False)
class Heatmap:
    """Grad-CAM of one treatment on the grid of the encoder's last feature map.

    Attributes:
        values: float32, `(y', x')`, not negative, in units of the logit's gradient times the features.
        height: Cells along y.
        width: Cells along x.
        scale_px: Pixels of the stack to a cell, along y and along x.
        max: The largest value; 0 when nothing in the field speaks for the treatment.
    """

    values: Grid
    height: Size
    width: Size
    scale_px: tuple[Number, Number]
    max: Number

    def __post_init__(self) -> None:
        if self.values.shape != (self.height, self.width):
            raise ValueError(
                f"`values` are {' x '.join(map(str, self.values.shape))} numbers, and `height` and `width` say "
                f"{self.height} x {self.width}"
            )


@dataclass(frozen=True)
class StainAttribution:
    """How much each stain adds to the logit of the treatment explained: exact Shapley values.

    A stain is removed by setting it to zero after standardisation, its mean intensity everywhere.

    Attributes:
        values: By stain, in units of the logit; they sum to `logit - baseline_logit`.
        baseline_logit: The logit with every stain removed.
        logit: The logit with every stain as it is.
        baseline: What a removed stain is; `field_mean` is its own mean in the field, everywhere. None with an older
            service.
    """

    values: Mapping[str, Number]
    baseline_logit: Number
    logit: Number
    baseline: str | None = None


@dataclass(frozen=True, eq=False)
class Explanation:
    """The answer of `/explain`.

    Attributes:
        bundle: The bundle that answered.
        stack: How the stack was read.
        treatment: The treatment that the heatmap explains.
        prediction: The classifier head's most probable treatment.
        heatmap: Where in the field the evidence for `treatment` lies.
        stains: In which stains it lies; None unless `stains=True` was asked for.
    """

    bundle: BundleName
    stack: StackSummary
    treatment: str
    prediction: TreatmentProbability
    heatmap: Heatmap
    stains: StainAttribution | None = None


@dataclass(frozen=True)
class ServedBundle:
    """The answer of `GET /bundle`: which model is served, and where it runs.

    Attributes:
        name: Name of the bundle.
        version: Its version.
        digest: sha256 of its manifest, in hex.
        device: `cpu` or `cuda`.
        channels: Stains in the order that the bundle expects them.
        treatments: Treatments in the order of the logits, the control among them.
        control: The control among the treatments.
        manifest: The whole manifest, as the bundle holds it.
    """

    name: str
    version: str
    digest: str
    device: str
    channels: tuple[str, ...]
    treatments: tuple[str, ...]
    control: str
    manifest: Mapping[str, Any]
