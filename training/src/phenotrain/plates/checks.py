"""Contradictions that a sites table may hold, and that would silently spoil what is learned from it."""

import pandas as pd

from phenotrain.plates.errors import TableError

_NUM_SHOWN = 5
_WELL_FACTS = ("experiment", "plate", "well", "cell_type", "treatment", "treatment_conc")


def check_sites(sites: pd.DataFrame, origin: str) -> None:
    """Refuse a sites table that contradicts itself.

    Args:
        sites: Table in the form of `phenotrain.plates.read_sites`.
        origin: What to call the table in a message.

    Raises:
        TableError: If a `site_id` occurs twice, the sites of one well differ in plate, position, treatment or
            dose, or one position on a plate has two well ids (sites of one well would fall on both sides of a
            split).
    """
    repeated = sites.loc[sites["site_id"].duplicated(), "site_id"].unique().tolist()
    if repeated:
        raise TableError(
            f"{origin}: {len(repeated)} site_id(s) occur more than once, such as {_some(repeated)};"
            " expected one row a"
            " site. If the ids are derived, two rows share experiment, plate, well and site"
        )
    distinct = sites.groupby("well_id")[list(_WELL_FACTS)].nunique(dropna=False)
    for fact in _WELL_FACTS:
        wells = distinct.index[distinct[fact] > 1].tolist()
        if wells:
            raise TableError(
                f"{origin}: the sites of {len(wells)} well(s) differ in {fact}, such as {_some(wells)};"
                " expected one"
                " value a well. Correct the rows or their well_id"
            )
    positions = sites[["well_id", "experiment", "plate", "well"]].drop_duplicates()
    split = positions.loc[positions.duplicated(["experiment", "plate", "well"]), "well_id"].tolist()
    if split:
        raise TableError(
            f"{origin}: {len(split)} position(s) on a plate have more than one well_id, such as"
            f" {_some(split)};"
            " expected one id for each experiment, plate and well"
        )


def _some(values: list[str]) -> str:
    return ", ".join(map(repr, values[:_NUM_SHOWN])) + (", ..." if len(values) > _NUM_SHOWN else "")
