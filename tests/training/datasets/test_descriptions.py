import re
from pathlib import Path

import numpy as np
import pytest
import tifffile

from phenotrain.cache import build_cache
from phenotrain.datasets import (
    Description,
    DescriptionError,
    load_description,
    parse_description,
    shipped_names,
)

SIX_STAINS = ("Hoechst", "ConA", "Phalloidin", "Syto14", "MitoTracker", "WGA")

OWN = """
name = "mine"
licence = "CC0"
[table]
path = "plates.csv"
[images]
path = "{well}_{channel}.png"
channels = [{ id = "1", stain = "DNA" }, { id = "2", stain = "actin" }]
[task]
control = "DMSO"
treatments = ["drug"]
"""


def test_shipped_descriptions_load_under_their_own_names():
    """Every shipped description is valid and is called what its file is called."""
    assert shipped_names() == ("bbbc013", "rxrx1", "rxrx19a", "rxrx19b", "rxrx2", "rxrx3")
    assert all(load_description(name).name == name for name in shipped_names())


@pytest.mark.parametrize("name", ["rxrx1", "rxrx2", "rxrx3", "rxrx19b"])
def test_six_channel_releases_share_one_stain_order(name):
    """The six-channel RxRx releases carry the six Cell Painting stains in one order, as w1 to w6."""
    description = load_description(name)
    assert description.stains == SIX_STAINS
    assert [channel.id for channel in description.images.channels] == list("123456")


def test_rxrx19a_has_five_stains_and_no_mitochondria():
    """RxRx19a has five channels, whose fifth is WGA."""
    assert load_description("rxrx19a").stains == ("Hoechst", "ConA", "Phalloidin", "Syto14", "WGA")


def test_rxrx2_learns_the_four_interferons_against_empty():
    """RxRx2's default task is the four interferons, spelled as its table spells them, against EMPTY."""
    task = load_description("rxrx2").task
    assert task.control == "EMPTY"
    assert task.treatments == ("IFN-alpha-A", "IFNB-1", "IFN-gamma", "IFN-omega")


def test_own_description_loads_by_path(tmp_path):
    """A description of one's own is loaded by the path of its file."""
    path = tmp_path / "mine.toml"
    path.write_text(OWN, "utf-8")
    assert load_description(path).stains == ("DNA", "actin")


AS_FILES = """path = "{well}_{channel}.png"
channels = [{ id = "1", stain = "DNA" }, { id = "2", stain = "actin" }]"""


def with_images(images):
    assert OWN.count(AS_FILES) == 1
    return parse_description(OWN.replace(AS_FILES, images), "mine.toml")


def test_stacks_are_described_by_their_stains_alone():
    """Without {channel} a file holds the whole stack, whose stains are listed in its order, as texts or as tables."""
    short = with_images('path = "{well}.tif"\nchannels = ["DNA", "actin"]')
    long = with_images('path = "{well}.tif"\nchannels = [{ stain = "DNA" }, { stain = "actin" }]')
    assert short == long
    assert short.stains == short.stack_stains == ("DNA", "actin")
    assert parse_description(OWN, "mine.toml").stack_stains == ()
    assert Description.model_validate_json(short.model_dump_json()) == short


def test_one_channel_is_a_file_or_a_stack_of_one():
    """A single channel needs no {channel}, whether it has an id or not."""
    assert with_images('path = "{well}.png"\nchannels = [{ id = "1", stain = "DNA" }]').stack_stains == ()
    assert with_images('path = "{well}.png"\nchannels = ["DNA"]').stack_stains == ("DNA",)


@pytest.mark.parametrize(
    ("path", "channels", "found"),
    [
        ("{well}_{channel}.png", '["DNA", "actin"]', "2 of 2 channels have no id"),
        ("{well}_{channel}.png", '[{ id = "1", stain = "DNA" }, "actin"]', "1 of 2 channels have no id"),
        ("{well}.tif", '[{ id = "w1", stain = "DNA" }, { id = "w2", stain = "actin" }]', "the ids w1, w2"),
        ("{well}.tif", '[{ id = "w1", stain = "DNA" }, "actin"]', "the ids w1."),
    ],
)
def test_path_and_channels_that_contradict_are_refused_with_both_readings(path, channels, found):
    """A path for channel files with channels for stacks, or the reverse, is refused, and both ways are shown."""
    with pytest.raises(DescriptionError) as caught:
        with_images(f'path = "{path}"\nchannels = {channels}')
    for words in (found, 'channels = [{ id = "1", stain = "DNA" }, ...]', 'channels = ["DNA", "actin"]'):
        assert words in str(caught.value)


def test_own_file_in_the_working_directory_needs_no_folder(tmp_path, monkeypatch):
    """A bare name that ends in .toml is a file, not a shipped name."""
    (tmp_path / "rxrx2.toml").write_text(OWN, "utf-8")
    monkeypatch.chdir(tmp_path)
    assert load_description("rxrx2.toml").name == "mine"


def test_unknown_name_lists_the_known():
    """A name that is not shipped is refused with the names that are."""
    with pytest.raises(DescriptionError, match=r"'rxrx4'.*bbbc013.*rxrx3.*\.toml"):
        load_description("rxrx4")


def test_absent_file_is_named(tmp_path):
    """A file that does not exist is refused by its path."""
    with pytest.raises(DescriptionError, match=r"absent\.toml"):
        load_description(tmp_path / "absent.toml")


def test_text_that_is_not_toml_says_so():
    """A syntax error is refused as one, with the file."""
    with pytest.raises(DescriptionError, match=r"mine\.toml is not valid TOML"):
        parse_description("name = ", "mine.toml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('licence = "CC0"', "", "licence: Field required"),
        ('licence = "CC0"', 'licence = " "', "licence"),
        ('name = "mine"', 'name = "My Plates"', "name"),
        ("[task]", '[task]\nlabel = "x"', r"task\.label: Extra inputs"),
        ("[task]", '[table.columns]\ngene = "x"\n[task]', r"table\.columns\.gene"),
        ('path = "plates.csv"', 'path = "../plates.csv"', "leaves the data root"),
        ('path = "plates.csv"', 'path = "/plates.csv"', "leaves the data root"),
        ('path = "plates.csv"', "path = []", r"table\.path"),
        ("{well}_{channel}.png", "/{well}_{channel}.png", "leaves the data root"),
        ("{well}_{channel}.png", "{plate}/../{channel}.png", "leaves the data root"),
        ("{well}_{channel}.png", "{well}.png", "no {channel}"),
        ("{well}_{channel}.png", "{well.__class__}_{channel}.png", "plain name"),
        ("{well}_{channel}.png", "{well!r}_{channel}.png", "plain name"),
        ("{well}_{channel}.png", "{0}_{channel}.png", "plain name"),
        ("{well}_{channel}.png", "{well:{width}}_{channel}.png", "plain name"),
        ("{well}_{channel}.png", "{well_{channel}.png", "gap|parsed"),
        ('stain = "actin"', 'stain = "DNA"', "same stain"),
        ('id = "2"', 'id = "1"', "same id"),
        ('["drug"]', '["drug", "DMSO"]', "contain the control 'DMSO'"),
        ('["drug"]', '["drug", "drug"]', "repeat"),
        ('["drug"]', '["drug", "Drug "]', "'drug' and 'Drug' differ only in case"),
        ('["drug"]', '["dmso"]', "'DMSO' and 'dmso' differ only in case"),
        ('stain = "actin"', 'stain = "D-na"', "same stain"),
    ],
)
def test_wrong_description_names_key_and_reason(old, new, message):
    """Whatever is wrong with a description is refused with its key and what is expected."""
    assert OWN.count(old) == 1
    with pytest.raises(DescriptionError, match=message):
        parse_description(OWN.replace(old, new), "mine.toml")


def test_all_that_is_wrong_is_said_at_once():
    """One error names every wrong key."""
    with pytest.raises(DescriptionError) as caught:
        parse_description('name = "mine"\n[images]\npath = "/x"\n', "mine.toml")
    assert all(
        key in str(caught.value) for key in ("licence", "table", "task", "images.path", "images.channels")
    )


def test_description_survives_json():
    """A description written as JSON and read again is the same: that is how a cache keeps it."""
    for name in shipped_names():
        description = load_description(name)
        assert Description.model_validate_json(description.model_dump_json()) == description


def test_every_key_is_documented():
    """docs/datasets.md has a row for every key that a description may have."""
    text = Path(__file__).parents[3].joinpath("docs", "datasets.md").read_text("utf-8")
    for section, model in (
        ("", Description),
        ("table.", Description.model_fields["table"].annotation),
        ("images.", Description.model_fields["images"].annotation),
        ("task.", Description.model_fields["task"].annotation),
    ):
        for key in model.model_fields:
            if key not in {"table", "images", "task"}:
                assert f"| `{section}{key}` |" in text, f"{section}{key}"
    for key in ("id", "stain"):
        assert f"| `images.channels[].{key}` |" in text


def test_every_shipped_description_is_documented():
    """docs/datasets.md names every shipped description with its licence."""
    text = Path(__file__).parents[3].joinpath("docs", "datasets.md").read_text("utf-8")
    for name in shipped_names():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
        assert load_description(name).licence in row


def test_the_pages_examples_are_descriptions(tmp_path):
    """The description on docs/datasets.md parses, and reads files of channels, and with its other [images] stacks."""
    page = Path(__file__).parents[3].joinpath("docs", "datasets.md").read_text("utf-8")
    whole, stacks = re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL)
    before, images, after = re.split(r"(\[images\].*?(?=\n\[task\]))", whole, flags=re.DOTALL)
    rng = np.random.default_rng(0)
    (tmp_path / "P1").mkdir()
    rows = ["plate,well,row,col,compound,dose"]
    for row, compound in zip("AB", ("DMSO", "dasatinib"), strict=True):
        stack = rng.integers(0, 4096, (2, 16, 16), dtype=np.uint16)
        for channel, name in zip(stack, ("dapi", "gfp"), strict=True):
            tifffile.imwrite(tmp_path / "P1" / f"{row}07-{name}.tif", channel)
        tifffile.imwrite(tmp_path / "P1" / f"{row}07.ome.tif", stack, photometric="minisblack")
        rows.append(f"P1,{row}7,{row},7,{compound},{'' if compound == 'DMSO' else 2.5}")
    (tmp_path / "layout.csv").write_text("\n".join(rows) + "\n", "utf-8")
    fields = []
    for name, section in (("files", images), ("stacks", stacks)):
        description = parse_description(before + section + after, name)
        assert description.stains == ("DNA", "tubulin")
        cache = build_cache(description, tmp_path, tmp_path / name, downsample=2)
        fields.append(cache.read([0, 1]))
    np.testing.assert_array_equal(*fields)
