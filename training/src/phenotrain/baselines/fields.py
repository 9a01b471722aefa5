"""What a field shows without any network: how bright its stains are and how many nuclei it holds."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
from skimage.filters import gaussian, threshold_otsu
from skimage.measure import label, regionprops_table

from phenoserve.engine.cores import available_cores
from phenotrain.cache import FieldCache
from phenotrain.stains_by_name import nuclear_channel

QUANTILES: Final = (0.05, 0.5, 0.95)
_SMOOTHING_PX: Final = 1.0
_MIN_AREA_PX: Final = 4
_ROWS_AT_ONCE: Final = 32


def field_features(field: np.ndarray, nuclear: int) -> np.ndarray:
    """Measures one field.

    Args:
        field: Pooled intensities `(channel, y, x)`.
        nuclear: Channel that shows nuclei.

    Returns:
        Mean, standard deviation and the quantiles 0.05, 0.5 and 0.95 of every stain, then the number of nuclei and
        their mean area (pixels), `(5 * channel + 2,)`. A nucleus is a connected region above Otsu's threshold of
        the smoothed stain, of four pixels or more; touching nuclei count as one.
    """
    pixels = field.reshape(len(field), -1).astype(np.float64)
    intensities = [pixels.mean(axis=1), pixels.std(axis=1), *np.quantile(pixels, QUANTILES, axis=1)]
    return np.concatenate([*intensities, nuclei_features(field[nuclear])])


def nuclei_features(image: np.ndarray) -> np.ndarray:
    """Counts nuclei in one image `(y, x)`: their number and mean area in pixels; zeros in a blank image."""
    smooth = gaussian(image.astype(np.float64), sigma=_SMOOTHING_PX)
    if np.ptp(smooth) == 0:
        return np.zeros(2)
    areas = regionprops_table(label(smooth > threshold_otsu(smooth)), properties=("area",))["area"]
    areas = areas[areas >= _MIN_AREA_PX]
    return np.array([len(areas), areas.mean() if len(areas) else 0.0])


def measure_sites(
    cache: FieldCache, rows: np.ndarray, on_site: Callable[[int, int], None] | None = None
) -> np.ndarray:
    """Measures many fields.

    Args:
        cache: Pooled fields.
        rows: Rows of the cache.
        on_site: Called with the number of sites done and to do, before the first and after each block.

    Returns:
        `(len(rows), 5 * channel + 2)` float64, in the order of `rows`.
    """
    nuclear, found = nuclear_channel(cache.stains), []
    if on_site is not None:
        on_site(0, len(rows))
    with ThreadPoolExecutor(available_cores()) as pool:
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            fields = cache.read(rows[start : start + _ROWS_AT_ONCE])
            found.extend(pool.map(lambda field: field_features(field, nuclear), fields))
            if on_site is not None:
                on_site(len(found), len(rows))
    return np.array(found).reshape(len(rows), -1)
