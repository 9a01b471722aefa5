"""Recipes: every number that a training run depends on, read from one TOML file.

A key that a file leaves out is that of the recipe `default`, which is written here.
"""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from phenotrain.errors import RecipeError
from phenotrain.splits import Protocol

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
ExportedEncoder = Literal["trained", "untrained", "best"]

DENSENET121: Final = (6, 12, 24, 16)
"""Layers of DenseNet121's dense blocks (Huang et al. 2017, table 1)."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EncoderRecipe(_Section):
    """The stem and DenseNet121."""

    weights: str = "imagenet"
    """`imagenet` (Keras downloads them), `none` (random), or the path of a DenseNet121 weights file."""
    blocks: tuple[Count, Count, Count, Count] = DENSENET121
    """Layers of the four dense blocks; others than DenseNet121's learn from random weights, for quick trials."""
    export: ExportedEncoder = "trained"
    """Encoder of the bundle: trained by SimCLR, that of the initial weights, or the better on labelled sites."""
    stem: Literal["adapter", "channels"] = "channels"
    """How the stains enter: by two convolutions down to three channels, or straight into DenseNet121's first."""
    adapter_filters: Count = 16
    """Filters of the adapter's first convolution; its second has three."""

    @model_validator(mode="after")
    def _weights_fit(self) -> Self:
        if self.blocks != DENSENET121 and self.weights != "none":
            raise ValueError(
                f"blocks is {list(self.blocks)} and weights {self.weights!r}, which are DenseNet121's of blocks "
                f'{list(DENSENET121)}; set `weights = "none"` to start from random weights, or leave `blocks` out'
            )
        return self


class ProjectionHeadRecipe(_Section):
    """The perceptron that NT-Xent sees; thrown away for everything but the `projection` output."""

    hidden_units: tuple[Count, ...] = (1024,)
    """Width of each hidden layer (dense, batch normalisation, ReLU)."""
    dropout: Share = 0.0
    """Dropout after each hidden layer."""


class SimclrRecipe(_Section):
    """Self-supervised training of the encoder."""

    sites_per_class: Annotated[int, Field(ge=0)] = 0
    """Sites of each learned treatment and of the control to learn from; 0 takes every training site."""
    crop_px: Annotated[int, Field(ge=32)] = 224
    """Side of a view, in pooled pixels."""
    epochs: Count = 200
    """Passes over the sites."""
    steps: Annotated[int, Field(ge=0)] = 0
    """Least number of optimiser steps; where `epochs` passes make fewer, more passes are made."""
    batch_size: Annotated[int, Field(ge=2)] = 256
    """Sites a step; each gives two views."""
    batches: Literal["mixed", "plate"] = "plate"
    """Sites of a step: from all plates, or from one plate, so that nothing a plate shares tells its sites apart."""
    positives: Literal["site", "well"] = "well"
    """What the two views of a pair show: the same site, or two sites of the same well."""
    temperature: Positive = 0.2
    """Divisor of the cosine similarities in NT-Xent."""
    learning_rate: Positive = 1e-3
    """Peak learning rate, reached after the warm-up."""
    final_learning_rate: NotNegative = 1e-6
    """Where the cosine ends; equal to `learning_rate` with no warm-up for a constant rate."""
    warmup_share: Share = 0.1
    """Share of the steps over which the rate rises linearly from 0."""
    weight_decay: NotNegative = 0.1
    """AdamW's decoupled decay (0 is plain Adam)."""
    clip_norm: NotNegative = 3.0
    """Largest global gradient norm; 0 does not clip."""


class AugmentationRecipe(_Section):
    """How two views of one site come to differ. Intensities are in standard deviations of the channel."""

    crop_scale_min: Positive = 0.7
    """Smallest side of the square that is cut out, as a multiple of `crop_px`."""
    crop_scale_max: Positive = 1.4
    """Largest side of the square, as a multiple of `crop_px`; the field's side bounds it."""
    flips: bool = True
    """Mirror in y and in x, each with probability 1/2."""
    rotations: bool = True
    """Exact rotations by a random multiple of 90 degrees."""
    brightening: NotNegative = 0.0
    """Gain shared by all stains above the field's darkest pixel, 1 + U(0, s)."""
    brightness: NotNegative = 0.0
    """Offset shared by all stains, U(-s, s)."""
    channel_gain: NotNegative = 0.0
    """Gain of each stain for itself, N(1, s)."""
    channel_offset: NotNegative = 0.0
    """Offset of each stain for itself, N(0, s)."""
    channel_drop: Share = 0.0
    """Probability of each stain for itself to be missing, its mean everywhere."""
    noise: NotNegative = 0.0
    """Gaussian noise of each pixel, N(0, s)."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.crop_scale_min > self.crop_scale_max:
            raise ValueError(
                f"crop_scale_min is {self.crop_scale_min}, above crop_scale_max {self.crop_scale_max}; swap them"
            )
        return self


class HeadsRecipe(_Section):
    """The classifier head and the binary heads, on the frozen encoder's embeddings."""

    num_top_doses: Annotated[int, Field(ge=0)] = 3
    """Learn from this many of each treatment's highest doses; 0 takes all."""
    sites_per_class: Annotated[int, Field(ge=0)] = 0
    """Sites of each class to learn from; 0 takes all and balances by weights."""
    hidden_units: Annotated[int, Field(ge=0)] = 0
    """Width of the ReLU layer before the logits; 0 makes the heads linear."""
    dropout: Share = 0.5
    """Dropout after that layer (before the logits when the heads are linear)."""
    learning_rate: Positive = 1e-3
    """Adam's learning rate."""
    weight_decay: NotNegative = 0.2
    """L2 penalty on the kernels."""
    epochs: Count = 300
    """Largest number of passes; training stops early on the validation loss."""
    patience: Count = 30
    """Passes without a better validation loss before it stops."""
    steps: Annotated[int, Field(ge=0)] = 600
    """Least number of optimiser steps before it stops; where `epochs` passes make fewer, more passes are made."""
    refit: bool = True
    """Fit once more on training and validation sites together, for as many passes as were best."""


class ForestRecipe(_Section):
    """The random forest on the embeddings."""

    num_trees: Count = 100
    """Number of trees."""
    min_sites_leaf: Count = 1
    """Fewest sites in a leaf."""


class BaselinesRecipe(_Section):
    """What every result is set beside."""

    encoders: bool = True
    """Fit the untrained and the supervised encoder too; the second trains for as many steps as SimCLR does."""


class CalibrationRecipe(_Section):
    """Prediction sets, and what counts as like the training sites."""

    coverage: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Share of the sites of each treatment whose prediction set holds that treatment."""
    num_neighbours: Count = 10
    """Training sites that the distance of a site is the mean over."""
    max_references: Count = 2000
    """Most training sites kept for the distance; drawn when there are more."""
    false_positive_rate: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Share of the validation sites that are called out of distribution, though they are like those learned from."""


class SplitRecipe(_Section):
    """What is held out, and how much of it where wells or plates are drawn."""

    protocol: Protocol | None = None
    """`leave-experiment-out`, `leave-plate-out`, `leave-one-plate-out`, `leave-well-out` or `reference`.

    By default the first that is possible, never `reference`.
    """
    test_share: Share = 0.4
    """Share of the plates or wells that are tested on where they are drawn."""
    validation_share: Share = 0.2
    """Share of the plates or wells that early stopping looks at where they are drawn."""


class Recipe(_Section):
    """Everything that a run depends on besides the plates."""

    name: str
    """The recipe's name, kept in the manifest."""
    seed: int = 42
    """Seed of every random draw."""
    downsample: Count = 2
    """Integer average pooling of the raw field, the first thing the graph does."""
    encoder: EncoderRecipe = EncoderRecipe()
    projection_head: ProjectionHeadRecipe = ProjectionHeadRecipe()
    simclr: SimclrRecipe = SimclrRecipe()
    augmentation: AugmentationRecipe = AugmentationRecipe()
    heads: HeadsRecipe = HeadsRecipe()
    forest: ForestRecipe = ForestRecipe()
    baselines: BaselinesRecipe = BaselinesRecipe()
    calibration: CalibrationRecipe = CalibrationRecipe()
    split: SplitRecipe = SplitRecipe()

    def changed(self, **top_level: Any) -> "Recipe":
        """The same recipe with some top-level values replaced.

        Raises:
            RecipeError: If the values cannot be used, alone or together.
        """
        return _checked({**self.model_dump(), **top_level}, f"The recipe {self.name!r}, changed so,")

    def with_encoder(self, **values: str | None) -> "Recipe":
        """The same recipe with some of the encoder's values replaced, those that are not None.

        Raises:
            RecipeError: If the values cannot be used, alone or together.
        """
        given = {key: value for key, value in values.items() if value is not None}
        return self.changed(encoder={**self.encoder.model_dump(), **given})


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(
        entry.name.removesuffix(".toml") for entry in _folder().iterdir() if entry.name.endswith(".toml")
    )


def load_recipe(name_or_path: str) -> Recipe:
    """Reads a shipped recipe by its name, or a TOML file by its path.

    Args:
        name_or_path: One of `shipped_recipes()`, or the path of a `.toml` file.

    Returns:
        The checked recipe.

    Raises:
        FileNotFoundError: If neither a shipped recipe nor a file has that name.
        RecipeError: If the file cannot be read or is no TOML, or a key is missing, unknown or out of range.
    """
    if name_or_path in shipped_recipes():
        return _parsed((_folder() / f"{name_or_path}.toml").read_bytes(), name_or_path)
    if not Path(name_or_path).is_file():
        raise FileNotFoundError(
            f"No recipe {name_or_path!r}: expected one of {', '.join(shipped_recipes())}, or the path of a .toml file."
        )
    return _parsed(Path(name_or_path).read_bytes(), name_or_path)


def _parsed(content: bytes, origin: str) -> Recipe:
    try:
        # Some editors begin a file with a byte-order mark.
        values = tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise RecipeError(f"{origin} is not UTF-8: {error}. Save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{origin} is not valid TOML: {error}.") from error
    return _checked(values, origin)


def _checked(values: dict[str, Any], origin: str) -> Recipe:
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        wrong = "; ".join(
            ": ".join(filter(None, (".".join(map(str, found["loc"])), _reason(found))))
            for found in error.errors()
        )
        raise RecipeError(
            f"{origin} cannot be used as a recipe: {wrong}. docs/recipes.md lists every key and its values."
        ) from error


def _reason(found: ErrorDetails) -> str:
    if found["type"] == "extra_forbidden":
        return "no such key"
    is_section = found["type"] == "missing" or isinstance(found["input"], dict)
    received = "" if is_section else f" (received {found['input']!r})"
    message = found["msg"].removeprefix("Value error, ")
    return f"{message[:1].lower()}{message[1:]}{received}"


def _folder() -> Any:
    return resources.files("phenotrain") / "recipes"
