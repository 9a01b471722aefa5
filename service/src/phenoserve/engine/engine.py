"""The engine: a bundle's graph and forest, run on raw stacks."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Shaped

from phenoserve.bundle import Bundle, Forest, Golden
from phenoserve.bundle.forest import RandomForestClassifier
from phenoserve.bundle.outputs import EMBEDDING_SIZE, PROJECTION_SIZE, Outputs
from phenoserve.engine.cuda import num_cuda_devices
from phenoserve.engine.errors import NonFiniteAnswerError, StackMismatchError
from phenoserve.engine.graph import Graph
from phenoserve.engine.precision import WantedPrecision, choose_precision
from phenoserve.engine.session import ActiveDevice, Device
from phenoserve.stack import STACK_DTYPES

MAX_INTENSITY: Final = 1e15
"""Largest magnitude of an intensity: the sum of its squares over a field must not overflow in float32."""

STACK_AXES: Final = ("batch", "channel", "y", "x")


class Engine:
    """A bundle loaded on a device, run on raw stacks; safe for concurrent callers.

    Attributes:
        bundle: The bundle it runs, at the precision of its graph.
    """

    def __init__(self, bundle: Bundle, graph: Graph) -> None:
        self.bundle = bundle
        self._graph = graph

    @classmethod
    def load(
        cls,
        bundle: Bundle,
        *,
        device: Device = "auto",
        precision: WantedPrecision = "fp32",
        num_threads: int | None = None,
        may_spin: bool = True,
        max_gpu_bytes: int | None = None,
    ) -> "Engine":
        """Load a bundle's graph on a device.

        Args:
            bundle: The bundle, as read by `phenoserve.bundle.read_bundle`.
            device: `cpu`; `cuda`; or `auto`, which takes CUDA where it really starts and the CPU elsewhere.
            precision: Which of the bundle's graphs; `auto` as `phenoserve.engine.precision.choose_precision` says.
            num_threads: Threads of one call on the CPU; all cores that affinity and cgroups leave by default.
            may_spin: Whether these threads may spin while they wait; not where several calls share the cores.
            max_gpu_bytes: Most that ONNX Runtime's arena may take of a GPU's memory; all of it if None.

        Raises:
            DeviceUnavailableError: If `cuda` is asked for and cannot be had.
            GraphError: If the graph cannot be loaded, or does not fit the manifest.
            MissingVariantError: If the bundle holds no graph of the precision asked for.
            BundleFileError: If the graph's file changed since the bundle was read.
        """

        def load(expected: ActiveDevice) -> tuple[Bundle, Graph]:
            chosen = bundle.at(choose_precision(bundle, precision, expected))
            model = chosen.read_model()
            return chosen, Graph.load(
                model, device=device, num_threads=num_threads, may_spin=may_spin, max_gpu_bytes=max_gpu_bytes
            )

        bundle, graph = load("cuda" if device != "cpu" and num_cuda_devices() > 0 else "cpu")
        if choose_precision(bundle, precision, graph.active_device) != bundle.precision:
            bundle, graph = load(graph.active_device)  # there is a GPU, but no session starts on it
        graph.require_sizes(_sizes(len(bundle.manifest.input.channels), len(bundle.manifest.treatments)))
        return cls(bundle, graph)

    @property
    def active_device(self) -> ActiveDevice:
        """The device the graph runs on."""
        return self._graph.active_device

    def infer(self, stacks: Shaped[np.ndarray, "batch channel y x"]) -> Outputs:
        """Run the graph and the forest on a batch of raw stacks of one size.

        Args:
            stacks: Intensities as read from the file, `(batch, channel, y, x)`, uint8, uint16 or float32;
                channels in the bundle's stain order, `y` and `x` at least `manifest.input.min_size_px`.

        Returns:
            The outputs, row i for stack i; each row is what the stack would get alone.

        Raises:
            StackMismatchError: If the stacks are not such.
            NonFiniteAnswerError: If an intensity is not finite or beyond `MAX_INTENSITY`, or an output is not finite.
            GraphError: If ONNX Runtime fails.
        """
        spec = self.bundle.manifest.input
        channels = len(spec.channels)
        is_shaped = stacks.ndim == len(STACK_AXES) and len(stacks) > 0 and stacks.shape[1] == channels
        if not is_shaped or min(stacks.shape[2:]) < spec.min_size_px or stacks.dtype.name not in STACK_DTYPES:
            raise StackMismatchError(
                f"Expected stacks (batch, {channels}, y, x) of {', '.join(STACK_DTYPES)} with y and x of "
                f"at least {spec.min_size_px} pixels. Received: {stacks.dtype.name} {stacks.shape}. "
                f"The channels are {', '.join(spec.channels)}."
            )
        return _infer(self._graph, self.bundle.forest, stacks)


def record_golden(
    model_onnx: bytes,
    forest: RandomForestClassifier,
    treatments: Sequence[str],
    stacks: Sequence[Shaped[np.ndarray, "channel _y _x"]],
) -> Golden:
    """Record what a graph and a forest put out on the CPU, for a bundle that is about to be written.

    Args:
        model_onnx: The graph, as the content of `model.onnx`.
        forest: Fitted on embeddings `(num_sites, 1024)` against treatment names.
        treatments: The treatments, in the order of the logits.
        stacks: Raw stacks `(channel, y, x)` in the pixel type of their file; sizes may differ.

    Returns:
        The stacks with the outputs for each alone.

    Raises:
        GraphError: If the graph cannot be loaded or run.
        ForestError: If the forest was not fitted as said above.
        NonFiniteAnswerError: If an answer is not finite.
    """
    graph, trees = Graph.load(model_onnx, device="cpu"), Forest.of(forest, treatments)
    return Golden(
        stacks=tuple(stacks), outputs=tuple(_infer(graph, trees, stack[np.newaxis]) for stack in stacks)
    )


def _sizes(num_channels: int, num_treatments: int) -> dict[str, int]:
    return {
        "stack": num_channels,
        "embedding": EMBEDDING_SIZE,
        "projection": PROJECTION_SIZE,
        "logits": num_treatments,
        "versus_control": num_treatments - 1,
        "heatmap": num_treatments,
    }


def _infer(graph: Graph, forest: Forest, stacks: np.ndarray) -> Outputs:
    # Beyond the limit a variance overflows to infinity, and dividing by it makes a plausible, empty channel.
    if stacks.dtype.kind == "f" and not max(stacks.max(), -stacks.min()) <= MAX_INTENSITY:
        raise NonFiniteAnswerError(
            f"A stack holds a NaN, an infinity, or an intensity beyond {MAX_INTENSITY:g}. Pass the intensities as the "
            "camera gave them."
        )
    outputs = graph.run(np.ascontiguousarray(stacks, dtype=np.float32))
    for name, array in outputs.items():
        if not np.isfinite(array).all():
            raise NonFiniteAnswerError(
                f"The graph's {name} is not finite on this stack. Export the bundle again."
            )
    return Outputs(**outputs, forest=forest.probabilities(outputs["embedding"]))
