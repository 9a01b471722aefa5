"""Graphs of lower precision beside the first: their files, and what was measured when they were made."""

from typing import Annotated, Final, Literal

from pydantic import Field

from phenoserve.bundle.parts import Part, Tolerance

Precision = Literal["fp32", "int8", "fp16"]
VariantPrecision = Literal["int8", "fp16"]

_VARIANTS: Final[tuple[VariantPrecision, ...]] = ("int8", "fp16")

Share = Annotated[float, Field(ge=0, le=1)]
Cosine = Annotated[float, Field(ge=-1, le=1)]


def model_file(precision: Precision) -> str:
    """The graph's file."""
    return "model.onnx" if precision == "fp32" else f"model.{precision}.onnx"


def golden_file(precision: Precision) -> str:
    """The file of the golden stacks and of what this graph must answer to each."""
    return "golden.npz" if precision == "fp32" else f"golden.{precision}.npz"


VARIANT_FILES: Final = {precision: (model_file(precision), golden_file(precision)) for precision in _VARIANTS}
"""Both files of each variant."""


class VariantSpec(Part):
    """What was measured of a graph of lower precision, on held-out sites, against the first one.

    Attributes:
        tolerance: How far a replayed output may lie from the variant's own golden one.
        min_embedding_cosine: Least cosine of a site's embedding with the one at fp32.
        mean_embedding_cosine: Mean of these cosines.
        accuracy: Balanced accuracy of the classifier, 0 to 1.
        accuracy_fp32: That of the first graph on the same sites.
        num_sites: Sites that it was measured on.
        num_calibration_sites: Training sites that the ranges of the activations come from; 0 where none are needed.
    """

    tolerance: Tolerance
    min_embedding_cosine: Cosine
    mean_embedding_cosine: Cosine
    accuracy: Share
    accuracy_fp32: Share
    num_sites: Annotated[int, Field(ge=1)]
    num_calibration_sites: Annotated[int, Field(ge=0)]
