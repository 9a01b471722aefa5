"""How much is explained, so that the tests end in minutes whatever the size of the fields."""

from typing import Final

_PIXELS_OF_STAINS: Final = 20_000_000
"""Pooled pixels that go through the graph for stain attribution: about half a minute on two cores."""
_PIXELS_OF_CURVES: Final = 12_000_000
"""The same for deletion and insertion curves."""
_MIN_STAIN_SITES: Final = 4
"""Sites a treatment below which the interval of one stain means little, however large the fields are."""


def stain_sites(num_sites: int, num_treatments: int, num_stains: int, field_px: int) -> int:
    """Number of sites a treatment whose stains are attributed.

    Args:
        num_sites: Most sites a treatment.
        num_treatments: Treatments that are explained.
        num_stains: Stains; all their subsets are passes.
        field_px: Pixels of one pooled field.
    """
    affordable = _PIXELS_OF_STAINS // (num_treatments * 2**num_stains * field_px)
    return min(num_sites, max(_MIN_STAIN_SITES, affordable))


def curve_sites(num_sites: int, num_treatments: int, num_passes: int, field_px: int) -> int:
    """Number of sites a treatment with a deletion and an insertion curve.

    Args:
        num_sites: Most sites a treatment.
        num_treatments: Treatments that are explained.
        num_passes: Fields of both curves of one site.
        field_px: Pixels of one pooled field.
    """
    affordable = _PIXELS_OF_CURVES // (num_treatments * num_passes * field_px)
    return min(num_sites, max(1, affordable))
