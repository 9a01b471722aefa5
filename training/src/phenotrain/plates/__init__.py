"""Reading plates: the metadata table, the images, and what is wrong with either."""

from phenotrain.plates.concentration import snap_concentration
from phenotrain.plates.delimited import read_delimited
from phenotrain.plates.errors import Fault, ImageError, IncompleteSitesError, PlateError, TableError
from phenotrain.plates.files import site_files
from phenotrain.plates.images import decode_image, unmatched_names
from phenotrain.plates.sites import FieldForm, SiteRead, read_site
from phenotrain.plates.table import read_sites

__all__ = [
    "Fault",
    "FieldForm",
    "ImageError",
    "IncompleteSitesError",
    "PlateError",
    "SiteRead",
    "TableError",
    "decode_image",
    "read_delimited",
    "read_site",
    "read_sites",
    "site_files",
    "snap_concentration",
    "unmatched_names",
]
