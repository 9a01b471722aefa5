"""Writes a bundle: wholly or not at all."""

import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Final

from pydantic import ValidationError

from phenoserve.bundle.calibration import Calibration
from phenoserve.bundle.calibration_spec import CALIBRATION_FILE
from phenoserve.bundle.errors import BundleContentsError, BundleExistsError
from phenoserve.bundle.files import read_recorded, record_of, write_synced
from phenoserve.bundle.forest import Forest, RandomForestClassifier, dump_forest, installed_sklearn
from phenoserve.bundle.golden import Golden
from phenoserve.bundle.manifest import (
    CARD_FILE,
    FOREST_FILE,
    FORMAT_VERSION,
    GOLDEN_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    REPORT_FOLDER,
    VARIANTS_SINCE,
    FileRecord,
    InputSpec,
    Manifest,
    Provenance,
)
from phenoserve.bundle.outputs import GRAPH_OUTPUT_AXES
from phenoserve.bundle.parts import Tolerance
from phenoserve.bundle.read import Bundle, read_bundle
from phenoserve.bundle.variants import VariantPrecision, VariantSpec, golden_file, model_file
from phenoserve.synced import sync_folder

OLDEST_EXTENDED: Final = 3
"""Older bundles lack what a later format demands."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BundleContents:
    """All that goes into a bundle.

    Attributes:
        name: Name of the model: letters, digits and `._+-`.
        version: Version of the model, of the same letters.
        input: The stacks the graph takes.
        treatments: Every treatment, the control among them, in the order of the logits.
        control: The treatment that is the control.
        tolerance: How far a replayed output may lie from the golden one.
        provenance: Where the model comes from; the version of scikit-learn is added to its packages.
        model_onnx: The graph, as an ONNX file that needs no other.
        forest: Fitted on embeddings against treatment names.
        golden: Raw stacks and the outputs for each (`phenoserve.engine.record_golden` makes them).
        calibration: Prediction sets and distances to the training sites, of the treatments above.
        card: The model card, Markdown.
        report: Content of every file under `report/`, by its path there.
        created: When the bundle is written, with its time zone; now by default.
    """

    name: str
    version: str
    input: InputSpec
    treatments: tuple[str, ...]
    control: str
    tolerance: Tolerance
    provenance: Provenance
    model_onnx: bytes
    forest: RandomForestClassifier
    golden: Golden
    calibration: Calibration
    card: str
    report: Mapping[str, bytes]
    created: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Variant:
    """A graph of lower precision.

    Attributes:
        model_onnx: The graph, as an ONNX file that needs no other.
        golden: The bundle's golden stacks and this graph's outputs for each.
        spec: What was measured of it.
    """

    model_onnx: bytes
    golden: Golden
    spec: VariantSpec


def write_bundle(directory: Path, contents: BundleContents) -> Bundle:
    """Write a bundle and read it back, so that what was written is what will be served.

    The files are written and verified in a hidden folder beside `directory`, and that folder is then renamed:
    whenever the writing is cut short, `directory` either does not exist or is whole. A killed writer leaves
    the hidden folder (`.NAME.….partial`), which may be deleted.

    Args:
        directory: Where the bundle goes; must not exist. Missing parents are made.
        contents: What goes into it.

    Returns:
        The bundle as read back from the disk.

    Raises:
        BundleExistsError: If `directory` exists.
        BundleContentsError: If the contents contradict themselves or the format.
        BundleError: If the reader refuses what was written; the message says why.
        OSError: If the disk does; nothing is left behind.
    """
    _refuse_existing(directory)
    _ = Forest.of(contents.forest, contents.treatments)
    files = _encode(contents)
    return _write(directory, files, _manifest_of(contents, files))


def write_variants(directory: Path, bundle: Bundle, variants: Mapping[VariantPrecision, Variant]) -> Bundle:
    """Write a bundle again with graphs of lower precision beside its own; as `write_bundle`, wholly or not at all.

    Args:
        directory: Where the new bundle goes; must not exist.
        bundle: The bundle whose files are taken over; of format 3 at least.
        variants: What is added, or takes the place of what the bundle holds of the same precision.

    Returns:
        The new bundle as read back from the disk.

    Raises:
        BundleExistsError: If `directory` exists.
        BundleContentsError: If the bundle is of a format that cannot be taken over, or a variant contradicts it.
        BundleError: If the reader refuses what was written; the message says why.
        OSError: If the disk does; nothing is left behind.
    """
    _refuse_existing(directory)
    old = bundle.manifest
    if old.format_version < OLDEST_EXTENDED:
        raise BundleContentsError(
            f"{bundle.path} is of format {old.format_version}, which nothing is added to. Expected format "
            f"{OLDEST_EXTENDED} or later. Export the bundle again."
        )
    files = {inside: read_recorded(bundle.path, inside, record) for inside, record in old.files.items()}
    for precision, variant in variants.items():
        files[model_file(precision)] = variant.model_onnx
        files[golden_file(precision)] = variant.golden.to_npz()
    specs = {**old.variants, **{precision: variant.spec for precision, variant in variants.items()}}
    changed = {
        # The calibration stays, and with it the format that says what it counts.
        "format_version": max(old.format_version, VARIANTS_SINCE),
        "created": datetime.now(UTC),
        "variants": specs,
        "files": _records_of(files),
    }
    return _write(directory, files, old.model_copy(update=changed))


def _write(directory: Path, files: Mapping[str, bytes], manifest: Manifest) -> Bundle:
    directory.parent.mkdir(parents=True, exist_ok=True)
    partial = directory.parent / f".{directory.name}.{secrets.token_hex(4)}.partial"
    try:
        _write_files(partial, {**files, MANIFEST_FILE: manifest.to_json()})
        _ = read_bundle(partial)
        _refuse_existing(directory)
        partial.rename(directory)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    sync_folder(directory.parent)
    return read_bundle(directory)


def _refuse_existing(directory: Path) -> None:
    if os.path.lexists(directory):
        raise BundleExistsError(
            f"{directory} exists, and a bundle is never edited. Choose another folder, or remove that one."
        )


def _encode(contents: BundleContents) -> dict[str, bytes]:
    return {
        MODEL_FILE: contents.model_onnx,
        FOREST_FILE: dump_forest(contents.forest),
        GOLDEN_FILE: contents.golden.to_npz(),
        CALIBRATION_FILE: contents.calibration.to_npz(),
        CARD_FILE: contents.card.encode(),
        **{f"{REPORT_FOLDER}/{inside}": content for inside, content in contents.report.items()},
    }


def _manifest_of(contents: BundleContents, files: Mapping[str, bytes]) -> Manifest:
    packages = {**installed_sklearn(), **contents.provenance.packages}
    try:
        return Manifest(
            format_version=FORMAT_VERSION,
            name=contents.name,
            version=contents.version,
            created=contents.created,
            input=contents.input,
            outputs=dict(GRAPH_OUTPUT_AXES),
            treatments=contents.treatments,
            control=contents.control,
            calibration=contents.calibration.spec,
            variants={},
            files=_records_of(files),
            tolerance=contents.tolerance,
            provenance=contents.provenance.model_copy(update={"packages": packages}),
        )
    except ValidationError as error:
        raise BundleContentsError(
            f"The contents do not make a bundle of format {FORMAT_VERSION}: {error}"
        ) from error


def _records_of(files: Mapping[str, bytes]) -> dict[str, FileRecord]:
    return {inside: record_of(content) for inside, content in sorted(files.items())}


def _write_files(directory: Path, files: Mapping[str, bytes]) -> None:
    directory.mkdir()
    folders = {directory}
    for inside, content in files.items():
        path = directory / PurePosixPath(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        folders.update(parent for parent in path.parents if parent.is_relative_to(directory))
        write_synced(path, content)
    for folder in folders:
        sync_folder(folder)
