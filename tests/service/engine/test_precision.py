"""Which graph of a bundle runs."""

import pytest
from tests.tiny_bundle import add_tiny_variant

from phenoserve.bundle import MissingVariantError, read_bundle
from phenoserve.engine import Engine, precision
from phenoserve.engine.precision import choose_precision, multiplies_int8

WITH_INT8 = "processor\t: 0\nflags\t\t: fpu avx2 avx512_vnni\n"
WITHOUT_INT8 = "processor\t: 0\nflags\t\t: fpu avx2 avx512f\n"


@pytest.fixture(scope="module")
def extended(tiny_bundle, tmp_path_factory):
    """The tiny bundle with an int8 graph."""
    return add_tiny_variant(tmp_path_factory.mktemp("precision") / "bundle", read_bundle(tiny_bundle))


@pytest.mark.parametrize(
    ("text", "expected"),
    [(WITH_INT8, True), (WITHOUT_INT8, False), ("Features : fp asimd asimddp\n", True), ("", False)],
)
def test_the_processor_says_whether_it_multiplies_int8(tmp_path, text, expected):
    """Linux's list of features tells whether int8 is worth it; without a list it is not."""
    info = tmp_path / "cpuinfo"
    assert not multiplies_int8(info)
    info.write_text(text)
    assert multiplies_int8(info) is expected


@pytest.mark.parametrize(
    ("text", "device", "expected"),
    [(WITH_INT8, "cpu", "int8"), (WITHOUT_INT8, "cpu", "fp32"), (WITH_INT8, "cuda", "fp32")],
)
def test_auto_takes_the_fastest_that_there_is(extended, tmp_path, monkeypatch, text, device, expected):
    """`auto` takes int8 on a CPU made for it, and never what the bundle lacks."""
    info = tmp_path / "cpuinfo"
    info.write_text(text)
    monkeypatch.setattr(precision, "CPU_INFO", info)
    assert choose_precision(extended, "auto", device) == expected
    assert choose_precision(extended, "int8", device) == "int8"


def test_an_engine_runs_what_was_asked_for(extended, tiny_bundle):
    """An engine says which graph it runs; one that the bundle lacks is refused."""
    assert Engine.load(extended, device="cpu", precision="int8").bundle.precision == "int8"
    assert Engine.load(extended, device="cpu").bundle.precision == "fp32"
    with pytest.raises(MissingVariantError):
        Engine.load(read_bundle(tiny_bundle), device="cpu", precision="int8")
