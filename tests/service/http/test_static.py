"""Files that are the same for everyone: compressed where that is accepted, and not sent to clients that have them."""

import gzip
import re
from collections.abc import Callable, Iterator
from urllib.parse import urljoin

import httpx
import pytest

from phenoserve.http import create_app
from phenoserve.http.routes.page import FOREVER, PAGE_FOLDER
from phenoserve.scheduling import Engines
from phenoserve.settings import Settings

from .conftest import encode_tiff
from .problem import assert_problem

SCRIPT = next(path.name for path in (PAGE_FOLDER / "assets").glob("index-*.js"))
FILES = {
    "/": "no-cache",
    f"/assets/{SCRIPT}": FOREVER,
    "/assets/THIRD_PARTY.txt": "no-cache",
    "/docs": "no-cache",
    "/docs/swagger-ui-bundle.js": "no-cache",
    "/openapi.json": "no-cache",
}


@pytest.fixture(scope="module")
def client(server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers={"accept-encoding": "identity"}) as client:
        yield client


def raw(client: httpx.Client, path: str, **headers: str) -> tuple[httpx.Response, bytes]:
    """An answer, and its content as it was sent."""
    with client.stream("GET", path, headers=headers) as answer:
        return answer, b"".join(answer.iter_raw())


@pytest.mark.parametrize("path", FILES)
def test_a_file_is_compressed_for_clients_that_accept_it(client, path: str) -> None:
    """By gzip a file is smaller and the same, says what it depends on, and keeps all its other headers."""
    plain, content = raw(client, path)
    packed, fewer = raw(client, path, **{"accept-encoding": "br, gzip;q=0.5"})
    assert gzip.decompress(fewer) == content
    assert len(fewer) < 0.7 * len(content)
    for answer, sent in ((plain, content), (packed, fewer)):
        assert answer.headers["vary"] == "Accept-Encoding"
        assert answer.headers["cache-control"] == FILES[path]
        assert answer.headers["content-length"] == str(len(sent))
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-type"] == plain.headers["content-type"]
    assert packed.headers["content-security-policy"] == plain.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("accepted", "coding"),
    {
        "": None,
        "gzip": "gzip",
        "GZIP": "gzip",
        "*": "gzip",
        "gzip;q=0": None,
        "gzip;q=0, *": None,
        "br, *;q=0": None,
        "deflate": None,
    }.items(),
)
def test_the_weights_of_codings_count(client, accepted: str, coding: str | None) -> None:
    """Gzip is used only where `Accept-Encoding` gives it, or anything, a weight above 0."""
    answer, _ = raw(client, "/docs", **{"accept-encoding": accepted})
    assert answer.headers.get("content-encoding") == coding


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_a_file_that_the_client_has_is_not_sent(client, path: str, coding: str) -> None:
    """Its tag, among others, strong or weak, gives 304 without content and with the headers that a cache renews."""
    accepted = {"accept-encoding": coding}
    first, _ = raw(client, path, **accepted)
    tag = first.headers["etag"]
    for held in (tag, f'"another", W/{tag}', "*"):
        again, content = raw(client, path, **accepted, **{"if-none-match": held})
        assert (again.status_code, content) == (304, b"")
        for name in ("etag", "cache-control", "vary"):
            assert again.headers[name] == first.headers[name]
        assert "content-encoding" not in again.headers
    changed, _ = raw(client, path, **accepted, **{"if-none-match": '"another"'})
    assert changed.status_code == 200


def test_each_coding_has_a_tag_of_its_own(client) -> None:
    """A tag names the bytes that were sent, so that of one coding does not stand for the other."""
    tags = {
        raw(client, "/", **{"accept-encoding": coding})[0].headers["etag"] for coding in ("identity", "gzip")
    }
    assert len(tags) == 2
    assert raw(client, "/", **{"if-none-match": next(iter(tags - {raw(client, "/")[0].headers["etag"]}))})[1]


def test_answers_to_stacks_are_not_compressed(client, array) -> None:
    """What is made for one request is sent as it is: it would cost more time than it saves."""
    headers = {"content-type": "image/tiff", "accept-encoding": "gzip"}
    answer = client.post("/embed", content=encode_tiff(array), headers=headers)
    assert answer.status_code == 200
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        "/assets/",
        "/assets/nothing.js",
        "/assets/..%2findex.html",
        "/assets/%2e%2e/index.html",
        "/assets/%2e%2e",
        "/assets/%00",
        "/assets/..%5cindex.html",
        "/assets/%252e%252e%252findex.html",
        f"/assets/{SCRIPT}%2f",
        f"/assets/{SCRIPT.upper()}",
        "/docs/",
        "/docs/index.html",
        "/docs/..%2f__init__.py",
        "/docs/redoc.standalone.js",
    ],
)
def test_no_other_file_can_be_asked_for(client, path: str) -> None:
    """A name that is not of one of the files is 404, whatever path it spells."""
    answer = client.get(httpx.URL(str(client.base_url)).copy_with(raw_path=path.encode()))
    assert_problem(answer, "not_found")


def below(app, prefix: str, *, takes_off: bool) -> Callable:
    """What a proxy does that serves an app at a path: it passes on what lies below, the path taken off or not."""

    async def proxy(scope, receive, send) -> None:
        path = scope["path"]
        assert path.startswith(f"{prefix}/"), f"{path} was asked for"
        path = path.removeprefix(prefix) if takes_off else path
        await app({**scope, "path": path, "raw_path": path.encode()}, receive, send)

    return proxy


@pytest.mark.parametrize(
    ("root_path", "takes_off"), [(None, True), ("/lab/pheno", True), ("/lab/pheno", False)]
)
@pytest.mark.anyio
async def test_everything_holds_below_a_path(engine, root_path: str | None, takes_off: bool) -> None:
    """Behind a proxy that serves it at a path, page, documentation and document lead to addresses below that path."""
    app = create_app(Engines.of(engine), Settings(root_path=root_path))
    transport = httpx.ASGITransport(below(app, "/lab/pheno", takes_off=takes_off))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test/lab/pheno/") as client,
    ):
        await app.service.scheduler.proof
        for page in ("", "docs"):
            address = str(client.base_url) + page
            html = (await client.get(address)).text
            named = re.findall(r'(?:src|href)="([^":]+)"', html)
            assert len(named) >= 3
            for name in named:
                assert (await client.get(urljoin(address, name))).status_code == 200
        (document_name,) = re.findall(r'url: "([^"]+)"', (await client.get("docs/start.js")).text)
        document_address = urljoin(f"{client.base_url}docs", document_name)
        document = (await client.get(document_address)).json()
        (server,) = document["servers"]
        for path in ("/livez", "/bundle", "/examples"):
            answer = await client.get(urljoin(document_address, server["url"] + path))
            assert answer.status_code == 200
        first = answer.json()["examples"][0]["url"]
        assert (await client.get(first)).headers["content-type"] == "image/tiff"


@pytest.mark.parametrize("root_path", ["pheno", "/pheno/", "/", "/a//b", "/a b", "https://lab.example/pheno"])
def test_a_root_path_is_a_path(root_path: str) -> None:
    """A root path that is none is refused at the start."""
    with pytest.raises(ValueError, match="root_path"):
        Settings(root_path=root_path)
