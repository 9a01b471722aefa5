"""An encoder trained from the labels themselves: what SimCLR has to beat to be worth its price."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from phenotrain import checkpoint
from phenotrain.augment import draw_view
from phenotrain.cache import FieldCache
from phenotrain.encoder import build_encoder, weights_identity
from phenotrain.recipe import Recipe
from phenotrain.simclr import optimizer_of
from phenotrain.standardise import standardise

_STEPS_A_CHECKPOINT = 50


def train_supervised(
    cache: FieldCache,
    rows: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    recipe: Recipe,
    folder: Path,
    *,
    num_steps: int,
    on_step: Callable[[int, int, float | None], None] | None = None,
) -> keras.Model:
    """Trains stem, DenseNet121 and a linear layer by cross-entropy on labelled sites.

    It gets what SimCLR gets: the initial weights, views, batch size, optimiser and number of steps of the recipe.
    Every draw follows from the recipe's seed and the step; a killed run goes on from the last checkpoint. Another
    training (other sites, labels or numbers) has a checkpoint of its own and takes nothing from this one.

    Args:
        cache: Pooled fields.
        rows: Labelled training rows of the cache.
        targets: Class of each row, `(len(rows),)`.
        weights: How often each row is drawn, relative to the others, `(len(rows),)`, not negative.
        recipe: The encoder's, SimCLR's and the augmentation's sections are used.
        folder: The checkpoint goes here, into a folder named after what the training depends on.
        num_steps: Optimiser steps.
        on_step: Called with the steps done, the number of steps and the loss: before the first step, without a loss,
            and after each.

    Returns:
        The encoder, standardised fields to feature maps.

    Raises:
        phenotrain.encoder.WeightsUnavailableError: If the initial weights cannot be had.
    """
    keras.utils.set_random_seed(recipe.seed)
    encoder = build_encoder(len(cache.stains), recipe.encoder)
    outputs = keras.layers.Dense(int(targets.max()) + 1, name="outputs")
    outputs.build((None, encoder.output_shape[-1]))
    trainable = encoder.trainable_variables + outputs.trainable_variables
    optimizer = optimizer_of(recipe.simclr, num_steps, "float32")
    optimizer.build(trainable)

    @tf.function
    def train_step(fields: tf.Tensor, classes: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        views = draw_view(
            standardise(tf.transpose(fields, [0, 2, 3, 1])),
            seed,
            crop_px=recipe.simclr.crop_px,
            strengths=recipe.augmentation,
        )
        with tf.GradientTape() as tape:
            logits = outputs(tf.reduce_mean(encoder(views, training=True), axis=[1, 2]))
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(classes, logits))
        optimizer.apply(tape.gradient(loss, trainable), trainable)
        return loss

    identity = _identity(cache, rows, targets, weights, recipe, num_steps)
    path = folder / hashlib.sha256(identity.encode()).hexdigest()[:16] / "checkpoint.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    variables = [*encoder.variables, *outputs.variables, *optimizer.variables]
    first_step = checkpoint.restore(path, variables, identity)
    if on_step is not None:
        on_step(first_step, num_steps, None)
    batch_size = min(recipe.simclr.batch_size, len(rows))
    for step in range(first_step, num_steps):
        drawn = np.random.default_rng([recipe.seed, step]).choice(
            len(rows), batch_size, p=weights / weights.sum()
        )
        fields = tf.constant(cache.read(rows[drawn]))
        loss = train_step(fields, tf.constant(targets[drawn]), tf.constant([recipe.seed, step], tf.int32))
        if on_step is not None:
            on_step(step + 1, num_steps, float(loss))
        if (step + 1) % _STEPS_A_CHECKPOINT == 0 or step + 1 == num_steps:
            checkpoint.save(path, variables, identity, num_done=step + 1)
    return encoder


def _identity(
    cache: FieldCache,
    rows: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    recipe: Recipe,
    num_steps: int,
) -> str:
    seen = hashlib.sha256()
    for part in (rows.astype(np.int64), targets.astype(np.int64), weights.astype(np.float64)):
        seen.update(part.tobytes())
    numbers = recipe.model_dump_json(
        include={"seed", "downsample", "encoder", "simclr", "augmentation"},
        exclude={"encoder": {"weights", "export"}},
    )
    start = weights_identity(recipe.encoder)
    return f"supervised {cache.fingerprint} {numbers} {num_steps} {seen.hexdigest()} {start}"
