"""Batch effect: how well a control well's plate and experiment can be told from its profile."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from phenotrain.profiles.correction import MIN_CONTROLS, Batch, fit_correction, num_controls, reference_rows
from phenotrain.profiles.draws import correct_left_out
from phenotrain.profiles.wells import WellProfiles

NUM_FOLDS: Final = 5
NUM_RESAMPLES: Final = 999
NUM_COMPONENTS: Final = 32
BATCH_EFFECT_COLUMNS: Final = (
    *("predicted", "profiles", "num_wells", "num_classes", "chance"),
    *("balanced_accuracy", "interval_low", "interval_high"),
)


def batch_predictability(
    wells: WellProfiles, batch: Batch, *, max_components: int | None = None, seed: int = 0
) -> pd.DataFrame:
    """Predict plate and experiment from controls by logistic regression, before and after correction.

    Cross-validation over wells, stratified by plate. A correction fitted on the wells that are predicted would push
    the result below chance: the mean of a plate's references is zero, so a held-out one points away from the others.
    So in every fold the correction is fitted on the other folds' controls alone and applied to the held-out ones as it
    would be to any treated well; the classifier learns from the other folds' controls, each corrected by the rest.

    All controls count as training controls here, whatever their role.

    The classifier sees the first `NUM_COMPONENTS` principal components and their squares. On the components alone a
    correction by plate would be at chance whatever it leaves, since every plate's controls then have the same mean; the
    squares show differences in spread. Neither sees the error of a plate's centre, which the wells share that were no
    references of it; the p-values of activity and similarity allow for that by drawing pseudo-treatments.

    Args:
        wells: Well profiles of the screen; only controls of plates with `MIN_CONTROLS` of them are used.
        batch: What the correction takes for a batch.
        max_components: As for `fit_correction`.
        seed: Seed of the folds and of the bootstrap.

    Returns:
        The columns `BATCH_EFFECT_COLUMNS`, a row for each of `plate` and `experiment` as `predicted` (where there are
        two or more with `MIN_CONTROLS` controls) and of `raw` and `corrected` as `profiles` (where enough controls
        remain in a fold). The interval is the 95 % percentile interval of wells drawn with replacement within classes.
    """
    chosen = wells.take(wells.is_control & (num_controls(wells, "plate") >= MIN_CONTROLS))
    # Were only some of the controls training wells, the shared part would fit these better than the others, and the
    # classifier would tell the sides of the split apart instead of the batches.
    controls = WellProfiles(chosen.wells.assign(role="train"), chosen.profiles)
    plates = controls.wells["plate_name"].to_numpy(dtype=str)
    per_plate = np.unique(plates, return_counts=True)[1]
    if len(per_plate) < 2:
        return pd.DataFrame([], columns=list(BATCH_EFFECT_COLUMNS))
    splitter = StratifiedKFold(min(NUM_FOLDS, *per_plate), shuffle=True, random_state=seed)
    folds = list(splitter.split(np.zeros(len(plates)), plates))
    targets = {"plate": plates, "experiment": controls.wells["experiment"].to_numpy(dtype=str)}
    spaces = {"raw": list(_raw(controls, folds))}
    if _can_correct(controls, batch, folds):
        spaces["corrected"] = list(_corrected(controls, folds, batch, max_components))
    rows = []
    for target, labels in targets.items():
        classes = np.unique(labels)
        if len(classes) < 2:
            continue
        for space, pairs in spaces.items():
            is_right = _predicted(labels, folds, pairs) == labels
            found = _balanced_accuracy(is_right, labels, seed)
            rows.append((target, space, len(labels), len(classes), 1 / len(classes), *found))
    return pd.DataFrame(rows, columns=list(BATCH_EFFECT_COLUMNS))


def _raw(
    controls: WellProfiles, folds: list[tuple[np.ndarray, np.ndarray]]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for fitted, held_out in folds:
        yield controls.profiles[fitted], controls.profiles[held_out]


def _corrected(
    controls: WellProfiles,
    folds: list[tuple[np.ndarray, np.ndarray]],
    batch: Batch,
    max_components: int | None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for fitted, held_out in folds:
        others = controls.take(fitted)
        correction = fit_correction(others, batch, max_components=max_components)
        yield correct_left_out(others, correction), correction.apply(controls.take(held_out))


def _can_correct(controls: WellProfiles, batch: Batch, folds: list[tuple[np.ndarray, np.ndarray]]) -> bool:
    names = controls.batches(batch)
    return all(
        all(len(rows) >= MIN_CONTROLS for rows in reference_rows(controls.take(fitted), batch).values())
        and set(names[fitted]) == set(names)
        for fitted, _ in folds
    )


def _predicted(
    labels: np.ndarray,
    folds: list[tuple[np.ndarray, np.ndarray]],
    pairs: list[tuple[np.ndarray, np.ndarray]],
) -> np.ndarray:
    predicted = np.empty(len(labels), dtype=labels.dtype)
    for (fitted, held_out), (profiles, of_held_out) in zip(folds, pairs, strict=True):
        components = PCA(
            min(NUM_COMPONENTS, len(profiles) - 1, profiles.shape[1]), svd_solver="randomized", random_state=0
        )
        reduced = make_pipeline(StandardScaler(), components, StandardScaler()).fit(profiles)
        classifier = make_pipeline(
            StandardScaler(), LogisticRegression(class_weight="balanced", C=0.01, tol=1e-3, max_iter=5000)
        )
        classifier.fit(_with_squares(reduced.transform(profiles)), labels[fitted])
        predicted[held_out] = classifier.predict(_with_squares(reduced.transform(of_held_out)))
    return predicted


def _with_squares(values: np.ndarray) -> np.ndarray:
    return np.concatenate([values, values**2], axis=1)


def _balanced_accuracy(is_right: np.ndarray, labels: np.ndarray, seed: int) -> tuple[float, float, float]:
    _, class_of, num_wells = np.unique(labels, return_inverse=True, return_counts=True)
    recall = np.bincount(class_of, weights=is_right) / num_wells
    # Wells drawn with replacement within a class: the number that is right among them is binomial.
    drawn = np.random.default_rng(seed).binomial(num_wells, recall, (NUM_RESAMPLES, len(recall))) / num_wells
    low, high = np.quantile(drawn.mean(axis=1), [0.025, 0.975])
    return float(recall.mean()), float(low), float(high)
