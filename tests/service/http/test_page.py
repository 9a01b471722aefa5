"""The page at `/`: files that a build of `clients/web` left, sent under a strict policy."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from phenoserve.http.routes.page import PAGE_FOLDER

from .problem import assert_problem

WEB = Path(__file__).parents[3] / "clients" / "web"
MAX_PAGE_BYTES = 400_000


@pytest.mark.anyio
async def test_the_page_needs_no_key_and_says_it_loads_only_from_here(ask, tmp_path) -> None:
    """`/` is HTML for everyone, under a policy that allows the service's own files and no inline code."""
    keys = tmp_path / "keys"
    keys.write_text("0" * 64)
    async with ask(api_keys_file=keys) as client:
        response = await client.get("/")
    assert response.headers["content-type"].startswith("text/html")
    policy = dict(part.split(maxsplit=1) for part in response.headers["content-security-policy"].split("; "))
    assert policy.pop("default-src") == "'none'"
    assert set(policy.values()) == {"'self'", "'none'"}
    assert 'href="docs"' in response.text


@pytest.mark.anyio
async def test_every_file_that_the_page_names_is_there(ask) -> None:
    """What `index.html` and the scripts name under `assets/` is answered with its type, for good."""
    text = (PAGE_FOLDER / "index.html").read_text("utf-8")
    scripts = [path.read_text("utf-8") for path in (PAGE_FOLDER / "assets").glob("*.js")]
    named = set(re.findall(r'(?:src|href)="(?:\./)?assets/([^"]+)"', text))
    named |= {name for script in scripts for name in re.findall(r"reader\.worker-[\w-]+\.js", script)}
    assert len(named) == 5
    types = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".txt": "text/plain"}
    async with ask() as client:
        for name in named:
            response = await client.get(f"/assets/{name}")
            assert response.status_code == 200, name
            assert response.headers["content-type"].startswith(types[Path(name).suffix])
            assert "content-security-policy" in response.headers
            assert ("immutable" in response.headers["cache-control"]) is (name != "THIRD_PARTY.txt")


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["nothing.js", "..%2findex.html", "%2e%2e"])
async def test_no_other_file_can_be_asked_for(ask, name: str) -> None:
    """A name that no build left is 404, whatever path it spells."""
    async with ask() as client:
        assert_problem(await client.get(f"/assets/{name}"), "not_found")


def test_the_page_is_small() -> None:
    """The whole page fits into 400 kB, and names no other host but that of SVG's namespace."""
    files = [path for path in PAGE_FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < MAX_PAGE_BYTES
    for path in files:
        if path.suffix in {".html", ".css"}:
            assert "//" not in path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")


def test_every_bundled_package_is_listed_with_its_licence() -> None:
    """`THIRD_PARTY.txt` holds each runtime dependency of the page with a permissive licence."""
    listed = dict(
        re.findall(
            r"^=== (\S+) \S+ \((.+)\) ===$",
            (PAGE_FOLDER / "assets" / "THIRD_PARTY.txt").read_text("utf-8"),
            re.MULTILINE,
        )
    )
    wanted = json.loads((WEB / "package.json").read_text("utf-8"))["dependencies"]
    assert set(wanted) <= set(listed)
    licences = {name for told in listed.values() for name in re.findall(r"[\w.-]+", told)} - {"AND"}
    assert licences <= {"MIT", "ISC", "Zlib", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0"}


def test_the_committed_page_is_a_fresh_build(tmp_path) -> None:
    """Building `clients/web` anew gives byte for byte the files that the service ships."""
    vite = WEB / "node_modules" / ".bin" / "vite"
    node = shutil.which("node")
    if node is None or not vite.exists():
        pytest.skip("the page cannot be built: no Node, or `make web` has not installed its packages")
    command = [str(vite), "build", "--outDir", str(tmp_path / "page"), "--logLevel", "error"]
    subprocess.run(command, cwd=WEB, check=True, timeout=120, env=os.environ | {"NODE_ENV": "production"})
    fresh = {path.relative_to(tmp_path / "page"): path for path in (tmp_path / "page").rglob("*.*")}
    committed = {path.relative_to(PAGE_FOLDER): path for path in PAGE_FOLDER.rglob("*.*")}
    assert set(fresh) == set(committed), "run `make page`"
    for name, path in fresh.items():
        assert path.read_bytes() == committed[name].read_bytes(), f"{name} is old: run `make page`"
