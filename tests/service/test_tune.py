"""`phenoserve tune`: measures, chooses, and writes what the service reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from phenoserve import cli
from phenoserve.tune import WORTH, Candidate, Measured, choose, cpu_candidates

runner = CliRunner()


@given(st.integers(1, 300))
def test_no_candidate_has_more_threads_than_cores(cores: int) -> None:
    """Every candidate's inferences and threads use at most the cores, and one thread by core is among them."""
    candidates = list(cpu_candidates(cores))
    assert Candidate(cores, 1, 1) in candidates
    assert len(set(candidates)) == len(candidates)
    assert all(candidate.num_inferences * candidate.num_threads <= cores for candidate in candidates)


@given(st.lists(st.tuples(st.integers(1, 4), st.floats(1, 100), st.floats(0.01, 1)), min_size=1))
def test_the_choice_is_as_fast_as_the_best(found) -> None:
    """What is chosen is within noise of the fastest, and no smaller batch is."""
    measured = [Measured(Candidate(1, n, batch), rate, s) for n, (batch, rate, s) in enumerate(found, 1)]
    best = max(one.stacks_per_s for one in measured)
    rates = {one.candidate: one.stacks_per_s for one in measured}
    chosen = choose(measured)
    assert rates[chosen] * WORTH >= best
    assert all(rate * WORTH < best for other, rate in rates.items() if other.batch < chosen.batch)


@pytest.mark.parametrize("by", ["flag", "variable"])
def test_the_service_reads_what_tune_writes(tiny_bundle, tmp_path, served, monkeypatch, by) -> None:
    """The env file that `tune` writes is read by `serve`; the environment wins over it, and a flag over both."""
    env_file = tmp_path / "tuned.env"
    tuned = runner.invoke(
        cli.app, ["tune", str(tiny_bundle), "--out", str(env_file), "--device", "cpu", "--seconds", "0.01"]
    )
    assert tuned.exit_code == 0, tuned.output
    assert "best" in tuned.output
    values = dict(line.split("=") for line in env_file.read_text().splitlines() if not line.startswith("#"))
    flags = ["--env-file", str(env_file)] if by == "flag" else []
    if by == "variable":
        monkeypatch.setenv("PHENOSERVE_ENV_FILE", str(env_file))
    assert runner.invoke(cli.app, ["serve", str(tiny_bundle), *flags]).exit_code == 0
    monkeypatch.setenv("PHENOSERVE_MAX_BATCH", "9")
    assert runner.invoke(cli.app, ["serve", str(tiny_bundle), *flags]).exit_code == 0
    assert runner.invoke(cli.app, ["serve", str(tiny_bundle), *flags, "--max-batch", "11"]).exit_code == 0
    assert {
        name: str(getattr(served[0], name.removeprefix("PHENOSERVE_").lower())) for name in values
    } == values
    assert [settings.max_batch for settings in served[1:]] == [9, 11]


def test_an_env_file_that_is_not_there_is_told(tiny_bundle) -> None:
    """A missing env file ends `serve` with a sentence and exit code 2."""
    result = runner.invoke(cli.app, ["serve", str(tiny_bundle), "--env-file", "/nowhere/tuned.env"])
    assert result.exit_code == 2
    assert "/nowhere/tuned.env" in result.stderr
