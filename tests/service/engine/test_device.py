"""The device is what was asked for, and quiet about what was not."""

import subprocess
import sys

import numpy as np
import pytest

import phenoserve.engine.session as session_module
from phenoserve.bundle import read_bundle
from phenoserve.bundle.outputs import GRAPH_OUTPUT_AXES
from phenoserve.engine import DeviceUnavailableError, Engine, GraphError
from phenoserve.engine.cuda import num_cuda_devices
from phenoserve.engine.graph import run_bound, run_plain
from phenoserve.scheduling.engines import load_engines
from phenoserve.settings import Settings

without_gpu = pytest.mark.skipif(num_cuda_devices() > 0, reason="this machine has a CUDA device")
with_gpu = pytest.mark.skipif(num_cuda_devices() == 0, reason="this machine has no CUDA device")

LOAD = """
import sys
from pathlib import Path
from phenoserve.bundle import read_bundle
from phenoserve.engine import Engine
import phenoserve.engine.golden_replay
print(Engine.load(read_bundle(Path(sys.argv[1])), device="auto").active_device)
print(sorted({"tensorflow", "keras", "onnx", "tf2onnx", "phenotrain"} & set(sys.modules)))
"""


@without_gpu
def test_cuda_refuses_without_a_device(tiny_bundle):
    """`cuda` never falls back: without a device it refuses, with the cause and the fix."""
    with pytest.raises(DeviceUnavailableError, match=r"no NVIDIA driver.*--device auto"):
        Engine.load(read_bundle(tiny_bundle), device="cuda")


def test_cuda_refuses_where_the_runtime_lacks_it(tiny_bundle, monkeypatch):
    """`cuda` refuses on an ONNX Runtime built without it, and names the package that has it."""
    monkeypatch.setattr(session_module._runtime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(DeviceUnavailableError, match="Install `onnxruntime-gpu`"):
        Engine.load(read_bundle(tiny_bundle), device="cuda")


@without_gpu
@pytest.mark.parametrize("outcome", ["falls back", "raises"])
def test_a_driver_without_its_libraries_is_no_device(tiny_bundle, monkeypatch, capfd, outcome):
    """Where a driver shows a device but no session starts on it, `auto` quietly takes the CPU and `cuda` refuses."""
    monkeypatch.setattr(session_module, "num_cuda_devices", lambda: 1)
    if outcome == "raises":
        real = session_module._session

        def raising(model, providers, num_threads, **options):
            if len(providers) > 1:
                raise GraphError("no cuDNN")
            return real(model, providers, num_threads, **options)

        monkeypatch.setattr(session_module, "_session", raising)
    bundle = read_bundle(tiny_bundle)
    assert Engine.load(bundle, device="auto").active_device == "cpu"
    assert capfd.readouterr() == ("", "")
    with pytest.raises(GraphError if outcome == "raises" else DeviceUnavailableError):
        Engine.load(bundle, device="cuda")


@without_gpu
def test_the_limit_of_a_gpus_memory_is_handed_to_the_runtime(tiny_bundle, monkeypatch):
    """`max_gpu_mib` is what a session on CUDA is asked for, in bytes; without it nothing is said."""
    asked = []

    def seen(model, providers, num_threads, **options):
        asked.append(providers[0][1].get("gpu_mem_limit"))
        raise GraphError("no device")

    monkeypatch.setattr(session_module, "num_cuda_devices", lambda: 1)
    monkeypatch.setattr(session_module, "_session", seen)
    for settings in (Settings(device="cuda", max_gpu_mib=1536), Settings(device="cuda")):
        with pytest.raises(GraphError):
            load_engines(read_bundle(tiny_bundle), settings)
    assert asked == [str(1536 * 2**20), None]


def test_bound_outputs_are_the_outputs(tiny_bundle):
    """A call with its outputs bound, as on a GPU, gives what a plain call gives, to the bit."""
    bundle = read_bundle(tiny_bundle)
    session, _ = session_module.open_session(bundle.read_model(), "cpu", 1)
    names = list(GRAPH_OUTPUT_AXES)
    for stack in bundle.golden.stacks:
        stacks = np.stack([stack, stack[:, ::-1]]).astype(np.float32)
        for ours, theirs in zip(
            run_bound(session, names, stacks), run_plain(session, names, stacks), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)


@pytest.fixture(scope="module")
def loaded(tiny_bundle):
    """A fresh process that loaded the tiny bundle under `auto`."""
    command = [sys.executable, "-W", "error", "-c", LOAD, tiny_bundle]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def test_loading_is_quiet(loaded):
    """Loading under `auto` says nothing on stdout or stderr, whatever the machine has."""
    assert loaded.stderr == ""
    assert loaded.stdout.splitlines()[0] in {"cpu", "cuda"}


def test_no_training_package_is_imported(loaded):
    """Reading and running a bundle imports neither TensorFlow, nor the onnx package, nor the training package."""
    assert loaded.stdout.splitlines()[1] == "[]"


@pytest.mark.gpu
@with_gpu
def test_cuda_answers_as_the_cpu(tiny_bundle):
    """On a CUDA device the golden stacks are answered within the bundle's tolerance."""
    from phenoserve.engine.golden_replay import verify

    (report,) = verify(tiny_bundle, "cuda")
    assert report.active_device == "cuda"
    assert report.ok
