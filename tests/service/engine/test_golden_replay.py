"""Replaying golden stacks."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phenoserve.bundle import Golden, Tolerance, read_bundle
from phenoserve.engine import Engine
from phenoserve.engine.golden_replay import compare, replay_golden, verify

OUTPUTS = ("embedding", "projection", "logits", "versus_control", "heatmap", "forest")


def test_a_bundle_replays_where_it_was_written(tiny_bundle):
    """A bundle replayed on the machine that wrote it repeats its golden answers."""
    (report,) = verify(tiny_bundle, "cpu")
    assert report.ok
    assert report.active_device == "cpu"
    assert [(difference.stack, difference.output) for difference in report.differences] == [
        (stack, output) for stack in (0, 1) for output in OUTPUTS
    ]
    assert max(difference.max_difference for difference in report.differences) < 1e-5


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_mismatch_is_reported_by_its_output(tiny_bundle, output):
    """A golden answer that is not repeated is reported for its stack and output, and for no other."""
    bundle = read_bundle(tiny_bundle)
    first, second = bundle.golden.outputs
    changed = dataclasses.replace(second, **{output: getattr(second, output) + np.float32(0.5)})
    altered = dataclasses.replace(bundle, golden=Golden(bundle.golden.stacks, (first, changed)))
    differences = replay_golden(Engine.load(altered, device="cpu"))
    assert [(difference.stack, difference.output) for difference in differences if not difference.ok] == [
        (1, output)
    ]
    [wrong] = (difference for difference in differences if not difference.ok)
    assert wrong.max_difference == pytest.approx(0.5, abs=1e-4)
    assert wrong.difference > wrong.allowed


def test_another_shape_is_a_mismatch(tiny_bundle):
    """An output of another shape than the golden one is never within tolerance."""
    golden = read_bundle(tiny_bundle).golden.outputs[0]
    wider = dataclasses.replace(golden, heatmap=np.concatenate([golden.heatmap] * 2, axis=2))
    differences = compare(0, wider, golden, Tolerance(absolute=1e9, relative=1e9))
    assert [difference.output for difference in differences if not difference.ok] == ["heatmap"]


numbers = st.floats(-1e3, 1e3, width=32)


@given(golden=numbers, shift=numbers, absolute=st.floats(0, 10), relative=st.floats(0, 1))
def test_the_tolerance_is_its_formula(tiny_golden, golden, shift, absolute, relative):
    """A number is within tolerance exactly if `|out - golden| <= absolute + relative * |golden|`."""
    expected = dataclasses.replace(tiny_golden, logits=np.full((1, 5), golden, dtype=np.float32))
    out = expected.logits + np.float32(shift)
    answers = dataclasses.replace(tiny_golden, logits=out)
    [found] = (
        difference
        for difference in compare(0, answers, expected, Tolerance(absolute=absolute, relative=relative))
        if difference.output == "logits"
    )
    difference = abs(float(out[0, 0]) - float(expected.logits[0, 0]))
    assert found.ok == (difference <= absolute + relative * abs(float(expected.logits[0, 0])))
    assert found.max_difference == difference


@pytest.fixture(scope="module")
def tiny_golden(tiny_bundle):
    """The answers to one golden stack."""
    return read_bundle(tiny_bundle).golden.outputs[0]
