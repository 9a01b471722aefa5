"""Whether an NVIDIA driver shows a device: asked of the driver, as ONNX Runtime always says yes."""

import ctypes
import sys
from typing import Final

_SUCCESS: Final = 0


def num_cuda_devices() -> int:
    """Count the devices the NVIDIA driver shows to this process (CUDA driver API, `cuDeviceGetCount`).

    Returns:
        0 where there is no driver, or none that starts.
    """
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != _SUCCESS or driver.cuDeviceGetCount(ctypes.byref(count)) != _SUCCESS:
        return 0
    return count.value
