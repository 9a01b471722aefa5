"""What every peer runs: the service's own TIFF reader, then every output of the bundle's graph by ONNX Runtime."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort

from phenoserve.stack import read_stack


def load(bundle: Path, num_threads: int) -> Callable[[bytes], dict[str, list[float]]]:
    """Load `model.onnx`; gives a function from the bytes of a TIFF to the logits of its stack.

    Args:
        bundle: The bundle's folder.
        num_threads: Threads of one inference.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(bundle / "model.onnx", options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def predict(tiff: bytes) -> dict[str, list[float]]:
        stack = read_stack(tiff).array[np.newaxis].astype(np.float32)
        outputs = dict(zip(names, session.run(names, {"stack": stack}), strict=True))
        return {"logits": outputs["logits"][0].tolist()}

    return predict
