"""The bodies of the answers, as they stand in the OpenAPI document."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from phenoserve.bundle import Precision
from phenoserve.engine import ActiveDevice
from phenoserve.errors import ErrorCode
from phenoserve.http.request.channels import ChannelOrder
from phenoserve.stack import NoticeCode


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BundleName(_Body):
    """The bundle that answered."""

    name: str
    version: str
    digest: str = Field(description="SHA-256 of its manifest, in hex: one digest is one model")


class StackNotice(_Body):
    """What whoever reads an answer should know of its stack; the answer may be worth nothing."""

    code: NoticeCode
    channels: tuple[str, ...] = Field(description="stains that it is about")
    detail: str = Field(description="a sentence: what was found, and what to do")


class StackSummary(_Body):
    """How the stack was read."""

    channels: tuple[str, ...] = Field(description="stains in the order the file's channels were taken in")
    channel_order: ChannelOrder = Field(description="where that order came from")
    height: int = Field(description="pixels")
    width: int = Field(description="pixels")
    dtype: str
    notices: tuple[StackNotice, ...] = Field(description="empty where nothing was noticed")


class TreatmentProbability(_Body):
    """The most probable treatment."""

    treatment: str
    probability: float


class ForestPrediction(TreatmentProbability):
    """What the random forest on the embedding says."""

    probabilities: dict[str, float]


class Answer(_Body):
    """What every answer to a stack starts with."""

    bundle: BundleName
    stack: StackSummary


class PredictionSet(_Body):
    """The treatments that the stack is compatible with."""

    treatments: tuple[str, ...] = Field(description="may be empty, when the stack is unlike all of them")
    coverage: float = Field(description="share of the sites of each treatment whose set is meant to hold it")


class Distance(_Body):
    """How far the stack's embedding lies from those of the training sites."""

    value: float = Field(description="in standard deviations of the embedding's numbers; at least 0")
    percentile: float = Field(description="share of the validation controls as near or nearer, in percent")


class PredictAnswer(Answer):
    """Answer of `/predict`."""

    prediction: TreatmentProbability = Field(description="of the classifier head")
    probabilities: dict[str, float] = Field(
        description="of every treatment, the control among them; sum to 1"
    )
    logits: dict[str, float] = Field(
        description="of every treatment, before the softmax that makes the probabilities of them"
    )
    versus_control: dict[str, float] = Field(
        description="of every treatment, against the control alone; do not sum to 1"
    )
    forest: ForestPrediction
    prediction_set: PredictionSet | None = Field(
        description="null where the bundle was calibrated on too few wells, or not at all"
    )
    prediction_set_reason: str | None = Field(
        description="why there is no prediction set; null where there is"
    )
    in_distribution: bool | None = Field(
        description="whether the stack is like what the model learned from; null where the bundle was calibrated on too"
        " few wells, or not at all"
    )
    distribution_reason: str | None = Field(description="why in_distribution is null; null where it is not")
    distance: Distance | None = Field(description="null where the bundle has no calibration")


class EmbedAnswer(Answer):
    """Answer of `/embed`."""

    kind: str
    embedding: list[float]
    dim: int


class Heatmap(_Body):
    """Grad-CAM of one treatment on the grid of the encoder's last feature map."""

    values: list[list[float]] = Field(description="rows of cells, not negative")
    height: int = Field(description="cells")
    width: int = Field(description="cells")
    scale_px: tuple[float, float] = Field(description="raw pixels a cell, along y and along x")
    max: float


class StainAttribution(_Body):
    """What each stain adds to the logit of the treatment explained: exact Shapley values."""

    values: dict[str, float] = Field(description="by stain; they sum to logit - baseline_logit")
    baseline: Literal["field_mean"] = Field(
        description="what a removed stain is: its own mean in this field, everywhere"
    )
    baseline_logit: float = Field(description="with every stain removed so")
    logit: float = Field(description="with every stain as it is")


class ExplainAnswer(Answer):
    """Answer of `/explain` as JSON."""

    treatment: str = Field(description="the treatment explained")
    prediction: TreatmentProbability
    heatmap: Heatmap
    stains: StainAttribution | None = Field(description="null unless `stains` was true")


class Explanation(_Body):
    """What speaks for one treatment."""

    heatmap: Heatmap
    stains: StainAttribution | None = Field(description="null unless `stains` was true")


class ExplainAllAnswer(Answer):
    """Answer of `/explain` as JSON where `treatment` is `*`."""

    prediction: TreatmentProbability
    explanations: dict[str, Explanation] = Field(description="by treatment, in the order of the logits")


class PredictAnswers(_Body):
    """Answer of `/predict` to a multipart request, in the order of its parts."""

    answers: list[PredictAnswer]


class EmbedAnswers(_Body):
    """Answer of `/embed` to a multipart request, in the order of its parts."""

    answers: list[EmbedAnswer]


class ExplainAnswers(_Body):
    """Answer of `/explain` to a multipart request, in the order of its parts."""

    answers: list[ExplainAnswer] | list[ExplainAllAnswer]


class Example(_Body):
    """One example stack of the bundle."""

    url: str = Field(description="where its TIFF is, relative to the service's address")
    height: int = Field(description="pixels")
    width: int = Field(description="pixels")
    dtype: str


class ExamplesAnswer(_Body):
    """Answer of `GET /examples`."""

    examples: list[Example]


class BundleAnswer(_Body):
    """Answer of `GET /bundle`."""

    manifest: dict[str, Any] = Field(description="manifest.json as it stands in the bundle")
    digest: str
    device: ActiveDevice
    precision: Precision = Field(description="that of the graph that answers")


class ReloadAnswer(_Body):
    """Answer of `POST /admin/reload`."""

    status: Literal["reloaded", "unchanged"] = Field(
        description="unchanged if that very bundle served already"
    )
    bundle: BundleName


class Status(_Body):
    """Answer of the health checks."""

    status: str


def _without_default(schema: dict[str, Any]) -> None:
    """Leave out the default of a field that is absent, never null."""
    del schema["default"]


class ProblemKind(_Body):
    """A kind of error: what is the same for every error with its code."""

    type: str
    code: ErrorCode
    status: int
    title: str


class ProblemBody(BaseModel):
    """Body of every error (RFC 9457)."""

    type: str
    title: str
    status: int
    code: ErrorCode
    detail: str
    incident: str | SkipJsonSchema[None] = Field(
        None,
        description="of a 500 alone: the id under which the service's log says more",
        json_schema_extra=_without_default,
    )
