"""The recipes."""

import tomllib
from importlib import resources
from pathlib import Path

import pytest

from phenotrain.errors import RecipeError
from phenotrain.recipe import Recipe, load_recipe, shipped_recipes


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
    """A recipe is loaded from a file by its path, byte-order mark or not; keys left out are those of `default`."""
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\n[simclr]\nepochs = 3\n', encoding="utf-8-sig")
    default = load_recipe("default")
    assert load_recipe(str(path)) == default.changed(
        name="mine", simclr={**default.simclr.model_dump(), "epochs": 3}
    )


def written(name: str) -> dict:
    """What a shipped recipe's file holds."""
    return tomllib.loads((resources.files("phenotrain") / "recipes" / f"{name}.toml").read_text("utf-8"))


def test_default_is_what_a_recipe_without_keys_is():
    """The file of `default` holds its name alone: the defaults of the keys are the recipe."""
    assert written("default") == {"name": "default"}
    recipe = load_recipe("default")
    assert (recipe.encoder.stem, recipe.simclr.batches, recipe.simclr.positives) == (
        "channels",
        "plate",
        "well",
    )
    assert recipe.augmentation.channel_gain == recipe.augmentation.channel_offset == 0


@pytest.mark.parametrize("name", ["demo", "laptop", "reference"])
def test_a_shipped_recipe_says_only_what_differs_from_default(name):
    """No key of a shipped file has the value that it would have if it were left out."""
    default = Recipe(name="default").model_dump(mode="json")
    for key, value in written(name).items():
        pairs = value.items() if isinstance(value, dict) else [(key, value)]
        for inner, given in pairs:
            left_out = default[key][inner] if isinstance(value, dict) else default[key]
            assert given != left_out, f"{key}.{inner}"


def test_every_recipe_draws_its_pairs_and_steps_as_it_says():
    """Which sites make up a step and a pair, how stains enter and how they are jittered, of every shipped recipe."""
    found = {
        name: (
            recipe.encoder.stem,
            recipe.simclr.batches,
            recipe.simclr.positives,
            recipe.augmentation.channel_gain,
        )
        for name in shipped_recipes()
        for recipe in [load_recipe(name)]
    }
    assert found == {
        "default": ("channels", "plate", "well", 0.0),
        "demo": ("channels", "plate", "well", 0.1),
        "laptop": ("channels", "mixed", "well", 0.1),
        "reference": ("adapter", "mixed", "site", 0.0),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "x"\n[simclr]\nepoch = 3\n', "simclr.epoch: no such key"),
        (
            'name = "x"\n[simclr]\ntemperature = 0\n',
            "simclr.temperature: input should be greater than 0 (received 0)",
        ),
        (
            'name = "x"\n[augmentation]\ncrop_scale_min = 2\n',
            "augmentation: crop_scale_min is 2.0, above crop_scale_max 1.4",
        ),
        (
            'name = "x"\n[encoder]\nblocks = [1, 1, 1, 1]\n',
            "encoder: blocks is [1, 1, 1, 1] and weights 'imagenet', which are DenseNet121's",
        ),
        ("[simclr]\nepochs = 3\n", "name: field required"),
        ("name = x\n", "is not valid TOML"),
        ('name = "\udce9"\n', "is not UTF-8"),
    ],
)
def test_mistakes_are_named(tmp_path, text, message):
    """What is wrong with a recipe is told by file and key, without an address of a library's pages."""
    path = tmp_path / "mine.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(RecipeError) as raised:
        load_recipe(str(path))
    assert str(raised.value).startswith(f"{path} ")
    assert message in str(raised.value)
    assert "pydantic" not in str(raised.value)


def test_an_unknown_recipe_names_the_known_ones():
    """Asking for a recipe that is not there names those that are."""
    with pytest.raises(FileNotFoundError, match="default, demo, laptop, reference"):
        load_recipe("no-such-recipe")


def test_a_changed_recipe_is_checked_again():
    """Replacing a section keeps the rest and refuses nonsense."""
    recipe = load_recipe("demo")
    assert recipe.changed(encoder={"weights": "none"}).simclr == recipe.simclr
    with pytest.raises(RecipeError, match=r"'demo'.*encoder\.weight: no such key"):
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


def test_the_documented_defaults_are_the_defaults():
    """docs/recipes.md states the default of every key as the code has it."""
    page = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")

    def told(value) -> str:
        return str(value).lower() if isinstance(value, bool) else str(value)

    for section, values in Recipe(name="default").model_dump(mode="json").items():
        pairs = values.items() if isinstance(values, dict) else [("", values)]
        for key, value in pairs:
            name = f"{section}.{key}" if key else section
            if name != "name":
                assert f"| `{name}` | {told(value)} |" in page
