"""A service in a function: it honours the HTTP contract and answers from the pixels it was sent."""

import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import numpy as np
import tifffile

CHANNELS = ("DNA", "RNA")
TREATMENTS = ("EMPTY", "IFN-beta")
DIGEST = "ab" * 32
PNG = b"\x89PNG\r\n\x1a\n-an-overlay"


def problem(
    status: int, code: str, *, headers: dict[str, str] | None = None, **members: str
) -> httpx.Response:
    """An RFC 9457 error answer."""
    body = {
        "type": f"/problems/{code}",
        "title": "A title",
        "status": status,
        "code": code,
        "detail": "A detail.",
    }
    content = json.dumps(body | members).encode()
    return httpx.Response(
        status, headers={"content-type": "application/problem+json"} | (headers or {}), content=content
    )


class FakeService:
    """Handler for `httpx.MockTransport`.

    Attributes:
        requests: Every request received.
        next_answers: Answers to give, in order, before the usual ones.
    """

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.next_answers: list[httpx.Response | Exception] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """The answer to a request."""
        self.requests.append(request)
        if self.next_answers:
            answer = self.next_answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        match request.method, request.url.path:
            case "GET", "/bundle":
                return httpx.Response(200, json=bundle_body())
            case "GET", "/readyz":
                return httpx.Response(200, json={"status": "ready"})
            case "POST", "/predict" | "/embed" | "/explain":
                return self._answer_stack(request)
        return problem(404, "not_found")

    @property
    def stacks(self) -> list[np.ndarray]:
        """Every stack received, `(channel, y, x)`."""
        return [pixels(request) for request in self.requests]

    def _answer_stack(self, request: httpx.Request) -> httpx.Response:
        try:
            stack = pixels(request)
        except tifffile.TiffFileError:
            return problem(415, "not_a_tiff")
        accept = request.headers["accept"]
        if accept == "image/png":
            return httpx.Response(200, headers={"content-type": "image/png"}, content=PNG)
        if accept == "image/tiff":
            file = io.BytesIO()
            tifffile.imwrite(file, stack.sum(axis=0).astype(np.float32))
            return httpx.Response(200, headers={"content-type": "image/tiff"}, content=file.getvalue())
        body = stack_body(stack, request.url.params)
        return httpx.Response(200, json=common_body(stack, request.url.params) | body[request.url.path])


def pixels(request: httpx.Request) -> np.ndarray:
    with tifffile.TiffFile(io.BytesIO(request.content)) as tiff:
        return np.stack([page.asarray() for page in tiff.pages])


def bundle_body() -> dict:
    return {
        "digest": DIGEST,
        "device": "cpu",
        "manifest": {
            "format_version": 3,
            "name": "fake",
            "version": "1",
            "input": {"channels": list(CHANNELS), "downsample": 1, "min_size_px": 32},
            "treatments": list(TREATMENTS),
            "control": "EMPTY",
        },
    }


def common_body(stack: np.ndarray, params: httpx.QueryParams) -> dict:
    channels = params["channels"].split(",") if "channels" in params else list(CHANNELS)
    return {
        "bundle": {"name": "fake", "version": "1", "digest": DIGEST},
        "stack": {
            "channels": channels,
            "channel_order": "query" if "channels" in params else "bundle",
            "height": stack.shape[1],
            "width": stack.shape[2],
            "dtype": stack.dtype.name,
            "notices": [
                dead_channel(name) for name, pixels in zip(channels, stack, strict=False) if is_dead(pixels)
            ],
        },
    }


def is_dead(pixels: np.ndarray) -> bool:
    return bool((pixels == pixels[0, 0]).all())


def dead_channel(name: str) -> dict:
    return {"code": "dead_channel", "channels": [name], "detail": f"All pixels of {name} are equal."}


def stack_body(stack: np.ndarray, params: httpx.QueryParams) -> dict[str, dict]:
    """What follows the common part on each route."""
    prediction = {"treatment": "IFN-beta", "probability": 0.75}
    probabilities = {"EMPTY": 0.25, "IFN-beta": 0.75}
    means = [float(mean) for mean in stack.mean(axis=(1, 2), dtype=np.float32)]
    return {
        "/predict": {
            "prediction": prediction,
            "probabilities": probabilities,
            "logits": {"EMPTY": -0.5, "IFN-beta": 0.5986122886681098},
            "versus_control": {"IFN-beta": 0.875},
            "forest": {**prediction, "probabilities": probabilities},
            "prediction_set": {"treatments": ["IFN-beta"], "coverage": 0.9},
            "prediction_set_reason": None,
            "distribution_reason": None,
            "in_distribution": bool(stack.max() > 0),
            "distance": {"value": 31.25, "percentile": 62.5},
        },
        "/embed": {"kind": params.get("kind", "embedding"), "embedding": means, "dim": len(means)},
        "/explain": {"prediction": prediction} | explanation_body(stack, params),
    }


def explanation_body(stack: np.ndarray, params: httpx.QueryParams) -> dict:
    told = {
        "heatmap": {
            "values": [[0.0, 0.5, 1.0], [0.25, 0.0, 0.125]],
            "height": 2,
            "width": 3,
            "scale_px": [stack.shape[1] / 2, stack.shape[2] / 3],
            "max": 1.0,
        },
        "stains": stains_body(params) if params.get("stains") == "true" else None,
    }
    if params.get("treatment") == "*":
        return {"explanations": dict.fromkeys(TREATMENTS, told)}
    return {"treatment": params.get("treatment", "IFN-beta")} | told


def stains_body(params: httpx.QueryParams) -> dict:
    channels = params["channels"].split(",") if "channels" in params else CHANNELS
    return {
        "values": dict(zip(channels, (1.5, -0.25), strict=True)),
        "baseline": "field_mean",
        "baseline_logit": -0.5,
        "logit": 0.75,
    }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: FakeService

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        request = httpx.Request(
            self.command,
            f"http://{self.headers['host']}{self.path}",
            headers=dict(self.headers),
            content=body,
        )
        answer = self.service(request)
        self.send_response(answer.status_code)
        for name, value in answer.headers.items():
            if name != "content-length":
                self.send_header(name, value)
        self.send_header("content-length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, *_: object) -> None:
        """Nothing: tests read the recorded requests."""


@contextmanager
def listening(service: FakeService) -> Iterator[str]:
    """The service on a real port of this machine; gives its address."""
    handler = type(
        "Handler", (_Handler,), {"service": service, "do_GET": _Handler._answer, "do_POST": _Handler._answer}
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
