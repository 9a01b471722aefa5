"""Which of a bundle's graphs to run: asked for, or the fastest that was measured to be as good."""

from pathlib import Path
from typing import Final, Literal

from phenoserve.bundle import Bundle, Precision
from phenoserve.engine.session import ActiveDevice

WantedPrecision = Literal["auto", "fp32", "int8", "fp16"]

INT8_FLAGS: Final = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"})
"""Processor features, in Linux's names, that multiply 8-bit integers and add up in 32 bits without overflow."""

CPU_INFO: Final = Path("/proc/cpuinfo")


def choose_precision(bundle: Bundle, wanted: WantedPrecision, device: ActiveDevice) -> Precision:
    """Choose a precision for a device.

    Args:
        bundle: The bundle.
        wanted: A precision, or `auto`: int8 on a CPU that multiplies 8-bit integers, fp16 on CUDA, where the bundle
            holds such a graph; fp32 otherwise.
        device: Where the graph will run.

    Returns:
        The precision; the bundle may not hold it if it was asked for by name.
    """
    if wanted != "auto":
        return wanted
    fastest: Precision = "fp16" if device == "cuda" else "int8"
    is_fast = device == "cuda" or multiplies_int8(CPU_INFO)
    return fastest if is_fast and fastest in bundle.goldens else "fp32"


def multiplies_int8(cpu_info: Path) -> bool:
    """Say whether the processor has instructions for int8; False where Linux's list of features is not to be had.

    Args:
        cpu_info: `/proc/cpuinfo`.
    """
    try:
        lines = cpu_info.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return False
    flags = (
        line.partition(":")[2].split() for line in lines if line.lower().startswith(("flags", "features"))
    )
    return not INT8_FLAGS.isdisjoint(next(flags, list[str]()))
