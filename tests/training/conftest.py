"""Networks with weights that say something, and a small real cache."""

import keras
import numpy as np
import pytest

from phenotrain.encoder import batch_normalisations, build_encoder, build_projection_head
from phenotrain.graph import ServedGraph
from phenotrain.heads import build_head
from phenotrain.recipe import EncoderRecipe, HeadsRecipe, ProjectionHeadRecipe


def randomise(model: keras.Model, seed: int) -> None:
    """Moves every offset, gain and statistic away from the zeros and ones that hide mistakes."""
    rng = np.random.default_rng(seed)
    for layer in batch_normalisations(model):
        size = layer.moving_mean.shape
        layer.moving_mean.assign(rng.normal(0, 0.1, size))
        layer.moving_variance.assign(rng.uniform(0.5, 1.5, size))
        layer.gamma.assign(rng.uniform(0.7, 1.3, size))
        layer.beta.assign(rng.normal(0, 0.2, size))
    for weight in model.weights:
        if weight.name == "bias":
            weight.assign(rng.normal(0, 0.1, weight.shape))


@pytest.fixture(scope="session")
def served_graph():
    """Six stains, downsample 2, a classifier head with a hidden layer and linear binary heads."""
    keras.utils.set_random_seed(3)
    hidden, linear = HeadsRecipe(hidden_units=16), HeadsRecipe()
    graph = ServedGraph(
        build_encoder(6, EncoderRecipe(weights="none", stem="adapter")),
        build_projection_head(ProjectionHeadRecipe(hidden_units=(32,))),
        build_head(5, hidden, name="logits"),
        build_head(4, linear, name="versus_control"),
        downsample=2,
    )
    for seed, model in enumerate(
        (graph.encoder, graph.projection_head, graph.classifier_head, graph.versus_control_head)
    ):
        randomise(model, seed)
    return graph


@pytest.fixture
def raw_stacks():
    """Raw stacks of three sizes and pixel types, none of them a multiple of the pooling."""
    rng = np.random.default_rng(11)
    return [
        rng.gamma(2.0, 6.0, (6, 129, 131)).clip(0, 255).astype(np.uint8),
        rng.gamma(2.0, 3000.0, (6, 200, 97)).clip(0, 65535).astype(np.uint16),
        rng.gamma(2.0, 0.02, (6, 64, 64)).astype(np.float32),
    ]
