"""What a simulated treatment really changed, pixel by pixel."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from phenotrain.plates.images import decode_image
from phenotrain.simulate import STAINS, STATEMENT_FILE


class Truth:
    """The truth masks of a simulated screen; found by `find_truth`.

    Args:
        data_root: Folder with `SIMULATED.json` and `truth/`.
    """

    def __init__(self, data_root: Path) -> None:
        self._root = data_root

    def changed(self, site: pd.Series, stains: Sequence[str]) -> np.ndarray:
        """Say where the treatment changed each stain of a site.

        Args:
            site: A row of the sites table.
            stains: Stains of the simulation, in the wanted order.

        Returns:
            Boolean `(channel, y, x)` at the size of the files; nowhere True for a control.

        Raises:
            FileNotFoundError: If the site has no mask.
        """
        name = f"{site['well']}_s{site['site']}.png"
        path = self._root / "truth" / str(site["experiment"]) / f"Plate{site['plate']}" / name
        if not path.is_file():
            raise FileNotFoundError(
                f"The simulated site {site['site_id']} has no truth mask {path}; expected one a site. "
                "Simulate the screen again, or delete its folder `truth` to do without."
            )
        bits = decode_image(path.read_bytes()).astype(np.uint8)
        channels = np.array([STAINS.index(stain) for stain in stains], dtype=np.uint8)
        return (bits >> channels[:, np.newaxis, np.newaxis]) % 2 == 1


def find_truth(data_root: Path, stains: Sequence[str]) -> Truth | None:
    """Find the truth of a screen.

    Args:
        data_root: Folder of the screen.
        stains: Stains of the screen.

    Returns:
        The truth, or None where the images are not simulated, the masks are not there, or a stain is not one of
        the simulation's.
    """
    is_simulated = (data_root / STATEMENT_FILE).is_file() and (data_root / "truth").is_dir()
    return Truth(data_root) if is_simulated and set(stains) <= set(STAINS) else None
