"""`treatment=*`: every treatment's explanation from one pass."""

import io

import numpy as np
import pytest
import tifffile

from .problem import assert_problem

HEADERS = {"content-type": "image/tiff"}
ALL = {"treatment": "*"}


@pytest.fixture(scope="module")
def tiff(array) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, array, photometric="minisblack")
    return file.getvalue()


@pytest.mark.anyio
@pytest.mark.parametrize("stains", ["false", "true"])
async def test_each_explanation_is_that_of_its_treatment_alone(ask, engine, tiff, stains: str) -> None:
    """For every treatment, in the order of the logits, map and stains equal those of a request that names it."""
    async with ask() as client:
        query = ALL | {"stains": stains}
        everything = (await client.post("/explain", params=query, content=tiff, headers=HEADERS)).json()
        assert list(everything["explanations"]) == list(engine.bundle.manifest.treatments)
        for treatment, found in everything["explanations"].items():
            query = {"treatment": treatment, "stains": stains}
            alone = (await client.post("/explain", params=query, content=tiff, headers=HEADERS)).json()
            assert found == {"heatmap": alone["heatmap"], "stains": alone["stains"]}
            for name in ("bundle", "stack", "prediction"):
                assert everything[name] == alone[name]


@pytest.mark.anyio
async def test_the_heatmaps_are_the_engines(ask, engine, array, tiff) -> None:
    """The values are the graph's own output, all treatments of it."""
    async with ask() as client:
        answer = (await client.post("/explain", params=ALL, content=tiff, headers=HEADERS)).json()
    found = [told["heatmap"]["values"] for told in answer["explanations"].values()]
    np.testing.assert_allclose(found, engine.infer(array[np.newaxis]).heatmap[0], rtol=1e-5, atol=1e-6)


@pytest.mark.anyio
async def test_several_stacks_get_all_explanations_each(ask, tiff) -> None:
    """A multipart request gets a list, its entries as for a stack alone."""
    async with ask() as client:
        parts = [("stack", ("a.tif", tiff)), ("stack", ("b.tif", tiff))]
        answers = (await client.post("/explain", params=ALL, files=parts)).json()["answers"]
        alone = (await client.post("/explain", params=ALL, content=tiff, headers=HEADERS)).json()
    assert len(answers) == 2
    for answer in answers:
        assert answer["explanations"].keys() == alone["explanations"].keys()


@pytest.mark.anyio
@pytest.mark.parametrize("accept", ["image/png", "image/tiff"])
async def test_a_picture_shows_one_treatment(ask, tiff, accept: str) -> None:
    """`treatment=*` with a media type of one map is 400, and the message says what to do instead."""
    async with ask() as client:
        response = await client.post(
            "/explain", params=ALL, content=tiff, headers=HEADERS | {"accept": accept}
        )
    assert_problem(response, "invalid_parameter")
    assert "application/json" in response.json()["detail"]
