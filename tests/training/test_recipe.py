"""The recipes."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from phenotrain.recipe import load_recipe, shipped_recipes


def test_all_shipped_recipes_load():
    """Every shipped recipe loads and carries its file's name."""
    assert shipped_recipes() == ["default", "demo", "laptop", "reference"]
    for name in shipped_recipes():
        assert load_recipe(name).name == name


def test_reference_holds_the_reference_projects_numbers():
    """The recipe `reference` has the reference project's views, temperature, batch, epochs, heads and forest."""
    recipe = load_recipe("reference")
    assert (recipe.simclr.crop_px, recipe.simclr.temperature) == (224, 0.5)
    assert (recipe.simclr.batch_size, recipe.simclr.epochs) == (32, 20)
    assert (recipe.simclr.learning_rate, recipe.simclr.final_learning_rate) == (1e-4, 1e-4)
    assert recipe.simclr.sites_per_class == recipe.heads.sites_per_class == 287
    assert (recipe.projection_head.hidden_units, recipe.projection_head.dropout) == ((512, 256), 0.3)
    assert (recipe.heads.hidden_units, recipe.heads.dropout) == (64, 0.3)
    assert (recipe.forest.num_trees, recipe.encoder.weights) == (100, "imagenet")
    # 1024 px pooled by 4 is 256 px, so the largest view is the whole field.
    assert recipe.simclr.crop_px * recipe.augmentation.crop_scale_max == pytest.approx(
        1024 / recipe.downsample, abs=0.1
    )


def test_a_file_is_a_recipe_too(tmp_path):
    """A recipe is loaded from a file by its path; keys that it leaves out have their defaults."""
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\n[simclr]\nepochs = 3\n')
    assert load_recipe(str(path)).simclr.epochs == 3


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('name = "x"\n[simclr]\nepoch = 3\n', "epoch"),
        ('name = "x"\n[simclr]\ntemperature = 0\n', "temperature"),
        ('name = "x"\n[augmentation]\ncrop_scale_min = 2\n', "crop_scale_max"),
        ('name = "x"\ndownsample = 0\n', "downsample"),
    ],
)
def test_mistakes_are_named(tmp_path, text, named):
    """An unknown key or a value out of range is refused by name."""
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ValidationError, match=named):
        load_recipe(str(path))


def test_an_unknown_recipe_names_the_known_ones():
    """Asking for a recipe that is not there names those that are."""
    with pytest.raises(FileNotFoundError, match="default, demo, laptop, reference"):
        load_recipe("no-such-recipe")


def test_a_changed_recipe_is_checked_again():
    """Replacing a section keeps the rest and refuses nonsense."""
    recipe = load_recipe("demo")
    assert recipe.changed(encoder={"weights": "none"}).simclr == recipe.simclr
    with pytest.raises(ValidationError):
        recipe.changed(encoder={"weight": "none"})


def test_every_recipe_key_is_documented():
    """docs/recipes.md lists every key of every section."""
    page = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")

    def keys(model, prefix=""):
        for name, field in model.model_fields.items():
            if hasattr(field.annotation, "model_fields"):
                yield from keys(field.annotation, f"{name}.")
            else:
                yield prefix + name

    for key in keys(type(load_recipe("demo"))):
        assert f"`{key}`" in page, f"{key} is not in docs/recipes.md"
