"""`manifest.json`: what a bundle holds. The format is normative in `docs/bundle-format.md`."""

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    Field,
    JsonValue,
    StringConstraints,
    model_serializer,
    model_validator,
)

from phenoserve.bundle.calibration_spec import CALIBRATION_FILE, CalibrationSpec
from phenoserve.bundle.outputs import GRAPH_OUTPUT_AXES
from phenoserve.bundle.parts import Name, Part, Tolerance
from phenoserve.bundle.variants import (
    VARIANT_FILES,
    VariantPrecision,
    VariantSpec,
    golden_file,
    model_file,
)

FORMAT_VERSION: Final = 7
"""The version that is written."""

READABLE_VERSIONS: Final = (1, 2, 3, 4, 5, 6, 7)
VARIANTS_SINCE: Final = 4
"""First version of the format with graphs of lower precision."""

STAIN_ORDER_SINCE: Final = 5
"""First version of the format that says what every stain looks like."""

WELLS_SINCE: Final = 6
"""First version of the format that counts wells, and leaves out the thresholds that they are too few for."""

MIN_POOLED_SIZE_PX: Final = 32
"""The encoder halves a field five times, so the pooled field must have this many pixels a side."""

MODEL_FILE: Final = model_file("fp32")
FOREST_FILE: Final = "forest.joblib"
GOLDEN_FILE: Final = golden_file("fp32")
CARD_FILE: Final = "card.md"
REPORT_FOLDER: Final = "report"
MANIFEST_FILE: Final = "manifest.json"
SKLEARN: Final = "scikit-learn"
REQUIRED_FILES: Final = (MODEL_FILE, FOREST_FILE, GOLDEN_FILE, CALIBRATION_FILE, CARD_FILE)
OPTIONAL_FILES: Final = tuple(file for files in VARIANT_FILES.values() for file in files)
FILES_SINCE: Final = {CALIBRATION_FILE: 2}
"""First version of the format with a file, where that is not the first of all."""


def _stain_name(name: str) -> str:
    if "," in name:
        raise ValueError(
            f"Expected a stain name without a comma, which separates stains in a query. Received: {name!r}"
        )
    return name


def _contained_path(path: str) -> str:
    parts = PurePosixPath(path).parts
    is_plain = (
        parts != ()
        and path == "/".join(parts)
        and "\\" not in path
        and ":" not in path
        and path.isprintable()
    )
    if not is_plain or path.startswith("/") or any(part in {".", ".."} for part in parts):
        raise ValueError(
            f"Expected a relative path inside the bundle, its parts separated by '/'. Received: {path!r}"
        )
    if path not in REQUIRED_FILES + OPTIONAL_FILES and (parts[0] != REPORT_FOLDER or len(parts) == 1):
        raise ValueError(
            f"Expected one of {', '.join(REQUIRED_FILES + OPTIONAL_FILES)} or a file under {REPORT_FOLDER}/. "
            f"Received: {path!r}"
        )
    return path


def _unique(names: tuple[str, ...]) -> tuple[str, ...]:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"Expected every name once. Repeated: {', '.join(repeated)}")
    return names


Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,99}$")]
StainName = Annotated[Name, AfterValidator(_stain_name)]
ContainedPath = Annotated[str, AfterValidator(_contained_path)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class InputSpec(Part):
    """The stacks the graph takes.

    Attributes:
        channels: Stain of every channel, in the order the graph takes them.
        downsample: Side in pixels of the square the graph averages first.
        min_size_px: Least height and width of a stack in raw pixels: 32 times `downsample`.
    """

    channels: Annotated[tuple[StainName, ...], Field(min_length=1), AfterValidator(_unique)]
    downsample: Annotated[int, Field(ge=1)]
    min_size_px: int

    @model_validator(mode="after")
    def _min_size_follows_downsample(self) -> "InputSpec":
        expected = MIN_POOLED_SIZE_PX * self.downsample
        if self.min_size_px != expected:
            raise ValueError(
                f"Expected min_size_px = {MIN_POOLED_SIZE_PX} * downsample = {expected}. "
                f"Received: {self.min_size_px}"
            )
        return self

    @classmethod
    def of(cls, channels: tuple[str, ...], downsample: int) -> "InputSpec":
        """Return the specification of stacks with these stains, averaged by `downsample` pixels a side."""
        return cls(channels=channels, downsample=downsample, min_size_px=MIN_POOLED_SIZE_PX * downsample)


class FileRecord(Part):
    """Digest and size of one file.

    Attributes:
        sha256: SHA-256 of the file's bytes, 64 lower-case hexadecimal digits.
        size_bytes: Length of the file in bytes.
    """

    sha256: Sha256
    size_bytes: Annotated[int, Field(ge=0)]


class DatasetProvenance(Part):
    """The images the model learned from.

    Attributes:
        name: Name of the dataset.
        licence: Licence of the images, as their owner states it.
        fingerprint: Digest of the decoded images and their table.
        simulated: Whether the images were simulated rather than acquired.
    """

    name: Name
    licence: Name
    fingerprint: Name
    simulated: bool


class Provenance(Part):
    """Where the model comes from.

    Attributes:
        git_commit: Commit of the training code, or None outside a repository.
        recipe: The training recipe, as it was run.
        dataset: The images it learned from.
        split: How the sites were divided into training and test.
        packages: Version of every package that made the bundle, by distribution name.
    """

    git_commit: Name | None
    recipe: dict[str, JsonValue]
    dataset: DatasetProvenance
    split: dict[str, JsonValue]
    packages: dict[Name, Name]


class Manifest(Part):
    """The whole of `manifest.json`.

    Attributes:
        format_version: Version of the bundle format.
        name: Name of the model.
        version: Version of the model.
        created: When the bundle was written, with its time zone.
        input: The stacks the graph takes.
        outputs: Axis words of every output of the graph.
        treatments: Every treatment, the control among them, in the order of the logits.
        control: The treatment that is the control.
        calibration: What stands beside `calibration.npz`; None in format 1, which has neither.
        variants: What was measured of every graph of lower precision that the bundle holds; none before format 4.
        files: Digest and size of every other file, by its path inside the bundle.
        tolerance: How far a replayed output may lie from the golden one.
        provenance: Where the model comes from.
    """

    format_version: Literal[1, 2, 3, 4, 5, 6, 7]
    name: Identifier
    version: Identifier
    created: AwareDatetime
    input: InputSpec
    outputs: dict[str, tuple[str, ...]]
    treatments: Annotated[tuple[Name, ...], Field(min_length=2), AfterValidator(_unique)]
    control: Name
    calibration: CalibrationSpec | None = None
    variants: dict[VariantPrecision, VariantSpec] = Field(default_factory=dict[VariantPrecision, VariantSpec])
    files: dict[ContainedPath, FileRecord]
    tolerance: Tolerance
    provenance: Provenance

    @model_validator(mode="after")
    def _is_consistent(self) -> "Manifest":
        if self.control not in self.treatments:
            raise ValueError(
                f"Expected the control among the treatments {self.treatments}. Received: {self.control!r}"
            )
        if self.outputs != dict(GRAPH_OUTPUT_AXES):
            raise ValueError(f"Expected the outputs {dict(GRAPH_OUTPUT_AXES)}. Received: {self.outputs}")
        required = {path for path in REQUIRED_FILES if FILES_SINCE.get(path, 1) <= self.format_version}
        if absent := sorted(required - self.files.keys()):
            raise ValueError(f"Expected a record of every file of the format. Absent: {', '.join(absent)}")
        if later := sorted((set(REQUIRED_FILES) - required) & self.files.keys()):
            raise ValueError(f"Expected no file that format {self.format_version} lacks. Received: {later}")
        if SKLEARN not in self.provenance.packages:
            raise ValueError(
                f"Expected the version of {SKLEARN}, which wrote the forest, among the packages."
            )
        return self

    @model_validator(mode="after")
    def _has_its_calibration(self) -> "Manifest":
        if self.format_version == 1:
            if "calibration" in self.model_fields_set:
                raise ValueError("Expected no calibration in format 1, which has none. Received: one")
        elif self.calibration is None:
            raise ValueError(
                f"Expected a calibration, as format {self.format_version} has one. Received: none"
            )
        elif set(known := self.calibration.prediction_sets.thresholds) != set(self.treatments):
            raise ValueError(
                f"Expected the calibration's thresholds of the treatments {self.treatments}. "
                f"Received: those of {tuple(known)}"
            )
        elif (self.calibration.out_of_distribution.num_components is None) != (self.format_version == 2):
            raise ValueError(
                "Expected num_components of the distance in every format but 2, which whitens nothing. "
                f"Received: {self.calibration.out_of_distribution.num_components} in format {self.format_version}"
            )
        elif self.calibration.stain_order is not None and self.format_version < STAIN_ORDER_SINCE:
            raise ValueError(
                f"Expected no stain_order in format {self.format_version}, which has none. Received: one"
            )
        elif self._counts_wells(self.calibration) != {self.format_version >= WELLS_SINCE}:
            raise ValueError(
                f"Expected num_wells, num_validation_sites and num_validation_wells from format {WELLS_SINCE} on, in "
                f"stain_order in place of num_control_sites. Received otherwise in format {self.format_version}"
            )
        return self

    @staticmethod
    def _counts_wells(calibration: CalibrationSpec) -> set[bool]:
        """Whether each part of the calibration counts what format 6 does."""
        counts: list[object] = [
            calibration.prediction_sets.num_wells,
            calibration.out_of_distribution.num_validation_wells,
        ]
        if calibration.stain_order is not None:
            counts.append(calibration.stain_order.num_validation_sites)
        return {count is not None for count in counts}

    @model_validator(mode="after")
    def _has_its_variants(self) -> "Manifest":
        if self.format_version < VARIANTS_SINCE and "variants" in self.model_fields_set:
            raise ValueError(
                f"Expected no variants in format {self.format_version}, which has none. Received: some"
            )
        expected = {file for variant in self.variants for file in VARIANT_FILES[variant]}
        if (found := self.files.keys() & set(OPTIONAL_FILES)) != expected:
            raise ValueError(
                f"Expected both files of each of the variants {tuple(self.variants)}, and of no other. "
                f"Received: {sorted(found)}"
            )
        return self

    @model_serializer(mode="wrap")
    def _without_what_it_lacks(self, dump: Callable[["Manifest"], dict[str, Any]]) -> dict[str, Any]:
        fields = dump(self)
        if self.calibration is None:
            del fields["calibration"]
        if self.format_version < VARIANTS_SINCE:
            del fields["variants"]
        return fields

    @property
    def treated(self) -> tuple[str, ...]:
        """The treatments without the control, in order: the axis of `versus_control`."""
        return tuple(name for name in self.treatments if name != self.control)

    def to_json(self) -> bytes:
        """Return the manifest as the bytes of `manifest.json`."""
        return self.model_dump_json(indent=2).encode() + b"\n"

    def dump(self) -> dict[str, Any]:
        """Return the manifest as JSON values."""
        return self.model_dump(mode="json")
