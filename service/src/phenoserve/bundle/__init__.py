"""The bundle: all that a trained model needs to be served, in one verified folder.

The format is normative in `docs/bundle-format.md`. Writing and reading use the same code on both sides.
"""

from phenoserve.bundle.calibration import Calibration, neighbour_distances
from phenoserve.bundle.calibration_spec import (
    CalibrationSpec,
    OutOfDistribution,
    PredictionSets,
    least_number,
)
from phenoserve.bundle.deviation import SCALE_FREE_SINCE, channel_deviations
from phenoserve.bundle.errors import (
    AlteredFileError,
    BundleContentsError,
    BundleError,
    BundleExistsError,
    BundleFileError,
    BundleFormatError,
    CalibrationError,
    ExtraFileError,
    ForestError,
    ForestVersionError,
    FormatVersionError,
    GoldenError,
    ManifestError,
    MissingFileError,
    MissingVariantError,
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
)
from phenoserve.bundle.parts import Tolerance
from phenoserve.bundle.read import Bundle, read_bundle
from phenoserve.bundle.stain_order import POOLING as STAIN_POOLING
from phenoserve.bundle.stain_order import Mismatch, StainOrder, StainOrderSpec, describe_channels
from phenoserve.bundle.variants import Precision, VariantPrecision, VariantSpec
from phenoserve.bundle.write import BundleContents, Variant, write_bundle, write_variants

__all__ = [
    "FORMAT_VERSION",
    "SCALE_FREE_SINCE",
    "STAIN_POOLING",
    "AlteredFileError",
    "Bundle",
    "BundleContents",
    "BundleContentsError",
    "BundleError",
    "BundleExistsError",
    "BundleFileError",
    "BundleFormatError",
    "Calibration",
    "CalibrationError",
    "CalibrationSpec",
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
    "Mismatch",
    "MissingFileError",
    "MissingVariantError",
    "OutOfDistribution",
    "Precision",
    "PredictionSets",
    "Provenance",
    "StainOrder",
    "StainOrderSpec",
    "Tolerance",
    "UnsafeForestError",
    "UnsafePathError",
    "Variant",
    "VariantPrecision",
    "VariantSpec",
    "channel_deviations",
    "describe_channels",
    "least_number",
    "neighbour_distances",
    "read_bundle",
    "write_bundle",
    "write_variants",
]
