"""Requests to the service, without any input or output of their own: what both clients share."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Generic, Literal, TypeAlias, TypeVar

import httpx
import numpy as np
from jaxtyping import Float32

from phenoclient import answers
from phenoclient.answers import request_line
from phenoclient.errors import (
    ClosedClientError,
    ServiceFailureError,
    ServiceTimeoutError,
    ServiceUnreachableError,
    StackArgumentError,
    UnreadableAnswerError,
)
from phenoclient.problems import error_of
from phenoclient.results import Embedding, Explanation, Prediction, ServedBundle
from phenoclient.settings import Proxy
from phenoclient.stacks import StackArgument, stack_tiff

Answer = TypeVar("Answer")
EmbeddingKind: TypeAlias = Literal["embedding", "projection"]

_JSON = "application/json"
_PNG = "image/png"
_TIFF = "image/tiff"
_EVERY_TREATMENT = "*"


@dataclass(frozen=True)
class Call(Generic[Answer]):
    """One request to the service, and how its answer is read.

    Attributes:
        method: HTTP method.
        path: Path below the service's base URL.
        read: Makes the value out of an answer of 2xx.
        accept: Media type asked for.
        params: Query parameters.
        body: TIFF to send; None for a request without a body.
    """

    method: str
    path: str
    read: Callable[[httpx.Response], Answer]
    accept: str = _JSON
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes | None = None

    def request(self, http: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        """The request, with the base URL, timeout and headers of an HTTP client."""
        headers = {"accept": self.accept} | ({} if self.body is None else {"content-type": _TIFF})
        return http.build_request(
            self.method, self.path, params=dict(self.params), headers=headers, content=self.body
        )

    def answer(self, response: httpx.Response) -> Answer:
        """The value in an answer whose body has been read.

        Raises:
            ServiceError: If the answer is an error.
            UnreadableAnswerError: If it is neither an error nor what phenoserve answers.
        """
        if response.is_error:
            raise error_of(response)
        if not response.is_success:
            raise UnreadableAnswerError(self._redirection(response), response=response)
        found = response.headers.get("content-type", "")
        if found.partition(";")[0].strip().lower() != self.accept:
            raise UnreadableAnswerError(
                f"{request_line(response)} was answered with {found or 'no content type'}. Expected "
                f"{self.accept} from a phenoserve service: check the base URL.",
                response=response,
            )
        return self.read(response)

    def _redirection(self, response: httpx.Response) -> str:
        """What to say of an answer without content, and by which base URL the service is asked where it leads to."""
        target, _, _ = response.headers.get("location", "").partition("?")
        leads = f" that leads to {target}" if target else ""
        address = target.removesuffix(self.path)
        is_known = address != target and address.startswith(("http://", "https://"))
        advice = f"use {address} as the base URL" if is_known else "check the base URL"
        return (
            f"{request_line(response)} was answered with {response.status_code}{leads}. Expected the service itself: "
            f"{advice}."
        )


def check_open(http: httpx.Client | httpx.AsyncClient) -> None:
    """Raises `ClosedClientError` where a client has been closed."""
    if http.is_closed:
        raise ClosedClientError("The client is closed. Expected an open one: make another.")


@contextmanager
def transport_errors(request: httpx.Request, proxy: Proxy | None) -> Generator[None]:
    """Raises the failures of a connection, by way of a proxy or directly, as phenoclient's own errors.

    Raises:
        ServiceTimeoutError: If the service was too slow.
        ServiceUnreachableError: If the connection failed otherwise.
    """
    service = f"{request.url.scheme}://{request.url.netloc.decode('ascii')}"
    try:
        yield
    except httpx.TimeoutException as error:
        raise ServiceTimeoutError(
            f"No answer from {service} in time ({type(error).__name__}). Expected one within the client's "
            "timeout: raise it, or see whether the service is busy."
        ) from error
    except (httpx.TransportError, UnicodeError) as error:  # UnicodeError: a name that no host can have
        reason = str(error) or type(error).__name__
        advice = "Expected a running service: start it, or check the base URL."
        if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
            advice = (
                "Expected a whole answer of phenoserve's: see in its log why it ended, or check the base URL."
            )
        if "CERTIFICATE_VERIFY_FAILED" in reason:
            advice = "Expected a certificate of a known authority: let SSL_CERT_FILE name the file of your institute's."
        elif proxy is not None:
            advice = (
                f"It was asked by way of the proxy that {proxy.source} names. Expected the proxy to pass it on: "
                f"correct {proxy.source}, or add {request.url.host} to NO_PROXY."
            )
        raise ServiceUnreachableError(f"No answer from {service} ({reason}). {advice}") from error
    except httpx.DecodingError as error:
        raise ServiceUnreachableError(
            f"The answer from {service} is broken ({error}). Expected one of phenoserve's: check the base URL, and "
            "what lies between."
        ) from error


def predict(stack: StackArgument, *, channels: Sequence[str] | None) -> Call[Prediction]:
    """`POST /predict` of a stack."""
    return Call("POST", "/predict", answers.read_prediction, params=_params(channels), body=stack_tiff(stack))


def embed(stack: StackArgument, *, kind: EmbeddingKind, channels: Sequence[str] | None) -> Call[Embedding]:
    """`POST /embed` of a stack."""
    return Call(
        "POST", "/embed", answers.read_embedding, params=_params(channels, kind=kind), body=stack_tiff(stack)
    )


def explain(
    stack: StackArgument, *, treatment: str | None, stains: bool, channels: Sequence[str] | None
) -> Call[Explanation]:
    """`POST /explain` of a stack, as JSON."""
    return Call(
        "POST",
        "/explain",
        answers.read_explanation,
        params=_params(channels, treatment=treatment, stains=stains),
        body=stack_tiff(stack),
    )


def explain_all(
    stack: StackArgument, *, stains: bool, channels: Sequence[str] | None
) -> Call[dict[str, Explanation]]:
    """`POST /explain` of a stack for every treatment, as JSON."""
    return Call(
        "POST",
        "/explain",
        answers.read_explanations,
        params=_params(channels, treatment=_EVERY_TREATMENT, stains=stains),
        body=stack_tiff(stack),
    )


def explain_overlay(
    stack: StackArgument, *, treatment: str | None, stains: bool, channels: Sequence[str] | None
) -> Call[bytes]:
    """`POST /explain` of a stack, as a PNG."""
    return Call(
        "POST",
        "/explain",
        answers.read_bytes,
        accept=_PNG,
        params=_params(channels, treatment=treatment, stains=stains),
        body=stack_tiff(stack),
    )


def explain_map(
    stack: StackArgument, *, treatment: str | None, channels: Sequence[str] | None
) -> Call[Float32[np.ndarray, "y x"]]:
    """`POST /explain` of a stack, as a TIFF."""
    return Call(
        "POST",
        "/explain",
        answers.read_map,
        accept=_TIFF,
        params=_params(channels, treatment=treatment),
        body=stack_tiff(stack),
    )


def bundle() -> Call[ServedBundle]:
    """`GET /bundle`."""
    return Call("GET", "/bundle", answers.read_served_bundle)


def ready() -> Call[None]:
    """`GET /readyz`."""
    return Call("GET", "/readyz", answers.read_nothing)


def not_ready_or_raise(error: ServiceFailureError) -> Literal[False]:
    """False for the answer of a service that is not ready; any other failure is raised again."""
    if error.status != HTTPStatus.SERVICE_UNAVAILABLE:
        raise error
    return False


def _params(channels: Sequence[str] | None, *, stains: bool = False, **others: str | None) -> dict[str, str]:
    if isinstance(channels, str):
        raise StackArgumentError(
            f"channels={channels!r}. Expected a sequence of stain names: pass a list or a tuple."
        )
    names = None if channels is None else list(channels)
    for name in [*(names or ()), *(value for value in others.values() if value is not None)]:
        if not _can_be_sent(name):
            raise StackArgumentError(f"{name!r} was passed as a name. Expected text that UTF-8 can hold.")
    given = {
        "channels": None if names is None else ",".join(names),
        "stains": "true" if stains else None,
        **others,
    }
    return {name: value for name, value in given.items() if value is not None}


def _can_be_sent(name: object) -> bool:
    try:
        return isinstance(name, str) and bool(name.encode() or True)
    except UnicodeEncodeError:
        return False
