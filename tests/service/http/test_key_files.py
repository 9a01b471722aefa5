"""Keys change while the service runs."""

import hashlib
from pathlib import Path

import pytest

from phenoserve.http import create_app
from phenoserve.scheduling import Engines
from phenoserve.settings import Settings

from .conftest import asking
from .problem import assert_problem

pytestmark = pytest.mark.anyio
ADMIN = {"x-api-key": "the admin's"}


def write_keys(path: Path, *keys: str) -> Path:
    path.write_text("".join(f"{hashlib.sha256(key.encode()).hexdigest()}\n" for key in keys))
    return path


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(
        api_keys_file=write_keys(tmp_path / "keys", "ann's", "bob's"),
        admin_keys_file=write_keys(tmp_path / "admin", ADMIN["x-api-key"]),
    )


async def test_a_reload_takes_keys_in_and_out(engine, settings) -> None:
    """After a reload a key that left the file is refused, one that came is let in, and others are told."""
    told: list[None] = []
    app = create_app(Engines.of(engine), settings, tell_others=lambda: told.append(None))
    async with asking(app) as client:
        write_keys(settings.api_keys_file, "bob's", "eve's")
        assert (await client.get("/bundle", headers={"x-api-key": "ann's"})).status_code == 200
        assert (await client.post("/admin/reload", headers=ADMIN)).json()["status"] == "unchanged"
        assert_problem(await client.get("/bundle", headers={"x-api-key": "ann's"}), "key_wrong")
        for key in ("bob's", "eve's"):
            assert (await client.get("/bundle", headers={"x-api-key": key})).status_code == 200
    assert len(told) == 1


async def test_a_bad_bundle_does_not_keep_a_key_alive(engine, settings, tmp_path) -> None:
    """Keys are taken over even where the bundle beside them is refused, and others are told."""
    told: list[None] = []
    app = create_app(
        Engines.of(engine),
        settings,
        bundle_path=tmp_path / "nowhere",
        tell_others=lambda: told.append(None),
    )
    async with asking(app) as client:
        write_keys(settings.api_keys_file, "bob's")
        assert_problem(await client.post("/admin/reload", headers=ADMIN), "bundle_refused")
        assert_problem(await client.get("/bundle", headers={"x-api-key": "ann's"}), "key_wrong")
    assert len(told) == 1


@pytest.mark.parametrize("content", ["", "# nobody\n", "bob's\n"])
async def test_a_bad_file_changes_no_key(engine, settings, content: str) -> None:
    """If either file cannot be used, no key of the other changes, and the message names the file."""
    app = create_app(Engines.of(engine), settings)
    async with asking(app) as client:
        write_keys(settings.api_keys_file, "eve's")
        settings.admin_keys_file.write_text(content)
        detail = assert_problem(await client.post("/admin/reload", headers=ADMIN), "key_file_refused")
        assert str(settings.admin_keys_file) in detail
        assert (await client.get("/bundle", headers={"x-api-key": "ann's"})).status_code == 200
        assert_problem(await client.get("/bundle", headers={"x-api-key": "eve's"}), "key_wrong")
