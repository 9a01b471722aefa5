"""The gallery: which sites it shows, what their pictures say, and how large they are."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from phenoserve.engine import Graph
from phenotrain.cache import build_cache
from phenotrain.datasets import load_description
from phenotrain.gallery import exemplary_rows, gallery, small_png
from phenotrain.labelled import Task
from phenotrain.simulate import ScreenSpec, simulate_screen

pytestmark = pytest.mark.training

SPEC = ScreenSpec(
    seed=2, field_px=128, num_experiments=1, doses=(0.1,), wells_per_treatment=2, control_wells=3
)
TASK = Task("EMPTY", ("EMPTY", *SPEC.treatments))


def test_best_median_and_most_mistaken_are_shown():
    """The greatest, the middle and, among the wrong ones, the least probability of the class."""
    of_class = np.array([0.9, 0.1, 0.6, 0.3, 0.8])
    probabilities = np.stack([1 - of_class, of_class], axis=1)
    assert exemplary_rows(np.arange(5), probabilities, 1) == [
        ("best", 0),
        ("median", 2),
        ("most mistaken", 1),
    ]
    assert exemplary_rows(np.array([0, 2, 4]), probabilities, 1) == [("best", 0), ("median", 4)]
    assert exemplary_rows(np.array([3]), probabilities, 1) == [("best", 3)]
    assert exemplary_rows(np.array([], int), probabilities, 1) == []


def test_no_site_is_shown_twice():
    """Where all are wrong, the site that is best, most mistaken and median is shown once each."""
    probabilities = np.stack([np.full(4, 0.9), np.array([0.1, 0.05, 0.02, 0.01])], axis=1)
    for num in range(1, 5):
        rows = [row for _, row in exemplary_rows(np.arange(num), probabilities, 1)]
        assert len(set(rows)) == len(rows) == min(num, 3)


@pytest.fixture(scope="module")
def shown(tmp_path_factory, tiny_module):
    folder = tmp_path_factory.mktemp("gallery")
    simulate_screen(folder / "screen", SPEC, num_workers=1)
    cache = build_cache(
        load_description("rxrx2"), folder / "screen", folder / "cache", downsample=2, num_workers=1
    )
    model_onnx = tiny_module.tiny_graph(6, 5, 2, np.random.default_rng(0))
    graph = Graph.load(model_onnx, device="cpu", num_threads=1)
    stacks = np.stack([cache.read_raw(row) for row in range(len(cache))]).astype(np.float32)
    logits = graph.run(stacks)["logits"]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    predictions = SimpleNamespace(classifier=SimpleNamespace(probabilities=probabilities))
    return gallery(cache, np.full(len(cache), "test"), TASK, predictions, model_onnx)


def test_every_class_has_its_pictures_in_order(shown):
    """Classes come in logit order, the best of each first."""
    treatments = [overlay.title.split(" of ")[1].split(":")[0].removesuffix(" 0.1") for overlay in shown]
    assert list(dict.fromkeys(treatments)) == list(TASK.treatments)
    firsts = [overlay.title for overlay in shown if overlay.title.startswith("best")]
    assert len(firsts) == len(TASK.treatments)


def test_a_misclassified_site_is_marked_as_one(shown):
    """A picture is marked exactly where its title names another treatment as predicted than the true one."""
    for overlay in shown:
        truth = overlay.title.split(" of ")[1].split(":")[0].removesuffix(" 0.1")
        predicted = overlay.title.split("predicted ")[1].rsplit(" ", 1)[0]
        assert overlay.is_misclassified == (truth != predicted)
        assert overlay.is_misclassified or not overlay.title.startswith("most mistaken")
    assert any(overlay.is_misclassified for overlay in shown)


def test_pictures_are_small_enough_for_one_page(shown):
    """Every picture is a PNG of at most 1000 pixels and 250 KB."""
    for overlay in shown:
        image = Image.open(io.BytesIO(overlay.png))
        assert image.format == "PNG"
        assert image.width <= 1000
        assert len(overlay.png) <= 250_000


def test_a_small_picture_is_not_enlarged():
    """What is narrow already keeps its size and, in few colours, every pixel."""
    picture = np.zeros((20, 30, 3), np.uint8)
    picture[5:9, 3:20] = (200, 30, 90)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    np.testing.assert_array_equal(
        np.asarray(Image.open(io.BytesIO(small_png(buffer.getvalue()))).convert("RGB")), picture
    )
