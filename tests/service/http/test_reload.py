"""Reload: off without an admin key, never worse than before."""

import hashlib
import os
import threading
from pathlib import Path

import httpx
import pytest

from phenoserve.bundle import read_bundle
from phenoserve.engine import Engine
from phenoserve.http import create_app
from phenoserve.process.serve import hooks_of
from phenoserve.process.server import DrainingServer, open_listener
from phenoserve.scheduling import Engines, Readiness, load_engines
from phenoserve.settings import Settings

from .conftest import START_LIMIT_S, asking, encode_tiff
from .engines import POISON, PoisonedEngine
from .problem import assert_problem

pytestmark = pytest.mark.anyio
KEY = {"x-api-key": "the admin's"}


@pytest.fixture
def admin_keys(tmp_path) -> Path:
    path = tmp_path / "admin"
    path.write_text(hashlib.sha256(KEY["x-api-key"].encode()).hexdigest())
    return path


async def test_there_is_no_admin_route_without_admin_keys(ask) -> None:
    """Without admin keys `/admin/reload` is nowhere, whatever key is sent."""
    async with ask() as client:
        assert_problem(await client.post("/admin/reload", headers=KEY), "not_found")


async def test_only_an_admin_key_opens_it(engine, admin_keys, tmp_path) -> None:
    """An API key is no admin key, and an admin key is no API key; the document says which routes ask."""
    api_keys = tmp_path / "keys"
    api_keys.write_text(hashlib.sha256(b"a user's").hexdigest())
    app = create_app(Engines.of(engine), Settings(admin_keys_file=admin_keys, api_keys_file=api_keys))
    async with asking(app) as client:
        assert_problem(await client.post("/admin/reload"), "key_missing")
        assert_problem(
            await client.post("/admin/reload", headers={"x-api-key": "a user's"}), "key_insufficient"
        )
        assert (await client.post("/admin/reload", headers=KEY)).json()["status"] == "unchanged"
        assert_problem(await client.get("/bundle", headers=KEY), "key_insufficient")
    lone = create_app(Engines.of(engine), Settings(admin_keys_file=admin_keys)).openapi()
    guarded = {
        path for path, methods in lone["paths"].items() for told in methods.values() if "security" in told
    }
    assert guarded == {"/admin/reload"}


async def test_the_admin_route_is_documented(engine, admin_keys) -> None:
    """The route that only admin keys add has its row in the page of the HTTP API."""
    paths = create_app(Engines.of(engine), Settings(admin_keys_file=admin_keys)).openapi()["paths"]
    page = (Path(__file__).parents[3] / "docs" / "http-api.md").read_text("utf-8")
    assert "/admin/reload" in paths
    assert "`POST /admin/reload`" in page


async def test_a_bundle_that_answers_otherwise_is_refused(
    engine, tiny_bundle, admin_keys, monkeypatch
) -> None:
    """A new bundle that misses its golden answers is refused, names the output, and the old one serves on."""

    class Biased(Engine):
        def infer(self, stacks):
            answers = super().infer(stacks)
            answers.logits[:] += 1
            return answers

    app = create_app(Engines.of(engine), Settings(admin_keys_file=admin_keys))
    biased = Engines.of(Biased(engine.bundle, engine._graph))
    monkeypatch.setattr("phenoserve.http.reload.load_engines", lambda *_: biased)
    async with asking(app) as client:
        app.service.scheduler.readiness = (
            Readiness.GOLDEN_MISMATCH
        )  # else the same bundle would not be loaded
        assert "logits" in assert_problem(await client.post("/admin/reload", headers=KEY), "bundle_refused")
        assert app.service.engines.alone is engine


async def test_a_good_bundle_heals_a_bad_start(engine, tiny_bundle, admin_keys) -> None:
    """A service that never got ready because of its bundle is ready once a good one is loaded."""
    settings = Settings(admin_keys_file=admin_keys, device="cpu")
    app = create_app(load_engines(read_bundle(tiny_bundle), settings), settings)
    async with asking(app) as client:
        app.service.scheduler.readiness = Readiness.GOLDEN_MISMATCH
        assert (await client.post("/admin/reload", headers=KEY)).json()["status"] == "reloaded"
        assert (await client.get("/readyz")).status_code == 200


@pytest.mark.parametrize("is_supervised", [True, False])
def test_a_server_ends_with_its_supervisor_or_worker(engine, array, is_supervised) -> None:
    """A server ends by itself when its supervisor is gone, and with a failure when one of its workers died."""
    app = create_app(Engines.of(engine), Settings(port=0))
    orphan = DrainingServer(app, hooks_of(app), Settings(), lambda _: None, supervisor_pid=os.getppid() + 1)
    orphan.run([open_listener("127.0.0.1", 0)])
    assert orphan.exit_code == 0

    poisoned = PoisonedEngine(engine)
    poisoned.error = SystemExit
    urls: list[str] = []
    listening = threading.Event()
    lame = create_app(Engines.of(poisoned), Settings(port=0))
    server = DrainingServer(
        lame,
        hooks_of(lame),
        Settings(),
        lambda url: (urls.append(url), listening.set()),
        supervisor_pid=os.getppid() if is_supervised else None,
    )
    thread = threading.Thread(target=server.run, args=([open_listener("127.0.0.1", 0)],))
    thread.start()
    assert listening.wait(START_LIMIT_S)
    poison = array.copy()
    poison[0, 0, 0] = POISON
    while httpx.get(urls[0] + "readyz").status_code != 200:
        pass
    response = httpx.post(
        urls[0] + "predict", content=encode_tiff(poison), headers={"content-type": "image/tiff"}
    )
    assert_problem(response, "worker_died")
    thread.join(START_LIMIT_S)
    assert not thread.is_alive()
    assert server.exit_code == 1
