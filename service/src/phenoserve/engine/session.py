"""Sessions of ONNX Runtime on a device that was asked for. This file alone imports ONNX Runtime."""

import contextlib
import io
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Final, Literal, Protocol, cast, runtime_checkable

import numpy as np

# Since 1.29 ONNX Runtime reports sessions to its makers and keeps a device id in the home folder, unless told not to.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime  # pyright: ignore[reportMissingTypeStubs] - after the variable; ships no types

from phenoserve.engine.cores import available_cores
from phenoserve.engine.cuda import num_cuda_devices
from phenoserve.engine.errors import DeviceUnavailableError, GraphError

Device = Literal["auto", "cpu", "cuda"]
ActiveDevice = Literal["cpu", "cuda"]

_CPU_PROVIDER: Final = "CPUExecutionProvider"
_CUDA_PROVIDER: Final = "CUDAExecutionProvider"
_SILENT: Final = 4
_WARNING: Final = 2
_CUDA_OPTIONS: Final = {
    # The exhaustive search costs seconds for every new field size; a heuristic choice is as fast afterwards.
    "cudnn_conv_algo_search": "HEURISTIC",
    # Fields differ in size: doubling the arena for each would keep far more memory than any of them needs.
    "arena_extend_strategy": "kSameAsRequested",
    # TF32 keeps 10 bits of mantissa, too few for the golden answers.
    "use_tf32": "0",
}
_load_lock = threading.Lock()
"""Sessions must not be built concurrently (microsoft/onnxruntime#27063)."""


@runtime_checkable
class Session(Protocol):
    """What is used of `onnxruntime.InferenceSession`."""

    run: Callable[[Sequence[str], Mapping[str, np.ndarray]], list[np.ndarray]]
    io_binding: Callable[[], Any]
    run_with_iobinding: Callable[[Any], None]
    get_providers: Callable[[], list[str]]
    get_inputs: Callable[[], list[Any]]
    get_outputs: Callable[[], list[Any]]


@runtime_checkable
class _Runtime(Protocol):
    """What is used of the module `onnxruntime`."""

    __version__: str
    InferenceSession: Callable[..., Session]
    SessionOptions: Callable[[], Any]
    get_available_providers: Callable[[], list[str]]
    preload_dlls: Callable[[], None]
    set_default_logger_severity: Callable[[int], None]


_runtime = cast("_Runtime", onnxruntime)
RUNTIME_VERSION: Final = _runtime.__version__
"""Of ONNX Runtime."""
RUNTIME_ERRORS: Final[tuple[type[Exception], ...]] = (
    RuntimeError,
    ValueError,
    # One class for every status of ONNX Runtime, without a common base.
    *(
        kind
        for kind in vars(import_module("onnxruntime.capi.onnxruntime_pybind11_state")).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    ),
)


def open_session(
    model: bytes,
    device: Device,
    num_threads: int | None,
    *,
    may_spin: bool = True,
    max_gpu_bytes: int | None = None,
) -> tuple[Session, ActiveDevice]:
    """Open a session on a device; one at a time, however many threads ask.

    Args:
        model: The content of `model.onnx`.
        device: `cpu`; `cuda`; or `auto`, which takes CUDA where a session really starts on it, and
            the CPU elsewhere.
        num_threads: Threads of one call on the CPU; all available cores by default.
        may_spin: Whether these threads may wait for work without giving up their core: faster for a lone call,
            slower for calls that share the cores.
        max_gpu_bytes: Most that ONNX Runtime's arena may take of a GPU's memory; all of it if None. A call that
            needs more fails.

    Returns:
        The session and the device it is on.

    Raises:
        DeviceUnavailableError: If `cuda` is asked for and cannot be had.
        GraphError: If ONNX Runtime refuses the graph.
    """
    with _load_lock:
        session = None if device == "cpu" else _cuda_session(model, device, num_threads, max_gpu_bytes)
        if session is not None:
            return session, "cuda"
        if device == "cuda":
            raise DeviceUnavailableError(_why_no_cuda())
        return _session(model, [_CPU_PROVIDER], num_threads, may_spin=may_spin), "cpu"


def _session(
    model: bytes, providers: list[Any], num_threads: int | None, *, may_spin: bool = True
) -> Session:
    options = _runtime.SessionOptions()
    # Without counts ONNX Runtime takes every core of the machine, and pins threads to cores it may not have.
    options.intra_op_num_threads = num_threads or available_cores()
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if may_spin else "0")
    # Threads that spin on after a call would take cores from the calls of another session.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    # To give memory back after every call takes up to 29 % of the call's time, in page faults.
    options.enable_cpu_mem_arena = True
    options.enable_mem_pattern = False  # a plan fits one size of field
    try:
        return _runtime.InferenceSession(model, options, providers=providers, enable_fallback=0)
    except RUNTIME_ERRORS as error:
        raise GraphError(
            f"ONNX Runtime {_runtime.__version__} refuses the graph: {error} Export the bundle again."
        ) from error


def _cuda_session(
    model: bytes, device: Device, num_threads: int | None, max_gpu_bytes: int | None
) -> Session | None:
    """Return a session that runs on CUDA, or None, without a word on stdout or stderr."""
    if num_cuda_devices() == 0 or _CUDA_PROVIDER not in _runtime.get_available_providers():
        return None
    _runtime.set_default_logger_severity(_SILENT)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            _runtime.preload_dlls()
        limits = {} if max_gpu_bytes is None else {"gpu_mem_limit": str(max_gpu_bytes)}
        session = _session(model, [(_CUDA_PROVIDER, _CUDA_OPTIONS | limits), _CPU_PROVIDER], num_threads)
    except GraphError:
        if device == "auto":
            return None
        raise
    finally:
        _runtime.set_default_logger_severity(_WARNING)
    # A session that cannot have CUDA says so nowhere but here.
    return session if session.get_providers()[0] == _CUDA_PROVIDER else None


def _why_no_cuda() -> str:
    fix = "Pass `--device auto` or `--device cpu` to run on the CPU."
    if _CUDA_PROVIDER not in _runtime.get_available_providers():
        return (
            f"The device `cuda` was asked for, but the installed onnxruntime {_runtime.__version__} is built "
            f"without it. Install `onnxruntime-gpu` in its place. {fix}"
        )
    if num_cuda_devices() == 0:
        return (
            "The device `cuda` was asked for, but no NVIDIA driver shows a device to this process. Install "
            f"the driver (R580 or later), or start the container with its GPUs. {fix}"
        )
    return (
        "The device `cuda` was asked for and there is one, but ONNX Runtime could not start on it: it "
        "needs the libraries of CUDA 13 and cuDNN 9. "
        f"Install them with `pip install 'phenoserve[cuda]'`. {fix}"
    )
