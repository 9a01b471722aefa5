"""How the files of a folder become sites."""

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phenoclient import PlateError
from phenoclient.plate import LAYOUTS, find_sites, layout_of_pattern
from phenoclient.plate.reading.sites import row_letters
from phenoclient.plate.reading.stains import assign_stains

from .conftest import touch

CASES = {
    "rxrx": ("HUVEC-1/Plate3/AA02_s2_w3.png", ("HUVEC-1", "3", "AA02", "2"), "3"),
    "imagexpress": ("run/TimePoint_1/screen_7_B03_s2_w1.TIF", ("", "screen_7", "B03", "2"), "1"),
    "opera-phenix": ("P1/Images/r02c11f04p01-ch6sk1fk1fl1.tiff", ("", "P1", "B11", "4"), "6"),
    "cellvoyager": ("Assay_B03_T0001F012L01A01Z01C02.tif", ("", "Assay", "B03", "12"), "02"),
    "incucyte": ("VID7_A1_1_00d04h00m.tif", ("", "VID7", "A01", "1"), ""),
    "bbbc013": ("Channel2-14-B-02.tif", ("", "plate", "B02", "1"), "2"),
}


def test_every_layout_has_a_case():
    """No named layout goes without a test of a path."""
    assert set(CASES) == set(LAYOUTS)


@pytest.mark.parametrize("name", CASES)
def test_a_layout_reads_where_a_file_belongs(name, folder):
    """A file named as an instrument names it gives experiment, plate, well, site and channel, named or found out."""
    path, identity, channel = CASES[name]
    touch(folder, path)
    for layout in (LAYOUTS[name], None):
        found = find_sites(folder, layout)
        (site,) = found.sites
        assert (site.identity, dict(site.files)) == (identity, {channel: Path(path)})
        assert found.layout.name == name


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_example_of_a_layout_is_one(name):
    """The example in a layout's messages is a path that it matches."""
    assert LAYOUTS[name].expression.fullmatch(LAYOUTS[name].example)


def test_metaxpress_ids_count_not_and_thumbnails_are_left_alone(folder):
    """The id that MetaXpress adds is no part of a site, and its thumbnails are no images of it."""
    guid = "0A1B2C3D-0000-4444-8888-ABCDEF012345"
    touch(folder, f"p_C07_s1_w1{guid}.tif", f"p_C07_s1_w2{guid}.tif", f"p_C07_s1_w1_thumb{guid}.tif")
    found = find_sites(folder, LAYOUTS["imagexpress"])
    assert [sorted(site.files) for site in found.sites] == [["1", "2"]]
    assert [path.name for path in found.left_out] == [f"p_C07_s1_w1_thumb{guid}.tif"]
    assert found.file_failures == {}
    assert "1 thumbnails" in found.notes[0]


def test_several_planes_are_a_choice_and_not_a_guess(folder):
    """A site with several planes has a reason to fail that names the option; with the option it is whole."""
    touch(folder, "r01c01f01p01-ch1sk1fk1fl1.tiff", "r01c01f01p02-ch1sk1fk1fl1.tiff")
    (failure,) = find_sites(folder).failures.values()
    assert "--plane" in failure.reason
    found = find_sites(folder, plane="2")
    assert (found.failures, found.sites[0].files["1"].name) == ({}, "r01c01f01p02-ch1sk1fk1fl1.tiff")


def test_nothing_that_matches_is_an_error_that_says_what_would(folder):
    """A folder without a match is refused with a file's name, the layouts and the option for a pattern."""
    touch(folder, "snap.tif")
    with pytest.raises(PlateError, match=r"snap\.tif.*opera-phenix.*--pattern.*\{well\}"):
        find_sites(folder)


well_names = st.builds(
    lambda row, column: f"{row_letters(row)}{column:02d}", st.integers(1, 32), st.integers(1, 48)
)
words = st.text(string.ascii_letters + string.digits, min_size=1, max_size=8)


@given(plate=words, well=well_names, site=st.integers(1, 99), channel=words)
def test_a_pattern_reads_back_what_a_name_was_made_of(plate, well, site, channel):
    """For any parts, the pattern that a path was filled from finds the same parts in it."""
    pattern = "{plate}/{well}_f{site}_{other}-{channel}.tif"
    path = pattern.format(plate=plate, well=well, site=site, channel=channel, other="x")
    match = layout_of_pattern(pattern).expression.fullmatch(path)
    assert match is not None
    found = {name: match[name] for name in ("plate", "well", "site", "channel")}
    assert found == {"plate": plate, "well": well, "site": str(site), "channel": channel}


@pytest.mark.parametrize(
    "pattern", ["{site}.tif", "{well}{well}.tif", "{well:02d}.tif", "{well.x}.tif", "{well"]
)
def test_a_pattern_that_cannot_be_meant_is_refused(pattern):
    """A pattern without a well, with a gap twice, with a format or with unmatched braces is refused by its text."""
    with pytest.raises(PlateError, match="Expected"):
        layout_of_pattern(pattern)


def sites_of(folder: Path, *names: str):
    return find_sites(touch(folder, *names)).sites


def test_channels_go_by_order_or_by_mapping(folder):
    """Without a mapping channels follow the bundle's order; with one each stain takes the channel that it names."""
    sites = sites_of(folder, "A01_s1_w1.tif", "A01_s1_w2.tif", "A01_s1_w10.tif")
    assert assign_stains(sites, ("a", "b", "c")).channels == ("1", "2", "10")
    assert assign_stains(sites, ("a", "b", "c"), "c,a,b").channels == ("2", "10", "1")
    assert assign_stains(sites, ("a", "b"), "10=b,1=a").channels == ("1", "10")


@pytest.mark.parametrize("mapping", [None, "1=a,1=b", "1=a,7=b", "1=a,2=x", "a"])
def test_a_mapping_that_does_not_fit_is_refused(folder, mapping):
    """Too many channels without a mapping, and a mapping that is not one channel a stain, are refused."""
    sites = sites_of(folder, "A01_s1_w1.tif", "A01_s1_w2.tif", "A01_s1_w3.tif")
    with pytest.raises(PlateError, match=r"a, b|found: 1, 2, 3"):
        assign_stains(sites, ("a", "b"), mapping)


def test_a_site_without_a_channel_fails_by_the_channels_name(folder):
    """A missing file is a failure of its site that names the channel, and of no other site."""
    sites = sites_of(folder, "A01_s1_w1.tif", "A01_s1_w2.tif", "A02_s1_w1.tif")
    stain_files = assign_stains(sites, ("a", "b"))
    assert stain_files.missing(sites[0]) is None
    failure = stain_files.missing(sites[1])
    assert failure is not None
    assert "channel 2" in failure.reason
