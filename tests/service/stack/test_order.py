"""Which stain each channel of a file shows."""

import numpy as np
import pytest

from phenoserve.stack import AmbiguousChannelsError, FileOrder, Stack, find_order

ARRAY = np.zeros((3, 4, 4), np.uint8)
STAINS = ("DNA", "actin", "tubulin")
OTHER = ("Tubulin", "dna", "ACTIN")


@pytest.mark.parametrize("source", ["channel_names", "labels", "page_names"])
def test_names_that_are_the_stains_are_the_order(source: str) -> None:
    """Wherever a file names its channels, names that are all stains tell their order, and who said so is known."""
    found = find_order(Stack(ARRAY, **{source: OTHER}), STAINS)
    written_by = {"channel_names": "ome", "labels": "imagej", "page_names": "pages"}
    assert found == FileOrder(("tubulin", "DNA", "actin"), written_by[source])


def test_names_that_say_nothing_leave_the_order_of_the_stains() -> None:
    """Without names, or with some that are no stains and contradict nothing, the stains keep their order."""
    assert find_order(Stack(ARRAY), STAINS) == FileOrder(STAINS, None)
    found = find_order(Stack(ARRAY, labels=("w1", "GFP", "")), STAINS)
    assert (found.stains, found.names_from) == (STAINS, None)
    assert [(names, match.strangers) for names, match in found.unmatched] == [(("w1", "GFP", ""), (1,))]


@pytest.mark.parametrize(
    ("stack", "words"),
    [
        (Stack(ARRAY, channel_names=OTHER, labels=STAINS), "in two ways: by its OME-XML they are tubulin"),
        (Stack(ARRAY, labels=("actin", "GFP", "")), "'actin' is channel 1 of the file, and actin is stain 2"),
        (Stack(ARRAY, page_names=("DNA", "dna", "actin")), "DNA is named more than once"),
        (Stack(ARRAY, is_picture=True), "colour picture"),
    ],
    ids=["two sources", "another place", "twice", "picture"],
)
def test_what_tells_no_order_is_refused(stack: Stack, words: str) -> None:
    """Names that contradict, and colour pictures, are refused; what was found stands apart from a request's remedy."""
    with pytest.raises(AmbiguousChannelsError) as caught:
        find_order(stack, STAINS)
    assert words in caught.value.found
    assert caught.value.detail.startswith(caught.value.found)
    assert "?channels=" in caught.value.detail.removeprefix(caught.value.found)
    assert "?channels=" not in caught.value.found


def test_a_picture_whose_samples_are_named_is_a_stack() -> None:
    """A picture in RGB whose channels are named as the stains is ordered by these names."""
    assert find_order(Stack(ARRAY, channel_names=OTHER, is_picture=True), STAINS).names_from == "ome"
