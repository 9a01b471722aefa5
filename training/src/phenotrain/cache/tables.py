"""The tables of a cache as CSV, exact to the last bit."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from phenotrain.plates import Fault


def sites_to_csv(sites: pd.DataFrame) -> bytes:
    """Write a sites table so that `sites_from_csv` gives it back exactly.

    Args:
        sites: Table in the form of `phenotrain.plates.read_sites`.

    Returns:
        The CSV text in UTF-8; the same table gives the same bytes.
    """
    return sites.to_csv(index=False, lineterminator="\n").encode()


def sites_from_csv(path: Path, sha256: str) -> pd.DataFrame:
    """Read what `sites_to_csv` wrote.

    Args:
        path: The file.
        sha256: Digest that its content must have.

    Returns:
        The table: text but for `site` (int64) and `treatment_conc` (float64, blank is NaN).

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it was altered.
    """
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{path.name} was altered")
    sites = pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
    sites["site"] = sites["site"].astype("int64")
    sites["treatment_conc"] = [float(cell) if cell else np.nan for cell in sites["treatment_conc"].tolist()]
    return sites


def faults_to_csv(faults: Sequence[Fault]) -> bytes:
    """Write the list of what was left out; a header alone when nothing was.

    Args:
        faults: What is wrong, file by file.

    Returns:
        The CSV text in UTF-8.
    """
    rows = [(fault.site_id, fault.file, fault.reason) for fault in faults]
    return (
        pd.DataFrame(rows, columns=["site_id", "file", "reason"])
        .to_csv(index=False, lineterminator="\n")
        .encode()
    )
