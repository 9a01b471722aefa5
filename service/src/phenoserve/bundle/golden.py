"""`golden.npz`: a few raw stacks and what the graph and the forest must answer to each."""

from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from phenoserve.bundle.errors import GoldenError
from phenoserve.bundle.manifest import GOLDEN_FILE, Manifest
from phenoserve.bundle.npz import FIX, read_npz, write_npz
from phenoserve.bundle.outputs import EMBEDDING_SIZE, PROJECTION_SIZE, Outputs
from phenoserve.stack import STACK_DTYPES

MAX_GOLDEN_BYTES: Final = 2 * 1024**3
_OUTPUT_NAMES: Final = tuple(field.name for field in fields(Outputs))


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """Raw stacks and the outputs each must get.

    Attributes:
        stacks: Raw stacks `(channel, y, x)` in the pixel type of their file; sizes may differ.
        outputs: For every stack the outputs to it alone, with a batch axis of one.
    """

    stacks: tuple[np.ndarray, ...]
    outputs: tuple[Outputs, ...]

    def to_npz(self) -> bytes:
        """Return the golden stacks and outputs as the bytes of `golden.npz`, equal for equal content.

        Raises:
            ValueError: If there are not as many outputs as stacks.
        """
        arrays: dict[str, np.ndarray] = {}
        for index, (stack, outputs) in enumerate(zip(self.stacks, self.outputs, strict=True)):
            arrays[f"stack_{index}"] = stack
            arrays.update({f"{name}_{index}": array for name, array in outputs.arrays().items()})
        return write_npz(arrays)


def read_golden(content: bytes, manifest: Manifest, file: str = GOLDEN_FILE) -> Golden:
    """Read the bytes of `golden.npz`, or of a variant's; never unpickles.

    Args:
        content: The file's content.
        manifest: The manifest the stacks and outputs must fit.
        file: The file's name, for messages.

    Returns:
        At least one golden stack, each with its outputs.

    Raises:
        GoldenError: If it is not an archive of plain arrays, or one does not fit the manifest.
    """
    arrays = read_npz(content, file=file, max_bytes=MAX_GOLDEN_BYTES, error_class=GoldenError)
    num_stacks = sum(name.startswith("stack_") for name in arrays)
    expected = {f"{name}_{index}" for name in ("stack", *_OUTPUT_NAMES) for index in range(num_stacks)}
    if num_stacks == 0 or set(arrays) != expected:
        raise GoldenError(
            f"{file} holds the arrays {sorted(arrays)}; expected stack_i and "
            f"{', '.join(f'{name}_i' for name in _OUTPUT_NAMES)} for i = 0, 1, … {FIX}"
        )
    for index in range(num_stacks):
        _require_stack(f"stack_{index} of {file}", arrays[f"stack_{index}"], manifest)
        for name in _OUTPUT_NAMES:
            _require_answer(name, f"{name}_{index} of {file}", arrays[f"{name}_{index}"], manifest)
    return Golden(
        stacks=tuple(arrays[f"stack_{index}"] for index in range(num_stacks)),
        outputs=tuple(
            Outputs(**{name: arrays[f"{name}_{index}"] for name in _OUTPUT_NAMES})
            for index in range(num_stacks)
        ),
    )


def _require_stack(name: str, stack: np.ndarray, manifest: Manifest) -> None:
    num_channels, min_size_px = len(manifest.input.channels), manifest.input.min_size_px
    fits = stack.ndim == len("cyx") and stack.shape[0] == num_channels and min(stack.shape[1:]) >= min_size_px
    if not fits or stack.dtype.name not in STACK_DTYPES:
        raise GoldenError(
            f"{name} is {stack.dtype.name} {stack.shape}; expected "
            f"({num_channels}, y, x) of {', '.join(STACK_DTYPES)} with y and x "
            f"of at least {min_size_px} pixels. {FIX}"
        )


def _require_answer(output: str, name: str, array: np.ndarray, manifest: Manifest) -> None:
    num_treatments = len(manifest.treatments)
    expected: dict[str, tuple[int | str, ...]] = {
        "embedding": (1, EMBEDDING_SIZE),
        "projection": (1, PROJECTION_SIZE),
        "logits": (1, num_treatments),
        "versus_control": (1, num_treatments - 1),
        "heatmap": (1, num_treatments, "y", "x"),
        "forest": (1, num_treatments),
    }
    dtype = "float64" if output == "forest" else "float32"
    sizes = expected[output]
    fits = array.ndim == len(sizes) and all(
        isinstance(size, str) or size == found for size, found in zip(sizes, array.shape, strict=True)
    )
    if not fits or array.dtype.name != dtype or not np.isfinite(array).all():
        raise GoldenError(
            f"{name} is {array.dtype.name} {array.shape}; expected {dtype} "
            f"({', '.join(map(str, sizes))}), every number finite. {FIX}"
        )
