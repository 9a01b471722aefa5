"""The networks: stain adapter and DenseNet121 (the encoder), and SimCLR's projection head."""

from pathlib import Path
from typing import Any

import keras

from phenoserve.answers import EMBEDDING_SIZE, PROJECTION_SIZE
from phenotrain.recipe import EncoderRecipe, ProjectionHeadRecipe


class WeightsUnavailableError(RuntimeError):
    """The encoder's initial weights could not be had; the message names the other choices."""


def build_encoder(num_channels: int, recipe: EncoderRecipe) -> keras.Model:
    """Stain adapter and DenseNet121 up to its last feature map (Huang et al. 2017).

    Args:
        num_channels: Stains in a stack.
        recipe: Where the initial weights come from, and the adapter's width.

    Returns:
        A model from standardised fields `(site, y, x, channel)` to feature maps `(site, y', x', 1024)`, after
        the last batch normalisation and ReLU, 32 times smaller than the field.

    Raises:
        WeightsUnavailableError: If the weights cannot be downloaded or the file does not fit.
    """
    fields = keras.Input((None, None, num_channels), name="fields")
    adapted = keras.layers.Conv2D(
        recipe.adapter_filters, 3, padding="same", activation="relu", name="stain_adapter_mix"
    )(fields)
    adapted = keras.layers.Conv2D(3, 1, name="stain_adapter")(adapted)
    return keras.Model(fields, _backbone(recipe.weights)(adapted), name="encoder")


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


def _backbone(weights: str) -> keras.Model:
    if weights == "none":
        return _densenet(None)
    if weights != "imagenet" and not Path(weights).is_file():
        raise WeightsUnavailableError(
            f"No DenseNet121 weights at {weights!r}: expected `imagenet`, `none`, or the path of a weights file "
            "without top."
        )
    try:
        return _densenet(weights)
    except Exception as error:  # Keras raises a bare Exception when a download fails
        raise WeightsUnavailableError(
            f"DenseNet121 weights {weights!r} could not be loaded ({error}). Without a network, pass `--weights none` "
            "to start from random weights, or `--weights PATH` to a downloaded DenseNet121 file without top."
        ) from error


def _densenet(weights: Any) -> keras.Model:
    return keras.applications.DenseNet121(include_top=False, weights=weights, input_shape=(None, None, 3))
