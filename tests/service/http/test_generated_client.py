"""A client that a public generator makes from `docs/openapi.json` alone talks to the service, on every route."""

import importlib
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
import tifffile

from phenoserve.http import create_app
from phenoserve.scheduling import Engines
from phenoserve.settings import Settings

from .conftest import Listening, encode_tiff
from .openapi_document import COMMITTED

PACKAGE = "generated_phenoserve"
KEY = "a key of both files"
STACK_ROUTES = ("predict", "embed", "explain")
# The generator knows no media types of images and arrays; JSON is valid YAML.
CONFIGURATION = {
    "content_type_overrides": dict.fromkeys(
        ("image/tiff", "image/png", "application/x-npy"), "application/octet-stream"
    ),
    "post_hooks": [],
}
PARAMETERS = {"index": 0, "code": "not_a_tiff"}
OPERATIONS = {
    told["operationId"]: (method.upper(), path, told["tags"][0])
    for path, methods in json.loads(COMMITTED.read_bytes())["paths"].items()
    for method, told in methods.items()
}


@pytest.fixture(scope="module")
def generated(tmp_path_factory) -> Iterator[SimpleNamespace]:
    """What was generated: its client, its types, its models and a module an operation."""
    folder = tmp_path_factory.mktemp("generated")
    configuration = folder / "configuration.yaml"
    configuration.write_text(json.dumps(CONFIGURATION))
    program = Path(sys.executable).with_name("openapi-python-client")
    command = [program, "generate", "--meta", "none", "--fail-on-warning", "--path", COMMITTED]
    command += ["--output-path", folder / PACKAGE, "--config", configuration]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        modules = {
            name: importlib.import_module(f"{PACKAGE}.api.{tag}.{name}")
            for name, (_, _, tag) in OPERATIONS.items()
        }
        yield SimpleNamespace(
            client=importlib.import_module(PACKAGE),
            models=importlib.import_module(f"{PACKAGE}.models"),
            types=importlib.import_module(f"{PACKAGE}.types"),
            operations=modules,
        )


@pytest.fixture(scope="module")
def url(engine, tmp_path_factory) -> Iterator[str]:
    """Address of a service that asks for keys, on every route that may."""
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text(sha256(KEY.encode()).hexdigest())
    app = create_app(Engines.of(engine), Settings(api_keys_file=keys, admin_keys_file=keys))
    with Listening(app) as listening:
        yield listening.url.rstrip("/")


@pytest.fixture
def client(generated, url):
    with generated.client.AuthenticatedClient(url, token=KEY) as client:
        yield client


def raw(url: str, operation: str, *, accept: str = "*/*", content: bytes | None = None) -> httpx.Response:
    """The answer of an operation, asked without the generated client."""
    method, path, _ = OPERATIONS[operation]
    headers = {"Authorization": f"Bearer {KEY}", "Accept": accept}
    if content is not None:
        headers["Content-Type"] = "image/tiff"
    return httpx.request(method, f"{url}{path.format(**PARAMETERS)}", headers=headers, content=content)


def file_of(generated, content: bytes) -> object:
    return generated.types.File(payload=io.BytesIO(content), file_name="stack.tif", mime_type="image/tiff")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_route_is_understood(operation, generated, client, url, array) -> None:
    """The generated function of each route gives, in its own types, what the route answers to plain HTTP."""
    stack = encode_tiff(array) if operation in STACK_ROUTES else None
    arguments = {} if stack is None else {"body": file_of(generated, stack)}
    arguments |= {
        name: value for name, value in PARAMETERS.items() if f"{{{name}}}" in OPERATIONS[operation][1]
    }
    answer = generated.operations[operation].sync_detailed(client=client, **arguments)
    expected = raw(url, operation, content=stack)
    assert answer.status_code == expected.status_code == 200
    match answer.parsed:
        case generated.types.File(payload=payload):
            assert payload.read() == expected.content
        case str(text) if operation == "metrics":  # the numbers moved on between the two
            assert {line for line in text.splitlines() if line.startswith("# TYPE")} == {
                line for line in expected.text.splitlines() if line.startswith("# TYPE")
            }
        case str(text):
            assert text == expected.text
        case parsed:
            assert parsed.to_dict() == expected.json()


@pytest.mark.parametrize("operation", STACK_ROUTES)
def test_several_stacks_are_sent_as_parts(operation, generated, client, url, array) -> None:
    """The generated multipart body carries stacks whose answers come in order, each as alone."""
    stacks = [encode_tiff(array), encode_tiff(array[:, ::-1, :90])]
    parts = generated.models.StackParts(stack=[file_of(generated, stack) for stack in stacks])
    answers = generated.operations[operation].sync(client=client, body=parts)
    assert type(answers).__name__ == f"{operation.capitalize()}Answers"
    alone = [raw(url, operation, content=stack).json() for stack in stacks]
    for answer, expected in zip(answers.to_dict()["answers"], alone, strict=True):
        assert (answer["bundle"], answer["stack"]) == (expected["bundle"], expected["stack"])


def test_every_kind_of_explanation_is_told_apart(generated, client, engine, array) -> None:
    """`/explain` is read as one treatment or as all of them, with the stains' values where they were asked for."""
    explain, stack = generated.operations["explain"], encode_tiff(array)
    one = explain.sync(client=client, body=file_of(generated, stack), stains=True)
    assert isinstance(one, generated.models.ExplainAnswer)
    assert set(one.stains.values.to_dict()) == set(engine.bundle.manifest.input.channels)
    every = explain.sync(client=client, body=file_of(generated, stack), treatment="*")
    assert isinstance(every, generated.models.ExplainAllAnswer)
    assert set(every.explanations.to_dict()) == set(engine.bundle.manifest.treatments)


@pytest.mark.parametrize(
    ("operation", "accept"),
    [("embed", "application/x-npy"), ("explain", "image/png"), ("explain", "image/tiff")],
)
def test_other_media_types_come_by_accept(operation, accept, generated, url, array) -> None:
    """The generated request with another `Accept` is answered in that type, byte for byte as to plain HTTP."""
    stack = encode_tiff(array)
    request = generated.operations[operation]._get_kwargs(body=file_of(generated, stack))
    with generated.client.AuthenticatedClient(url, token=KEY, headers={"Accept": accept}) as client:
        answer = client.get_httpx_client().request(**request)
    assert (answer.status_code, answer.headers["content-type"]) == (200, accept)
    assert answer.content == raw(url, operation, accept=accept, content=stack).content
    if accept == "image/tiff":
        assert tifffile.imread(io.BytesIO(answer.content)).shape == array.shape[1:]
    if accept == "application/x-npy":
        assert np.load(io.BytesIO(answer.content)).dtype == np.float32


def test_problems_are_typed(generated, client, url, array) -> None:
    """A refusal is read as `ProblemBody` with its code, whether its status is named by the route or not."""
    predict = generated.operations["predict"]
    with generated.client.Client(url) as keyless:
        key_missing = generated.operations["bundle"].sync(client=keyless)
    with generated.client.Client(f"{url}/nowhere") as lost:
        unnamed = generated.operations["livez"].sync(client=lost)
    answers = {
        "wrong_channels": predict.sync(client=client, body=file_of(generated, encode_tiff(array[:1]))),
        "not_a_tiff": predict.sync(client=client, body=file_of(generated, b"no TIFF")),
        "key_missing": key_missing,
        "not_found": generated.operations["example"].sync(99, client=client),
    }
    for code, problem in answers.items():
        assert isinstance(problem, generated.models.ProblemBody)
        assert problem.code is generated.models.ErrorCode(code)
    assert unnamed == generated.models.ProblemBody.from_dict(httpx.get(f"{url}/nowhere/livez").json())
