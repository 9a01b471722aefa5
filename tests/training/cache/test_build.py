import errno
import shutil

import imagecodecs
import numpy as np
import pandas as pd
import pytest
import tifffile

from phenotrain.cache import CacheError, CacheMismatchError, FieldCache, build_cache, layout
from phenotrain.cache.layout import FILES
from phenotrain.datasets import load_description
from phenotrain.plates import IncompleteSitesError, read_sites
from phenotrain.simulate import ScreenSpec, simulate_screen


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def average(stack, downsample=4):
    height, width = (size // downsample for size in stack.shape[1:])
    cut = stack[:, : height * downsample, : width * downsample].astype(np.float64)
    return cut.reshape(-1, height, downsample, width, downsample).mean((2, 4)).astype(np.float32)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_rows_hold_the_pooled_fields_of_their_sites(make_screen, tmp_path, dtype):
    """Row i of the cache is the average-pooled stack of row i of the table."""
    screen = make_screen(dtype=dtype)
    cache = screen.build(tmp_path / "cache")
    expected = np.stack([average(screen.stacks[site_id]) for site_id in cache.sites["site_id"]])
    fields = cache.read(range(len(cache)))
    assert fields.dtype == np.float32
    assert cache.field_shape == (2, 5, 6)
    np.testing.assert_array_equal(fields, expected)


def test_table_comes_back_exactly(make_screen, tmp_path):
    """The cache's table equals the one read from the metadata: values, types, order and index."""
    screen = make_screen()
    cache = screen.build(tmp_path / "cache")
    pd.testing.assert_frame_equal(
        FieldCache.open(tmp_path / "cache").sites, read_sites(screen.description, screen.root)
    )
    assert cache.sites["treatment_conc"].tolist()[1] == 1e-3


def test_originals_are_read_again_at_full_size(make_screen, tmp_path):
    """read_raw gives the original stack in the file's dtype, and files its paths in channel order."""
    screen = make_screen(dtype="uint16")
    cache = screen.build(tmp_path / "cache")
    site_id = cache.sites["site_id"].iloc[3]
    np.testing.assert_array_equal(cache.read_raw(3), screen.stacks[site_id])
    assert cache.read_raw(3).dtype == np.uint16
    assert cache.files(3) == [screen.path(site_id, 1), screen.path(site_id, 2)]
    screen.path(site_id, 2).unlink()
    with pytest.raises(IncompleteSitesError, match=r"_w2\.png: is missing"):
        cache.read_raw(3)


def test_rows_may_come_in_any_order(make_screen, tmp_path):
    """Reading takes rows in the order asked for, repeats and negative numbers included."""
    cache = make_screen().build(tmp_path / "cache")
    everything = cache.read(range(6))
    np.testing.assert_array_equal(cache.read([4, 0, 4, -1]), everything[[4, 0, 4, 5]])
    assert cache.read([]).shape == (0, 2, 5, 6)
    with pytest.raises(IndexError):
        cache.read([6])
    with pytest.raises(TypeError, match="flatnonzero"):
        cache.read(np.array([True] * 6))


def test_properties_say_what_the_cache_holds(make_screen, tmp_path):
    """A cache opened again knows its stains, pooling, original form, description and gaps."""
    screen = make_screen()
    screen.build(tmp_path / "cache")
    cache = FieldCache.open(tmp_path / "cache")
    assert cache.stains == ("DNA", "actin")
    assert cache.downsample == 4
    assert str(cache.form) == "22 x 26 px uint8"
    assert cache.description == screen.description
    assert list(cache.left_out.columns) == ["site_id", "file", "reason"]
    assert len(cache.left_out) == 0
    assert not cache.simulated


def test_simulated_screens_say_so(make_screen, tmp_path):
    """A data root that carries SIMULATED.json makes a cache that is marked as simulated."""
    screen = make_screen()
    (screen.root / "SIMULATED.json").write_text("{}", "utf-8")
    assert screen.build(tmp_path / "cache").simulated


def test_result_does_not_depend_on_the_number_of_workers(make_screen, tmp_path):
    """One process and two write the same bytes into every file."""
    screen = make_screen(num_sites=14)
    screen.build(tmp_path / "one", num_workers=1)
    screen.build(tmp_path / "two", num_workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert set(contents(tmp_path / "one")) == set(FILES)


def test_fingerprint_follows_content_alone(make_screen, tmp_path):
    """The same data elsewhere have the same fingerprint; another pixel, label or pooling gives another."""
    screen = make_screen()
    fingerprint = screen.build(tmp_path / "a").fingerprint
    shutil.copytree(screen.root, tmp_path / "copy")
    copy = type(screen)(tmp_path / "copy", screen.stacks, screen.description)
    assert copy.build(tmp_path / "b").fingerprint == fingerprint
    assert copy.build(tmp_path / "c", downsample=2).fingerprint != fingerprint
    plane = screen.stacks["E_1_B00_1"][0].copy()
    plane[0, 0] ^= 1
    copy.path("E_1_B00_1", 1).write_bytes(imagecodecs.png_encode(plane))
    assert copy.build(tmp_path / "d").fingerprint != fingerprint
    table = copy.root / "metadata.csv"
    table.write_text(table.read_text("utf-8").replace("HUVEC", "U2OS"), "utf-8")
    assert copy.build(tmp_path / "e").fingerprint not in {
        fingerprint,
        FieldCache.open(tmp_path / "d").fingerprint,
    }


def test_finished_cache_is_opened_not_rebuilt(make_screen, tmp_path, swap_quietly):
    """A finished cache that matches is opened without reading an image."""
    screen = make_screen()
    screen.build(tmp_path / "cache")
    before = contents(tmp_path / "cache")
    for path in screen.root.rglob("*.png"):
        swap_quietly(path)
    screen.build(tmp_path / "cache")
    assert contents(tmp_path / "cache") == before


def test_replaced_images_are_read_again_and_no_others(make_screen, tmp_path, swap_quietly):
    """When a file's size or time has changed, its site is read again, and the others are not."""
    screen = make_screen()
    old = screen.build(tmp_path / "cache")
    plane = np.full((22, 26), 9, np.uint8)
    plane[-1] = 8  # a row that pooling leaves out, so that the channel is not dead
    screen.path("E_1_B02_1", 2).write_bytes(imagecodecs.png_encode(plane))
    swap_quietly(screen.path("E_1_B01_1", 1))
    new = screen.build(tmp_path / "cache")
    assert (new.read([2])[0, 1] == 9).all()
    assert new.fingerprint != old.fingerprint
    assert new.fingerprint == FieldCache.open(tmp_path / "cache").fingerprint


def test_moved_data_and_another_task_keep_the_cache(make_screen, tmp_path):
    """What a label is used for, and where the data lie, may change without another cache."""
    screen = make_screen()
    old = screen.build(tmp_path / "cache")
    shutil.copytree(screen.root, tmp_path / "moved")
    task = screen.description.task.model_copy(update={"treatments": ("drug",)})
    description = screen.description.model_copy(update={"task": task, "title": "moved"})
    new = build_cache(description, tmp_path / "moved", tmp_path / "cache", downsample=4)
    assert new.fingerprint == old.fingerprint
    assert FieldCache.open(tmp_path / "cache").description.task.treatments == ("drug",)
    assert new.files(0)[0].is_relative_to(tmp_path / "moved")


@pytest.mark.parametrize("change", ["downsample", "images", "table", "limit"])
def test_cache_of_something_else_is_refused_with_the_fix(make_screen, tmp_path, change):
    """A folder with the cache of another pooling, other channels or other sites is refused, untouched."""
    screen = make_screen()
    screen.build(tmp_path / "cache")
    before = contents(tmp_path / "cache")
    options, description = {}, screen.description
    if change == "downsample":
        options["downsample"] = 2
    elif change == "limit":
        options["limit"] = 2
    elif change == "images":
        images = description.images.model_copy(update={"channels": description.images.channels[::-1]})
        description = description.model_copy(update={"images": images})
    else:
        table = screen.root / "metadata.csv"
        table.write_text(table.read_text("utf-8").replace("HUVEC", "U2OS"), "utf-8")
    with pytest.raises(CacheMismatchError, match="pass another folder"):
        build_cache(description, screen.root, tmp_path / "cache", **{"downsample": 4, **options})
    assert contents(tmp_path / "cache") == before


def test_limit_takes_sites_spread_over_the_table(make_screen, tmp_path):
    """A limit takes so many sites, evenly spread over the table."""
    cache = make_screen().build(tmp_path / "cache", limit=3)
    assert cache.sites["well"].tolist() == ["B00", "B02", "B04"]
    assert make_screen(name="again").build(tmp_path / "more", limit=99).sites["well"].size == 6


@pytest.mark.parametrize("option", ["downsample", "num_workers", "limit"])
def test_numbers_below_one_are_refused(make_screen, tmp_path, option):
    """A downsample, number of workers or limit below one is refused by name."""
    with pytest.raises(ValueError, match=f"{option} is 0"):
        make_screen().build(tmp_path / "cache", **{option: 0})
    assert not (tmp_path / "cache").exists()


def test_fields_smaller_than_the_square_are_refused(make_screen, tmp_path):
    """A downsample larger than the field is refused before anything is written."""
    with pytest.raises(CacheError, match="downsample is 23 px, but the fields are 22 x 26"):
        make_screen().build(tmp_path / "cache", downsample=23)
    assert not (tmp_path / "cache").exists()


def test_foreign_folders_are_left_alone(make_screen, tmp_path):
    """A folder that holds something else, or a file, is refused and not written to."""
    screen = make_screen()
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "thesis.tex").write_text("x", "utf-8")
    with pytest.raises(CacheError, match=r"thesis\.tex"):
        screen.build(folder)
    with pytest.raises(CacheError, match="is a file"):
        screen.build(folder / "thesis.tex")
    assert [path.name for path in folder.iterdir()] == ["thesis.tex"]


def test_small_disks_are_told_before_the_work(make_screen, tmp_path, monkeypatch):
    """A disk with too little room is refused before any site is stored, with both sizes."""
    usage = shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(CacheError, match=r"needs .* GiB, and .* has 0\.0 GiB free"):
        make_screen().build(tmp_path / "cache")


@pytest.mark.parametrize("broken", ["fields.npy", "state.npy", "sites.csv", "left_out.csv", "meta.json"])
def test_damaged_caches_are_refused(make_screen, tmp_path, broken):
    """A cache with a missing or cut file is refused by its path, never half read."""
    make_screen().build(tmp_path / "cache")
    path = tmp_path / "cache" / broken
    path.write_bytes(path.read_bytes()[:60] if broken != "left_out.csv" else b"")
    with pytest.raises(CacheError, match="cache"):
        FieldCache.open(tmp_path / "cache")
    path.unlink()
    with pytest.raises(CacheError, match="cache"):
        FieldCache.open(tmp_path / "cache")


@pytest.mark.parametrize("broken", ["fields.npy", "state.npy", "digests.npy", "signatures.npy"])
def test_damaged_caches_are_not_gone_on_with(make_screen, tmp_path, broken):
    """An unfinished cache with a missing or cut array is refused with the fix."""
    screen = make_screen()
    screen.path("E_1_B00_1", 1).rename(tmp_path / "aside")
    with pytest.raises(IncompleteSitesError):
        screen.build(tmp_path / "cache")
    path = tmp_path / "cache" / broken
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(CacheError, match="build again"):
        screen.build(tmp_path / "cache")
    path.unlink()
    with pytest.raises(CacheError, match="build again"):
        screen.build(tmp_path / "cache")


def test_finished_cache_may_be_read_only(make_screen, tmp_path, monkeypatch):
    """Building over a finished cache that matches writes nothing, so a read-only mount will do."""
    screen = make_screen()
    fingerprint = screen.build(tmp_path / "cache").fingerprint
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()}

    def refuse(*_args, **_options):
        raise OSError(30, "Read-only file system")

    for name in ("write_atomically", "create_array", "write_meta"):
        monkeypatch.setattr(layout, name, refuse)
    assert screen.build(tmp_path / "cache").fingerprint == fingerprint
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()} == before
    with pytest.raises(CacheError, match="Read-only file system"):
        screen.build(tmp_path / "other")


def test_format_of_another_version_is_refused(make_screen, tmp_path):
    """A cache of a format version that is not known is refused."""
    make_screen().build(tmp_path / "cache")
    path = tmp_path / "cache" / "meta.json"
    path.write_text(path.read_text("utf-8").replace('"format_version": 1', '"format_version": 2'), "utf-8")
    with pytest.raises(CacheError, match="format_version"):
        FieldCache.open(tmp_path / "cache")


@pytest.mark.data
def test_real_plate_is_cached_whole(data_root, tmp_path):
    """The real BBBC013 plate becomes 96 rows of (2, 160, 160), each the mean of its files."""
    root = data_root / "bbbc013"
    cache = build_cache(load_description("bbbc013"), root, tmp_path / "cache", downsample=4, num_workers=1)
    assert (len(cache), cache.field_shape, len(cache.left_out)) == (96, (2, 160, 160), 0)
    row = cache.sites.index[cache.sites["well"] == "D07"].item()
    names = cache.sites.loc[row, ["gfp_file", "dna_file"]].tolist()
    stack = np.stack([tifffile.imread(root / name) for name in names])
    np.testing.assert_array_equal(cache.read([row])[0], average(stack))
    np.testing.assert_array_equal(cache.read_raw(row), stack)


def test_simulated_screen_is_read_as_rxrx2(tmp_path):
    """A simulated screen is cached under RxRx2's own description, complete, and marked as simulated."""
    spec = ScreenSpec(
        field_px=32, num_experiments=1, doses=(0.1,), wells_per_treatment=1, control_wells=1, sites_per_well=2
    )
    simulate_screen(tmp_path / "screen", spec, num_workers=1)
    cache = build_cache(load_description("rxrx2"), tmp_path / "screen", tmp_path / "cache", downsample=2)
    assert cache.simulated
    assert cache.field_shape == (6, 16, 16)
    assert set(cache.sites["treatment"]) == {"EMPTY", *cache.description.task.treatments}
    assert len(cache.left_out) == 0


def test_a_share_that_maps_no_files_is_told_as_one(make_screen, tmp_path, monkeypatch):
    """Where a file system cannot map files, the message names a local disk and not a damaged cache."""

    def refuse(*_words, **_options):
        raise OSError(errno.ENODEV, "No such device")

    monkeypatch.setattr(layout, "open_memmap", refuse)
    with pytest.raises(CacheError, match=r"cannot be made: .*No such device; .*local disk with --cache"):
        make_screen().build(tmp_path / "cache")
