"""Reads a bundle, verifying all of it first."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, cast

from pydantic import ValidationError

from phenoserve.bundle.calibration import Calibration, read_calibration
from phenoserve.bundle.calibration_spec import CALIBRATION_FILE
from phenoserve.bundle.deviation import least_deviation
from phenoserve.bundle.errors import (
    BundleError,
    BundleFileError,
    FormatVersionError,
    ManifestError,
    MissingFileError,
    MissingVariantError,
)
from phenoserve.bundle.files import list_files, read_bounded, read_recorded, require_listed
from phenoserve.bundle.forest import Forest, read_forest
from phenoserve.bundle.golden import Golden, read_golden
from phenoserve.bundle.manifest import (
    FOREST_FILE,
    MANIFEST_FILE,
    READABLE_VERSIONS,
    Manifest,
)
from phenoserve.bundle.parts import Tolerance
from phenoserve.bundle.variants import Precision, golden_file, model_file

MAX_MANIFEST_BYTES: Final = 16 * 1024**2


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A verified bundle, seen at one of the precisions that it holds a graph of.

    Attributes:
        path: Its folder.
        manifest: What it holds.
        digest: SHA-256 of `manifest.json`, 64 hexadecimal digits. The manifest holds the digest of every
            other file, so this one stands for the whole bundle.
        forest: The random forest on embeddings.
        golden: Raw stacks and the outputs for each.
        calibration: Prediction sets and distances to the training sites; None in a bundle of format 1.
        least_deviation: Standard deviation below which the unit of a float channel would decide the outputs.
        precision: That of the graph and of the golden outputs.
        goldens: The golden stacks and outputs of every precision.
    """

    path: Path
    manifest: Manifest
    digest: str
    forest: Forest
    golden: Golden
    calibration: Calibration | None
    least_deviation: float
    precision: Precision = "fp32"
    goldens: Mapping[Precision, Golden] = field(default_factory=dict[Precision, Golden])

    @property
    def model_path(self) -> Path:
        """The graph's file."""
        return self.path / model_file(self.precision)

    @property
    def tolerance(self) -> Tolerance:
        """How far a replayed output may lie from the golden one."""
        if self.precision == "fp32":
            return self.manifest.tolerance
        return self.manifest.variants[self.precision].tolerance

    def at(self, precision: Precision) -> "Bundle":
        """Return the same bundle with the graph of another precision.

        Raises:
            MissingVariantError: If it holds none.
        """
        if precision == self.precision:
            return self
        if precision not in self.goldens:
            raise MissingVariantError(
                f"{self.path} holds no {precision} graph; it holds {', '.join(self.goldens)}. "
                f"Make a bundle with one by `phenotrain quantize`, or ask for another precision."
            )
        return replace(self, precision=precision, golden=self.goldens[precision])

    def read_model(self) -> bytes:
        """Read the graph, verifying it once more: the bytes returned are those of the manifest.

        Raises:
            BundleFileError: If the file is absent or altered.
        """
        file = model_file(self.precision)
        return read_recorded(self.path, file, self.manifest.files[file])


def read_bundle(directory: Path) -> Bundle:
    """Read a bundle, verifying every file before any is used.

    Args:
        directory: The bundle's folder; it may itself be reached through a link.

    Returns:
        The bundle. The graph is not loaded: `phenoserve.engine` does that.

    Raises:
        BundleError: If the bundle cannot be trusted or read. The message names the file and the fix; the
            subclasses say which rule is broken.
    """
    try:
        return _read(directory)
    except (
        OSError
    ) as error:  # a folder that cannot be listed, a loop of links, a file that vanished or is exchanged
        place = error.filename or directory
        raise BundleFileError(
            f"{place} of the bundle {directory} cannot be read ({error.strerror or error}). "
            "Make it readable to this user, and let nothing change it meanwhile."
        ) from error


def _read(directory: Path) -> Bundle:
    if not directory.is_dir():
        raise MissingFileError(f"{directory} is not a folder. Pass the folder that holds {MANIFEST_FILE}.")
    directory = directory.resolve()
    if not os.path.lexists(directory / MANIFEST_FILE):
        raise MissingFileError(
            f"{directory} holds no {MANIFEST_FILE}, so it is no bundle. Pass the folder that holds one. "
            "Copy the bundle again from its source if the file is lost."
        )
    found = list_files(directory)
    content = _read_manifest_bytes(directory)
    manifest = _parse_manifest(directory / MANIFEST_FILE, content)
    require_listed(directory, found, manifest)
    precisions: tuple[Precision, ...] = ("fp32", *manifest.variants)
    golden_files: dict[Precision, str] = {precision: golden_file(precision) for precision in precisions}
    parsed = {FOREST_FILE, CALIBRATION_FILE, *golden_files.values()}
    verified: dict[str, bytes] = {}
    for file, record in manifest.files.items():
        whole = read_recorded(directory, file, record)
        if file in parsed:  # the others are too large to be kept
            verified[file] = whole
    try:
        goldens: dict[Precision, Golden] = {
            precision: read_golden(verified[file], manifest, file) for precision, file in golden_files.items()
        }
        golden = goldens["fp32"]
        forest = read_forest(verified[FOREST_FILE], manifest, golden)
        calibration = (
            None
            if manifest.calibration is None
            else read_calibration(
                verified[CALIBRATION_FILE], manifest.calibration, num_channels=len(manifest.input.channels)
            )
        )
    except BundleError as error:
        raise type(error)(f"{directory}: {error}") from error
    digest = hashlib.sha256(content).hexdigest()
    least = least_deviation(manifest.format_version, golden.stacks, manifest.input.downsample)
    return Bundle(directory, manifest, digest, forest, golden, calibration, least, goldens=goldens)


def _read_manifest_bytes(directory: Path) -> bytes:
    path = directory / MANIFEST_FILE
    content = read_bounded(path, MAX_MANIFEST_BYTES)
    if len(content) > MAX_MANIFEST_BYTES:
        raise ManifestError(f"{path} is larger than {MAX_MANIFEST_BYTES} bytes. Pass a bundle's folder.")
    return content


def _parse_manifest(path: Path, content: bytes) -> Manifest:
    try:
        parsed: object = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ManifestError(
            f"{path} is not JSON ({error}). Copy the bundle again from its source."
        ) from error
    version = cast("dict[str, Any]", parsed).get("format_version") if isinstance(parsed, dict) else None
    if version is not None and (type(version) is not int or version not in READABLE_VERSIONS):
        raise FormatVersionError(
            f"{path} states format_version {version!r}; this phenoserve reads "
            f"{' and '.join(map(str, READABLE_VERSIONS))}. "
            "Install the phenoserve of that format, or export the bundle again."
        )
    try:
        return Manifest.model_validate_json(content, strict=True)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'manifest'}: {e['msg']}" for e in error.errors()
        )
        raise ManifestError(
            f"{path} does not follow bundle format {version}: {faults}. Export it again."
        ) from error
