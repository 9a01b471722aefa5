"""The real service's refusals come out of the client as the classes that its documentation promises."""

import io
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import anyio
import numpy as np
import pytest
import tifffile

from phenoclient import (
    AsyncClient,
    Client,
    KeyMissingError,
    KeyRefusedError,
    NoSuchRouteError,
    RetryPolicy,
    ServiceUnreachableError,
    TooLargeError,
    UnknownNameError,
    UnsupportedMediaError,
    UnusableStackError,
)


def test_a_stack_of_too_few_channels_is_refused(client, stacks):
    """A channel too few raises UnusableStackError, with the code and with words that say what is expected."""
    with pytest.raises(UnusableStackError, match="channel") as caught:
        client.predict(stacks[0][1:])
    assert (caught.value.status, caught.value.code) == (422, "wrong_channels")


def test_a_field_too_small_is_refused(client, stacks):
    """A field below the bundle's least size raises UnusableStackError."""
    with pytest.raises(UnusableStackError) as caught:
        client.embed(stacks[0][:, :20, :20])
    assert caught.value.code == "field_too_small"


def test_pixels_that_are_not_finite_are_refused(client, stacks):
    """NaN among the pixels raises UnusableStackError."""
    stack = stacks[2].copy()
    stack[0, 0, 0] = np.nan
    with pytest.raises(UnusableStackError) as caught:
        client.predict(stack)
    assert caught.value.code == "non_finite_pixels"


def test_what_is_not_read_is_refused(client, stacks):
    """A TIFF of a codec that is not read raises UnsupportedMediaError on every route."""
    file = io.BytesIO()
    tifffile.imwrite(file, stacks[0].astype(np.uint8), photometric="minisblack", compression="jpeg")
    body = file.getvalue()
    for ask in (client.predict, client.embed, client.explain, client.explain_overlay, client.explain_map):
        with pytest.raises(UnsupportedMediaError):
            ask(body)


def test_names_the_bundle_does_not_know_are_refused(client, stacks):
    """An unknown treatment and an unknown stain raise UnknownNameError."""
    with pytest.raises(UnknownNameError) as caught:
        client.explain(stacks[0], treatment="no such treatment")
    assert caught.value.code == "unknown_treatment"
    with pytest.raises(UnknownNameError) as caught:
        client.predict(stacks[0], channels=["no such stain"] * len(stacks[0]))
    assert caught.value.code == "unknown_channels"


def test_a_wrong_base_url_is_told(service_url, stacks):
    """A base URL with a path that the service does not have raises NoSuchRouteError."""
    with Client(f"{service_url}/nowhere") as client, pytest.raises(NoSuchRouteError):
        client.predict(stacks[0])


def test_the_client_knows_what_is_served(client, engine):
    """`bundle()` names the bundle, its stains and treatments as its manifest does, and the device."""
    served, manifest = client.bundle(), engine.bundle.manifest
    assert (served.name, served.version, served.digest) == (
        manifest.name,
        manifest.version,
        engine.bundle.digest,
    )
    assert (served.channels, served.treatments) == (manifest.input.channels, manifest.treatments)
    assert (served.control, served.device) == (manifest.control, "cpu")


def test_keys_are_asked_for_and_checked(serve, tiny_bundle, stacks, tmp_path):
    """With keys set, no key raises KeyMissingError, a wrong one KeyRefusedError, the right one nothing."""
    keys = tmp_path / "keys"
    keys.write_text(f"{sha256(b'the-right-key').hexdigest()}\n")
    with serve(tiny_bundle, "--api-keys-file", str(keys)) as url:
        with Client(url) as client, pytest.raises(KeyMissingError):
            client.predict(stacks[0])
        with Client(url, api_key="a-wrong-key") as client, pytest.raises(KeyRefusedError):
            client.predict(stacks[0])
        with Client(url, api_key="the-right-key") as client:
            assert client.predict(stacks[0]).prediction.probability > 0
    with Client(url) as client, pytest.raises(ServiceUnreachableError):
        client.ready()


def test_limits_come_out_as_their_errors(serve, tiny_bundle, stacks):
    """Too many bytes or pixels raise TooLargeError, even where the service stops reading half-way."""
    with serve(tiny_bundle, "--max-body-mib", "1", "--max-decoded-mib", "0.01") as url, Client(url) as client:
        with pytest.raises(TooLargeError) as caught:
            client.predict(b"II*\0" + bytes(40 * 2**20))
        assert caught.value.code == "body_too_large"
        with pytest.raises(TooLargeError) as caught:
            client.predict(stacks[1])
        assert caught.value.code == "stack_too_large"


@pytest.mark.anyio
async def test_a_full_service_answers_everyone_in_the_end(serve, tiny_bundle, stacks):
    """Requests beyond the service's limit are told 429, sent again by the client, and answered."""
    policy = RetryPolicy(attempts=60, wait_initial_s=0.05, wait_max_s=2.0)
    digests = []
    with serve(tiny_bundle, "--max-in-flight", "1") as url:
        async with AsyncClient(url, retries=policy) as client, anyio.create_task_group() as tasks:

            async def ask() -> None:
                digests.append((await client.predict(stacks[2])).bundle.digest)

            for _ in range(8):
                tasks.start_soon(ask)
        assert len(digests) == 8


def test_the_command_tells_a_refusal_in_one_line(service_url, tmp_path):
    """A file that is no TIFF ends the command with exit status 4 and one line that names it, with the code."""
    file = tmp_path / "notes.txt"
    file.write_text("no TIFF at all")
    command = [Path(sys.executable).with_name("phenoclient"), "predict", file, "--url", service_url]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (result.returncode, result.stdout) == (4, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"phenoclient: {file}: 415 not_a_tiff: ")
