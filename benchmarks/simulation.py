"""How well simple statistics tell the simulated treatments apart on an experiment they were not fitted on.

    python benchmarks/simulation.py [--screen FOLDER] [--seed 3] [--downsample 2] [--montage FILE]

Simulates a screen of the demo's size into a temporary folder (or reads the one given), pools and standardises
every stain as the exported graph does, and prints balanced accuracies as a Markdown table.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pandas as pd
from scipy import ndimage
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from phenotrain.simulate import CONTROL, PHENOTYPES, STAINS, ScreenSpec, simulate_screen
from phenotrain.simulate.layout import SitePlan
from phenotrain.simulate.render import render_site

DEMO_SPEC = ScreenSpec(seed=3, field_px=256, doses=(0.1, 0.01, 0.001), control_wells=9)
"""A screen of 1008 sites: the top three doses, and 9 controls a plate."""

Array = np.ndarray[Any, Any]
Row = tuple[float, float, dict[float, float], float]

BAND_EDGES_PX = (0.7, 1.4, 2.8, 5.6)
REAL_MEAN_GREY = (3.6, 15.7, 8.1, 8.9, 1.8, 11.3)
REAL_STD_GREY = (6.0, 14.0, 3.8, 7.3, 1.7, 6.4)
"""RxRx2's channel statistics in grey levels."""


def read_stack(screen: Path, row: Any) -> Array:
    """Read a site's six images, `(channel, y, x)` uint8."""
    folder = screen / "images" / row.experiment / f"Plate{row.plate}"
    paths = [folder / f"{row.well}_s{row.site}_w{channel}.png" for channel in range(1, len(STAINS) + 1)]
    return np.stack([imagecodecs.png_decode(path.read_bytes()) for path in paths])


def pool(stack: Array, downsample: int) -> Array:
    """Average pooling, `(channel, y, x)` to `(channel, y / downsample, x / downsample)` float32."""
    channels, height, width = stack.shape
    blocks = stack.reshape(channels, height // downsample, downsample, width // downsample, downsample)
    return blocks.mean(axis=(2, 4), dtype=np.float32)


def texture(pooled: Array) -> Array:
    """Band-pass energies and skewnesses by stain, and correlations between stains by band.

    Each stain is standardised first, so neither its gain nor its background is left.
    """
    mean = pooled.mean(axis=(1, 2), keepdims=True)
    standard = (pooled - mean) / (pooled.std(axis=(1, 2), keepdims=True) + 1e-6)
    levels = [standard] + [ndimage.gaussian_filter(standard, (0, edge, edge)) for edge in BAND_EDGES_PX]
    features = []
    pairs = np.array(list(combinations(range(len(STAINS)), 2)))
    for finer, coarser in pairwise(levels):
        band = (finer - coarser).reshape(len(STAINS), -1)
        spread = band.std(axis=1)
        features += [np.log(spread), np.cbrt((band**3).mean(axis=1)) / spread]
        features.append(np.corrcoef(band)[pairs[:, 0], pairs[:, 1]])
    return np.concatenate(features)


def describe(screen: Path, downsample: int) -> tuple[pd.DataFrame, Array, Array, Array]:
    """Read a screen: its table, the texture `(site, feature)`, and raw means and spreads `(site, stain)`."""
    sites = pd.read_csv(screen / "metadata.csv")
    stacks = [read_stack(screen, row) for row in sites.itertuples()]
    textures = np.stack([texture(pool(stack, downsample)) for stack in stacks])
    means = np.stack([stack.mean(axis=(1, 2)) for stack in stacks])
    spreads = np.stack([stack.std(axis=(1, 2)) for stack in stacks])
    return sites, textures, means, spreads


def match_to_plate(sites: pd.DataFrame, features: Array) -> Array:
    """Express every site in standard deviations from the control sites of its own plate."""
    matched = np.empty_like(features, dtype=np.float64)
    for rows in sites.groupby(["experiment", "plate"]).indices.values():
        controls = features[rows][sites["treatment"].to_numpy()[rows] == CONTROL]
        matched[rows] = (features[rows] - controls.mean(axis=0)) / (controls.std(axis=0) + 1e-6)
    return matched


def accuracies(sites: pd.DataFrame, features: Array) -> tuple[float, float, dict[float, float]]:
    """Fit on the first experiment, test on the others: balanced accuracy by site and by well."""
    held_out = (sites["experiment"] != "HUVEC-1").to_numpy()
    treatment = sites["treatment"].to_numpy()
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.05, class_weight="balanced", max_iter=2000)
    ).fit(features[~held_out], treatment[~held_out])
    probabilities = pd.DataFrame(model.predict_proba(features[held_out]), columns=model.classes_)
    by_site = balanced_accuracy_score(treatment[held_out], probabilities.idxmax(axis=1))
    wells = sites[held_out].reset_index(drop=True)
    grouped = probabilities.groupby(wells["well_id"]).mean()
    truth = wells.groupby("well_id")["treatment"].first()
    by_well = balanced_accuracy_score(truth[grouped.index], grouped.idxmax(axis=1))
    per_dose = {}
    for dose, group in wells.groupby("treatment_conc"):
        ids = group["well_id"].unique()
        per_dose[dose] = float((grouped.loc[ids].idxmax(axis=1) == truth[ids]).mean())
    return float(by_site), float(by_well), per_dose


def plate_accuracy(sites: pd.DataFrame, features: Array) -> float:
    """Tell the plate of untreated wells: fitted on every other one, tested on the rest."""
    controls = (sites["treatment"] == CONTROL).to_numpy()
    plate = (sites["experiment"] + "-" + sites["plate"].astype(str)).to_numpy()[controls]
    order = (
        sites[controls]
        .groupby(["experiment", "plate"])["well_id"]
        .transform(lambda ids: pd.factorize(ids)[0])
    )
    fitted = (order % 2 == 0).to_numpy()
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=2000))
    model.fit(features[controls][fitted], plate[fitted])
    return float(balanced_accuracy_score(plate[~fitted], model.predict(features[controls][~fitted])))


def measure(screen: Path, downsample: int) -> tuple[dict[str, Row], Array, Array]:
    """Everything the table shows, by row: accuracy by site, by well, per dose, and of telling the plate."""
    sites, textures, means, spreads = describe(screen, downsample)
    kinds = {
        "texture, plate-matched": match_to_plate(sites, textures),
        "texture, not matched": textures,
        "mean intensities, plate-matched": match_to_plate(sites, means),
        "mean intensities, not matched": means,
    }
    rows = {
        name: (*accuracies(sites, features), plate_accuracy(sites, features))
        for name, features in kinds.items()
    }
    return rows, means[sites["treatment"] == CONTROL], spreads[sites["treatment"] == CONTROL]


def montage(path: Path, seed: int, field_px: int = 160) -> None:
    """Draw one field untreated and with each treatment at the highest dose: a row each, a column a stain."""
    white = np.array([40, 85, 32, 45, 12, 42]).reshape(-1, 1, 1)
    plans = [SitePlan(1, 1, 3, 5, 1, name, 0.1) for name in (CONTROL, *PHENOTYPES)]
    stacks = [np.clip(render_site(seed, field_px, plan).stack / white, 0, 1) for plan in plans]
    image = np.concatenate([np.concatenate(list(stack), axis=1) for stack in stacks])
    path.write_bytes(imagecodecs.png_encode((255 * image).astype(np.uint8), level=9))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--screen", type=Path, help="a simulated screen; by default one is made")
    parser.add_argument("--seed", type=int, default=DEMO_SPEC.seed)
    parser.add_argument("--downsample", type=int, default=2)
    parser.add_argument("--montage", type=Path, help="PNG to draw, in place of the tables")
    options = parser.parse_args()
    if options.montage is not None:
        montage(options.montage, options.seed)
        return
    with tempfile.TemporaryDirectory() as folder:
        screen = options.screen or Path(folder) / "screen"
        if options.screen is None:
            spec = DEMO_SPEC.model_copy(update={"seed": options.seed})
            start, used = time.perf_counter(), sum(os.times()[:4])
            simulate_screen(screen, spec)
            print(
                f"{spec.num_sites} sites of {spec.field_px} px in {time.perf_counter() - start:.0f} s, "
                f"{sum(os.times()[:4]) - used:.0f} s of CPU\n"
            )
        rows, means, spreads = measure(screen, options.downsample)
    print("| statistics | site | well | well, by dose | plate of untreated sites |\n|---|---|---|---|---|")
    for name, (by_site, by_well, per_dose, plate) in rows.items():
        doses = ", ".join(
            f"{dose:.0e}: {value:.2f}" for dose, value in sorted(per_dose.items(), reverse=True)
        )
        print(f"| {name} | {by_site:.2f} | {by_well:.2f} | {doses} | {plate:.2f} |")
    print("\n| stain | mean | real | std | real |\n|---|---|---|---|---|")
    for channel, stain in enumerate(STAINS):
        print(
            f"| {stain} | {means[:, channel].mean():.1f} | {REAL_MEAN_GREY[channel]} "
            f"| {spreads[:, channel].mean():.1f} | {REAL_STD_GREY[channel]} |"
        )


if __name__ == "__main__":
    main()
