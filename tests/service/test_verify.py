"""Replaying golden stacks."""

from phenoserve.verify import verify


def test_a_bundle_replays_on_the_machine_that_wrote_it(tiny_bundle):
    """A bundle replayed on the machine that wrote it repeats its golden answers exactly."""
    report = verify(tiny_bundle, "cpu")
    assert report.ok
    assert report.active_device == "cpu"
    assert {difference.output for difference in report.differences} == {
        "embedding", "projection", "logits", "versus_control", "heatmap", "forest",
    }  # fmt: skip
    assert max(difference.max_difference for difference in report.differences) == 0.0
