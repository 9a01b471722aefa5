"""What a folder may hold beside the files that an instrument wrote, and names that could mean two things."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phenoclient import PlateError
from phenoclient.plate import Site, find_sites, layout_of_pattern
from phenoclient.plate.reading.stains import assign_stains

from .conftest import touch

STAINS = ("Hoechst", "ConA", "WGA")


def identities(found) -> list[tuple[str, ...]]:
    return [site.identity for site in found.sites]


def test_wells_are_read_as_people_write_them(folder):
    """A1, b02 and an ending in upper case are sites beside A10 and B03, under a layout and under a pattern."""
    touch(folder, "scr_A1_s1_w1.tif", "scr_A10_s1_w1.TIF", "scr_b02_s1_w1.tif")
    for layout in (None, layout_of_pattern("{plate}_{well}_s{site}_w{channel}.tif")):
        found = find_sites(folder, layout)
        assert [site.well for site in found.sites] == ["A01", "A10", "B02"]
        assert found.file_failures == {}


def test_two_spellings_of_one_well_are_two_files_for_one_channel(folder):
    """A1 and A01 are one site, which fails and names both files."""
    (failure,) = find_sites(touch(folder, "A1_s1_w1.tif", "A01_s1_w1.tif")).failures.values()
    assert "A01_s1_w1.tif, A1_s1_w1.tif" in failure.reason


def test_what_fits_no_layout_is_a_failed_file(folder):
    """A stray name, an impossible well, a packed, a half copied and an unread image each have a line."""
    touch(
        folder,
        "scr_A01_s1_w1.tif",
        "Overview_IM00.tif",
        "snap.png",
        "scr_A02_s1_w1.jpg",
        "all.nd2",
        "scr_A03_s1_w1.tif.gz",
        "scr_A04_s1_w1.tif.part",
    )
    found = find_sites(folder)
    assert identities(found) == [("", "scr", "A01", "1")]
    assert {path.name: failure.code for path, failure in found.file_failures.items()} == {
        "Overview_IM00.tif": "unmatched",
        "snap.png": "unmatched",
        "scr_A02_s1_w1.jpg": "file",
        "all.nd2": "file",
        "scr_A03_s1_w1.tif.gz": "file",
        "scr_A04_s1_w1.tif.part": "file",
    }


def test_what_systems_leave_is_no_image(folder):
    """Hidden names, and those of recycle bins, thumbnails and snapshots, are skipped and counted."""
    name = "scr_A01_s1_w1.tif"
    left = [".AppleDouble", ".snapshot", "@eaDir", "#recycle", "$RECYCLE.BIN", "lost+found"]
    touch(
        folder,
        name,
        f"._{name}",
        f"~${name}",
        "Thumbs.db",
        ".DS_Store",
        *(f"{place}/{name}" for place in left),
    )
    found = find_sites(folder)
    assert identities(found) == [("", "scr", "A01", "1")]
    assert found.file_failures == {}
    assert found.notes[0].startswith("8 hidden files or folders")


@pytest.mark.parametrize(
    "where",
    [
        "TimePoint_{t}/ZStep_{z}",
        "ZStep_{z}/TimePoint_{t}",
        "run/TimePoint_{t}/ZStep_{z}",
        "TimePoint_{t}/run/ZStep_{z}",
    ],
)
def test_depth_and_time_are_read_from_folders(folder, where):
    """At any nesting a choice takes the files of one plane and time point; without one the site names its options."""
    for t in (1, 2):
        for z in (1, 2):
            touch(folder, f"{where.format(t=t, z=z)}/scr_A01_s1_w1.tif")
    (failure,) = find_sites(folder).failures.values()
    assert "--plane" in failure.reason
    assert "--timepoint" in failure.reason
    found = find_sites(folder, plane="2", timepoint="01")
    assert found.failures == {}
    assert [site.files["1"].as_posix() for site in found.sites] == [
        f"{where.format(t=1, z=2)}/scr_A01_s1_w1.tif"
    ]
    assert len(found.left_out) == 3


def test_a_choice_that_matches_nothing_is_an_error(folder):
    """A plane that no file tells is refused, and one that a site lacks fails that site and says what it has."""
    touch(folder, "A01_s1_w1.tif")
    with pytest.raises(PlateError, match=r"no file is of time point 2.*time points found: none"):
        find_sites(folder, timepoint="2")
    touch(folder, "TimePoint_1/A02_s1_w1.tif", "TimePoint_2/A03_s1_w1.tif")
    found = find_sites(folder, timepoint="2")
    assert [identity[2] for identity in found.failures] == ["A01", "A02"]
    assert "time points found: 1" in found.failures["", "plate", "A02", "1"].reason


def test_two_tokens_that_look_like_a_well_are_asked_about(folder):
    """The refusal shows both readings with a pattern each, and each pattern reads as it says."""
    touch(folder, "HeLa_B02_T24_s1_w1.tif", "HeLa_B02_T48_s1_w1.tif")
    with pytest.raises(PlateError, match=r"names well T24.*looks like well B02") as caught:
        find_sites(folder)
    patterns = str(caught.value).split("--pattern '")[1:]
    wells = [find_sites(folder, layout_of_pattern(text.split("'")[0])).sites[0].well for text in patterns]
    assert wells == ["T24", "B02"]


def test_folders_that_look_like_wells_are_asked_about(folder):
    """Where folders differ as wells do and the files' own well does not, both readings are shown."""
    with pytest.raises(PlateError, match="B02 looks like well B02"):
        find_sites(touch(folder, "B02/T24_s1_w1.tif", "B03/T24_s1_w1.tif"))


@pytest.mark.parametrize("name", ["r01c0{}f01p01-ch1.tiff", "A0{}_s1_w1.tif"])
def test_folders_of_a_well_each_are_asked_about(folder, name):
    """Where each folder looks like a well and holds files of another one, both patterns shown read what they say."""
    touch(folder, f"B02/{name.format(1)}", f"B03/{name.format(2)}")
    with pytest.raises(PlateError, match="B02 looks like well B02") as caught:
        find_sites(folder)
    patterns = [text.split("'")[0] for text in str(caught.value).split("--pattern '")[1:]]
    wells = [
        [site.well for site in find_sites(folder, layout_of_pattern(pattern)).sites] for pattern in patterns
    ]
    assert wells == [["A01", "A02"], ["B02", "B03"]]


@pytest.mark.parametrize(
    ("pattern", "name", "place"),
    [
        ("*{well}_s{site}_w{channel}.tif", "scr_AB12_s1_w1.tif", ("AB12", "1")),
        ("{well}_*{site}_w{channel}.tif", "B03_s12_w1.tif", ("B03", "12")),
        ("{plate}_{well}_*{site}_w{channel}*.tif", "a_B03_s1_w1_x.tif", ("B03", "1")),
        ("{row}{col}_{channel}.tif", "0203_1.tif", ("B03", "1")),
    ],
)
def test_a_star_tears_no_number_and_no_well_apart(folder, pattern, name, place):
    """Beside a star a well has all its letters and a number all its digits."""
    (site,) = find_sites(touch(folder, name), layout_of_pattern(pattern)).sites
    assert (site.well, site.site) == place


@pytest.mark.parametrize(
    ("pattern", "name", "ways"),
    [
        ("*{well}*_s{site}_w{channel}.tif", "a_B02_B03_s1_w1.tif", "well B03, site 1, or well B02, site 1"),
        ("{well}_{plate}_{site}*.tif", "A01_x_2_3.tif", "well A01, site 2, or well A01, site 3"),
    ],
)
def test_a_pattern_that_reads_a_name_in_two_ways_is_refused(folder, pattern, name, ways):
    """A pattern whose open gaps leave the well or the site open is no answer; the refusal has both readings."""
    with pytest.raises(PlateError, match=ways):
        find_sites(touch(folder, name), layout_of_pattern(pattern))


def test_by_products_of_instruments_are_skipped_and_counted(folder):
    """Corrections of a CellVoyager and thumbnails are no sites; where a name fits the layout it is an image."""
    image = "A_B03_T0001F001L01A01Z01C01"
    corrections = ["DC_sCMOS #1_CAM1.tif", "SC_BP445-45_40x_M10_CH01.tif"]
    thumbnails = [f"{image}.thumb.png", f"thumbs/{image}.tif"]
    own = "DC_B04_T0001F001L01A01Z01C01.tif"
    found = find_sites(touch(folder, f"{image}.tif", own, *corrections, *thumbnails))
    assert [site.well for site in found.sites] == ["B03", "B04"]
    assert sorted(path.as_posix() for path in found.left_out) == sorted([*corrections, *thumbnails])
    assert (found.file_failures, found.notes[0][:12]) == ({}, "4 thumbnails")


def test_a_file_named_as_an_image_is_one_whatever_its_ending(folder):
    """An ending that is not known, or lost, is a failed file; what lies beside images under their names is none."""
    unread = ["scr_A02_s1_w1.qptiff", "scr_A03_s1_w1"]
    beside = ["scr_A01_s1_w1.tif.xml", "scr_A01_s1_w1.txt", "scr_A01_s1_w1.tif~", "fig_B2.svg", "notes.dat"]
    found = find_sites(touch(folder, "scr_A01_s1_w1.tif", *unread, *beside))
    assert sorted(path.name for path in found.file_failures) == unread
    assert "ends in .qptiff" in found.file_failures[Path(unread[0])].reason
    assert "has no ending" in found.file_failures[Path(unread[1])].reason


def test_projections_beside_a_stack_are_a_choice(folder):
    """`--plane none` takes the files that tell no plane."""
    touch(folder, "A01_s1_w1.tif", "ZStep_1/A01_s1_w1.tif", "ZStep_2/A01_s1_w1.tif")
    (failure,) = find_sites(folder).failures.values()
    assert "--plane, out of 1, 2, none" in failure.reason
    found = find_sites(folder, plane="none")
    assert (found.failures, found.sites[0].files["1"]) == ({}, Path("A01_s1_w1.tif"))


@pytest.mark.parametrize(
    ("names", "wells"),
    [
        (["HUVEC-1/Plate1/AA02_s2_w3.png"], ["AA02"]),
        (["screen7_B03_s2_w1.tif"], ["B03"]),
        (["r01c02f01p01-ch1.tiff"], ["A02"]),
        (["VID7_A1_1.tif"], ["A01"]),
        (["20230101_A549_B02_s1_w1.tif"], ["B02"]),
        (["P1_B03_s1_w1.tif", "P1_B04_s1_w1.tif"], ["B03", "B04"]),
        (["A01_S1_W1.tif"], ["A01"]),
        (["Assay_A01.a1_T0001F001L01A01Z01C01.tif"], ["A01.a1"]),
    ],
)
def test_ordinary_names_have_one_reading(folder, names, wells):
    """Plates, cell lines and dates beside a well, and the quadrants of a 1536-well plate, need no question."""
    found = find_sites(touch(folder, *names))
    assert [site.well for site in found.sites] == wells
    assert found.file_failures == {}


@pytest.mark.parametrize("name", ["screen7_s1_w1.tif", "exp_w1_s2.tif", "screen7_S1_W1.tif"])
def test_numbers_of_sites_and_wavelengths_are_no_wells(folder, name):
    """A name that tells site and channel and no well is refused, not read as well S1 or W1."""
    with pytest.raises(PlateError, match="none of its 1"):
        find_sites(touch(folder, name))


def test_links_are_followed_once(folder, tmp_path):
    """A linked folder is a plate, loops end, a second name of a file counts once, and dead links are failed files."""
    touch(tmp_path / "store", "B03_s1_w1.tif")
    touch(folder, "plateA/B03_s1_w1.tif")
    (folder / "plateB").symlink_to(tmp_path / "store")
    (folder / "plateC").symlink_to(tmp_path / "store")
    (folder / "plateA" / "again").symlink_to(folder)
    (folder / "dead").symlink_to(tmp_path / "gone")
    (folder / "copy_B03_s1_w1.tif").symlink_to(folder / "plateA" / "B03_s1_w1.tif")
    found = find_sites(folder)
    assert identities(found) == [("", "plateA", "B03", "1"), ("", "plateB", "B03", "1")]
    assert {path.name: failure.code for path, failure in found.file_failures.items()} == {"dead": "file"}
    assert [path.name for path in found.left_out] == ["copy_B03_s1_w1.tif"]


def test_a_folder_that_cannot_be_read_is_a_failed_file(folder, monkeypatch):
    """The rest of the plate is found, and the folder stands among the failures."""
    touch(folder, "P/A01_s1_w1.tif", "Q/A01_s1_w1.tif")
    listed = os.scandir

    def scandir(path):
        if Path(path).name == "Q":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = find_sites(folder)
    assert identities(found) == [("", "P", "A01", "1")]
    assert "Permission denied" in found.file_failures[Path("Q")].reason


@pytest.mark.parametrize(
    ("names", "plates"),
    [
        (["batch1/plate/A01_s1_w1.tif", "batch2/plate/A01_s1_w1.tif"], ["batch1/plate", "batch2/plate"]),
        (["batch1/scr_A01_s1_w1.tif", "batch2/scr_A01_s1_w1.tif"], ["batch1/scr", "batch2/scr"]),
        (["x/E-1/Plate1/A01_s1_w1.png", "y/E-1/Plate1/A01_s1_w1.png"], ["x/E-1/Plate1", "y/E-1/Plate1"]),
        (["E-1/Plate1/A01_s1_w1.png", "E-2/Plate1/A01_s1_w1.png"], ["1", "1"]),
        (["w1/scr_A01_s1_w1.tif", "w2/scr_A01_s1_w2.tif"], ["scr"]),
        (["scr/A01/A01_s1_w1.tif", "scr/A02/A02_s1_w1.tif"], ["scr", "scr"]),
    ],
)
def test_one_plate_name_in_two_folders_is_two_plates(folder, names, plates):
    """Plates are told apart by their folders where names repeat; folders that only repeat a file's name part none."""
    found = find_sites(touch(folder, *names))
    assert ([site.plate for site in found.sites], found.failures) == (plates, {})


def test_a_name_that_is_no_utf_8_has_its_bytes_written_out(folder):
    """The plate of a folder with a byte of Latin-1 has a name that any table can hold."""
    (site,) = find_sites(touch(folder, os.fsdecode(b"plat\xe9/A01_s1_w1.tif"))).sites
    assert site.plate == r"plat\xe9"
    site.site_id.encode()


def channel_sites(folder, *channels):
    layout = layout_of_pattern("{well}_{channel}.tif")
    return find_sites(touch(folder, *(f"A01_{channel}.tif" for channel in channels)), layout).sites


@pytest.mark.parametrize(
    ("channels", "mapping", "order", "source"),
    [
        (["wga", "Hoechst 33342", "Con-A"], None, ["Hoechst 33342", "Con-A", "wga"], "names"),
        (["wga", "Hoechst", "ConA", "BF"], None, ["Hoechst", "ConA", "wga"], "names"),
        (["w1", "w2", "w10"], None, ["w1", "w2", "w10"], "numbers"),
        (["w1", "w2", "w3"], "1=wga,2=hoechst,3=con a", ["w2", "w3", "w1"], "--channels"),
    ],
)
def test_channels_go_by_name_before_number(folder, channels, mapping, order, source):
    """Channels named as stains are those stains whatever their order; numbers alone go by position."""
    found = assign_stains(channel_sites(folder, *channels), STAINS, mapping)
    assert (list(found.channels), found.source) == (order, source)


@pytest.mark.parametrize(
    "channels",
    [
        ["DAPI", "ConA", "WGA"],
        ["a", "b", "c"],
        ["1", "2", "ConA"],
        ["405", "488", "640"],
        ["w405", "w1", "w2"],
    ],
)
def test_names_that_do_not_tell_every_stain_are_asked_about(folder, channels):
    """No stain is given to a channel because it is left over: the refusal has the line to copy."""
    with pytest.raises(PlateError, match=r"--channels '.*=STAIN.*'"):
        assign_stains(channel_sites(folder, *channels), STAINS)


parts = st.text("a_%1", max_size=4)
names_of_sites = st.tuples(st.none() | parts.filter(bool), parts, parts, parts)


@given(one=names_of_sites, other=names_of_sites)
def test_no_two_sites_share_an_id(one, other):
    """Whatever experiment, plate, well and site are called, ids agree only where all four do."""
    first, second = Site(*one, {}), Site(*other, {})
    assert (first.site_id == second.site_id) == (one == other)


names = st.sampled_from(
    [
        "scr_A1_s1_w1",
        "scr_A01_s1_w1",
        "A01_s2_w2",
        "B02_s1",
        "A01_s1_w1_thumb",
        "Overview_IM00",
        "r01c01f01p01-ch1",
        "x",
    ]
)
folders = st.sampled_from(["", "P/", "TimePoint_1/", "q/P/", "ZStep_2/"])
endings = st.sampled_from([".tif", ".TIFF", ".png"])


@given(st.sets(st.builds(lambda *parts: "".join(parts), folders, names, endings), min_size=1))
def test_every_image_is_in_a_site_or_a_failure_or_is_left_out(files):
    """No image of any drawn folder is lost: it is a site's, a failed file, or counted as left out, and one of them."""
    with tempfile.TemporaryDirectory() as place:
        folder = touch(Path(place), "ok_C03_s1_w1.tif", *files)
        found = find_sites(folder)
    told = [path for site in found.sites for path in (*site.files.values(), *site.more_files)]
    told += [*found.file_failures, *found.left_out]
    assert sorted(path.as_posix() for path in told) == sorted({"ok_C03_s1_w1.tif", *files})


def test_a_folder_without_images_says_so(folder):
    """A folder that holds no image is refused as that, not for how its files are named."""
    touch(folder, "notes.txt")
    with pytest.raises(PlateError, match="holds no TIFF or PNG file"):
        find_sites(folder)
