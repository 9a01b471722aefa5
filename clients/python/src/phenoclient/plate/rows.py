"""The rows of the results: what the service answered, and what is known of a site."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phenoclient.plate.columns import (
    BUNDLE,
    DIGEST,
    FILE_NAME,
    FOLDER,
    FOREST_PROBABILITY,
    LEARNED,
    PROBABILITY,
    SEPARATOR,
    SITE,
    VECTOR_PREFIXES,
    VERSUS_CONTROL,
    WHOLE_STACK_FILE,
)
from phenoclient.plate.learned import LearnedFrom
from phenoclient.plate.reading.sites import Failure, Site
from phenoclient.plate.reading.stains import StainFiles
from phenoclient.results import Embedding, Prediction, ServedBundle, StackNotice


def answer_row(prediction: Prediction, embedding: Embedding | None, order_from: str) -> dict[str, Any]:
    """Columns of what the service answered about a site; blank (None) where the service gives none.

    Args:
        prediction: Its answer.
        embedding: Its answer about the vector; None where none was asked for.
        order_from: Where the order of the channels comes from.
    """
    prediction_set, distance, forest = prediction.prediction_set, prediction.distance, prediction.forest
    row: dict[str, Any] = {
        "channel_order": SEPARATOR.join(prediction.stack.channels),
        "channel_order_from": order_from,
        "notices": SEPARATOR.join(map(_notice, prediction.stack.notices)) or None,
        "predicted_treatment": prediction.prediction.treatment,
        "predicted_probability": prediction.prediction.probability,
        **{f"{PROBABILITY}{name}": value for name, value in prediction.probabilities.items()},
        **{f"{VERSUS_CONTROL}{name}": value for name, value in prediction.versus_control.items()},
        "prediction_set": None if prediction_set is None else SEPARATOR.join(prediction_set.treatments),
        "prediction_set_coverage": None if prediction_set is None else prediction_set.coverage,
        "prediction_set_reason": prediction.prediction_set_reason,
        "in_distribution": prediction.in_distribution,
        "distance": None if distance is None else distance.value,
        "distance_percentile": None if distance is None else distance.percentile,
        "distribution_reason": prediction.distribution_reason,
        "forest_treatment": forest.treatment,
        "forest_probability": forest.probability,
        **{f"{FOREST_PROBABILITY}{name}": value for name, value in forest.probabilities.items()},
    }
    if embedding is not None:
        prefix = VECTOR_PREFIXES[embedding.kind]
        row |= {f"{prefix}{index:04d}": value for index, value in enumerate(embedding.embedding.tolist())}
    return row


def _notice(notice: StackNotice) -> str:
    return f"{notice.code}:{','.join(notice.channels)}" if notice.channels else notice.code


def site_row(site: Site) -> dict[str, Any]:
    """Columns that say which site a row is about, under pycytominer's names."""
    return dict(zip(SITE, (site.experiment, site.plate, site.well, site.site, site.site_id), strict=True))


def source_row(
    site: Site, folder: str, stain_files: StainFiles, bundle: ServedBundle, learned_from: LearnedFrom | None
) -> dict[str, Any]:
    """Columns that say which files and which bundle a row comes from.

    Args:
        site: The site.
        folder: The plate's folder, from `folder_beside`.
        stain_files: Which file shows which stain.
        bundle: The bundle that answered.
        learned_from: Whether it has learned from the site's well; None where it does not tell.
    """
    files = stain_files.paths(site)
    names = (stain_files.stains or ()) if stain_files.channels else (WHOLE_STACK_FILE,)
    return {
        FOLDER: folder,
        **{f"{FILE_NAME}{name}": path.as_posix() for name, path in zip(names, files, strict=True)},
        BUNDLE: f"{bundle.name} {bundle.version}",
        DIGEST: bundle.digest,
        LEARNED: learned_from,
    }


def folder_beside(folder: Path, results: Path) -> str:
    """A plate's folder as its table names it: from the table's own folder on, so that the two may be shared together.

    On another drive there is no such name, and it is the whole one.
    """
    try:
        return Path(os.path.relpath(folder.resolve(), results.resolve().parent)).as_posix()
    except ValueError:
        return str(folder.resolve())


def failure_row(site: Site, failure: Failure, known: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of a site without an answer, after those that are known of it."""
    files = SEPARATOR.join(sorted(path.as_posix() for path in (*site.files.values(), *site.more_files)))
    return {**known, "code": failure.code, "reason": failure.reason, "files": files}
