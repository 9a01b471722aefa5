"""SimCLR: learns the encoder from pairs of views of unlabelled sites (Chen et al. 2020)."""

import hashlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

from phenotrain import checkpoint
from phenotrain.augment import draw_view
from phenotrain.batches import Batches, Pairs
from phenotrain.cache import FieldCache
from phenotrain.encoder import build_encoder, build_projection_head, weights_identity
from phenotrain.ntxent import contrastive_accuracy, ntxent_loss
from phenotrain.recipe import Recipe, SimclrRecipe
from phenotrain.standardise import standardise
from phenotrain.training_log import EpochRow, TrainingLog

_CHECKPOINT_INTERVAL_S: Final = 30.0
"""Least time between checkpoints, which are written after whole epochs."""


@dataclass(frozen=True)
class SimclrNetworks:
    """What SimCLR trains, in float32.

    Attributes:
        encoder: Standardised fields to feature maps.
        projection_head: Embeddings to projections.
    """

    encoder: keras.Model
    projection_head: keras.Model


def pretrain(
    cache: FieldCache,
    rows: np.ndarray,
    recipe: Recipe,
    folder: Path,
    *,
    on_step: Callable[[int, int, float | None], None] | None = None,
    precision: str | None = None,
) -> SimclrNetworks:
    """Trains the encoder, or goes on from the last epoch kept in `folder`.

    Every draw is a function of the recipe's seed and the step alone, so on a CPU a run that was killed and resumed
    ends with the weights of one that was not. On a GPU, sums in another order make any two runs differ a little.

    Args:
        cache: Pooled fields.
        rows: Rows of the cache to learn from, labels unseen.
        recipe: All sections but the heads' and the forest's are used.
        folder: Checkpoint, `log.csv` and TensorBoard events go here.
        on_step: Called with the steps done, the number of steps and the loss: before the first step, without a loss,
            and after each.
        precision: Keras dtype policy; mixed float16 on a GPU and float32 elsewhere when not given.

    Returns:
        The trained networks.

    Raises:
        phenotrain.batches.BatchError: If there are too few sites or wells for a step.
        phenotrain.checkpoint.CheckpointMismatchError: If the checkpoint is another run's.
        phenotrain.encoder.WeightsUnavailableError: If the initial weights cannot be had.
    """
    precision = precision or _precision()
    trainer = _Trainer(cache, np.asarray(rows), recipe, precision)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint_path = folder / "checkpoint.npz"
    identity = _identity(cache, rows, recipe, precision)
    first_epoch = checkpoint.restore(checkpoint_path, trainer.variables, identity)
    if on_step is not None:
        on_step(first_epoch * trainer.batches.num_steps, trainer.batches.num_steps_in_all, None)
    with TrainingLog(folder, first_epoch=first_epoch) as log:
        saved = -np.inf
        for epoch in range(first_epoch, trainer.batches.num_epochs):
            log.write(trainer.run_epoch(epoch, on_step))
            is_last = epoch + 1 == trainer.batches.num_epochs
            # A pass over few sites takes less time than its checkpoint of 90 MB.
            if is_last or time.monotonic() - saved >= _CHECKPOINT_INTERVAL_S:
                checkpoint.save(checkpoint_path, trainer.variables, identity, num_done=epoch + 1)
                saved = time.monotonic()
    return trainer.networks()


def initial_networks(num_channels: int, recipe: Recipe) -> SimclrNetworks:
    """Builds the networks that SimCLR begins with.

    Args:
        num_channels: Stains in a stack.
        recipe: The encoder's and the projection head's sections and the seed are used.

    Raises:
        phenotrain.encoder.WeightsUnavailableError: If the initial weights cannot be had.
    """
    return SimclrNetworks(*_build(num_channels, recipe, "float32"))


def pretraining_folder(cache: FieldCache, rows: np.ndarray, recipe: Recipe, work: Path) -> Path:
    """Names a folder after all that the training depends on, so that whoever asks for the same one finds it.

    Args:
        cache: Pooled fields.
        rows: Rows of the cache to learn from.
        recipe: As of `pretrain`.
        work: Folder that holds the checkpoints of all trainings.

    Returns:
        The folder for `pretrain`, on this machine's default precision.
    """
    identity = _identity(cache, rows, recipe, _precision())
    return work / "simclr" / hashlib.sha256(identity.encode()).hexdigest()[:16]


def known_text(folder: Path, num_epochs: int) -> str:
    """Say what of a training is done already.

    Args:
        folder: As given to `pretrain`.
        num_epochs: Passes of the whole training.

    Returns:
        A clause to follow the number of steps; empty where nothing is done.
    """
    done = checkpoint.num_done(folder / "checkpoint.npz")
    if done == 0:
        return ""
    if done < num_epochs:
        return f"; goes on after pass {done} of {num_epochs} in {folder}"
    return f"; learned before, taken from {folder}"


def _precision() -> str:
    return "mixed_float16" if tf.config.list_physical_devices("GPU") else "float32"


def _identity(cache: FieldCache, rows: np.ndarray, recipe: Recipe, precision: str) -> str:
    # What comes after SimCLR may change without throwing its weights away, and so may what chose the rows.
    after = {"name", "heads", "forest", "baselines", "calibration", "split"}
    depends_on = recipe.model_dump_json(exclude={*after, "encoder"})
    encoder = recipe.encoder.model_dump_json(exclude={"weights", "export"})
    seen = hashlib.sha256(np.sort(np.asarray(rows, np.int64)).tobytes()).hexdigest()
    start = weights_identity(recipe.encoder)
    return f"{cache.fingerprint} {depends_on} {encoder} {precision} {seen} {start}"


def batches_of(cache: FieldCache, rows: np.ndarray, recipe: Recipe) -> Batches:
    """Deals out the steps that `pretrain` takes on these rows."""
    return Batches(cache.sites, rows, recipe.simclr, seed=recipe.seed)


class _Trainer:
    def __init__(self, cache: FieldCache, rows: np.ndarray, recipe: Recipe, precision: str) -> None:
        self._cache, self._recipe = cache, recipe
        self.batches = batches_of(cache, rows, recipe)
        self._encoder, self._head = _build(len(cache.stains), recipe, precision)
        self._trainable = self._encoder.trainable_variables + self._head.trainable_variables
        self._optimizer = optimizer_of(recipe.simclr, self.batches.num_steps_in_all, precision)
        self._optimizer.build(self._trainable)
        self._step = tf.function(self._train_step)

    @property
    def variables(self) -> list[keras.Variable]:
        """All that a resumed run needs: weights, moving statistics, dropout seeds, optimiser state."""
        return [*self._encoder.variables, *self._head.variables, *self._optimizer.variables]

    def run_epoch(self, epoch: int, on_step: Callable[[int, int, float | None], None] | None) -> EpochRow:
        started, losses, accuracies = time.perf_counter(), [], []
        for batch, fields in enumerate(self._read_ahead(epoch)):
            step = epoch * self.batches.num_steps + batch
            seed = tf.constant([self._recipe.seed, step], tf.int32)
            loss, accuracy = self._step(tf.constant(fields[0]), tf.constant(fields[1]), seed)
            losses.append(float(loss))
            accuracies.append(float(accuracy))
            if on_step is not None:
                on_step(step + 1, self.batches.num_steps_in_all, losses[-1])
        if not np.isfinite(losses).all():
            raise FloatingPointError(
                f"The loss became {losses[-1]} in epoch {epoch}; lower `simclr.learning_rate` or raise `clip_norm`."
            )
        return EpochRow(
            epoch=epoch,
            loss=float(np.mean(losses)),
            contrastive_accuracy=float(np.mean(accuracies)),
            learning_rate=float(np.asarray(self._optimizer.learning_rate)),
            wall_s=time.perf_counter() - started,
        )

    def networks(self) -> SimclrNetworks:
        encoder, head = _build(len(self._cache.stains), self._recipe, "float32", initial=False)
        encoder.set_weights(self._encoder.get_weights())
        head.set_weights(self._head.get_weights())
        return SimclrNetworks(encoder, head)

    def _read_ahead(self, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Fields of the first and of the second views; the very same array where pairs show one site."""
        steps = self.batches.epoch(epoch)
        # One batch is read ahead. (A tf.data generator stalled for ten seconds at a time on two cores.)
        with ThreadPoolExecutor(max_workers=1) as reader:
            ahead = reader.submit(self._read, steps[0])
            for following in steps[1:]:
                fields = ahead.result()
                ahead = reader.submit(self._read, following)
                yield fields
            yield ahead.result()

    def _read(self, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
        fields = self._cache.read(pairs.rows_a)
        return fields, fields if pairs.rows_b is pairs.rows_a else self._cache.read(pairs.rows_b)

    def _train_step(
        self, fields_a: tf.Tensor, fields_b: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        crop_px, strengths = self._recipe.simclr.crop_px, self._recipe.augmentation
        views = [
            draw_view(
                standardise(tf.transpose(fields, [0, 2, 3, 1])), view, crop_px=crop_px, strengths=strengths
            )
            for fields, view in zip((fields_a, fields_b), tf.unstack(tf.random.split(seed, 2)), strict=True)
        ]
        with tf.GradientTape() as tape:
            feature_map = self._encoder(tf.concat(views, axis=0), training=True)
            projections = self._head(tf.reduce_mean(feature_map, axis=[1, 2]), training=True)
            projections_a, projections_b = tf.split(projections, 2)
            loss = ntxent_loss(projections_a, projections_b, self._recipe.simclr.temperature)
            scaled_loss = self._optimizer.scale_loss(loss)
        self._optimizer.apply(tape.gradient(scaled_loss, self._trainable), self._trainable)
        return loss, contrastive_accuracy(projections_a, projections_b)


def _build(
    num_channels: int, recipe: Recipe, precision: str, *, initial: bool = True
) -> tuple[keras.Model, keras.Model]:
    outer = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        keras.utils.set_random_seed(recipe.seed)
        encoder_recipe = recipe.encoder if initial else recipe.encoder.model_copy(update={"weights": "none"})
        return build_encoder(num_channels, encoder_recipe), build_projection_head(recipe.projection_head)
    finally:
        keras.config.set_dtype_policy(outer)


def optimizer_of(recipe: SimclrRecipe, num_steps: int, precision: str) -> keras.optimizers.Optimizer:
    """Returns AdamW (or Adam) with linear warm-up and cosine decay over `num_steps`, as the recipe says.

    Args:
        recipe: Rates, decay and clipping.
        num_steps: Steps of the whole training.
        precision: Keras dtype policy; under `mixed_float16` the loss is scaled.
    """
    warmup_steps = round(recipe.warmup_share * num_steps)
    alpha = recipe.final_learning_rate / recipe.learning_rate
    schedule: Any = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup_steps else recipe.learning_rate,
        decay_steps=max(num_steps - warmup_steps, 1),
        alpha=alpha,
        warmup_target=recipe.learning_rate if warmup_steps else None,
        warmup_steps=warmup_steps,
    )
    clip = recipe.clip_norm or None
    if recipe.weight_decay == 0:
        optimizer: keras.optimizers.Optimizer = keras.optimizers.Adam(schedule, global_clipnorm=clip)
    else:
        optimizer = keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay, global_clipnorm=clip)
        # Decay is for kernels: shrinking offsets and batch-normalisation gains only biases them.
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return keras.optimizers.LossScaleOptimizer(optimizer) if precision == "mixed_float16" else optimizer
