"""The bundle: all that a trained model needs to be served, in one verified folder.

The format is normative in `docs/bundle-format.md`. Writing and reading use the same code on both sides.
"""

from phenoserve.bundle.errors import (
    AlteredFileError,
    BundleContentsError,
    BundleError,
    BundleExistsError,
    BundleFileError,
    BundleFormatError,
    ExtraFileError,
    ForestError,
    ForestVersionError,
    FormatVersionError,
    GoldenError,
    ManifestError,
    MissingFileError,
    UnsafeForestError,
    UnsafePathError,
)
from phenoserve.bundle.forest import Forest
from phenoserve.bundle.golden import Golden
from phenoserve.bundle.manifest import (
    FORMAT_VERSION,
    DatasetProvenance,
    FileRecord,
    InputSpec,
    Manifest,
    Provenance,
    Tolerance,
)
from phenoserve.bundle.read import Bundle, read_bundle
from phenoserve.bundle.write import BundleContents, write_bundle

__all__ = [
    "FORMAT_VERSION",
    "AlteredFileError",
    "Bundle",
    "BundleContents",
    "BundleContentsError",
    "BundleError",
    "BundleExistsError",
    "BundleFileError",
    "BundleFormatError",
    "DatasetProvenance",
    "ExtraFileError",
    "FileRecord",
    "Forest",
    "ForestError",
    "ForestVersionError",
    "FormatVersionError",
    "Golden",
    "GoldenError",
    "InputSpec",
    "Manifest",
    "ManifestError",
    "MissingFileError",
    "Provenance",
    "Tolerance",
    "UnsafeForestError",
    "UnsafePathError",
    "read_bundle",
    "write_bundle",
]
