"""The encoder's networks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from phenotrain.encoder import build_encoder, build_projection_head
from phenotrain.explain.randomisation import parts_from_the_top
from phenotrain.graph import ServedGraph
from phenotrain.heads import build_head
from phenotrain.onnx_export import check_parity, to_onnx
from phenotrain.recipe import EncoderRecipe, HeadsRecipe, ProjectionHeadRecipe

pytestmark = pytest.mark.training


def test_the_default_blocks_are_densenet121():
    """The encoder of the default blocks holds DenseNet121's layers, by name and shape, behind the stem."""
    encoder = build_encoder(3, EncoderRecipe(weights="none"))
    (ours,) = (layer for layer in encoder.layers if isinstance(layer, keras.Model))
    theirs = keras.applications.DenseNet121(include_top=False, weights=None, input_shape=(None, None, 3))
    assert [(w.path, w.shape) for w in ours.weights] == [(w.path, w.shape) for w in theirs.weights]


@pytest.mark.parametrize("stem", ["adapter", "channels"])
def test_other_blocks_keep_stride_and_width(stem):
    """An encoder of one layer a block gives non-negative maps of 1024 features, 32 times smaller than the field."""
    encoder = build_encoder(5, EncoderRecipe(weights="none", stem=stem, blocks=(1, 1, 1, 1)))
    feature_map = encoder(tf.random.stateless_normal((2, 64, 96, 5), (1, 2))).numpy()
    assert feature_map.shape == (2, 2, 3, 1024)
    assert feature_map.min() == 0
    assert encoder.count_params() < 300_000


def test_a_small_encoder_is_exported_and_taken_apart_as_the_large_one():
    """ONNX Runtime answers as Keras does for an encoder of one layer a block, whose parts carry DenseNet's names."""
    keras.utils.set_random_seed(0)
    graph = ServedGraph(
        build_encoder(2, EncoderRecipe(weights="none", blocks=(1, 1, 1, 1))),
        build_projection_head(ProjectionHeadRecipe(hidden_units=(8,))),
        build_head(3, HeadsRecipe(), name="logits"),
        build_head(2, HeadsRecipe(), name="versus_control"),
        downsample=1,
    )
    stack = np.random.default_rng(0).gamma(2.0, 50.0, (2, 64, 80)).astype(np.uint16)
    assert max(check_parity(graph, to_onnx(graph), [stack]).values()) < 1e-4
    assert [name for name, _ in parts_from_the_top(graph)] == [
        "classifier head",
        "last block",
        "block 3",
        "block 2",
        "block 1",
        "stem",
    ]
