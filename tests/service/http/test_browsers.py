"""What browsers are told: security headers, origins, and a documentation that needs no other host."""

import re

import pytest

from phenoserve.http.security_headers import SECURITY_HEADERS

from .conftest import encode_tiff
from .problem import assert_problem

pytestmark = pytest.mark.anyio
ORIGIN = "https://lab.example"


async def test_every_answer_has_the_security_headers(ask, array) -> None:
    """Answers, errors, page, files and preflights carry every security header."""
    async with ask(cors_origins=ORIGIN) as client:
        answers = [
            await client.get(path)
            for path in ("/livez", "/nothing", "/", "/docs", "/openapi.json", "/metrics")
        ]
        tiff = encode_tiff(array)
        answers.append(await client.post("/predict", content=tiff, headers={"content-type": "image/tiff"}))
        answers.append(await client.post("/predict", content=b"", headers={"content-type": "text/html"}))
        preflight = {"origin": ORIGIN, "access-control-request-method": "POST"}
        answers.append(await client.options("/predict", headers=preflight))
    for answer in answers:
        assert not [name for name in SECURITY_HEADERS if name not in answer.headers]
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
    assert answers[0].headers["cache-control"] == "no-store"


async def test_no_other_origin_may_ask_by_default(ask) -> None:
    """Without origins in the settings no answer names one, and a preflight is an OPTIONS as any other."""
    async with ask() as client:
        answer = await client.get("/bundle", headers={"origin": ORIGIN})
        preflight = {"origin": ORIGIN, "access-control-request-method": "POST"}
        told = await client.options("/predict", headers=preflight)
    assert (told.status_code, told.headers["allow"]) == (204, "OPTIONS, POST")
    assert not [name for name in (*answer.headers, *told.headers) if name.startswith("access-control")]


async def test_named_origins_may_ask(ask, tmp_path) -> None:
    """Named origins may send a key and read ids and timings, never cookies; others are told nothing."""
    keys = tmp_path / "keys"
    keys.write_text("0" * 64)
    async with ask(cors_origins=f"{ORIGIN},http://localhost:5173", api_keys_file=keys) as client:
        wanted = {"access-control-request-method": "POST", "access-control-request-headers": "x-api-key"}
        for origin in (ORIGIN, "http://localhost:5173"):
            told = await client.options("/predict", headers={"origin": origin, **wanted})
            assert told.status_code == 200
            assert told.headers["access-control-allow-origin"] == origin
            assert "X-API-Key" in told.headers["access-control-allow-headers"]
        answer = await client.post("/predict", headers={"origin": ORIGIN})
        assert_problem(answer, "key_missing")
        assert "Server-Timing" in answer.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in answer.headers
        other = await client.get("/livez", headers={"origin": "https://other.example"})
        assert "access-control-allow-origin" not in other.headers


async def test_the_documentation_asks_no_other_host(ask) -> None:
    """`/docs` names only files of the service, all of which are there, under a policy without inline scripts."""
    async with ask() as client:
        page = await client.get("/docs")
        assert "//" not in page.text
        policy = dict(part.split(maxsplit=1) for part in page.headers["content-security-policy"].split("; "))
        assert policy["script-src"] == policy["connect-src"] == "'self'"
        named = re.findall(r'(?:src|href)="(docs/[^"]+)"', page.text)
        assert len(named) == 3
        for path in named:
            answer = await client.get(f"/{path}")
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith(("text/javascript", "text/css"))
        assert_problem(await client.get("/docs/core.py"), "not_found")


async def test_documentation_and_metrics_can_be_switched_off(ask) -> None:
    """Switched off, `/docs`, `/openapi.json` and `/metrics` are nowhere, and the rest is as ever."""
    async with ask(docs="off", metrics="off") as client:
        for path in ("/docs", "/docs/start.js", "/openapi.json", "/metrics"):
            assert_problem(await client.get(path), "not_found")
        assert (await client.get("/bundle")).status_code == 200
