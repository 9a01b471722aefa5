"""The three routes that take stacks: `/predict`, `/embed`, `/explain`."""

from collections import Counter
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from phenoserve.engine.attribution import MAX_CHANNELS
from phenoserve.errors import ErrorCode
from phenoserve.http.answer import render, schemas
from phenoserve.http.problems import RequestError
from phenoserve.http.request.headers import negotiate
from phenoserve.http.routes.openapi import STACK_BODY, stack_responses
from phenoserve.http.stack_requests import Service
from phenoserve.scheduling import Engines

ALL_TREATMENTS: Final = "*"
"""The value of `treatment` that explains every one of them."""


class StackQuery(BaseModel):
    """Parameters of every route that takes stacks; an unknown one is refused, as it is a slip of the pen."""

    model_config = ConfigDict(extra="forbid")

    channels: str | SkipJsonSchema[None] = Field(
        None,
        description="The bundle's stains, separated by commas, in the order of the file's channels.",
        examples=["DNA,RNA"],
    )


class EmbedQuery(StackQuery):
    """Parameters of `/embed`."""

    kind: Literal["embedding", "projection"] = Field(
        "embedding", description="Pooled encoder features, or the L2-normalised projection."
    )


class ExplainQuery(StackQuery):
    """Parameters of `/explain`."""

    treatment: str | SkipJsonSchema[None] = Field(
        None,
        description="The treatment to explain; the predicted one by default, `*` all of them (as JSON).",
    )
    stains: bool = Field(
        False,
        description="Also tell how much each stain adds to the treatment's logit: exact Shapley values, at the cost "
        "of 2^C passes through the network for C stains.",
    )


def stack_router(service: Service) -> APIRouter:
    """The routes, answering from a service."""
    router = APIRouter(tags=["stacks"], dependencies=[*service.guards, Depends(_require_single_parameters)])

    @router.post(
        "/predict",
        summary="Which treatment a stack shows",
        responses=stack_responses(schemas.PredictAnswer | schemas.PredictAnswers),
        openapi_extra=STACK_BODY,
    )
    async def predict(request: Request, query: Annotated[StackQuery, Query()]) -> Response:
        media_type = negotiate(request, [render.JSON])
        return await service.respond(
            request, service.engines, media_type, render.predict_json, query.channels
        )

    @router.post(
        "/embed",
        summary="The numbers the encoder sees a stack as",
        responses=stack_responses(schemas.EmbedAnswer | schemas.EmbedAnswers, render.NPY),
        openapi_extra=STACK_BODY,
    )
    async def embed(request: Request, query: Annotated[EmbedQuery, Query()]) -> Response:
        media_type = negotiate(request, [render.JSON, render.NPY])
        word = render.embed_raw if media_type == render.NPY else render.embed_json
        return await service.respond(request, service.engines, media_type, word(query.kind), query.channels)

    @router.post(
        "/explain",
        summary="Where in a stack the evidence for a treatment lies",
        responses=stack_responses(
            schemas.ExplainAnswer | schemas.ExplainAllAnswer | schemas.ExplainAnswers, render.PNG, render.TIFF
        ),
        openapi_extra=STACK_BODY,
    )
    async def explain(request: Request, query: Annotated[ExplainQuery, Query()]) -> Response:
        engines = service.engines
        media_type = negotiate(request, [render.JSON, render.PNG, render.TIFF])
        _check_treatment(query.treatment, engines, media_type)
        if query.stains:
            _check_attributable(engines, media_type)
        return await service.respond(
            request,
            engines,
            media_type,
            _explain_render(query.treatment, media_type),
            query.channels,
            attribute_stains=query.stains,
        )

    return router


async def _require_single_parameters(request: Request) -> None:
    """Refuse a parameter that is given twice: the framework keeps the last and drops the others."""
    for name, count in Counter(name for name, _ in request.query_params.multi_items()).items():
        if count > 1:
            raise RequestError(
                ErrorCode.INVALID_PARAMETER,
                f"{name} is given {count} times; expected once. Leave out the others.",
            )


def _explain_render(treatment: str | None, media_type: str) -> render.Render:
    if treatment == ALL_TREATMENTS:
        return render.explain_all_json
    renders = {
        render.JSON: render.explain_json,
        render.PNG: render.explain_png,
        render.TIFF: render.explain_tiff,
    }
    return renders[media_type](treatment)


def _check_treatment(treatment: str | None, engines: Engines, media_type: str) -> None:
    """Refuse a treatment that the bundle does not know, and a picture or map of every treatment."""
    treatments = engines.bundle.manifest.treatments
    if treatment == ALL_TREATMENTS and media_type != render.JSON:
        raise RequestError(
            ErrorCode.INVALID_PARAMETER,
            f"treatment is {ALL_TREATMENTS!r}, and {media_type} shows one treatment. Accept {render.JSON}, or name "
            "one.",
        )
    if treatment not in (None, ALL_TREATMENTS, *treatments):
        raise RequestError(
            ErrorCode.UNKNOWN_TREATMENT,
            f"treatment is {treatment!r}; the bundle knows {', '.join(treatments)}.",
        )


def _check_attributable(engines: Engines, media_type: str) -> None:
    """Refuse an attribution that no answer can hold, or that takes too many passes."""
    if media_type == render.TIFF:
        raise RequestError(
            ErrorCode.INVALID_PARAMETER,
            f"stains is true, and {render.TIFF} holds the heatmap alone. Accept {render.JSON} for the numbers, or "
            f"{render.PNG} for bars below the overlay; or leave stains out.",
        )
    num_stains = len(engines.bundle.manifest.input.channels)
    if num_stains > MAX_CHANNELS:
        raise RequestError(
            ErrorCode.INVALID_PARAMETER,
            f"stains is true, and the bundle has {num_stains} stains; at most {MAX_CHANNELS} can be attributed, as "
            "each doubles the passes through the network. Leave stains out.",
        )
