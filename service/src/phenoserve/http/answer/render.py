"""Turns the outputs for one stack into the body of each route and media type."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, TypedDict

import numpy as np
from jaxtyping import Float, Float32
from PIL import Image

from phenoserve.bundle import Bundle, Mismatch
from phenoserve.bundle.outputs import Outputs
from phenoserve.engine.attribution import StainAttribution
from phenoserve.http.answer import schemas
from phenoserve.http.request.channels import OrderedStack
from phenoserve.overlay import heatmap_at_field_size, render_overlay
from phenoserve.stack import Notice

JSON: Final = "application/json"
NPY: Final = "application/x-npy"
PNG: Final = "image/png"
TIFF: Final = "image/tiff"

EmbeddingKind = Literal["embedding", "projection"]

_UNCALIBRATED: Final = "a bundle of format 1 has no calibration. Train the model again."


@dataclass(frozen=True)
class StackResult:
    """One stack and what the engine puts out for it.

    Attributes:
        bundle: The bundle that result.
        stack: The stack, in the bundle's channel order.
        outputs: The outputs, a batch of one.
        attribution: What each stain adds to each logit; None where nobody asked.
    """

    bundle: Bundle
    stack: OrderedStack
    outputs: Outputs
    attribution: StainAttribution | None = None

    @cached_property
    def mismatch(self) -> Mismatch | None:
        """The two channels that look most like each other's stain; None where the bundle does not describe stains."""
        calibration, spec = self.bundle.calibration, self.bundle.manifest.input
        return None if calibration is None else calibration.mismatch(self.stack.array, spec.downsample)

    def probabilities(self) -> dict[str, float]:
        """Softmax of the classifier head's logits, by treatment."""
        logits = self.outputs.logits[0].astype(np.float64)
        weights = np.exp(logits - logits.max())
        return _by_name(self.bundle.manifest.treatments, weights / weights.sum())


Render = Callable[[StackResult], bytes]


def predict_json(result: StackResult) -> bytes:
    """Body of `/predict`."""
    manifest, outputs = result.bundle.manifest, result.outputs
    probabilities = result.probabilities()
    versus_control = 1 / (1 + np.exp(-outputs.versus_control[0].astype(np.float64).clip(-700)))
    forest = _by_name(manifest.treatments, outputs.forest[0])
    best = max(forest, key=forest.__getitem__)
    body = schemas.PredictAnswer(
        bundle=_bundle_name(result),
        stack=_summary(result),
        prediction=_most_probable(probabilities),
        probabilities=probabilities,
        logits=_by_name(manifest.treatments, outputs.logits[0].astype(np.float64)),
        versus_control=_by_name(manifest.treated, versus_control),
        forest=schemas.ForestPrediction(treatment=best, probability=forest[best], probabilities=forest),
        **_calibrated(result, probabilities),
    )
    return body.model_dump_json().encode()


def embed_json(kind: EmbeddingKind) -> Render:
    """Body of `/embed` as JSON."""

    def render(result: StackResult) -> bytes:
        vector = _vector(result, kind)
        body = schemas.EmbedAnswer(
            bundle=_bundle_name(result),
            stack=_summary(result),
            kind=kind,
            embedding=vector.tolist(),
            dim=len(vector),
        )
        return body.model_dump_json().encode()

    return render


def embed_raw(kind: EmbeddingKind) -> Render:
    """The vector as the bytes of its float32 numbers, for `npy_file` to put together."""
    return lambda result: np.ascontiguousarray(_vector(result, kind), "<f4").tobytes()


def npy_file(vectors: Sequence[bytes], *, stacked: bool) -> bytes:
    """A NumPy file (NEP 1) of the vectors.

    Args:
        vectors: float32 numbers of each, as `embed_raw` gives them.
        stacked: Whether the array is `(stack, dim)`; else it is the `(dim,)` of the only vector.
    """
    array = np.stack([np.frombuffer(vector, "<f4") for vector in vectors])
    file = io.BytesIO()
    np.save(file, array if stacked else array[0], allow_pickle=False)
    return file.getvalue()


def explain_json(treatment: str | None) -> Render:
    """Body of `/explain` as JSON; None explains the predicted treatment."""

    def render(result: StackResult) -> bytes:
        prediction = _most_probable(result.probabilities())
        explained = treatment or prediction.treatment
        body = schemas.ExplainAnswer(
            bundle=_bundle_name(result),
            stack=_summary(result),
            treatment=explained,
            prediction=prediction,
            heatmap=_heatmap_body(result, explained),
            stains=_stains(result, explained),
        )
        return body.model_dump_json().encode()

    return render


def explain_all_json(result: StackResult) -> bytes:
    """Body of `/explain` as JSON, of every treatment: they all came from one pass."""
    body = schemas.ExplainAllAnswer(
        bundle=_bundle_name(result),
        stack=_summary(result),
        prediction=_most_probable(result.probabilities()),
        explanations={
            treatment: schemas.Explanation(
                heatmap=_heatmap_body(result, treatment), stains=_stains(result, treatment)
            )
            for treatment in result.bundle.manifest.treatments
        },
    )
    return body.model_dump_json().encode()


def explain_png(treatment: str | None) -> Render:
    """The overlay of `/explain`."""

    def render(result: StackResult) -> bytes:
        probabilities = result.probabilities()
        explained = treatment or _most_probable(probabilities).treatment
        spec, stains = result.bundle.manifest.input, _stains(result, explained)
        return render_overlay(
            result.stack.array,
            spec.channels,
            _heatmap(result, explained),
            title=f"{explained}, probability {probabilities[explained]:.3f}",
            cell_px=spec.min_size_px,
            stain_values=None if stains is None else [*stains.values.values()],
        )

    return render


def explain_tiff(treatment: str | None) -> Render:
    """The heatmap of `/explain` at the field's size, a TIFF of one uncompressed float32 page."""

    def render(result: StackResult) -> bytes:
        explained = treatment or _most_probable(result.probabilities()).treatment
        height, width = result.stack.array.shape[1:]
        cell_px = result.bundle.manifest.input.min_size_px
        values = heatmap_at_field_size(_heatmap(result, explained), height, width, cell_px=cell_px)
        file = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(values)).save(file, "TIFF")
        return file.getvalue()

    return render


class _Calibrated(TypedDict):
    prediction_set: schemas.PredictionSet | None
    prediction_set_reason: str | None
    in_distribution: bool | None
    distribution_reason: str | None
    distance: schemas.Distance | None


def _calibrated(result: StackResult, probabilities: dict[str, float]) -> _Calibrated:
    """What the bundle's calibration says, or why it says nothing."""
    calibration = result.bundle.calibration
    if calibration is None:
        return _Calibrated(
            prediction_set=None,
            prediction_set_reason=f"No prediction set: {_UNCALIBRATED}",
            in_distribution=None,
            distribution_reason=f"Not said whether the stack is in distribution: {_UNCALIBRATED}",
            distance=None,
        )
    spec, treatments = calibration.spec, calibration.prediction_set(probabilities)
    distance = calibration.distance(result.outputs.embedding[0])
    return _Calibrated(
        prediction_set=None
        if treatments is None
        else schemas.PredictionSet(treatments=treatments, coverage=spec.prediction_sets.coverage),
        prediction_set_reason=spec.prediction_sets.reason,
        in_distribution=calibration.in_distribution(
            distance,
            result.mismatch,
            is_usable=not any(notice.is_unusable for notice in result.stack.notices),
        ),
        distribution_reason=spec.out_of_distribution.reason,
        distance=schemas.Distance(value=distance, percentile=calibration.percentile(distance)),
    )


def _heatmap_body(result: StackResult, treatment: str) -> schemas.Heatmap:
    values = _heatmap(result, treatment)
    cell_px = float(result.bundle.manifest.input.min_size_px)
    height, width = values.shape
    return schemas.Heatmap(
        values=values.tolist(),
        height=height,
        width=width,
        scale_px=(cell_px, cell_px),
        max=float(values.max()),
    )


def _stains(result: StackResult, treatment: str) -> schemas.StainAttribution | None:
    """The attribution of one treatment's logit; None where there is none."""
    manifest, attribution = result.bundle.manifest, result.attribution
    if attribution is None:
        return None
    index = manifest.treatments.index(treatment)
    return schemas.StainAttribution(
        values=_by_name(manifest.input.channels, attribution.values[:, index]),
        baseline="field_mean",
        baseline_logit=float(attribution.baseline[index]),
        logit=float(attribution.full[index]),
    )


def _bundle_name(result: StackResult) -> schemas.BundleName:
    manifest = result.bundle.manifest
    return schemas.BundleName(name=manifest.name, version=manifest.version, digest=result.bundle.digest)


def _summary(result: StackResult) -> schemas.StackSummary:
    stack = result.stack
    _, height, width = stack.array.shape
    return schemas.StackSummary(
        channels=stack.channels,
        channel_order=stack.channel_order,
        height=height,
        width=width,
        dtype=stack.array.dtype.name,
        notices=tuple(
            schemas.StackNotice(code=notice.code, channels=notice.channels, detail=notice.detail)
            for notice in (*stack.notices, *_swapped(result))
        ),
    )


def _swapped(result: StackResult) -> list[Notice]:
    """The notice of two channels that fit better in each other's place, where no other notice says what is wrong."""
    calibration, mismatch = result.bundle.calibration, result.mismatch
    if (
        calibration is None
        or mismatch is None
        or not calibration.looks_swapped(mismatch)
        or mismatch.value <= 0
    ):
        return []
    pair = tuple(result.bundle.manifest.input.channels[index] for index in mismatch.channels)
    if any(set(pair) & set(notice.channels) for notice in result.stack.notices):
        return []
    return [
        Notice(
            "swapped_channels",
            pair,
            f"The channels taken as {' and '.join(pair)} fit better in each other's place, by what these stains look"
            " like in the training sites. If they are swapped, say the order: ?channels=NAME,NAME,…",
        )
    ]


def _by_name(names: Sequence[str], values: Float[np.ndarray, " name"]) -> dict[str, float]:
    return dict(zip(names, values.tolist(), strict=True))


def _most_probable(probabilities: dict[str, float]) -> schemas.TreatmentProbability:
    best = max(probabilities, key=probabilities.__getitem__)
    return schemas.TreatmentProbability(treatment=best, probability=probabilities[best])


def _vector(result: StackResult, kind: EmbeddingKind) -> Float32[np.ndarray, " dim"]:
    return (result.outputs.embedding if kind == "embedding" else result.outputs.projection)[0]


def _heatmap(result: StackResult, treatment: str) -> Float32[np.ndarray, "heatmap_y heatmap_x"]:
    return result.outputs.heatmap[0, result.bundle.manifest.treatments.index(treatment)]
