import json
import os
import shutil
from types import SimpleNamespace

import imagecodecs
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from phenotrain.plates import read_sites
from phenotrain.profiles import cli, embed
from phenotrain.profiles.screen_roles import roles_of

DESCRIPTION = """
name = "small"
licence = "CC0"
[table]
path = "metadata.csv"
[images]
path = "images/{experiment}_{plate}_{well}_s{site}_w{channel}.png"
channels = [{ id = "1", stain = "DNA" }, { id = "2", stain = "actin" }]
[task]
control = "EMPTY"
"""


@pytest.fixture(scope="module")
def screen(tmp_path_factory, make_screen):
    """Two plates of one experiment, 2 x 64 x 64 pixels a site, on disk."""
    root = tmp_path_factory.mktemp("screen")
    made = make_screen(num_experiments=1, num_doses=1, num_controls=8, treatments=("A", "B"))
    rng = np.random.default_rng(0)
    (root / "images").mkdir()
    for row in made.sites.itertuples():
        for channel in (1, 2):
            plane = rng.integers(0, 60 + 40 * (row.treatment == "A"), (64, 64), dtype=np.uint8)
            name = f"{row.experiment}_{row.plate}_{row.well}_s{row.site}_w{channel}.png"
            (root / "images" / name).write_bytes(imagecodecs.png_encode(plane))
    made.sites.to_csv(root / "metadata.csv", index=False)
    (root / "small.toml").write_text(DESCRIPTION, "utf-8")
    return root


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, make_tiny_bundle):
    path = tmp_path_factory.mktemp("bundle") / "tiny"
    make_tiny_bundle(path, channels=("DNA", "actin"), treatments=("EMPTY", "A"), downsample=2)
    return path


@pytest.fixture
def invoke(screen, bundle):
    import typer

    app = typer.Typer()
    app.command()(cli.profile)

    def run(out, *options, data=screen, description="small.toml", of=bundle):
        arguments = [
            str(screen / description),
            str(data),
            str(of),
            str(out),
            "--draws",
            "19",
            "--device",
            "cpu",
        ]
        return CliRunner().invoke(app, [*arguments, *options])

    return run


@pytest.fixture(autouse=True)
def _no_umap(monkeypatch):
    """UMAP takes ten seconds to import and has its own test."""
    monkeypatch.setattr("phenotrain.profiles.findings.umap_layout", lambda profiles, *, seed: None)


def test_the_command_writes_every_file_and_says_what_it_found(invoke, tmp_path):
    """From images and a bundle come profiles, correction, tables and a page, and one paragraph on the terminal."""
    result = invoke(tmp_path / "out")
    assert result.exit_code == 0, result.output
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        *(
            "profiles.parquet",
            "profiles_corrected.parquet",
            "profiles.h5ad",
            "correction.npz",
            "correction.json",
        ),
        *("activity.csv", "batch_effect.csv", "similarity.csv", "findings.json", "report.html", "embeddings"),
    }
    assert "treatments and doses are active" in result.output
    assert len(pd.read_parquet(tmp_path / "out" / "profiles.parquet")) == 28


def test_a_killed_run_goes_on_where_it_stopped(invoke, tmp_path, monkeypatch):
    """A second run embeds only what the first had not, and ends with the same profiles."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    monkeypatch.setattr(embed, "_MAX_BATCH", 5)
    assert invoke(whole).exit_code == 0
    answered = []
    infer = embed.Engine.infer

    def counting(self, stacks):
        answered.append(len(stacks))
        if sum(answered) > 12 and not any(path.name == "again" for path in tmp_path.iterdir()):
            raise KeyboardInterrupt
        return infer(self, stacks)

    monkeypatch.setattr(embed.Engine, "infer", counting)
    assert invoke(killed).exit_code != 0
    (tmp_path / "again").mkdir()
    answered.clear()
    assert invoke(killed).exit_code == 0
    assert sum(answered) == 28 - 10
    first, second = (pd.read_parquet(path / "profiles.parquet") for path in (whole, killed))
    pd.testing.assert_frame_equal(first, second)


def test_other_images_under_the_same_names_are_embedded_anew(invoke, screen, tmp_path):
    """Images that were replaced since the last run give their own profiles, the same as in a folder of their own."""
    copy, out = tmp_path / "copy", tmp_path / "out"
    shutil.copytree(screen, copy)
    assert invoke(out, data=copy).exit_code == 0
    before = pd.read_parquet(out / "profiles.parquet")
    for path in (copy / "images").iterdir():
        path.write_bytes(imagecodecs.png_encode(255 - imagecodecs.png_decode(path.read_bytes())))
    assert invoke(out, data=copy).exit_code == 0
    assert invoke(tmp_path / "fresh", data=copy).exit_code == 0
    again, fresh = (pd.read_parquet(path / "profiles.parquet") for path in (out, tmp_path / "fresh"))
    pd.testing.assert_frame_equal(again, fresh)
    assert not again.equals(before)


def test_the_signature_of_images_follows_every_file(tmp_path):
    """Another content, time or order of the channels makes another signature; a second look makes none."""
    first, second = tmp_path / "w1.png", tmp_path / "w2.png"
    for path in (first, second):
        path.write_bytes(b"pixels")
        os.utime(path, ns=(10**18, 10**18))
    seen = [embed.images_of([[first, second]]), embed.images_of([[first, second]])]
    assert seen[0] == seen[1]
    seen = [seen[0], embed.images_of([[second, first]])]
    os.utime(second, ns=(10**18, 10**18 + 1))
    seen.append(embed.images_of([[first, second]]))
    second.write_bytes(b"other pixels")
    os.utime(second, ns=(10**18, 10**18 + 1))
    seen.append(embed.images_of([[first, second]]))
    second.unlink()
    seen.append(embed.images_of([[first, second]]))
    assert len(set(seen)) == 5


def test_no_table_of_an_earlier_run_stays(invoke, tmp_path):
    """Where the second run compares no treatments, the similarities of the first are gone."""
    out = tmp_path / "out"
    assert invoke(out).exit_code == 0
    assert (out / "similarity.csv").exists()
    assert invoke(out, "--treatment", "A").exit_code == 0
    assert not (out / "similarity.csv").exists()


def test_other_stains_are_refused(invoke, tmp_path, tiny_bundle):
    """A bundle of other stains is refused in one sentence that names both."""
    result = invoke(tmp_path / "out", of=tiny_bundle)
    assert result.exit_code == 1
    assert "DNA, actin" in result.output.replace("\n", " ")


def test_an_unknown_treatment_is_refused(invoke, tmp_path):
    """A treatment that the table does not have is told with the ones it has before anything is embedded."""
    result = invoke(tmp_path / "out", "--treatment", "Z")
    assert result.exit_code == 1
    assert "no treatment 'Z'. It has 'A', 'B', 'EMPTY'." in " ".join(result.output.split())
    assert not (tmp_path / "out").exists()


def test_a_missing_image_is_refused(invoke, screen, tmp_path):
    """A site without one of its files ends the command with its name and a way out."""
    copy = tmp_path / "copy"
    shutil.copytree(screen, copy)
    next((copy / "images").glob("*_w2.png")).unlink()
    result = invoke(tmp_path / "out", data=copy)
    assert result.exit_code == 1
    assert "skip-incomplete" in result.output


def test_roles_follow_the_plates_of_the_manifest(make_screen):
    """Whole plates on one side give roles; a plate on two sides, or an unknown one, makes all sites training sites."""

    def split_of(split):
        provenance = SimpleNamespace(split=split, recipe={})
        manifest = SimpleNamespace(provenance=provenance, control="EMPTY", treatments=("EMPTY", "A"))
        return SimpleNamespace(manifest=manifest)

    made = make_screen()
    train, test = ([f"E{e} plate {p}" for p in range(1, 5)] for e in (1, 2))
    roles, _ = roles_of(split_of({"plates": {"train": train, "test": test}}), made.sites)
    np.testing.assert_array_equal(roles, made.roles)
    for plates, why in (
        ({"train": [*train, *test], "test": test}, "holds out wells"),
        ({"train": train}, "does not name"),
        (None, "does not name"),
    ):
        roles, sentence = roles_of(split_of({"plates": plates}), made.sites)
        assert set(roles) == {"train"}
        assert why in sentence


def test_the_findings_name_bundle_and_roles(invoke, screen, tmp_path):
    """findings.json holds the bundle's digest, and the table has the sites of the screen."""
    assert invoke(tmp_path / "out").exit_code == 0
    found = json.loads((tmp_path / "out" / "findings.json").read_text())
    assert len(found["bundle"]) == 64
    from phenotrain.datasets import load_description

    assert (
        found["num_wells"]
        == read_sites(load_description(str(screen / "small.toml")), screen)["well_id"].nunique()
    )


def test_without_its_control_a_screen_has_raw_profiles_and_no_file_of_an_earlier_correction(
    invoke, screen, tmp_path
):
    """A control that the table does not have is told with the ones it has; raw profiles are written all the same."""
    out = tmp_path / "out"
    assert invoke(out).exit_code == 0
    (screen / "other.toml").write_text(DESCRIPTION.replace("EMPTY", "Empty well"), "utf-8")
    result = invoke(out, description="other.toml")
    said = " ".join(result.output.split())
    assert result.exit_code == 0
    assert "Raw profiles of 28 wells; none could be corrected" in said
    assert "The table has no control 'Empty well'. It has 'A', 'B', 'EMPTY'." in said
    names = {path.name for path in out.iterdir()}
    assert {"profiles.parquet", "profiles.h5ad", "activity.csv", "report.html"} <= names
    assert not {"profiles_corrected.parquet", "correction.npz", "correction.json", "similarity.csv"} & names
    assert not pd.read_parquet(out / "profiles.parquet")["Metadata_is_corrected"].any()
