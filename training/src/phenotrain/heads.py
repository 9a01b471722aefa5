"""The classifier head over all treatments and one binary head a treatment, on frozen embeddings."""

from typing import Final

import keras
import numpy as np
import tensorflow as tf

from phenoserve.bundle.outputs import EMBEDDING_SIZE
from phenotrain.labelled import HeadData
from phenotrain.recipe import HeadsRecipe

_BATCH_SIZE: Final = 256


def build_head(num_outputs: int, recipe: HeadsRecipe, *, name: str) -> keras.Model:
    """One head: an optional ReLU layer, then linear outputs.

    Args:
        num_outputs: Number of logits.
        recipe: Hidden width (0 for none), dropout and L2 penalty.
        name: `logits` or `versus_control`.

    Returns:
        A model from embeddings `(site, 1024)` to logits `(site, num_outputs)`.
    """
    penalty = keras.regularizers.L2(recipe.weight_decay) if recipe.weight_decay > 0 else None
    embedding = keras.Input((EMBEDDING_SIZE,), name="embedding")
    hidden = embedding
    if recipe.hidden_units > 0:
        hidden = keras.layers.Dense(recipe.hidden_units, kernel_regularizer=penalty, name="hidden")(hidden)
        hidden = keras.layers.ReLU(name="hidden_relu")(hidden)
    if recipe.dropout > 0:
        hidden = keras.layers.Dropout(recipe.dropout, seed=0)(hidden)
    outputs = keras.layers.Dense(num_outputs, kernel_regularizer=penalty, name="outputs")(hidden)
    return keras.Model(embedding, outputs, name=name)


def head_gradient(head: keras.Model, embedding: tf.Tensor) -> tf.Tensor:
    """Gradient of every logit by the embedding, in closed form.

    ONNX Runtime differentiates nothing, so Grad-CAM's gradient has to be part of the graph: for logits
    `W2 relu(W1 h + b1) + b2` it is `W2 diag(W1 h + b1 > 0) W1`, and `W2` for a linear head.

    Args:
        head: A model of `build_head`.
        embedding: `(site, 1024)`.

    Returns:
        `(site, 1024, num_outputs)`.
    """
    kernel = head.get_layer("outputs").kernel
    if "hidden" not in {layer.name for layer in head.layers}:
        return tf.tile(kernel[tf.newaxis], tf.stack([tf.shape(embedding)[0], 1, 1]))
    hidden = head.get_layer("hidden")
    active = tf.cast(hidden(embedding) > 0, embedding.dtype)
    return tf.einsum("eh,sht->set", hidden.kernel, active[:, :, tf.newaxis] * kernel[tf.newaxis])


def fit_head(
    head: keras.Model,
    train: HeadData,
    validation: HeadData | None,
    recipe: HeadsRecipe,
    *,
    seed: int,
    num_epochs: int | None = None,
) -> list[dict[str, float]]:
    """Trains one head with early stopping on the validation loss, keeping its best weights.

    The head learns on embeddings standardised by the training sites; the standardisation is then folded into its
    first layer, so that the head takes embeddings as they are.

    Args:
        head: A model of `build_head`, changed in place.
        train: Sites to learn from.
        validation: Sites to stop on; None trains for `num_epochs`.
        recipe: Rate, decay, epochs, steps and patience.
        seed: Seed of the shuffling.
        num_epochs: Passes to make; when not given at most the recipe's, and no fewer than make its steps.

    Returns:
        One row an epoch: `loss`, with the L2 penalty, and `val_loss`, without it, where there are sites to stop on.
    """
    mean, deviation = train.embeddings.mean(axis=0), train.embeddings.std(axis=0)
    deviation = np.maximum(deviation, 1e-3 * max(float(deviation.max()), 1e-6))
    fitter = _Fitter(head, train, mean, deviation, recipe)
    rng = np.random.default_rng(seed)
    history: list[dict[str, float]] = []
    best_loss, best_weights, since_best = np.inf, head.get_weights(), 0
    watched = None if validation is None else fitter.tensors(validation)
    least = -(-recipe.steps // fitter.num_steps)
    for epoch in range(num_epochs or max(recipe.epochs, least)):
        row = {"loss": fitter.run_epoch(rng)}
        if watched is not None:
            row["val_loss"] = float(fitter.loss(*watched))
            since_best += 1
            if row["val_loss"] < best_loss:
                best_loss, best_weights, since_best = row["val_loss"], head.get_weights(), 0
        history.append(row)
        if since_best >= recipe.patience and epoch + 1 >= least:
            break
    if watched is not None:
        head.set_weights(best_weights)
    _fold_standardisation(head, mean, deviation)
    return history


class _Fitter:
    """Adam on one head."""

    # Not Keras's `fit`: its bookkeeping of an epoch takes many times the arithmetic of a head this small.

    def __init__(
        self, head: keras.Model, train: HeadData, mean: np.ndarray, deviation: np.ndarray, recipe: HeadsRecipe
    ) -> None:
        self._head, self._mean, self._deviation = head, mean, deviation
        self._loss = _softmax_loss if train.targets.ndim == 1 else _binary_loss
        self._embeddings, self._joined = self.tensors(train)
        self._optimizer = keras.optimizers.Adam(recipe.learning_rate)
        self._optimizer.build(head.trainable_variables)
        self._step = tf.function(self._train_step, reduce_retracing=True)
        self.loss = tf.function(self._mean_loss)

    def tensors(self, data: HeadData) -> tuple[tf.Tensor, tf.Tensor]:
        """Standardised embeddings, and targets with their weights."""
        standardised = (data.embeddings - self._mean) / self._deviation
        return tf.constant(standardised, tf.float32), tf.constant(_joined(data))

    @property
    def num_steps(self) -> int:
        """Steps of a pass."""
        return -(-len(self._embeddings) // _BATCH_SIZE)

    def run_epoch(self, rng: np.random.Generator) -> float:
        """One shuffled pass; the mean loss over its sites."""
        order = rng.permutation(len(self._embeddings))
        losses: list[float] = []
        for start in range(0, len(order), _BATCH_SIZE):
            rows = tf.constant(order[start : start + _BATCH_SIZE])
            losses.append(float(self._step(rows)) * len(rows))
        return sum(losses) / len(order)

    def _train_step(self, rows: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = self._head(tf.gather(self._embeddings, rows), training=True)
            loss = tf.reduce_mean(self._loss(tf.gather(self._joined, rows), logits))
            penalised = tf.add_n([loss, *self._head.losses])
        variables = self._head.trainable_variables
        self._optimizer.apply(tape.gradient(penalised, variables), variables)
        return penalised

    def _mean_loss(self, embeddings: tf.Tensor, joined: tf.Tensor) -> tf.Tensor:
        # Without the L2 penalty: as it falls or grows whatever the sites say, it must not decide when to stop.
        return tf.reduce_mean(self._loss(joined, self._head(embeddings, training=False)))


def _fold_standardisation(head: keras.Model, mean: np.ndarray, deviation: np.ndarray) -> None:
    first = next(layer for layer in head.layers if isinstance(layer, keras.layers.Dense))
    kernel, bias = first.get_weights()
    kernel = kernel / deviation[:, np.newaxis]
    first.set_weights([kernel, bias - mean @ kernel])


def _joined(data: HeadData) -> np.ndarray:
    # Keras takes one weight a row, the binary heads one a row and output: weights travel with the targets.
    columns = [part.reshape(len(part), -1) for part in (data.targets, data.weights)]
    return np.concatenate(columns, axis=1).astype(np.float32)


def _softmax_loss(joined: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    labels, weights = tf.cast(joined[:, 0], tf.int32), joined[:, 1]
    return weights * tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)


def _binary_loss(joined: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    targets, weights = tf.split(joined, 2, axis=1)
    return tf.reduce_sum(
        weights * tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=logits), axis=1
    )
