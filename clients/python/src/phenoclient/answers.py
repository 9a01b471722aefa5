"""From an answer of 2xx to the value that it holds, strictly by the service's HTTP contract."""

import httpx
import numpy as np
from jaxtyping import Float32

from phenoclient.errors import UnreadableAnswerError
from phenoclient.fields import Fields, request_line
from phenoclient.images import map_of
from phenoclient.results import (
    BundleName,
    Distance,
    Embedding,
    Explanation,
    ForestPrediction,
    Heatmap,
    Prediction,
    PredictionSet,
    ServedBundle,
    StackNotice,
    StackSummary,
    StainAttribution,
    TreatmentProbability,
)


def read_prediction(response: httpx.Response) -> Prediction:
    """The answer of `/predict`."""
    fields = Fields.of(response)
    forest = fields.record("forest")
    return Prediction(
        bundle=_bundle_name(fields),
        stack=_stack_summary(fields),
        prediction=_treatment_probability(fields),
        probabilities=fields.numbers("probabilities"),
        versus_control=fields.numbers("versus_control"),
        forest=ForestPrediction(
            treatment=forest.text("treatment"),
            probability=forest.number("probability"),
            probabilities=forest.numbers("probabilities"),
        ),
        prediction_set=_prediction_set(fields),
        in_distribution=fields.boolean("in_distribution") if fields.has("in_distribution") else None,
        distance=_distance(fields),
        logits=fields.numbers("logits") if fields.has("logits") else None,
        prediction_set_reason=_text_if_any(fields, "prediction_set_reason"),
        distribution_reason=_text_if_any(fields, "distribution_reason"),
    )


def read_embedding(response: httpx.Response) -> Embedding:
    """The answer of `/embed`."""
    fields = Fields.of(response)
    return Embedding(
        bundle=_bundle_name(fields),
        stack=_stack_summary(fields),
        kind=fields.text("kind"),
        embedding=fields.vector("embedding", length=fields.integer("dim")),
        dim=fields.integer("dim"),
    )


def read_explanation(response: httpx.Response) -> Explanation:
    """The answer of `/explain` as JSON."""
    fields = Fields.of(response)
    return _explanation(fields, fields.text("treatment"), fields)


def read_explanations(response: httpx.Response) -> dict[str, Explanation]:
    """The answer of `/explain` for every treatment, in the order of the logits."""
    fields = Fields.of(response)
    told = fields.record("explanations")
    return {treatment: _explanation(fields, treatment, told.record(treatment)) for treatment in told.values}


def read_bytes(response: httpx.Response) -> bytes:
    """The body as it is."""
    return response.content


def read_map(response: httpx.Response) -> Float32[np.ndarray, "y x"]:
    """The float32 map in the answer of `/explain` as TIFF."""
    try:
        return map_of(response.content)
    except ValueError as error:
        raise UnreadableAnswerError(
            f"{request_line(response)} was answered with {error}. Expected a float32 map (y, x): use a "
            "client and a service of matching versions.",
            response=response,
        ) from error


def read_served_bundle(response: httpx.Response) -> ServedBundle:
    """The answer of `GET /bundle`."""
    fields = Fields.of(response)
    manifest = fields.record("manifest")
    return ServedBundle(
        name=manifest.text("name"),
        version=manifest.text("version"),
        digest=fields.text("digest"),
        device=fields.text("device"),
        channels=manifest.record("input").texts("channels"),
        treatments=manifest.texts("treatments"),
        control=manifest.text("control"),
        manifest=manifest.values,
    )


def read_nothing(_response: httpx.Response) -> None:
    """Nothing: the status says it all."""


def _bundle_name(fields: Fields) -> BundleName:
    record = fields.record("bundle")
    return BundleName(name=record.text("name"), version=record.text("version"), digest=record.text("digest"))


def _stack_summary(fields: Fields) -> StackSummary:
    record = fields.record("stack")
    return StackSummary(
        channels=record.texts("channels"),
        channel_order=record.text("channel_order"),
        height=record.integer("height"),
        width=record.integer("width"),
        dtype=record.text("dtype"),
        notices=_notices(record),
    )


def _notices(stack: Fields) -> tuple[StackNotice, ...]:
    if not stack.has("notices"):
        return ()
    return tuple(
        StackNotice(code=notice.text("code"), channels=notice.texts("channels"), detail=notice.text("detail"))
        for notice in stack.records("notices")
    )


def _prediction_set(fields: Fields) -> PredictionSet | None:
    if not fields.has("prediction_set"):
        return None
    record = fields.record("prediction_set")
    return PredictionSet(treatments=record.texts("treatments"), coverage=record.number("coverage"))


def _text_if_any(fields: Fields, name: str) -> str | None:
    return fields.text(name) if fields.has(name) else None


def _distance(fields: Fields) -> Distance | None:
    if not fields.has("distance"):
        return None
    record = fields.record("distance")
    return Distance(value=record.number("value"), percentile=record.number("percentile"))


def _explanation(fields: Fields, treatment: str, told: Fields) -> Explanation:
    """What an answer says of a treatment: `fields` for the stack as a whole, `told` for the treatment."""
    heatmap = told.record("heatmap")
    height, width = heatmap.integer("height"), heatmap.integer("width")
    return Explanation(
        bundle=_bundle_name(fields),
        stack=_stack_summary(fields),
        treatment=treatment,
        prediction=_treatment_probability(fields),
        heatmap=Heatmap(
            values=heatmap.grid("values", height=height, width=width),
            height=height,
            width=width,
            scale_px=heatmap.pair("scale_px"),
            max=heatmap.number("max"),
        ),
        stains=_stain_attribution(told),
    )


def _stain_attribution(fields: Fields) -> StainAttribution | None:
    if not fields.has("stains"):
        return None
    record = fields.record("stains")
    return StainAttribution(
        values=record.numbers("values"),
        baseline_logit=record.number("baseline_logit"),
        logit=record.number("logit"),
    )


def _treatment_probability(fields: Fields) -> TreatmentProbability:
    record = fields.record("prediction")
    return TreatmentProbability(treatment=record.text("treatment"), probability=record.number("probability"))
