"""Which wells of a plate the served bundle has learned from."""

import pytest

from phenoclient.plate import Site
from phenoclient.plate.learned import LearnedWells

WELLS = {"H": {"1": ["B02-B04", "C10", "AF09-AF11"], "2": ["A01.a1"]}}
PLATES = {"train": ["H plate 1"], "validation": ["H plate 3"], "test": ["H plate 2"]}


def state(split: dict, experiment: str | None, plate: str, well: str) -> str:
    learned = LearnedWells.of({"provenance": {"split": split}})
    assert learned is not None
    return learned.state(Site(experiment, plate, well, "1", {}))


@pytest.mark.parametrize(
    ("experiment", "plate", "well", "expected"),
    [
        ("H", "1", "B02", "yes"),
        ("H", "1", "B03", "yes"),
        ("H", "1", "AF10", "yes"),
        ("H", "2", "A01.a1", "yes"),
        ("H", "1", "B05", "no"),
        ("H", "1", "C02", "no"),
        ("G", "1", "B02", "no"),
        ("H", "7", "B02", "no"),
        (None, "1", "B02", "perhaps"),
        (None, "1", "B05", "no"),
        ("H", "Plate01", "B02", "perhaps"),
        ("h", "1", "B04", "perhaps"),
        ("h", "Plate11", "B04", "no"),
    ],
)
def test_only_names_that_all_agree_are_certain(experiment, plate, well, expected):
    """A well is learned from where all names agree, perhaps where one is not told or spelled otherwise, else not."""
    assert state({"learned_wells": WELLS}, experiment, plate, well) == expected


@pytest.mark.parametrize(
    ("experiment", "plate", "expected"),
    [
        ("H", "1", "perhaps"),
        ("H", "3", "perhaps"),
        ("H", "2", "no"),
        (None, "1", "perhaps"),
        ("G", "1", "no"),
    ],
)
def test_a_bundle_that_tells_plates_alone_is_never_certain(experiment, plate, expected):
    """Of a bundle of an earlier phenotrain, wells of plates for training or validation may be learned from."""
    assert state({"plates": PLATES}, experiment, plate, "B02") == expected


@pytest.mark.parametrize(
    "manifest", [{}, {"provenance": {"split": {}}}, {"provenance": {"split": {"plates": {}}}}]
)
def test_a_bundle_that_tells_nothing_is_asked_nothing(manifest):
    """Without wells and plates in the manifest nothing is claimed."""
    assert LearnedWells.of(manifest) is None


def test_wells_that_were_learned_from_are_counted_once_each():
    """Two sites of a well are one well; certain and possible ones are told apart, and none are not told."""
    learned = LearnedWells.of({"provenance": {"split": {"learned_wells": WELLS}}})
    assert learned is not None
    names = [("H", "B02", "1"), ("H", "B02", "2"), ("H", "D09", "1"), (None, "B03", "1")]
    sites = [Site(experiment, "1", well, number, {}) for experiment, well, number in names]
    assert learned.remarks(sites) == [
        "the bundle learned from 1 of the 3 wells; what it says of them is no test of it",
        "the bundle may have learned from 1 of the 3 wells, by the names of plates and wells",
    ]
    assert learned.remarks(sites[2:3]) == []
