"""Embeddings that came with the screen, such as RxRx2's own of 128 numbers a site."""

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from phenotrain.plates import TableError

EMBEDDINGS_FILE: Final = "embeddings.csv"


def published_embeddings(data_root: Path, sites: pd.DataFrame) -> np.ndarray | None:
    """Reads `embeddings.csv` beside the screen's table.

    Args:
        data_root: Root folder of the dataset.
        sites: Sites table; `site_id` is what the file is joined by.

    Returns:
        `(num_sites, feature)` in the order of `sites`; None when there is no such file.

    Raises:
        TableError: If the file has no column `site_id`, no numbers, a blank or infinite one, or misses a site of the
            table.
    """
    path = data_root / EMBEDDINGS_FILE
    if not path.is_file():
        return None
    table = pd.read_csv(path)
    if "site_id" not in table or table["site_id"].duplicated().any():
        raise TableError(
            f"{path}: expected a column site_id with every site once. Received: {list(table)[:5]}…"
        )
    table = table.set_index("site_id").select_dtypes("number")
    missing = sites.loc[~sites["site_id"].isin(table.index), "site_id"]
    if table.shape[1] == 0 or len(missing):
        raise TableError(
            f"{path}: expected numbers for every site of the table; {len(missing)} are missing, "
            f"first {missing.iloc[0] if len(missing) else 'none'}. Take the file of the same release, or move it away "
            "to do without this baseline."
        )
    embeddings = table.loc[sites["site_id"]].to_numpy(np.float64)
    is_finite = np.isfinite(embeddings).all(axis=1)
    if not is_finite.all():
        raise TableError(
            f"{path}: expected a finite number in every column; {int((~is_finite).sum())} sites lack one, first "
            f"{sites['site_id'].to_numpy()[~is_finite][0]}. Take the file of the same release, or move it away to do "
            "without this baseline."
        )
    return embeddings
