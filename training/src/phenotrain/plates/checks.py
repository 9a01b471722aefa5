"""Contradictions that a sites table may hold, and that would silently spoil what is learned from it."""

from collections.abc import Callable, Iterable

import pandas as pd

from phenotrain.datasets import TaskDescription, number_key, spelling_key, two_spellings
from phenotrain.grouping import plate_names
from phenotrain.plates.errors import TableError
from phenotrain.plates.wells import canonical_well

_NUM_SHOWN = 5
_WELL_FACTS = ("experiment", "plate", "well", "cell_type", "treatment", "treatment_conc", "series")


def check_labels(sites: pd.DataFrame, task: TaskDescription, origin: str) -> None:
    """Refuse labels that are one thing under two spellings.

    Two names of one treatment would be two classes, two names of one plate would lie on both sides of a split.

    Args:
        sites: Table in the form of `phenotrain.plates.read_sites`.
        task: Its control and treatments are labels of the table.
        origin: What to call the table in a message.

    Raises:
        TableError: If two treatments, cell types or series differ only in case, blanks or Unicode form; two
            experiments, or two plates of one, only so or in leading zeros; two wells of a plate only so.
    """
    treatments = [task.control, *task.treatments, *sites["treatment"].unique()]
    _require_one_spelling("treatments", treatments, spelling_key, f"{origin} and [task]")
    for column in ("cell_type", "series"):
        if column in sites:
            _require_one_spelling(f"labels in {column}", sites[column].unique(), spelling_key, origin)
    _require_one_spelling("experiments", sites["experiment"].unique(), number_key, origin)
    wells = sites[["experiment", "plate", "well"]].drop_duplicates()
    for experiment, of_experiment in wells.groupby("experiment")["plate"]:
        _require_one_spelling(f"plates of {experiment}", of_experiment.unique(), number_key, origin)
    if any(canonical_well(well) != well for well in wells["well"].unique()):
        for (experiment, plate), of_plate in wells.groupby(["experiment", "plate"])["well"]:
            _require_one_spelling(f"wells of {experiment}, plate {plate},", of_plate, _well_key, origin)


def _well_key(text: str) -> str:
    key = spelling_key(text)
    return canonical_well(key) or key


def _require_one_spelling(what: str, labels: Iterable[str], key: Callable[[str], str], origin: str) -> None:
    pair = two_spellings(labels, key)
    if pair is not None:
        zeros = ", leading zeros" if key is number_key else ""
        raise TableError(
            f"{origin}: the {what} {pair[0]!a} and {pair[1]!a} differ only in case, blanks{zeros} or Unicode form;"
            " expected one spelling for one thing. Correct the labels, or rename one where they are two things"
        )


def check_sites(sites: pd.DataFrame, origin: str) -> None:
    """Refuse a sites table that contradicts itself.

    Args:
        sites: Table in the form of `phenotrain.plates.read_sites`.
        origin: What to call the table in a message.

    Raises:
        TableError: If a `site_id` occurs twice, or a site of a well under two ids, the sites of one well differ
            in plate, position, treatment or dose, one position on a plate has two well ids (sites of one well
            would fall on both sides of a split), or two plates would have one name.
    """
    repeated = sites.loc[sites["site_id"].duplicated(), "site_id"].unique().tolist()
    if repeated:
        raise TableError(
            f"{origin}: {len(repeated)} site_id(s) occur more than once, such as {_some(repeated)}; expected one"
            " row a site. If the ids are derived, two rows share experiment, plate, well and site"
        )
    facts = [fact for fact in _WELL_FACTS if fact in sites]
    distinct = sites.groupby("well_id")[facts].nunique(dropna=False)
    for fact in facts:
        wells = distinct.index[distinct[fact] > 1].tolist()
        if wells:
            raise TableError(
                f"{origin}: the sites of {len(wells)} well(s) differ in {fact}, such as {_some(wells)}; expected"
                " one value a well. Correct the rows or their well_id"
            )
    positions = sites[["well_id", "experiment", "plate", "well"]].drop_duplicates()
    split = positions.loc[positions.duplicated(["experiment", "plate", "well"]), "well_id"].tolist()
    if split:
        raise TableError(
            f"{origin}: {len(split)} position(s) on a plate have more than one well_id, such as {_some(split)};"
            " expected one id for each experiment, plate and well"
        )
    twice = sites.loc[sites.duplicated(["well_id", "site"]), "site_id"].tolist()
    if twice:
        raise TableError(
            f"{origin}: {len(twice)} row(s) repeat the site of a well under another site_id, such as {_some(twice)};"
            " expected one row for each well and site"
        )
    plates = sites[["experiment", "plate"]].drop_duplicates()
    names = plate_names(plates)
    ambiguous = plates[pd.Series(names, plates.index).duplicated(keep=False)]
    if len(ambiguous):
        first, second = (" and ".join(map(repr, row)) for row in ambiguous.to_numpy(dtype=str)[:2])
        raise TableError(
            f"{origin}: experiment and plate {first} read as {second}, {plate_names(ambiguous)[0]!r}; expected a name"
            " of its own for every plate. Rename one experiment"
        )


def _some(values: list[str]) -> str:
    return ", ".join(map(repr, values[:_NUM_SHOWN])) + (", ..." if len(values) > _NUM_SHOWN else "")
