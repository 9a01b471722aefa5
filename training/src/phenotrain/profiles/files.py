"""Profiles and the correction on disk: Parquet, AnnData, NumPy archive and JSON, each written whole or not at all."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any, Final, Literal, NoReturn

import anndata
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from phenotrain.files import written
from phenotrain.profiles.correction import BatchCorrection, Correction, Whitening
from phenotrain.profiles.errors import ProfileError
from phenotrain.profiles.findings import ProfileFindings, correction_settings

PROFILES_PARQUET: Final = "profiles.parquet"
CORRECTED_PARQUET: Final = "profiles_corrected.parquet"
PROFILES_H5AD: Final = "profiles.h5ad"
CORRECTION_NPZ: Final = "correction.npz"
CORRECTION_JSON: Final = "correction.json"
_FORMAT: Final = 1
_METADATA: Final = {
    "plate": "Metadata_Plate",
    "well": "Metadata_Well",
    "treatment": "Metadata_treatment",
    "series": "Metadata_series",
    "treatment_conc": "Metadata_treatment_conc",
    "experiment": "Metadata_experiment",
    "cell_type": "Metadata_cell_type",
    "well_id": "Metadata_well_id",
    "num_sites": "Metadata_num_sites",
    "role": "Metadata_role",
    "is_control": "Metadata_is_control",
    "is_corrected": "Metadata_is_corrected",
    "why_uncorrected": "Metadata_why_uncorrected",
}
_WHITENING_ARRAYS: Final = ("typical_scale", "kept", "mean", "scale", "components", "spread")
_BATCH_ARRAYS: Final = ("mean", "scale", "directions", "gains")


def metadata_columns(findings: ProfileFindings) -> pd.DataFrame:
    """Return what is known of the wells under pycytominer's names, each starting with `Metadata_`."""
    wells = findings.wells.wells.assign(
        is_corrected=findings.is_corrected, why_uncorrected=findings.why_uncorrected
    )
    return wells[list(_METADATA)].rename(columns=_METADATA)


def profile_table(findings: ProfileFindings, profiles: np.ndarray, prefix: str) -> pd.DataFrame:
    """Return metadata and features in one table.

    Args:
        findings: What is known of the wells.
        profiles: `(num_wells, feature)`.
        prefix: Start of the features' names: `emb_0000` onwards for raw profiles, `tvn_0000` for corrected ones, which
            are other axes.
    """
    names = [f"{prefix}_{number:04d}" for number in range(profiles.shape[1])]
    features = pd.DataFrame(profiles.astype(np.float32), columns=names)
    return pd.concat([metadata_columns(findings), features], axis="columns")


def write_profiles(folder: Path, findings: ProfileFindings) -> None:
    """Write raw and corrected profiles as Parquet, both as one AnnData file, and the correction.

    Where nothing could be corrected, files of corrected profiles and of a correction that an earlier run left are
    removed: they would pass for this one's.

    Args:
        folder: Where to; it is made.
        findings: What to write.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tables = {PROFILES_PARQUET: profile_table(findings, findings.wells.profiles, "emb")}
    if findings.correction is not None:
        corrected = profile_table(findings, findings.corrected, "tvn")
        tables[CORRECTED_PARQUET] = corrected[findings.is_corrected]
        save_correction(folder, findings.correction)
    else:
        for name in (CORRECTED_PARQUET, CORRECTION_NPZ, CORRECTION_JSON):
            (folder / name).unlink(missing_ok=True)
    for name, table in tables.items():
        arrow = pa.Table.from_pandas(table, preserve_index=False)
        written(folder / name, lambda path, arrow=arrow: pq.write_table(arrow, path))
    written(folder / PROFILES_H5AD, as_anndata(findings).write_h5ad)


def as_anndata(findings: ProfileFindings) -> anndata.AnnData:
    """Return an AnnData: `X` raw profiles, `obsm["X_tvn"]` corrected ones, `uns["correction"]` the parameters.

    Rows of wells that could not be corrected are NaN in `X_tvn`; where none could, it is missing.
    """
    wells = findings.wells
    obs = metadata_columns(findings)
    # anndata 0.12 cannot write pandas' new string arrays, neither as a column nor as an index.
    for column in obs.columns:
        if not pd.api.types.is_numeric_dtype(obs[column]) and column != "Metadata_well_id":
            obs[column] = pd.Categorical(obs[column].astype(object))
    index = pd.Index(wells.wells["well_id"].to_numpy(dtype=object), dtype=object)
    obs["Metadata_well_id"] = index.to_numpy(dtype=object)
    obs = obs.astype({"Metadata_well_id": object}).set_axis(index, axis="index")
    names = [f"emb_{number:04d}" for number in range(wells.profiles.shape[1])]
    var = pd.DataFrame(index=pd.Index(np.array(names, dtype=object), dtype=object))
    table = anndata.AnnData(X=wells.profiles.astype(np.float32), obs=obs, var=var)
    if findings.correction is not None:
        batches = np.array(list(findings.correction.batches), dtype=object)
        settings = {**correction_settings(findings.correction), "batches": batches}
        table.obsm["X_tvn"] = findings.corrected.astype(np.float32)
        table.uns["correction"] = {"settings": settings, **_arrays(findings.correction)}
    return table


def save_correction(folder: Path, correction: Correction) -> None:
    """Write the correction's parameters: arrays as `correction.npz`, settings and counts as `correction.json`."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **_arrays(correction))
    written(folder / CORRECTION_NPZ, lambda path: path.write_bytes(buffer.getvalue()))
    settings = {
        "format": _FORMAT,
        **correction_settings(correction),
        "batches": list(correction.batches),
        "num_references": dict(correction.num_references),
    }
    write_json(folder / CORRECTION_JSON, settings)


def load_correction(folder: Path) -> Correction:
    """Read a correction to apply it again.

    Args:
        folder: Holds `correction.npz` and `correction.json`.

    Returns:
        The same correction to the last bit.

    Raises:
        ProfileError: If a file is missing, damaged or of another format.
    """
    try:
        settings = json.loads((folder / CORRECTION_JSON).read_text("utf-8"))
        content = io.BytesIO((folder / CORRECTION_NPZ).read_bytes())
        with np.load(content, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        if settings["format"] != _FORMAT:
            return _refuse(folder, f"it is of format {settings['format']}, this version reads {_FORMAT}")
        batch: Literal["plate", "experiment"] = settings["batch"]
        batches = {
            name: BatchCorrection(*(arrays[f"batch_{number}_{part}"] for part in _BATCH_ARRAYS))
            for number, name in enumerate(settings["batches"])
        }
        whitening = Whitening(*(arrays[f"whitening_{part}"] for part in _WHITENING_ARRAYS))
        return Correction(
            batch, whitening, batches, settings["num_training_controls"], settings["num_references"]
        )
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        return _refuse(folder, str(error), error)


def _refuse(folder: Path, reason: str, cause: Exception | None = None) -> NoReturn:
    raise ProfileError(
        f"{folder} holds no correction that can be read ({reason}). Make it again with `phenotrain profile`."
    ) from cause


def write_json(path: Path, values: Any) -> None:
    """Write JSON whole or not at all."""
    text = json.dumps(values, indent=2, allow_nan=False) + "\n"
    written(path, lambda partial: partial.write_text(text, "utf-8"))


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table whole or not at all."""
    written(path, lambda partial: table.to_csv(partial, index=False))


def _arrays(correction: Correction) -> dict[str, np.ndarray]:
    arrays = {f"whitening_{part}": getattr(correction.whitening, part) for part in _WHITENING_ARRAYS}
    for number, of_batch in enumerate(correction.batches.values()):
        arrays |= {f"batch_{number}_{part}": getattr(of_batch, part) for part in _BATCH_ARRAYS}
    return arrays
