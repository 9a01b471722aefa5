"""Model-parameter randomisation: a map that explains a network must change when the network is destroyed."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf
from scipy.stats import rankdata

from phenotrain.explain.estimates import mean_over_wells
from phenotrain.explain.randomisation_result import Randomisation, Stage
from phenotrain.graph import ServedGraph

NUM_DRAWS: Final = 3
"""Randomisations of the whole cascade; each site's correlations are averaged over them."""

_NUM_CHANCE_DRAWS: Final = 100
_MAX_BATCH_PX: Final = 2**20
_BLOCK: Final = re.compile(r"^(?:conv|pool)(\d)_")

Maps = Callable[[], list[np.ndarray]]


def randomise_cascade(
    graph: ServedGraph,
    stacks: Sequence[np.ndarray],
    treatments: Sequence[int],
    wells: np.ndarray,
    *,
    seed: int,
    num_draws: int = NUM_DRAWS,
) -> Randomisation:
    """Shuffle the weights part by part, from the head down to the stem, and compare the maps.

    The values of each weight array are shuffled among themselves, so that their distribution stays and only what
    was learned goes. The graph has its weights back when this returns or fails.

    Args:
        graph: The trained graph.
        stacks: Raw stacks `(channel, y, x)`, one a site.
        treatments: The explained treatment of every site, as an index in logit order.
        wells: Name of every site's well, `(site,)`.
        seed: Seed of the shuffling.
        num_draws: Randomisations of the whole cascade.

    Returns:
        The correlations, stage by stage.
    """
    rng = np.random.default_rng(seed)
    parts = parts_from_the_top(graph)

    def maps() -> list[np.ndarray]:
        return _maps(graph, stacks, treatments)

    before = maps()
    is_kept = np.array([len(np.unique(heat)) > 1 for heat in before])
    rho = np.full((num_draws, len(parts), len(stacks)), np.nan)
    for draw in range(num_draws):
        rho[draw] = _cascade(parts, maps, before, rng)
    rho[:, :, ~is_kept] = np.nan
    stages: list[Stage] = []
    for number, (name, _) in enumerate(parts):
        size = np.abs(rho[:, number]).mean(axis=0)
        known = rho[:, number][:, is_kept]
        signed = float(known.mean()) if known.size else None
        stages.append(Stage(name, mean_over_wells(size, wells, rng), signed))
    kept = [heat for heat, keep in zip(before, is_kept, strict=True) if keep]
    return Randomisation(tuple(stages), _chance(kept, rng), num_draws, int((~is_kept).sum()))


def parts_from_the_top(graph: ServedGraph) -> list[tuple[str, list[Any]]]:
    """Name the parts whose weights make the heatmap, with their layers, the classifier head first.

    Args:
        graph: Its encoder's layers belong to a DenseNet's blocks by their names; before the first block, and where no
            name says so, they are the stem.

    Returns:
        Head, then the encoder's blocks from the last to the first, then the stem; each with at least one layer that
        has weights.
    """
    blocks: dict[int, list[Any]] = {}
    current = 0
    for layer in _weighted_layers(graph.encoder):
        found = _BLOCK.match(layer.name)
        # The first convolution is the stem; DenseNet's last batch normalisation carries no number and ends a block.
        current = current if found is None else int(found[1])
        blocks.setdefault(current if current > 1 else 0, []).append(layer)
    numbers = sorted(blocks, reverse=True)
    parts = [("classifier head", _weighted_layers(graph.classifier_head))]
    for place, number in enumerate(numbers):
        name = "stem" if number == 0 else "last block" if place == 0 else f"block {number - 1}"
        parts.append((name, blocks[number]))
    return parts


def rank_correlation(before: np.ndarray, after: np.ndarray) -> float:
    """Spearman's rho of two maps; 0 where one of them has no ranks."""
    if len(np.unique(before)) < 2 or len(np.unique(after)) < 2:
        return 0.0
    return float(np.corrcoef(rankdata(before.ravel()), rankdata(after.ravel()))[0, 1])


def _cascade(
    parts: list[tuple[str, list[Any]]], maps: Maps, before: list[np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """Randomise part after part and put everything back; rho `(part, site)`."""
    kept = [(layer, layer.get_weights()) for _, layers in parts for layer in layers]
    rho = np.empty((len(parts), len(before)))
    try:
        for number, (_, layers) in enumerate(parts):
            for layer in layers:
                layer.set_weights([_shuffled(weight, rng) for weight in layer.get_weights()])
            rho[number] = [rank_correlation(*pair) for pair in zip(before, maps(), strict=True)]
    finally:
        for layer, weights in kept:
            layer.set_weights(weights)
    return rho


def _shuffled(weight: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(weight.ravel()).reshape(weight.shape)


def _chance(maps: list[np.ndarray], rng: np.random.Generator) -> float | None:
    draws = [
        abs(rank_correlation(heat, _shuffled(heat, rng))) for heat in maps for _ in range(_NUM_CHANCE_DRAWS)
    ]
    return float(np.mean(draws)) if draws else None


def _maps(graph: ServedGraph, stacks: Sequence[np.ndarray], treatments: Sequence[int]) -> list[np.ndarray]:
    """Return the served heatmap of every stack's treatment, a few stacks at a time."""
    found: list[np.ndarray] = []
    size = max(1, _MAX_BATCH_PX // stacks[0][0].size)
    for start in range(0, len(stacks), size):
        batch = np.stack(stacks[start : start + size]).astype(np.float32)
        heat = graph(tf.constant(batch))["heatmap"].numpy()
        found.extend(heat[place, treatments[start + place]] for place in range(len(batch)))
    return found


def _weighted_layers(model: keras.Model) -> list[Any]:
    """Layers with weights of their own, those of nested models in their place, in order."""
    found: list[Any] = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found.extend(_weighted_layers(layer))
        elif layer.weights:
            found.append(layer)
    return found
