"""`/examples`: the golden stacks as TIFFs that the service itself reads."""

from hashlib import sha256

import numpy as np
import pytest

from phenoserve.http.routes import examples
from phenoserve.http.routes.examples import stack_tiff
from phenoserve.stack import StackLimits, read_stack

from .problem import assert_problem

LIMITS = StackLimits(max_decoded_bytes=2**24, max_field_px=10**6)


@pytest.mark.anyio
async def test_every_golden_stack_is_an_example(ask, engine) -> None:
    """Each listed example is a TIFF of the very pixels of a golden stack, and is answered as that stack."""
    stacks = engine.bundle.golden.stacks
    async with ask() as client:
        listed = (await client.get("/examples")).json()["examples"]
        assert len(listed) == len(stacks)
        for told, stack in zip(listed, stacks, strict=True):
            response = await client.get(f"/{told['url']}")
            assert response.headers["content-type"] == "image/tiff"
            found = read_stack(response.content, LIMITS).array
            np.testing.assert_array_equal(found, stack)
            assert (told["height"], told["width"], told["dtype"]) == (*stack.shape[1:], stack.dtype.name)
            answer = await client.post(
                "/predict", content=response.content, headers={"content-type": "image/tiff"}
            )
            assert answer.status_code == 200


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_every_pixel_type_comes_back(dtype: str) -> None:
    """A stack of any pixel type, not square, is read back as it was."""
    stack = np.random.default_rng(3).uniform(0, 255, (3, 40, 33)).astype(dtype)
    found = read_stack(stack_tiff(stack), LIMITS).array
    assert found.dtype == stack.dtype
    np.testing.assert_array_equal(found, stack)


@pytest.mark.anyio
async def test_there_are_no_other_examples(ask, engine) -> None:
    """An index beyond the last, or below the first, is 404; one that is no number is 400."""
    async with ask() as client:
        for index in (len(engine.bundle.golden.stacks), -1):
            assert_problem(await client.get(f"/examples/{index}.tif"), "not_found")
        assert_problem(await client.get("/examples/first.tif"), "invalid_parameter")


@pytest.mark.anyio
async def test_examples_are_guarded_as_the_bundle_is(ask, tmp_path) -> None:
    """With keys, neither list nor stack comes without one: they are images of the bundle's makers."""
    keys = tmp_path / "keys"
    keys.write_text(sha256(b"key").hexdigest())
    async with ask(api_keys_file=keys) as client:
        for url in ("/examples", "/examples/0.tif"):
            assert_problem(await client.get(url), "key_missing")
            assert (await client.get(url, headers={"x-api-key": "key"})).status_code == 200


@pytest.mark.anyio
async def test_an_example_is_written_once(ask, monkeypatch) -> None:
    """Many requests for one example share one writing of its TIFF."""
    written = []

    def counted(stack: np.ndarray) -> bytes:
        written.append(stack)
        return stack_tiff(stack)

    monkeypatch.setattr(examples, "stack_tiff", counted)
    async with ask() as client:
        answers = [(await client.get("/examples/0.tif")).content for _ in range(20)]
    assert (len(written), len(set(answers))) == (1, 1)
