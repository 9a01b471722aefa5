import imagecodecs
import numpy as np
import pytest

from phenotrain.cache import CacheError, FieldCache
from phenotrain.cache.layout import STATE
from phenotrain.plates import IncompleteSitesError


@pytest.fixture
def damaged(make_screen):
    """A screen of six sites, three of which lack a usable channel: missing, unreadable, of another size."""
    screen = make_screen()
    screen.path("E_1_B00_1", 2).unlink()
    screen.path("E_1_B02_1", 1).write_bytes(b"junk")
    screen.path("E_1_B05_1", 1).write_bytes(imagecodecs.png_encode(np.zeros((22, 22), np.uint8)))
    return screen


def test_all_faults_come_in_one_error_and_building_stops(damaged, tmp_path):
    """Every missing, unreadable and odd-sized file is named with its site, and no cache can be opened."""
    with pytest.raises(IncompleteSitesError) as caught:
        damaged.build(tmp_path / "cache")
    assert [(fault.site_id, fault.file[-6:-4]) for fault in caught.value.faults] == [
        ("E_1_B00_1", "w2"),
        ("E_1_B02_1", "w1"),
        ("E_1_B05_1", "w1"),
    ]
    assert "--skip-incomplete" in str(caught.value)
    with pytest.raises(CacheError, match="not finished"):
        FieldCache.open(tmp_path / "cache")


def test_skipped_sites_leave_the_table_and_enter_the_list(damaged, tmp_path):
    """With skip_incomplete the rows are the complete sites, and left_out says what was wrong elsewhere."""
    cache = damaged.build(tmp_path / "cache", skip_incomplete=True)
    assert cache.sites["well"].tolist() == ["B01", "B03", "B04"]
    assert cache.sites.index.tolist() == [0, 1, 2]
    assert cache.left_out["site_id"].tolist() == ["E_1_B00_1", "E_1_B02_1", "E_1_B05_1"]
    assert cache.left_out.loc[0, "file"] == "images/E/Plate1/B00_s1_w2.png"
    assert "is missing" in cache.left_out.loc[0, "reason"]
    assert "22 x 22 px" in cache.left_out.loc[2, "reason"]
    for row, site_id in enumerate(cache.sites["site_id"]):
        pooled = damaged.stacks[site_id][:, :20, :24].reshape(2, 5, 4, 6, 4).mean((2, 4), dtype=np.float64)
        np.testing.assert_array_equal(cache.read([row])[0], pooled.astype(np.float32))
        np.testing.assert_array_equal(cache.read_raw(row), damaged.stacks[site_id])


def test_after_the_error_only_the_repaired_sites_are_read(damaged, tmp_path, swap_quietly):
    """A run after the error reads the sites that were wrong and no other."""
    with pytest.raises(IncompleteSitesError):
        damaged.build(tmp_path / "cache")
    assert np.load(tmp_path / "cache" / STATE).tolist() == [0, 1, 0, 1, 1, 0]
    swap_quietly(damaged.path("E_1_B01_1", 1))
    for site_id, channel in (("E_1_B00_1", 2), ("E_1_B02_1", 1), ("E_1_B05_1", 1)):
        plane = damaged.stacks[site_id][channel - 1]
        damaged.path(site_id, channel).write_bytes(imagecodecs.png_encode(plane))
    assert len(damaged.build(tmp_path / "cache")) == 6


def test_finished_cache_with_gaps_still_needs_the_consent(damaged, tmp_path):
    """A cache finished with sites left out is not taken for a whole one: its faults are raised again."""
    finished = damaged.build(tmp_path / "cache", skip_incomplete=True)
    with pytest.raises(IncompleteSitesError) as caught:
        damaged.build(tmp_path / "cache")
    assert len(caught.value.faults) == 3
    assert damaged.build(tmp_path / "cache", skip_incomplete=True).fingerprint == finished.fingerprint


def test_repaired_site_returns_to_a_finished_cache(damaged, tmp_path):
    """When a file that was missing appears, its site comes back at its place in the table."""
    damaged.build(tmp_path / "cache", skip_incomplete=True)
    path = damaged.path("E_1_B00_1", 2)
    path.write_bytes(imagecodecs.png_encode(damaged.stacks["E_1_B00_1"][1]))
    cache = damaged.build(tmp_path / "cache", skip_incomplete=True)
    assert cache.sites["well"].tolist() == ["B00", "B01", "B03", "B04"]
    assert cache.left_out["site_id"].tolist() == ["E_1_B02_1", "E_1_B05_1"]


def test_an_odd_first_site_does_not_set_the_rule(make_screen, tmp_path):
    """The common size is that of most sites: if the first one differs, it is the one at fault."""
    screen = make_screen()
    for channel in (1, 2):
        screen.path("E_1_B00_1", channel).write_bytes(imagecodecs.png_encode(np.zeros((8, 8), np.uint8)))
    with pytest.raises(IncompleteSitesError) as caught:
        screen.build(tmp_path / "cache")
    assert {fault.site_id for fault in caught.value.faults} == {"E_1_B00_1"}


def test_a_wrong_folder_is_said_to_be_wrong(make_screen, tmp_path):
    """When no site at all is readable, even skip_incomplete fails, and no cache is begun."""
    screen = make_screen()
    for path in screen.root.rglob("*.png"):
        path.unlink()
    with pytest.raises(IncompleteSitesError, match=r"12 file.*check the data root"):
        screen.build(tmp_path / "cache", skip_incomplete=True)
    assert not (tmp_path / "cache").exists()


def test_readable_site_outside_the_sample_is_found(make_screen, tmp_path):
    """One readable site among many unreadable is enough to know the form of the fields."""
    screen = make_screen(num_sites=20)
    for site_id in screen.stacks:
        if site_id != "E_1_B02_1":
            screen.path(site_id, 1).unlink()
    cache = screen.build(tmp_path / "cache", skip_incomplete=True)
    assert cache.sites["site_id"].tolist() == ["E_1_B02_1"]
