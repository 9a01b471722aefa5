"""The columns of the results: what the service answered, and what is known of a site."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phenoclient.plate.sites import Failure, Site
from phenoclient.plate.stains import StainFiles
from phenoclient.results import Embedding, Prediction, ServedBundle

PROBABILITY = "probability_"
VERSUS_CONTROL = "versus_control_"
FOREST_PROBABILITY = "forest_probability_"
METADATA = "Metadata_"
FILE_NAME = "Metadata_FileName_"
FOLDER = "Metadata_Folder"
SEPARATOR = "|"
_VECTOR_PREFIXES = {"embedding": "emb_", "projection": "proj_"}


def answer_row(prediction: Prediction, embedding: Embedding | None) -> dict[str, Any]:
    """Columns of what the service answered about a site; blank (None) where the bundle has no calibration."""
    prediction_set, distance, forest = prediction.prediction_set, prediction.distance, prediction.forest
    row: dict[str, Any] = {
        "predicted_treatment": prediction.prediction.treatment,
        "predicted_probability": prediction.prediction.probability,
        **{f"{PROBABILITY}{name}": value for name, value in prediction.probabilities.items()},
        **{f"{VERSUS_CONTROL}{name}": value for name, value in prediction.versus_control.items()},
        "prediction_set": None if prediction_set is None else SEPARATOR.join(prediction_set.treatments),
        "prediction_set_coverage": None if prediction_set is None else prediction_set.coverage,
        "in_distribution": prediction.in_distribution,
        "distance": None if distance is None else distance.value,
        "distance_percentile": None if distance is None else distance.percentile,
        "forest_treatment": forest.treatment,
        "forest_probability": forest.probability,
        **{f"{FOREST_PROBABILITY}{name}": value for name, value in forest.probabilities.items()},
    }
    if embedding is not None:
        prefix = _VECTOR_PREFIXES[embedding.kind]
        row |= {f"{prefix}{index:04d}": value for index, value in enumerate(embedding.embedding.tolist())}
    return row


def site_row(site: Site) -> dict[str, Any]:
    """Columns that say which site a row is about, under pycytominer's names."""
    return {
        "Metadata_experiment": site.experiment,
        "Metadata_Plate": site.plate,
        "Metadata_Well": site.well,
        "Metadata_Site": site.site,
        "Metadata_site_id": site.site_id,
    }


def source_row(site: Site, folder: Path, stain_files: StainFiles, bundle: ServedBundle) -> dict[str, Any]:
    """Columns that say which files and which bundle a row comes from."""
    files = stain_files.paths(site)
    names = (stain_files.stains or ()) if stain_files.channels else ("stack",)
    return {
        FOLDER: str(folder.resolve()),
        **{f"{FILE_NAME}{name}": path.as_posix() for name, path in zip(names, files, strict=True)},
        "Metadata_bundle": f"{bundle.name} {bundle.version}",
        "Metadata_bundle_digest": bundle.digest,
    }


def failure_row(site: Site, failure: Failure, known: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of a site without an answer."""
    files = SEPARATOR.join(sorted(path.as_posix() for path in (*site.files.values(), *site.more_files)))
    return {**site_row(site), **known, "code": failure.code, "reason": failure.reason, "files": files}
