"""The two clients: `Client` blocks, `AsyncClient` is awaited; what they share is in `phenoclient.calls`."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import TypeAlias, TypeVar, final

import httpx
import numpy as np
from jaxtyping import Float32

from phenoclient import calls
from phenoclient.calls import Call, EmbeddingKind, transport_errors
from phenoclient.errors import ServiceFailureError
from phenoclient.results import Embedding, Explanation, Prediction, ServedBundle
from phenoclient.retry import DEFAULT_RETRY_POLICY, NO_RETRIES, RetryPolicy
from phenoclient.settings import DEFAULT_TIMEOUT, http_settings, proxy_for
from phenoclient.stacks import StackArgument

Answer = TypeVar("Answer")
Timeout: TypeAlias = float | httpx.Timeout


@final
class Client:
    """A client of one phenoserve service, with a pool of connections that it keeps between requests.

    ```python
    with Client("http://127.0.0.1:8000") as client:
        print(client.predict("stack.tif").prediction)
    ```

    Safe to share between threads. Close it with `close()`, or use it as a context manager.

    Every method that takes a stack takes it as bytes of a TIFF, or a binary file of them; as the path of a TIFF; as
    a sequence of paths of single-channel files, TIFF or PNG, in channel order; or as an array `(channel, y, x)` of
    uint8, uint16 or float32, or a sequence of its channels. `channels` names the stain of every channel of the
    stack, in the stack's order; None leaves the order to the service (names in the file, or the bundle's order).

    Every method raises an error of `phenoclient.errors`, and only of those: `StackArgumentError` before
    anything is sent, `ClosedClientError` once it is closed, `ServiceError` for an error answer, `TransportError`
    when no answer came, `UnreadableAnswerError` when the answer is not phenoserve's.

    Proxies and certificates are those that the environment names (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`,
    `NO_PROXY`, `SSL_CERT_FILE`, `SSL_CERT_DIR`), when the client is made; this machine is asked without a proxy.

    Args:
        base_url: Address of the service, such as `http://127.0.0.1:8000`; a path in it is kept.
        api_key: Key to send with every request; None where the service asks for none.
        timeout: Seconds to connect, to send a part, and to wait for a part of the answer; or an
            `httpx.Timeout`.
        retries: When requests answered with 429 or 503 are sent again; nothing else ever is.
        transport: What carries the requests; None for HTTP over the network.

    Raises:
        SettingsError: If `base_url` is not an http or https address, `api_key` cannot stand in a header, or a
            variable of the environment names a proxy or certificates that cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout: Timeout = DEFAULT_TIMEOUT,
        retries: RetryPolicy = DEFAULT_RETRY_POLICY,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._proxy = proxy_for(base_url) if transport is None else None
        settings = http_settings(base_url, api_key, self._proxy)
        self._http = httpx.Client(**settings, timeout=timeout, transport=transport)
        self._retries = retries

    def predict(self, stack: StackArgument, *, channels: Sequence[str] | None = None) -> Prediction:
        """The probability of every treatment, by every head."""
        return self._send(calls.predict(stack, channels=channels))

    def embed(
        self,
        stack: StackArgument,
        *,
        kind: EmbeddingKind = "embedding",
        channels: Sequence[str] | None = None,
    ) -> Embedding:
        """The pooled encoder features, or with `kind="projection"` the output of the projection head."""
        return self._send(calls.embed(stack, kind=kind, channels=channels))

    def explain(
        self,
        stack: StackArgument,
        *,
        treatment: str | None = None,
        stains: bool = False,
        channels: Sequence[str] | None = None,
    ) -> Explanation:
        """Grad-CAM of a treatment, the predicted one for None, on the feature map's grid.

        With `stains=True` also how much each stain adds to the treatment's logit, for 2^C passes through the
        network instead of one.
        """
        return self._send(calls.explain(stack, treatment=treatment, stains=stains, channels=channels))

    def explain_all(
        self, stack: StackArgument, *, stains: bool = False, channels: Sequence[str] | None = None
    ) -> dict[str, Explanation]:
        """What `explain` says of each treatment, in the order of the logits, for the passes that one takes."""
        return self._send(calls.explain_all(stack, stains=stains, channels=channels))

    def explain_overlay(
        self,
        stack: StackArgument,
        *,
        treatment: str | None = None,
        stains: bool = False,
        channels: Sequence[str] | None = None,
    ) -> bytes:
        """The same Grad-CAM laid over every stain, with `stains=True` a bar a stain below, as a PNG's bytes."""
        return self._send(calls.explain_overlay(stack, treatment=treatment, stains=stains, channels=channels))

    def explain_map(
        self, stack: StackArgument, *, treatment: str | None = None, channels: Sequence[str] | None = None
    ) -> Float32[np.ndarray, "y x"]:
        """The same Grad-CAM at the size of the field, float32 `(y, x)`."""
        return self._send(calls.explain_map(stack, treatment=treatment, channels=channels))

    def bundle(self) -> ServedBundle:
        """Which bundle is served, with its manifest, and on which device."""
        return self._send(calls.bundle())

    def ready(self) -> bool:
        """Whether the service would answer now; asked once. `ServiceUnreachableError` if there is none."""
        try:
            self._send(calls.ready(), NO_RETRIES)
        except ServiceFailureError as error:
            return calls.not_ready_or_raise(error)
        return True

    def close(self) -> None:
        """Closes the connections; the client cannot be used afterwards."""
        self._http.close()

    def __enter__(self) -> "Client":
        calls.check_open(self._http)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._http.close()

    def _send(self, call: Call[Answer], retries: RetryPolicy | None = None) -> Answer:
        def once() -> Answer:
            calls.check_open(self._http)
            request = call.request(self._http)
            with transport_errors(request, self._proxy):
                response = self._http.send(request)
            return call.answer(response)

        return (retries or self._retries).caller()(once)


@final
class AsyncClient:
    """`Client` for asyncio: the same arguments, methods, answers and errors, awaited.

    ```python
    async with AsyncClient("http://127.0.0.1:8000") as client:
        print((await client.predict("stack.tif")).prediction)
    ```

    Files are read, and TIFFs written, in a worker thread. Close it with `aclose()`, or use it as a context
    manager.

    Args:
        base_url: As in `Client`.
        api_key: As in `Client`.
        timeout: As in `Client`.
        retries: As in `Client`.
        transport: What carries the requests; None for HTTP over the network.

    Raises:
        SettingsError: As in `Client`.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout: Timeout = DEFAULT_TIMEOUT,
        retries: RetryPolicy = DEFAULT_RETRY_POLICY,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._proxy = proxy_for(base_url) if transport is None else None
        settings = http_settings(base_url, api_key, self._proxy)
        self._http = httpx.AsyncClient(**settings, timeout=timeout, transport=transport)
        self._retries = retries

    async def predict(self, stack: StackArgument, *, channels: Sequence[str] | None = None) -> Prediction:
        """See `Client.predict`."""
        return await self._send(partial(calls.predict, stack, channels=channels))

    async def embed(
        self,
        stack: StackArgument,
        *,
        kind: EmbeddingKind = "embedding",
        channels: Sequence[str] | None = None,
    ) -> Embedding:
        """See `Client.embed`."""
        return await self._send(partial(calls.embed, stack, kind=kind, channels=channels))

    async def explain(
        self,
        stack: StackArgument,
        *,
        treatment: str | None = None,
        stains: bool = False,
        channels: Sequence[str] | None = None,
    ) -> Explanation:
        """See `Client.explain`."""
        return await self._send(
            partial(calls.explain, stack, treatment=treatment, stains=stains, channels=channels)
        )

    async def explain_all(
        self, stack: StackArgument, *, stains: bool = False, channels: Sequence[str] | None = None
    ) -> dict[str, Explanation]:
        """See `Client.explain_all`."""
        return await self._send(partial(calls.explain_all, stack, stains=stains, channels=channels))

    async def explain_overlay(
        self,
        stack: StackArgument,
        *,
        treatment: str | None = None,
        stains: bool = False,
        channels: Sequence[str] | None = None,
    ) -> bytes:
        """See `Client.explain_overlay`."""
        return await self._send(
            partial(calls.explain_overlay, stack, treatment=treatment, stains=stains, channels=channels)
        )

    async def explain_map(
        self, stack: StackArgument, *, treatment: str | None = None, channels: Sequence[str] | None = None
    ) -> Float32[np.ndarray, "y x"]:
        """See `Client.explain_map`."""
        return await self._send(partial(calls.explain_map, stack, treatment=treatment, channels=channels))

    async def bundle(self) -> ServedBundle:
        """See `Client.bundle`."""
        return await self._send(calls.bundle)

    async def ready(self) -> bool:
        """See `Client.ready`."""
        try:
            await self._send(calls.ready, NO_RETRIES)
        except ServiceFailureError as error:
            return calls.not_ready_or_raise(error)
        return True

    async def aclose(self) -> None:
        """Closes the connections; the client cannot be used afterwards."""
        await self._http.aclose()

    async def __aenter__(self) -> "AsyncClient":
        calls.check_open(self._http)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def _send(self, build: Callable[[], Call[Answer]], retries: RetryPolicy | None = None) -> Answer:
        call = await asyncio.to_thread(build)

        async def once() -> Answer:
            calls.check_open(self._http)
            request = call.request(self._http)
            with transport_errors(request, self._proxy):
                response = await self._http.send(request)
            return call.answer(response)

        return await (retries or self._retries).async_caller()(once)
