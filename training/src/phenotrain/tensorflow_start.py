"""TensorFlow, started without its chatter: what it says of itself while it starts is told in one line."""

import faulthandler
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rich.console import Console

from phenoserve.engine.cores import available_cores

_NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


def start_tensorflow(console: Console) -> None:
    """Imports TensorFlow, looks for GPUs and says what will train.

    TensorFlow's libraries write to the standard error while they are loaded, before any setting of theirs holds; that
    is kept back, and shown if they fail. From then on its errors are shown, its warnings are not.

    Args:
        console: Where the line goes.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _kept_back() as said:
        import keras
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        said.seek(0)
        errors = [line for line in said.read().decode(errors="replace").splitlines() if line.startswith("E")]
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    # A bar for a download would stand on standard output, among the results.
    keras.config.disable_interactive_logging()
    if gpus:
        names = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]
        console.print(f"Training on {', '.join(names)}.")
        return
    why = ""
    if _NVIDIA_DRIVER.exists():
        reason = errors[-1].partition("] ")[2] if errors else "its CUDA libraries are not installed"
        why = f" (an NVIDIA driver is here, but TensorFlow finds no GPU: {reason})"
    num_cores = available_cores()
    console.print(f"No GPU{why}: training on {num_cores} CPU {'core' if num_cores == 1 else 'cores'}.")


@contextmanager
def _kept_back() -> Iterator[IO[bytes]]:
    """Keeps what is written to the file descriptor of standard error, by C++ too, and shows it after an error."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept, os.fdopen(os.dup(2), "wb") as stderr:
        is_told_of_faults = faulthandler.is_enabled()
        faulthandler.enable(stderr)  # a processor that the libraries are not for ends the process
        os.dup2(kept.fileno(), 2)
        try:
            yield kept
        except BaseException:
            kept.seek(0)
            stderr.write(kept.read())
            raise
        finally:
            os.dup2(stderr.fileno(), 2)
            faulthandler.disable()
            if is_told_of_faults:
                faulthandler.enable(2)
