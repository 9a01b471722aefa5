"""The bundle's golden stacks as TIFFs: examples to try the service with."""

import io
from collections.abc import Sequence
from threading import Lock

import numpy as np
from fastapi import APIRouter, Response
from jaxtyping import Shaped
from PIL import Image

from phenoserve.errors import ErrorCode
from phenoserve.http.answer import schemas
from phenoserve.http.answer.render import TIFF
from phenoserve.http.problems import RequestError
from phenoserve.http.routes.openapi import BINARY, problem_responses
from phenoserve.http.stack_requests import Service


def example_router(service: Service) -> APIRouter:
    """The routes, answering from a service."""
    written = _Written()
    router = APIRouter(tags=["examples"], dependencies=service.guards)

    def stacks() -> Sequence[np.ndarray]:
        return service.engines.bundle.golden.stacks  # of the bundle that serves now: it may be replaced

    @router.get(
        "/examples", summary="The bundle's example stacks, in order", responses=problem_responses(401, 403)
    )
    async def examples() -> schemas.ExamplesAnswer:
        return schemas.ExamplesAnswer(
            examples=[
                schemas.Example(
                    url=f"examples/{index}.tif",
                    height=stack.shape[1],
                    width=stack.shape[2],
                    dtype=stack.dtype.name,
                )
                for index, stack in enumerate(stacks())
            ]
        )

    @router.get(
        "/examples/{index}.tif",
        summary="One example stack",
        response_class=Response,
        responses=problem_responses(400, 401, 403, 404) | {200: {"content": {TIFF: {"schema": BINARY}}}},
    )
    def example(index: int) -> Response:
        served = stacks()
        if not 0 <= index < len(served):
            raise RequestError(
                ErrorCode.NOT_FOUND, f"The bundle has the examples 0 to {len(served) - 1}; not {index}."
            )
        return Response(written.tiff(served, index), media_type=TIFF)

    return router


class _Written:
    """The TIFFs of one bundle's stacks, each made when it is first asked for and shared from then on."""

    def __init__(self) -> None:
        self._stacks: Sequence[np.ndarray] = ()
        self._tiffs: dict[int, bytes] = {}
        self._lock = Lock()

    def tiff(self, stacks: Sequence[np.ndarray], index: int) -> bytes:
        """Return one stack as a TIFF.

        Args:
            stacks: Those of the bundle that serves; of others than the last ones all is made anew.
            index: Which of them.
        """
        with self._lock:
            if stacks is not self._stacks:
                self._stacks, self._tiffs = stacks, {}
            if index not in self._tiffs:
                self._tiffs[index] = stack_tiff(stacks[index])
            return self._tiffs[index]


def stack_tiff(stack: Shaped[np.ndarray, "channel y x"]) -> bytes:
    """Write a stack as an uncompressed TIFF of a page a channel.

    Args:
        stack: uint8, uint16 or float32 intensities.
    """
    first, *others = (Image.fromarray(np.ascontiguousarray(plane)) for plane in stack)
    file = io.BytesIO()
    first.save(file, "TIFF", save_all=True, append_images=others)
    return file.getvalue()
