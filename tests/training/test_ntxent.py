"""NT-Xent against the paper's definition and its closed forms."""

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from phenotrain.ntxent import contrastive_accuracy, ntxent_loss

pytestmark = pytest.mark.training


def paper_loss(projections_a: np.ndarray, projections_b: np.ndarray, temperature: float) -> float:
    """Chen et al. 2020, Algorithm 1, with its loops and its one-based pairs (2k-1, 2k)."""
    num_sites = len(projections_a)
    views = [view for pair in zip(projections_a, projections_b, strict=True) for view in pair]

    def similarity(i: int, j: int) -> float:
        return float(views[i] @ views[j] / (np.linalg.norm(views[i]) * np.linalg.norm(views[j])))

    def one_loss(i: int, j: int) -> float:
        denominator = sum(math.exp(similarity(i, k) / temperature) for k in range(2 * num_sites) if k != i)
        return -math.log(math.exp(similarity(i, j) / temperature) / denominator)

    total = sum(one_loss(2 * k, 2 * k + 1) + one_loss(2 * k + 1, 2 * k) for k in range(num_sites))
    return total / (2 * num_sites)


@settings(max_examples=40, deadline=None)
@given(
    num_sites=st.integers(2, 9),
    size=st.integers(2, 20),
    temperature=st.sampled_from([0.05, 0.2, 0.5, 1.0, 3.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_the_papers_algorithm(num_sites, size, temperature, seed):
    """NT-Xent equals a slow transcription of the paper's Algorithm 1, whatever the norms of the projections."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, num_sites, size)) * rng.uniform(0.1, 10, size=(2, num_sites, 1))
    loss = ntxent_loss(tf.constant(a, tf.float32), tf.constant(b, tf.float32), temperature)
    assert float(loss) == pytest.approx(paper_loss(a, b, temperature), rel=2e-4, abs=2e-4)


@pytest.mark.parametrize("num_sites", [2, 3, 16])
@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0])
def test_collapsed_projections_give_the_log_of_the_others(num_sites, temperature):
    """When all projections agree the loss is log(2N - 1), not log N as a cross-view-only loss would give."""
    projections = tf.ones((num_sites, 8))
    assert float(ntxent_loss(projections, projections, temperature)) == pytest.approx(
        math.log(2 * num_sites - 1), abs=1e-5
    )


@pytest.mark.parametrize("temperature", [0.2, 0.5])
def test_orthogonal_sites_have_a_closed_form(temperature):
    """When views agree and sites are orthogonal the loss is log(1 + (2N - 2) exp(-1 / temperature))."""
    projections = tf.eye(6)
    expected = math.log(1 + 10 * math.exp(-1 / temperature))
    assert float(ntxent_loss(projections, projections, temperature)) == pytest.approx(expected, rel=1e-5)


def test_views_are_symmetric():
    """Swapping the two views leaves the loss as it is."""
    a, b = tf.random.stateless_normal((2, 7, 5), seed=(1, 2))
    assert float(ntxent_loss(a, b, 0.3)) == pytest.approx(float(ntxent_loss(b, a, 0.3)), rel=1e-6)


def test_sites_may_come_in_any_order():
    """Permuting the sites of both views alike leaves the loss as it is."""
    a, b = tf.random.stateless_normal((2, 7, 5), seed=(3, 4))
    order = [3, 0, 6, 1, 5, 2, 4]
    assert float(ntxent_loss(tf.gather(a, order), tf.gather(b, order), 0.3)) == pytest.approx(
        float(ntxent_loss(a, b, 0.3)), rel=1e-6
    )


def test_gradient_pulls_views_together():
    """A step down the gradient raises the cosine similarity of a site's two views."""
    a = tf.Variable(tf.random.stateless_normal((6, 4), seed=(5, 6)))
    b = tf.random.stateless_normal((6, 4), seed=(7, 8))
    with tf.GradientTape() as tape:
        loss = ntxent_loss(a, b, 0.5)
    before = -float(tf.reduce_mean(tf.keras.losses.cosine_similarity(a, b)))
    a.assign_sub(0.5 * tape.gradient(loss, a))
    assert -float(tf.reduce_mean(tf.keras.losses.cosine_similarity(a, b))) > before


def test_half_precision_projections_lose_nothing_more():
    """Projections in float16 give the loss of their float32 values."""
    a, b = (tf.cast(part, tf.float16) for part in tf.random.stateless_normal((2, 7, 5), seed=(1, 2)))
    expected = ntxent_loss(tf.cast(a, tf.float32), tf.cast(b, tf.float32), 0.05)
    assert float(ntxent_loss(a, b, 0.05)) == pytest.approx(float(expected), rel=1e-6)


def test_contrastive_accuracy_counts_found_positives():
    """The contrastive accuracy is 1 where views agree and sites differ, 0 where every positive is farthest."""
    projections = tf.eye(4)
    assert float(contrastive_accuracy(projections, projections)) == 1.0
    assert float(contrastive_accuracy(projections, -projections)) == 0.0


@pytest.mark.parametrize(
    ("a", "b", "temperature", "named"),
    [
        (tf.ones((4, 3)), tf.ones((5, 3)), 0.5, r"\(4, 3\) and \(5, 3\)"),
        (tf.ones((4,)), tf.ones((4,)), 0.5, r"num_sites, projection_size"),
        (tf.ones((4, 3)), tf.ones((4, 3)), 0.0, "received 0.0"),
        (tf.ones((4, 3)), tf.ones((4, 3)), -1.0, "received -1.0"),
    ],
)
def test_unusable_arguments_are_named(a, b, temperature, named):
    """Differing shapes and temperatures that are not positive are refused by name."""
    with pytest.raises(ValueError, match=named):
        ntxent_loss(a, b, temperature)
