"""The table of held-out sites with what is predicted of them."""

import json

import numpy as np
import pandas as pd

from phenotrain.cache import FieldCache
from phenotrain.evaluate import ModelPredictions
from phenotrain.task import Task


def held_out_table(
    cache: FieldCache,
    roles: np.ndarray,
    task: Task,
    classifier: ModelPredictions,
    *,
    fold: str | None = None,
) -> pd.DataFrame:
    """List the test sites of the learned treatments and the control, with what the classifier says of each.

    Args:
        cache: Its sites table is used, and where the files lie.
        roles: Role of every site, `(num_sites,)`.
        task: Treatments and control.
        classifier: Predictions of every site.
        fold: Name of the fold that tested the sites, where there may be several.

    Returns:
        One row a site: the columns of the sites table; `files`, a JSON list; `fold` where one is named; `predicted`;
        `p_NAME` of every class, summing to 1; `versus_control_NAME` of every treatment, its probability against the
        control alone, where the model gives one. A column of the table under one of these names is `recorded_...`.
    """
    known = cache.sites["treatment"].isin(task.treatments).to_numpy(dtype=bool)
    rows = np.flatnonzero((roles == "test") & known)
    probabilities = classifier.probabilities[rows]
    columns: dict[str, object] = {
        "files": [json.dumps([str(path.resolve()) for path in cache.files(int(row))]) for row in rows],
        **({} if fold is None else {"fold": fold}),
        "predicted": np.array(task.treatments)[probabilities.argmax(axis=1)],
        **{f"p_{name}": probabilities[:, index] for index, name in enumerate(task.treatments)},
    }
    if classifier.versus_control is not None:
        for index, name in enumerate(task.treated):
            columns[f"versus_control_{name}"] = classifier.versus_control[rows, index]
    table = cache.sites.iloc[rows].reset_index(drop=True)
    table = table.rename(columns={name: f"recorded_{name}" for name in columns if name in table})
    return table.assign(**columns)
