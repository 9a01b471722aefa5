"""A screen of whole stacks beside the same screen of single-channel files."""

import numpy as np
import pandas as pd
import pytest
import tifffile

from phenotrain.bundle_screen import open_screen
from phenotrain.cache import CacheMismatchError, FieldCache, build_cache
from phenotrain.datasets import parse_description
from phenotrain.plates import IncompleteSitesError
from phenotrain.splits import split_sites

from .conftest import DESCRIPTION

FILES = """path = "images/{experiment}/Plate{plate}/{well}_s{site}_w{channel}.png"
channels = [{ id = "1", stain = "DNA" }, { id = "2", stain = "actin" }]"""
STACKS = """path = "stacks/{well}.tif"
channels = ["DNA", "actin"]"""


@pytest.fixture
def screen(make_screen):
    """A screen of channel files with the same sites as stacks of two pages beside them."""
    assert DESCRIPTION.count(FILES) == 1
    screen = make_screen(12, dtype="uint16")
    (screen.root / "stacks").mkdir()
    for site_id, stack in screen.stacks.items():
        write(screen, site_id, stack)
    return screen


@pytest.fixture
def as_stacks():
    return parse_description(DESCRIPTION.replace(FILES, STACKS), "stacks")


def write(screen, site_id, stack, **options):
    path = screen.root / "stacks" / f"{site_id.split('_')[2]}.tif"
    tifffile.imwrite(path, stack, photometric="minisblack", **options)
    return path


def build(description, screen, out, **options):
    return build_cache(description, screen.root, out, **{"downsample": 4, "num_workers": 1, **options})


@pytest.mark.parametrize("num_workers", [1, 2])
def test_stacks_give_the_fields_of_their_single_files(screen, as_stacks, tmp_path, num_workers):
    """Stacks and files of the same pixels give the same table, the same fields to the byte, and the same roles."""
    of_files = build(screen.description, screen, tmp_path / "files")
    of_stacks = build(as_stacks, screen, tmp_path / "stacks", num_workers=num_workers)
    assert (tmp_path / "stacks" / "fields.npy").read_bytes() == (
        tmp_path / "files" / "fields.npy"
    ).read_bytes()
    pd.testing.assert_frame_equal(of_stacks.sites, of_files.sites)
    assert (of_stacks.stains, of_stacks.form) == (of_files.stains, of_files.form)
    treatments = ("EMPTY", "drug, tagged\u00b5")
    shares = {"test_fraction": 0.3, "validation_fraction": 0.2}
    dealt = [
        split_sites(cache.sites, control="EMPTY", treatments=treatments, seed=1, **shares).roles
        for cache in (of_files, of_stacks)
    ]
    np.testing.assert_array_equal(*dealt)


def test_a_stack_is_read_again_at_full_size(screen, as_stacks, tmp_path):
    """read_raw and a screen opened without a cache give the stack as written, and files the one path of each site."""
    cache = build(as_stacks, screen, tmp_path / "cache")
    sites, read_stack = open_screen(as_stacks, screen.root, "Copy them again.")
    for row, site_id in enumerate(sites["site_id"]):
        np.testing.assert_array_equal(cache.read_raw(row), screen.stacks[site_id])
        np.testing.assert_array_equal(read_stack(row), screen.stacks[site_id])
    assert cache.files(3) == [screen.root / "stacks" / "B03.tif"]


def test_names_of_the_channels_order_the_fields(screen, as_stacks, tmp_path):
    """A stack in another order that says so by its names gives the fields of the described order."""
    expected = build(as_stacks, screen, tmp_path / "plain").read(range(12))
    for site_id, stack in screen.stacks.items():
        names = {"axes": "CYX", "Channel": {"Name": ["Actin", "DNA"]}}
        write(screen, site_id, stack[::-1], ome=True, metadata=names)
    cache = build(as_stacks, screen, tmp_path / "named")
    np.testing.assert_array_equal(cache.read(range(12)), expected)
    np.testing.assert_array_equal(cache.read_raw(0), screen.stacks["E_1_B00_1"])


def test_names_that_tell_no_stain_are_told(screen, as_stacks, tmp_path):
    """Files whose names are no stains are taken in the described order, and the cache says so; else it is silent."""
    assert build(as_stacks, screen, tmp_path / "plain").names_note() == ""
    assert build(screen.description, screen, tmp_path / "files").names_note() == ""
    for site_id, stack in screen.stacks.items():
        names = {"axes": "CYX", "Channel": {"Name": ["FITC", "DAPI"]}}
        write(screen, site_id, stack, ome=True, metadata=names)
    cache = build(as_stacks, screen, tmp_path / "named")
    np.testing.assert_array_equal(cache.read_raw(0), screen.stacks["E_1_B00_1"])
    assert cache.names_note() == (
        "B00.tif calls its channels FITC, DAPI; they are taken as DNA, actin, in the order of [images] channels."
    )


def test_stacks_that_cannot_be_used_are_left_out_and_come_back(screen, as_stacks, tmp_path):
    """A fault in one channel leaves its site out with the stain named; repaired, it is read again, and only it."""
    whole = build(as_stacks, screen, tmp_path / "whole")
    site_id, stack = "E_1_B02_1", screen.stacks["E_1_B02_1"]
    write(screen, site_id, np.stack([stack[0], stack[0]]))
    with pytest.raises(IncompleteSitesError, match=r"B02\.tif: actin holds the same pixels as DNA"):
        build(as_stacks, screen, tmp_path / "cache")
    cache = build(as_stacks, screen, tmp_path / "cache", skip_incomplete=True)
    assert cache.left_out["site_id"].tolist() == [site_id]
    assert len(cache) == 11
    write(screen, site_id, stack)
    repaired = build(as_stacks, screen, tmp_path / "cache")
    assert repaired.fingerprint == whole.fingerprint


def test_another_order_of_stains_is_another_cache(screen, as_stacks, tmp_path):
    """A cache knows the order of its stains, and refuses to be gone on with in another."""
    build(as_stacks, screen, tmp_path / "cache")
    assert FieldCache.open(tmp_path / "cache").description == as_stacks
    swapped = parse_description(
        DESCRIPTION.replace(FILES, STACKS.replace('"DNA", "actin"', '"actin", "DNA"')), "stacks"
    )
    with pytest.raises(CacheMismatchError, match=r"other \[images\]"):
        build(swapped, screen, tmp_path / "cache")
