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
from phenoserve.http.request.headers import list_header, negotiate
from phenoserve.http.routes.openapi import STACK_BODY, stack_responses
from phenoserve.http.stack_requests import Service
from phenoserve.scheduling import Engines

EXPLAIN_TYPES: Final = (render.JSON, render.PNG, render.TIFF)
"""Media types of `/explain`, the default first."""

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
        return await service.answer(
            request, service.engines, {render.JSON: render.predict_json}, query.channels
        )

    @router.post(
        "/embed",
        summary="The numbers the encoder sees a stack as",
        responses=stack_responses(schemas.EmbedAnswer | schemas.EmbedAnswers, render.NPY),
        openapi_extra=STACK_BODY,
    )
    async def embed(request: Request, query: Annotated[EmbedQuery, Query()]) -> Response:
        renders = {render.JSON: render.embed_json(query.kind), render.NPY: render.embed_raw(query.kind)}
        return await service.answer(request, service.engines, renders, query.channels)

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
        treatments = engines.bundle.manifest.treatments
        if query.treatment == ALL_TREATMENTS:
            _require_json(list_header(request, "accept"))
        elif query.treatment is not None and query.treatment not in treatments:
            raise RequestError(
                ErrorCode.UNKNOWN_TREATMENT,
                f"treatment is {query.treatment!r}; the bundle knows {', '.join(treatments)}.",
            )
        if query.stains:
            _require_attributable(engines, list_header(request, "accept"))
        return await service.answer(
            request,
            engines,
            _explain_renders(query.treatment),
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


def _explain_renders(treatment: str | None) -> dict[str, render.Render]:
    if treatment == ALL_TREATMENTS:
        return {render.JSON: render.explain_all_json}
    return {
        render.JSON: render.explain_json(treatment),
        render.PNG: render.explain_png(treatment),
        render.TIFF: render.explain_tiff(treatment),
    }


def _require_json(accept: str | None) -> None:
    """Refuse a picture or map of every treatment."""
    media_type = negotiate(accept, EXPLAIN_TYPES)
    if media_type != render.JSON:
        raise RequestError(
            ErrorCode.INVALID_PARAMETER,
            f"treatment is {ALL_TREATMENTS!r}, and {media_type} shows one treatment. Accept {render.JSON}, or name "
            "one.",
        )


def _require_attributable(engines: Engines, accept: str | None) -> None:
    """Refuse an attribution that no answer can hold, or that takes too many passes."""
    if negotiate(accept, EXPLAIN_TYPES) == render.TIFF:
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
