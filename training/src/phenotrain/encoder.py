"""The networks: stem and DenseNet121 (the encoder), and SimCLR's projection head."""

import hashlib
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras.src.applications.densenet import DenseNet  # Keras exports only its networks of 121 layers and more

from phenoserve.bundle.outputs import EMBEDDING_SIZE, PROJECTION_SIZE
from phenotrain.recipe import DENSENET121, EncoderRecipe, ProjectionHeadRecipe

_COLOURS = (None, None, 3)


class WeightsUnavailableError(RuntimeError):
    """The encoder's initial weights could not be had; the message names the other choices."""


def build_encoder(num_channels: int, recipe: EncoderRecipe) -> keras.Model:
    """Stem and DenseNet121 up to its last feature map (Huang et al. 2017).

    Args:
        num_channels: Stains in a stack.
        recipe: Where the initial weights come from, how the stains enter, and how many layers a block has.

    Returns:
        A model from standardised fields `(site, y, x, channel)` to feature maps `(site, y', x', 1024)`, after
        the last batch normalisation and ReLU, 32 times smaller than the field. Where the blocks are not DenseNet121's,
        one more convolution of 1 pixel makes 1024 of what they give.

    Raises:
        WeightsUnavailableError: If the weights cannot be downloaded or the file does not fit.
    """
    fields = keras.Input((None, None, num_channels), name="fields")
    if recipe.stem == "channels":
        return keras.Model(fields, _channel_backbone(recipe, num_channels)(fields), name="encoder")
    adapted = keras.layers.Conv2D(
        recipe.adapter_filters, 3, padding="same", activation="relu", name="stain_adapter_mix"
    )(fields)
    adapted = keras.layers.Conv2D(3, 1, name="stain_adapter")(adapted)
    return keras.Model(fields, _backbone(recipe)(adapted), name="encoder")


def weights_identity(recipe: EncoderRecipe) -> str:
    """Say which initial weights a recipe names, a file by its content: another file of the same name differs."""
    path = Path(recipe.weights)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else recipe.weights


def build_projection_head(recipe: ProjectionHeadRecipe) -> keras.Model:
    """SimCLR's projection head g (Chen et al. 2020, section 2.1).

    Args:
        recipe: Hidden widths and dropout.

    Returns:
        A model from embeddings `(site, 1024)` to projections `(site, 128)`, not normalised.
    """
    embedding = keras.Input((EMBEDDING_SIZE,), name="embedding")
    hidden = embedding
    for num_units in recipe.hidden_units:
        # The batch normalisation that follows has its own offset.
        hidden = keras.layers.Dense(num_units, use_bias=False)(hidden)
        hidden = keras.layers.BatchNormalization(momentum=0.9)(hidden)
        hidden = keras.layers.ReLU()(hidden)
        if recipe.dropout > 0:
            hidden = keras.layers.Dropout(recipe.dropout, seed=0)(hidden)
    projection = keras.layers.Dense(PROJECTION_SIZE, dtype="float32")(hidden)
    return keras.Model(embedding, projection, name="projection_head")


def batch_normalisations(model: keras.Model) -> list[Any]:
    """Every batch normalisation of a model, nested ones included, in order.

    (Untyped: Keras declares a layer's moving statistics as possibly missing.)
    """
    layers = model._flatten_layers(include_self=False, recursive=True)  # noqa: SLF001  (Keras has no public walk)
    return [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]


def _backbone(recipe: EncoderRecipe) -> keras.Model:
    weights = recipe.weights
    if weights == "none":
        return _densenet(recipe.blocks, None, input_shape=_COLOURS)
    if weights != "imagenet" and not Path(weights).is_file():
        raise WeightsUnavailableError(
            f"No DenseNet121 weights at {weights!r}: expected `imagenet`, `none`, or the path of a weights file "
            "without top."
        )
    try:
        return _densenet(recipe.blocks, weights, input_shape=_COLOURS)
    except Exception as error:  # Keras raises a bare Exception when a download fails
        raise WeightsUnavailableError(
            f"DenseNet121 weights {weights!r} could not be loaded ({error}). Without a network, pass `--weights none` "
            "to start from random weights, or `--weights PATH` to a downloaded DenseNet121 file without top."
        ) from error


def _channel_backbone(recipe: EncoderRecipe, num_channels: int) -> keras.Model:
    """DenseNet121 whose first convolution takes the stains; ImageNet's kernel for colours is averaged and spread."""
    # Given as a tensor: for a shape of other than 1 or 3 channels Keras warns of what is meant here.
    stains = keras.Input((None, None, num_channels))
    backbone = _densenet(recipe.blocks, None, input_tensor=stains)
    if recipe.weights != "none":
        for layer, initial in zip(backbone.layers, _backbone(recipe).layers, strict=True):
            values = initial.get_weights()
            if layer.name == "conv1_conv":
                # A stain carries 3 / channels of a colour's weight, so the sum over the input keeps its size.
                mean = values[0].mean(axis=2, keepdims=True) * (3 / num_channels)
                values[0] = np.repeat(mean, num_channels, axis=2)
            layer.set_weights(values)
    return backbone


def _densenet(blocks: tuple[int, ...], weights: Any, **inputs: Any) -> keras.Model:
    network: keras.Model = DenseNet(list(blocks), include_top=False, weights=weights, **inputs)
    if blocks == DENSENET121:
        return network
    widened = keras.layers.Conv2D(EMBEDDING_SIZE, 1, activation="relu", name="conv5_width")(network.output)
    return keras.Model(network.input, widened)
