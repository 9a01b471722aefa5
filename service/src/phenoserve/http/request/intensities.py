"""Refuses float pixels whose unit would decide the answer."""

import numpy as np
from jaxtyping import Shaped

from phenoserve.bundle import SCALE_FREE_SINCE, Bundle, channel_deviations
from phenoserve.errors import ErrorCode
from phenoserve.http.problems import RequestError


def require_deviation(array: Shaped[np.ndarray, "channel y x"], bundle: Bundle) -> None:
    """Refuse a float stack of which a channel is not constant and deviates too little for the bundle's graph.

    Args:
        array: Finite intensities in the bundle's stain order; integers are in grey levels and never refused.
        bundle: The bundle that is to answer.

    Raises:
        RequestError: `deviation_too_small`, which names the channels and what to do.
    """
    if array.dtype.kind != "f":
        return
    spec, least = bundle.manifest.input, bundle.least_deviation
    found = channel_deviations(array, spec.downsample)
    refused = {name: of for name, of in zip(spec.channels, found, strict=True) if 0 < of < least}
    if not refused:
        return
    version = bundle.manifest.format_version
    told = ", ".join(f"{name} by {of:.2g}" for name, of in refused.items())
    fix = (
        "Multiply all intensities by one number, for example back to the camera's grey levels."
        if version >= SCALE_FREE_SINCE
        else f"To a bundle of format {version} the unit of the pixels matters. Multiply the intensities back to the"
        " camera's grey levels (by 65535 or 255 where they were scaled to 0 to 1) or send the camera's own uint8 or"
        f" uint16, or export the bundle again: from format {SCALE_FREE_SINCE} on the unit does not matter."
    )
    raise RequestError(
        ErrorCode.DEVIATION_TOO_SMALL,
        f"Found float32 channels whose pixels deviate (standard deviation of means of {spec.downsample} by"
        f" {spec.downsample} pixels) too little: {told}; expected at least {least:g} in every channel that is not"
        f" constant. {fix}",
    )
