"""`phenotrain quantize` on a bundle and a simulated screen."""

import dataclasses
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from tests.tiny_bundle import tiny_contents

from phenoserve.bundle import Provenance, read_bundle, write_bundle
from phenoserve.engine import Engine
from phenoserve.engine.golden_replay import require_golden
from phenotrain.quantize.command import QuantizeRequest, quantize_command


@pytest.fixture(scope="module")
def screen(tmp_path_factory) -> Path:
    """A simulated screen of two experiments, drawn small."""
    path = tmp_path_factory.mktemp("quantize") / "screen"
    options = ["--field-px", "64", "--dose", "0.1", "--control-wells", "3", "--wells-per-treatment", "2"]
    command = [str(Path(sys.executable).with_name("phenotrain")), "simulate", str(path), *options]
    subprocess.run([*command, "--sites-per-well", "1", "--no-progress"], check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, screen):
    """A bundle of random weights that states it was tested on the second experiment."""
    contents = tiny_contents()
    plates = {"train": ["HUVEC-1 plate 1", "HUVEC-1 plate 2"], "test": ["HUVEC-2 plate 1", "HUVEC-2 plate 2"]}
    stated = contents.provenance.model_copy(update={"split": {"plates": plates}})
    assert isinstance(stated, Provenance)
    path = tmp_path_factory.mktemp("quantize") / "bundle"
    return write_bundle(path, dataclasses.replace(contents, provenance=stated))


def asked(screen: Path, bundle: Path, out: Path, **changes) -> QuantizeRequest:
    values = {
        "dataset": "rxrx2",
        "precisions": ("int8", "fp16"),
        "num_calibration_sites": 4,
        "max_sites": 6,
        "seed": 0,
    }
    return QuantizeRequest(data=screen, bundle=bundle, out=out, **values | changes)


def test_both_precisions_are_added_and_answer_nearly_the_same(screen, bundle, tmp_path, monkeypatch):
    """The new bundle holds both graphs, measured and proven; the old one is as it was."""
    monkeypatch.setattr("phenotrain.quantize.measure.MAX_LOSS", 1.0)
    console, out = Console(file=io.StringIO(), width=200), tmp_path / "out"
    digest = read_bundle(bundle.path).digest
    assert quantize_command(console, asked(screen, bundle.path, out), as_json=True) == 0, (
        console.file.getvalue()
    )
    assert read_bundle(bundle.path).digest == digest
    made = read_bundle(out)
    assert list(made.goldens) == ["fp32", "int8", "fp16"]
    stack = made.golden.stacks[0][np.newaxis]
    full = Engine.load(made, device="cpu").infer(stack).embedding[0]
    for precision, least in (("int8", 0.95), ("fp16", 0.999)):
        engine = Engine.load(made, device="cpu", precision=precision)
        require_golden(engine)
        other = engine.infer(stack).embedding[0]
        assert full @ other / np.linalg.norm(full) / np.linalg.norm(other) > least
        spec = made.manifest.variants[precision]
        assert spec.min_embedding_cosine > least
        assert spec.num_sites == 6
    brightest = np.full_like(stack, np.iinfo(stack.dtype).max, np.uint16)
    brightest[..., ::2] = 0
    bright = [
        Engine.load(made, device="cpu", precision=at).infer(brightest).embedding for at in ("fp32", "fp16")
    ]
    np.testing.assert_allclose(bright[1], bright[0], atol=0.01 * np.abs(bright[0]).max())
    assert made.manifest.variants["int8"].num_calibration_sites == 4
    assert made.manifest.variants["fp16"].num_calibration_sites == 0


def test_a_screen_that_the_bundle_did_not_learn_from_is_refused(screen, bundle, tmp_path):
    """Without a held-out site nothing is made, and the message says what was expected."""
    stated = bundle.manifest.provenance.model_copy(update={"split": {}})
    other = write_bundle(tmp_path / "other", dataclasses.replace(tiny_contents(), provenance=stated))
    console, out = Console(file=io.StringIO(), width=200), tmp_path / "out"
    assert quantize_command(console, asked(screen, other.path, out), as_json=True) == 1
    assert "expected some of both" in console.file.getvalue()
    assert not out.exists()


def test_a_screen_of_other_stains_is_refused(screen, bundle, tmp_path):
    """A dataset whose stains are not the bundle's is refused, with both."""
    console = Console(file=io.StringIO(), width=200)
    assert (
        quantize_command(
            console, asked(screen, bundle.path, tmp_path / "out", dataset="bbbc013"), as_json=True
        )
        == 1
    )
    assert "The bundle takes the stains Hoechst" in console.file.getvalue()
