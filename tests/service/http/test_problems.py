"""Every error code can be reached, and looks as `problem.py` specifies."""

import hashlib
import io
import logging

import anyio
import httpx
import numpy as np
import pytest
import tifffile

from phenoserve.engine import Engine
from phenoserve.errors import ERRORS, ErrorCode
from phenoserve.http import create_app
from phenoserve.scheduling import Engines, Readiness
from phenoserve.settings import Settings

from .conftest import asking
from .engines import HeldEngine
from .problem import assert_problem

pytestmark = pytest.mark.anyio
TIFF = {"content-type": "image/tiff"}
STACK_ROUTES = ("/predict", "/embed", "/explain")


def tiff(array: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, array, **{"photometric": "minisblack", **options})
    return file.getvalue()


def six(dtype: str = "uint16", size: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 200, (6, size, size)).astype(dtype)


def not_finite() -> np.ndarray:
    array = six("float32")
    array[0, 0, 0] = np.nan
    return array


def overflowing() -> np.ndarray:
    return six("float32") * np.float32(1e36)


async def slowly():
    yield b"II*\0"
    await anyio.sleep(5)


def post(**request: object) -> dict[str, object]:
    return {"method": "POST", "url": "/predict", "headers": TIFF, **request}


def keyed(**headers: str) -> dict[str, object]:
    return post(content=tiff(six()), headers={**TIFF, **headers})


CASES: dict[str, list[dict[str, object]]] = {
    "malformed_request": [
        post(headers={"content-type": "multipart/form-data"}, content=b""),
        post(headers={"content-type": "multipart/form-data; boundary=x"}, content=b"no parts"),
        post(headers={}, files={"image": b"II*\0"}),
        post(headers={**TIFF, "accept": "application/json;q=high"}),
    ],
    "invalid_parameter": [
        post(url="/embed?kind=latent"),
        post(url="/predict?channel=DNA"),
        post(url="/explain?stains=perhaps"),
        *[keyed(**{"x-timeout-ms": text}) for text in ("0", "-1", "1.5", "soon", "")],
        post(url="/explain?stains=true", headers={**TIFF, "accept": "image/tiff"}),
    ],
    "unknown_treatment": [post(url="/explain?treatment=aspirin")],
    "unknown_channels": [post(url=f"{route}?channels=DNA,RNA") for route in STACK_ROUTES],
    "key_missing": [keyed(), {"method": "GET", "url": "/bundle"}, keyed(authorization="Basic abc")],
    "key_wrong": [
        keyed(**{"x-api-key": "guess"}),
        keyed(authorization="Bearer guess"),
        keyed(**{"x-api-key": b"\xff"}),
        keyed(**{"x-api-key": ""}, authorization="Bearer guess"),
    ],
    "key_insufficient": [
        keyed(**{"x-api-key": "admin"}),
        keyed(authorization="bearer admin"),
        {"method": "POST", "url": "/admin/reload", "headers": {"x-api-key": "right"}},
    ],
    "not_found": [{"method": "GET", "url": "/nothing"}, post(url="/predict/"), post(url="/docs/../secret")],
    "method_not_allowed": [{"method": "GET", "url": route} for route in STACK_ROUTES]
    + [{"method": "DELETE", "url": url} for url in ("/", "/bundle", "/livez", "/readyz", "/metrics")],
    "not_acceptable": [
        post(headers={**TIFF, "accept": "image/png"}),
        post(url="/embed", headers={**TIFF, "accept": "application/json;q=0, text/html"}),
        post(url="/explain", headers={"accept": "image/png"}, files=[("stack", tiff(six()))] * 2),
    ],
    "body_too_slow": [post(content=slowly())],
    "body_too_large": [
        post(content=b"x" * 2**20),
        post(headers={}, files=[("stack", b"II*\0")] * 4),
    ],
    "stack_too_large": [post(content=tiff(np.zeros((6, 400, 400), np.uint16), compression="zlib"))],
    "unsupported_media_type": [
        post(headers={"content-type": "image/png"}),
        post(headers={}, content=b"II*\0"),
        post(headers={**TIFF, "content-encoding": "gzip"}, content=b""),
    ],
    "not_a_tiff": [post(content=b"GIF89a"), post(content=b"")],
    "unsupported_codec": [post(content=tiff(six("uint8"), compression="jpeg"))],
    "damaged_tiff": [
        post(content=tiff(six())[:5000]),
        post(headers={}, files=[("stack", tiff(six())), ("stack", b"II*\0\x08\0\0\0")]),
    ],
    "unsupported_pixels": [post(content=tiff(six("int32")))],
    "unsupported_layout": [post(content=tiff(six(), imagej=True, metadata={"axes": "ZYX"}))],
    "wrong_channels": [post(content=tiff(six()[:5]))],
    "ambiguous_channels": [
        post(content=tiff(six(), ome=True, metadata={"axes": "CYX", "Channel": {"Name": ["WGA", *"mnopq"]}}))
    ],
    "field_too_small": [post(content=tiff(six()[:, :63]))],
    "non_finite_pixels": [post(content=tiff(not_finite()))],
    "deviation_too_small": [post(content=tiff((six() * 1e-20).astype(np.float32)))],
    "no_finite_answer": [post(content=tiff(overflowing()))],
    "bundle_refused": [{"method": "POST", "url": "/admin/reload", "headers": {"x-api-key": "right"}}],
    "key_file_refused": [{"method": "POST", "url": "/admin/reload", "headers": {"x-api-key": "right"}}],
    "too_many_requests": [post(content=tiff(six()))],
    "internal_error": [post(content=tiff(six()))],
    "deadline_passed": [keyed(**{"x-timeout-ms": "20"})],
    "worker_died": [post(content=tiff(six()))] * 3,
    "not_ready": [post(content=tiff(six())), {"method": "GET", "url": "/readyz"}],
}
"""Requests that lead to each code."""

LIMITS = {"max_body_mib": 0.9, "max_decoded_mib": 0.8, "max_stacks": 3, "body_timeout_s": 0.2}


class BrokenEngine(Engine):
    """Fails in a way that nobody foresaw, once its golden stacks are replayed."""

    is_broken = False
    error: type[BaseException] = ZeroDivisionError

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.bundle, engine._graph)

    def infer(self, stacks):  # noqa: D102  (the parent's)
        if self.is_broken:
            raise self.error("secret: /srv/bundle/model.onnx")
        return super().infer(stacks)


class DyingEngine(BrokenEngine):
    """Ends the thread that runs it."""

    error = SystemExit


OF_CONNECTIONS = {"head_too_large", "head_too_slow"}
"""Codes that are answered before there is a request; the tests of connections reach them."""


def test_every_code_has_a_case() -> None:
    """The table of errors and the cases below hold the same codes."""
    assert set(CASES) | OF_CONNECTIONS == {str(code) for code in ErrorCode} == {str(code) for code in ERRORS}


@pytest.mark.parametrize("code", CASES)
async def test_the_code_is_reached(code: str, engine: Engine, tmp_path) -> None:
    """Each request is answered with the code of its case, in the one shape of all errors."""
    settings: dict[str, object] = dict(LIMITS)
    if code.startswith("key_") and code != "key_file_refused":
        for setting, key in {"api_keys_file": b"right", "admin_keys_file": b"admin"}.items():
            settings[setting] = tmp_path / setting
            settings[setting].write_text(f"# the office\n{hashlib.sha256(key).hexdigest()}\n")
    if code in {"bundle_refused", "key_file_refused"}:
        settings["admin_keys_file"] = tmp_path / "keys"
        settings["admin_keys_file"].write_text(hashlib.sha256(b"right").hexdigest())
    kinds = {"internal_error": BrokenEngine, "worker_died": DyingEngine, "deadline_passed": HeldEngine}
    served = kinds[code](engine) if code in kinds else engine
    nowhere = tmp_path / "nowhere" if code == "bundle_refused" else None
    app = create_app(Engines.of(served), Settings(**settings), bundle_path=nowhere)
    async with asking(app) as client:
        if code in {"internal_error", "worker_died"}:
            served.is_broken = True
        if code == "deadline_passed":
            served.gate.clear()
        if code == "key_file_refused":
            settings["admin_keys_file"].write_text("no digest")
        if code == "not_ready":
            app.service.scheduler.readiness = Readiness.GOLDEN_MISMATCH
        if code == "too_many_requests":
            app.service.scheduler.admission.num_requests = app.service.settings.max_in_flight
        for request in CASES[code]:
            assert_problem(await client.request(**request), code)
        if code == "deadline_passed":
            served.gate.set()


async def test_an_incident_tells_nothing_but_its_id(engine: Engine, caplog) -> None:
    """An unforeseen failure is logged once, traceback and all, under the id that is all the answer tells."""
    served = BrokenEngine(engine)
    async with asking(create_app(Engines.of(served), Settings())) as client:
        served.is_broken = True
        with caplog.at_level(logging.ERROR):
            response = await client.post("/explain", content=tiff(six()), headers=TIFF)
    assert_problem(response, "internal_error")
    assert "secret" not in response.text
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert response.json()["incident"] in record.getMessage()
    assert record.exc_info is not None


async def test_a_known_key_is_let_in(engine: Engine, tmp_path) -> None:
    """A key whose digest is in the file is let in, by either header."""
    keys = tmp_path / "keys"
    keys.write_text(hashlib.sha256("schlüssel".encode()).hexdigest())
    async with asking(create_app(Engines.of(engine), Settings(api_keys_file=keys))) as client:
        for headers in ({"x-api-key": "schlüssel".encode()}, {"authorization": "Bearer schlüssel".encode()}):
            assert (await client.get("/bundle", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("key", "challenge"),
    {
        None: "Bearer",
        "guess": 'Bearer error="invalid_token"',
        "admin": 'Bearer error="insufficient_scope"',
    }.items(),
)
async def test_a_refused_key_is_challenged(engine: Engine, tmp_path, key: str | None, challenge: str) -> None:
    """The challenge is that of RFC 6750, section 3: bare without a key, else with what is wrong with the one sent."""
    files = {name: tmp_path / name for name in ("right", "admin")}
    for name, path in files.items():
        path.write_text(hashlib.sha256(name.encode()).hexdigest())
    settings = Settings(api_keys_file=files["right"], admin_keys_file=files["admin"])
    async with asking(create_app(Engines.of(engine), settings)) as client:
        answer = await client.get("/bundle", headers={} if key is None else {"x-api-key": key})
    assert answer.headers["www-authenticate"] == challenge


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("x-api-key", "right"), ("x-api-key", "right")], 200),
        ([("x-api-key", "right"), ("authorization", "Bearer right")], 200),
        ([("x-api-key", "right"), ("authorization", "Basic abc")], 200),
        ([("x-api-key", "right"), ("x-api-key", "guess")], 400),
        ([("authorization", "Bearer right"), ("authorization", "Bearer guess")], 400),
        ([("x-api-key", "right"), ("authorization", "Bearer guess")], 400),
    ],
)
async def test_no_key_is_chosen_among_several(engine: Engine, tmp_path, headers, status: int) -> None:
    """A key sent twice is one key; two different ones are refused, whichever headers they are in."""
    keys = tmp_path / "keys"
    keys.write_text(hashlib.sha256(b"right").hexdigest())
    async with asking(create_app(Engines.of(engine), Settings(api_keys_file=keys))) as client:
        answer = await client.get("/bundle", headers=headers)
    assert answer.status_code == status
    if status != 200:
        assert_problem(answer, "malformed_request")


async def test_health_needs_no_key(engine: Engine, tmp_path) -> None:
    """Health, metrics, page and documentation are open where keys are asked for."""
    keys = tmp_path / "keys"
    keys.write_text(hashlib.sha256(b"key").hexdigest())
    async with asking(create_app(Engines.of(engine), Settings(api_keys_file=keys))) as client:
        for path in ("/livez", "/readyz", "/metrics", "/", "/docs", "/openapi.json"):
            assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize("readiness", sorted(set(Readiness) - {Readiness.READY}))
async def test_readiness_says_what_is_not_ready(engine: Engine, readiness: Readiness) -> None:
    """`/readyz` is 503 with a reason of its own for whatever keeps the service from being ready."""
    app = create_app(Engines.of(engine), Settings())
    async with asking(app) as client:
        app.service.scheduler.readiness = readiness
        detail = assert_problem(await client.get("/readyz"), "not_ready")
    telling = {"starting": "replayed", "golden_mismatch": "golden", "worker_died": "died", "draining": "stop"}
    assert telling[readiness] in detail


async def test_errors_are_problems_whatever_is_accepted(engine: Engine) -> None:
    """An error is a problem even for a client that accepts only pictures."""
    async with asking(create_app(Engines.of(engine), Settings())) as client:
        response: httpx.Response = await client.post(
            "/explain", content=b"no", headers={**TIFF, "accept": "image/png"}
        )
    assert_problem(response, "not_a_tiff")
