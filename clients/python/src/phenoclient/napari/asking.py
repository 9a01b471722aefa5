"""What the plugin asks the service."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import httpx

from phenoclient.client import AsyncClient
from phenoclient.errors import PhenoclientError
from phenoclient.napari.planes import Plane, read_stack
from phenoclient.results import Explanation, Prediction, ServedBundle
from phenoclient.settings import CONNECT_TIMEOUT_S

# All subsets of the stains of a large field take minutes on a CPU, and the user can cancel.
_TIMEOUT = httpx.Timeout(900.0, connect=CONNECT_TIMEOUT_S)


@dataclass(frozen=True)
class Service:
    """Where to ask.

    Attributes:
        url: Address of the service.
        api_key: Key to send; None where the service asks for none.
    """

    url: str
    api_key: str | None = None

    def client(self) -> AsyncClient:
        """A client of it.

        Raises:
            ValueError: If the address or the key cannot be used.
        """
        return AsyncClient(self.url, api_key=self.api_key, timeout=_TIMEOUT)


@dataclass(frozen=True, eq=False)
class Answer:
    """What the service says of a stack.

    Attributes:
        planes: The planes that were sent, in the order of the stains.
        order_origin: How it was told which plane shows which stain.
        prediction: What `/predict` says.
        explanations: What `/explain` says of every treatment, in the order of the logits.
    """

    planes: Sequence[Plane]
    order_origin: str
    prediction: Prediction
    explanations: Mapping[str, Explanation]


async def ask_for_bundle(service: Service) -> ServedBundle:
    """Which bundle is served.

    Raises:
        PhenoclientError: As `AsyncClient.bundle`.
        ValueError: As `Service.client`.
    """
    async with service.client() as client:
        return await client.bundle()


async def ask_about(
    planes: Sequence[Plane],
    service: Service,
    stains: Sequence[str],
    *,
    order_origin: str,
    with_attribution: bool,
) -> Answer:
    """Prediction and every treatment's explanation of a stack.

    Args:
        planes: Planes of one field, one for each of `stains`.
        service: Where to ask.
        stains: Stain of every plane; sent along, so the order in which the bundle has them does not matter.
        order_origin: How it was told which plane shows which stain; kept in the answer.
        with_attribution: Whether to ask which stains speak for each treatment.

    Raises:
        PhenoclientError: As `AsyncClient.explain_all`; or if the bundle was exchanged between the two answers.
        ValueError: As `Service.client`.
    """
    stack = await asyncio.to_thread(read_stack, planes)
    async with service.client() as client:
        prediction = await client.predict(stack, channels=stains)
        explanations = await client.explain_all(stack, stains=with_attribution, channels=stains)
    answer = Answer(planes, order_origin, prediction, explanations)
    if {answer.prediction.bundle.digest} != {each.bundle.digest for each in answer.explanations.values()}:
        raise PhenoclientError("The service exchanged its bundle while it answered. Run again.")
    return answer
