"""Why a bundle cannot be read or written.

* BundleError
  x BundleExistsError
  x BundleContentsError
  x BundleFormatError
    + FormatVersionError
    + ManifestError
  x BundleFileError
    + MissingFileError
    + ExtraFileError
    + AlteredFileError
    + UnsafePathError
  x ForestError
    + UnsafeForestError
    + ForestVersionError
  x GoldenError
  x CalibrationError
  x MissingVariantError
"""


class BundleError(Exception):
    """A bundle cannot be read or written; the message names the file and the fix."""


class BundleExistsError(BundleError):
    """Raised when a bundle is written to a path that already exists."""


class BundleContentsError(BundleError):
    """Raised when what is to be written contradicts itself or the format."""


class BundleFormatError(BundleError):
    """The manifest is not one this version reads."""


class FormatVersionError(BundleFormatError):
    """Raised when the manifest states a format version this version does not read."""


class ManifestError(BundleFormatError):
    """Raised when `manifest.json` is not JSON, or does not follow the format."""


class BundleFileError(BundleError):
    """The files in the folder are not those the manifest lists."""


class MissingFileError(BundleFileError):
    """Raised when a file of the format, or one the manifest lists, is absent."""


class ExtraFileError(BundleFileError):
    """Raised when the folder holds a file the manifest does not list."""


class AlteredFileError(BundleFileError):
    """Raised when a file's size or SHA-256 digest is not the manifest's."""


class UnsafePathError(BundleFileError):
    """Raised when a path leaves the folder, or is neither a regular file nor a folder."""


class ForestError(BundleError):
    """`forest.joblib` does not hold a forest that fits the manifest."""


class UnsafeForestError(ForestError):
    """Raised when `forest.joblib` names anything that is not on the list of admitted classes."""


class ForestVersionError(ForestError):
    """Raised when the installed scikit-learn cannot load the forest."""


class GoldenError(BundleError):
    """Raised when `golden.npz` does not hold golden stacks that fit the manifest."""


class CalibrationError(BundleError):
    """Raised when `calibration.npz` does not hold a calibration that fits the manifest."""


class MissingVariantError(BundleError):
    """Raised when a graph of a precision is asked for that the bundle does not hold."""
