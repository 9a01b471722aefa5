"""Dataset descriptions: small TOML files that tell the one plate reader where things lie."""

from phenotrain.datasets.description import (
    COLUMNS,
    Channel,
    Column,
    Description,
    ImagesDescription,
    TableDescription,
    TaskDescription,
)
from phenotrain.datasets.errors import DescriptionError
from phenotrain.datasets.loading import load_description, parse_description, shipped_names
from phenotrain.datasets.spelling import number_key, spelling_key, two_spellings
from phenotrain.datasets.template import Template

__all__ = [
    "COLUMNS",
    "Channel",
    "Column",
    "Description",
    "DescriptionError",
    "ImagesDescription",
    "TableDescription",
    "TaskDescription",
    "Template",
    "load_description",
    "number_key",
    "parse_description",
    "shipped_names",
    "spelling_key",
    "two_spellings",
]
