"""The graph of a bundle, loaded on a device."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from jaxtyping import Float32

from phenoserve.bundle.outputs import GRAPH_OUTPUT_AXES
from phenoserve.engine.errors import GraphError
from phenoserve.engine.session import RUNTIME_ERRORS, ActiveDevice, Device, Session, open_session

_INPUT: Final = "stack"


class Graph:
    """The graph of a bundle, loaded on a device; safe for concurrent callers.

    Attributes:
        active_device: The device it runs on.
    """

    def __init__(self, session: Session, active_device: ActiveDevice) -> None:
        self._session = session
        self.active_device: ActiveDevice = active_device

    @classmethod
    def load(
        cls,
        model: bytes,
        *,
        device: Device = "auto",
        num_threads: int | None = None,
        may_spin: bool = True,
        max_gpu_bytes: int | None = None,
    ) -> "Graph":
        """Load a graph.

        Args:
            model: The content of `model.onnx`.
            device: `cpu`; `cuda`; or `auto`, which takes CUDA where a session really starts on it, and
                the CPU elsewhere.
            num_threads: Threads of one call on the CPU; all available cores by default.
            may_spin: Whether these threads may spin while they wait; not where several calls share the cores.
            max_gpu_bytes: Most that ONNX Runtime's arena may take of a GPU's memory; all of it if None.

        Raises:
            DeviceUnavailableError: If `cuda` is asked for and cannot be had.
            GraphError: If ONNX Runtime refuses the graph, or it is not one of the format.
        """
        session, active_device = open_session(
            model, device, num_threads, may_spin=may_spin, max_gpu_bytes=max_gpu_bytes
        )
        _require_interface(session)
        return cls(session, active_device)

    def run(self, stacks: Float32[np.ndarray, "batch channel y x"]) -> dict[str, np.ndarray]:
        """Run the graph on raw intensities.

        Args:
            stacks: Intensities as read from the file, `(batch, channel, y, x)`.

        Returns:
            Every output of the format, by name.

        Raises:
            GraphError: If ONNX Runtime fails.
        """
        names = list(GRAPH_OUTPUT_AXES)
        run = run_bound if self.active_device == "cuda" else run_plain
        try:
            outputs = run(self._session, names, stacks)
        except RUNTIME_ERRORS as error:
            raise GraphError(f"The graph failed on stacks of shape {stacks.shape}: {error}") from error
        return dict(zip(names, outputs, strict=True))

    def require_sizes(self, sizes: Mapping[str, int]) -> None:
        """Refuse a graph that states another size of an input's or output's second axis.

        Args:
            sizes: Expected size of the axis after `batch`, by the input's or output's name.

        Raises:
            GraphError: If the graph states another. A size it leaves open is not refused.
        """
        for node in (*self._session.get_inputs(), *self._session.get_outputs()):
            size, expected = node.shape[1], sizes.get(node.name)
            if isinstance(size, int) and expected is not None and size != expected:
                raise GraphError(
                    f"The graph's {node.name} is (batch, {size}, …); expected (batch, {expected}, …). "
                    "Export the bundle again."
                )


def run_plain(session: Session, names: list[str], stacks: np.ndarray) -> list[np.ndarray]:
    """Run a session as it comes: it looks up where every output is to be, in every call."""
    return session.run(names, {_INPUT: stacks})


def run_bound(session: Session, names: list[str], stacks: np.ndarray) -> list[np.ndarray]:
    """Run a session with its outputs bound to the processor's memory, so that a GPU writes each there once."""
    binding = session.io_binding()
    binding.bind_cpu_input(_INPUT, stacks)
    for name in names:
        binding.bind_output(name)
    session.run_with_iobinding(binding)
    return binding.copy_outputs_to_cpu()


def _require_interface(session: Session) -> None:
    """Refuse a graph whose names, types or ranks are not those of the format."""
    inputs = {node.name: (node.type, len(node.shape)) for node in session.get_inputs()}
    outputs = {node.name: (node.type, len(node.shape)) for node in session.get_outputs()}
    expected = {name: ("tensor(float)", len(axes)) for name, axes in GRAPH_OUTPUT_AXES.items()}
    if inputs != {_INPUT: ("tensor(float)", 4)} or outputs != expected:
        raise GraphError(
            f"The graph takes {inputs} and gives {outputs} (type and rank); expected "
            f"{{'{_INPUT}': ('tensor(float)', 4)}} and {expected}. Export the bundle again."
        )
