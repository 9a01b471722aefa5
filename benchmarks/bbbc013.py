"""BBBC013 over HTTP: posts every well, and says how negatives, positives and doses come out.

Train and serve a bundle first:

phenotrain run bbbc013 DATA BUNDLE --recipe laptop --held-out HELD_OUT.csv
phenoserve serve BUNDLE &
python benchmarks/bbbc013.py DATA HELD_OUT.csv
"""

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
from rich.progress import track
from sklearn.metrics import roc_auc_score

from phenoclient import Client


def main() -> None:
    """Prints the AUC of held-out wells and the mean probability of "treated" per drug and dose."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("held_out", type=Path)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    arguments = parser.parse_args()
    with (arguments.data / "labels.csv").open(newline="", encoding="utf-8") as file:
        wells = list(csv.DictReader(file))
    with arguments.held_out.open(newline="", encoding="utf-8") as file:
        held_out = {row["well"] for row in csv.DictReader(file)}
    stacks = [[arguments.data / well["gfp_file"], arguments.data / well["dna_file"]] for well in wells]
    with Client(arguments.url) as client:
        control = client.bundle().control
        posted = (client.predict(stack) for stack in track(stacks, "POST /predict"))
        treated = np.array([1 - prediction.probabilities[control] for prediction in posted])
    roles = np.array([well["role"] for well in wells])
    is_held_out = np.array([well["well"] in held_out for well in wells])
    scored = is_held_out & np.isin(roles, ["negative", "positive"])
    auc = roc_auc_score(roles[scored] == "positive", treated[scored])
    counts = {role: int((scored & (roles == role)).sum()) for role in ("negative", "positive")}
    print(f"{len(wells)} wells posted. Held out: {counts}, AUC {auc:.3f}")
    print("| drug | dose | wells | mean P(treated) |\n|---|---|---|---|")
    groups = defaultdict(list)
    for well, probability in zip(wells, treated, strict=True):
        dose = float(well["dose"]) if well["dose"] else float("inf")
        groups[well["series"], dose, well["role"], well["unit"]].append(probability)
    for (series, dose, role, unit), values in sorted(groups.items()):
        what = role if role != "dose" else f"{dose:g} {unit}"
        print(f"| {series} | {what} | {len(values)} | {np.mean(values):.3f} |")


if __name__ == "__main__":
    main()
