"""Embeddings that came with the screen, such as RxRx2's own of 128 numbers a site."""

import math
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from phenotrain.datasets import COLUMNS
from phenotrain.plates import TableError, read_delimited

EMBEDDINGS_FILE: Final = "embeddings.csv"


def published_embeddings(data_root: Path, sites: pd.DataFrame) -> np.ndarray | None:
    """Reads `embeddings.csv` beside the screen's table.

    Features are the columns with a number in the first row, but for those of the sites table (`plate`, `site`).

    Args:
        data_root: Root folder of the dataset.
        sites: Sites table; `site_id` is what the file is joined by.

    Returns:
        `(num_sites, feature)` in the order of `sites`; None when there is no such file.

    Raises:
        TableError: If the file is no table (`read_delimited`), has no column `site_id`, a site twice, no numbers,
            a cell that is no finite number among them, or misses a site of the table.
    """
    path = data_root / EMBEDDINGS_FILE
    if not path.is_file():
        return None
    table = read_delimited(path)
    if "site_id" not in table.columns:
        raise TableError(
            f"{path}: expected a column site_id with every site once. Received: {list(table.columns[:5])}…"
        )
    key = table.columns.index("site_id")
    row_of = {site_id: row for row, site_id in enumerate(sites["site_id"])}
    features: list[int] = []
    embeddings = np.empty((len(sites), 0))
    seen: set[str] = set()
    for line, cells in table.rows:
        if not seen:
            features = [
                index
                for index, name in enumerate(table.columns)
                if name not in COLUMNS and math.isfinite(_number(cells[index]))
            ]
            embeddings = np.full((len(sites), len(features)), np.nan)
        site_id = cells[key]
        if site_id in seen:
            raise TableError(
                f"{path}, line {line}: the site {site_id!r} occurs twice; expected every site once"
            )
        seen.add(site_id)
        if site_id not in row_of:
            continue
        numbers = [_number(cells[index]) for index in features]
        if not all(map(math.isfinite, numbers)):
            raise TableError(
                f"{path}, line {line}: an embedding of {site_id!r} is no finite number; expected a number in each of"
                f" the {len(features)} columns"
            )
        embeddings[row_of[site_id]] = numbers
    missing = [site_id for site_id in row_of if site_id not in seen]
    if not features or missing:
        raise TableError(
            f"{path}: expected numbers for every site of the table; {len(missing)} are missing, "
            f"first {missing[0] if missing else 'none'}. Take the file of the same release, or move it away "
            "to do without this baseline."
        )
    return embeddings


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan
