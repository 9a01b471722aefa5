"""Where the files of each site lie."""

from pathlib import PurePosixPath

import pandas as pd

from phenotrain.datasets import Description
from phenotrain.plates.errors import TableError
from phenotrain.plates.filling import fill_rows, require_columns
from phenotrain.plates.wells import RECORDED_WELL

_KEY = "[images] path"


def site_files(description: Description, sites: pd.DataFrame) -> list[tuple[str, ...]]:
    """Fill the path template for every site, and channel where it says so; `{well}` is as the table writes it.

    A symbolic link under the data root is the owner's own doing and is followed; a *label* that points
    outside (`../`, an absolute path) is refused, since it comes from the table.

    Args:
        description: Its `[images]` section gives the template and the channels.
        sites: Table in the form of `phenotrain.plates.read_sites`.

    Returns:
        For each row of `sites` the paths under the data root, in channel order, with forward slashes; a single one
        where a file holds the whole stack.

    Raises:
        TableError: If a gap of the template names no column, a filled path leaves the data root, or two files
            of the table are the same (a gap such as `{plate}` is missing).
    """
    template = description.images.template
    require_columns(template, [*sites.columns, "channel"], _KEY)
    columns = {name: sites[name].astype("str").tolist() for name in template.fields if name in sites.columns}
    if "well" in columns and RECORDED_WELL in sites:
        columns["well"] = sites[RECORDED_WELL].astype("str").tolist()
    ids = [channel.id for channel in description.images.channels if channel.id is not None]
    by_channel: list[list[str]] = []
    for channel in ids or [""]:
        cells = {**columns, "channel": [channel] * len(sites)}
        by_channel.append(fill_rows(template, cells, len(sites), _KEY))
    files = list(zip(*by_channel, strict=True))
    owner: dict[str, str] = {}
    for site_id, row in zip(sites["site_id"].tolist(), files, strict=True):
        for file in row:
            if not stays_inside(file):
                raise TableError(
                    f"{site_id}: the path {file!r} leaves the data root; correct the labels in the table"
                )
            if file in owner:
                raise TableError(
                    f"{owner[file]} and {site_id} share the file {file!r}; expected files of its own for every"
                    " site. The template [images] path lacks a gap, such as {plate} or {site}"
                )
            owner[file] = site_id
    return files


def stays_inside(path: str) -> bool:
    """Tell whether a path from a table stays under the folder that it is joined to.

    Args:
        path: Relative path; forward and backward slashes both separate.

    Returns:
        False for an absolute path, a drive, a `..` step or a NUL byte.
    """
    pure = PurePosixPath(path.replace("\\", "/"))
    return not (pure.is_absolute() or ".." in pure.parts or "\0" in path or ":" in pure.parts[0])
