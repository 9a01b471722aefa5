"""The service behind nginx, configured as the page for operators says."""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
import numpy as np
import pytest

from phenoclient import Client

from .conftest import free_port

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
START_LIMIT_S = 30
CONFIGURATION = """
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
worker_processes 1;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        {location}
    }}
}}
"""


@contextmanager
def nginx(folder: Path, location: str) -> Iterator[str]:
    """A proxy with one location; gives its address."""
    program = shutil.which("nginx")
    if program is None:
        pytest.skip("nginx is not on the PATH; Debian's package `nginx-light` has it")
    port, configuration = free_port(), folder / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, port=port, location=location))
    with subprocess.Popen([program, "-e", folder / "error.log", "-c", configuration]) as process:
        try:
            deadline = time.monotonic() + START_LIMIT_S
            while not (folder / "pid").exists():
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def location(service: str, *, takes_off: bool) -> str:
    """The location of the page, for a service at an address."""
    (block,) = re.findall(r"^```nginx\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    stated = "proxy_pass http://127.0.0.1:8000/;"
    assert stated in block
    return block.replace(stated, f"proxy_pass {service.rstrip('/')}{'/' if takes_off else ''};")


@pytest.mark.parametrize("takes_off", [True, False])
def test_the_service_is_whole_at_a_path(serve, tiny_bundle, stacks, tmp_path, takes_off: bool) -> None:
    """Page, documentation, large stacks, errors and their types work at the path, whether or not it is taken off."""
    large = np.tile(stacks[0], (1, 16, 16))
    assert large.nbytes > 2**20  # nginx' own limit
    with (
        serve(tiny_bundle, "--root-path", "/pheno") as service,
        nginx(tmp_path, location(service, takes_off=takes_off)) as proxy,
    ):
        assert httpx.get(f"{service}/readyz").status_code == 200  # beside the proxy
        base = httpx.get(f"{proxy}/pheno", follow_redirects=True).url
        assert base.path == "/pheno/"
        for page in (str(base), f"{base}docs"):
            named = re.findall(r'(?:src|href)="([^":]+)"', httpx.get(page).text)
            assert named
            assert {httpx.get(urljoin(page, name)).status_code for name in named} == {200}
        document = httpx.get(f"{base}openapi.json").json()
        livez = urljoin(f"{base}openapi.json", document["servers"][0]["url"] + "/livez")
        assert httpx.get(livez).json() == {"status": "alive"}
        assert httpx.head(livez).status_code == 200
        with Client(str(base)) as client:
            assert client.predict(large).prediction.treatment
        refused = httpx.post(f"{base}predict", content=bytes(2**23), headers={"Content-Type": "image/png"})
        assert refused.json()["code"] == "unsupported_media_type"
        problem = httpx.get(f"{base}nothing").json()
        assert urlsplit(problem["type"]).path == "/pheno/problems/not_found"
        assert httpx.get(urljoin(str(base), problem["type"])).json()["code"] == "not_found"
