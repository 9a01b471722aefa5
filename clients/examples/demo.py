"""Serves a bundle, posts held-out stacks over HTTP, and prints the answers beside the true treatments.

    python clients/examples/demo.py BUNDLE HELD_OUT.csv ANSWERS_FOLDER

`HELD_OUT.csv` is what `phenotrain run --held-out` writes. Exits with 1 when the accuracy on held-out wells could be
chance.
"""

import csv
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from phenoclient import Client, ServiceUnreachableError

SITES_SHOWN = 2
NUM_PERMUTATIONS = 2000
SIGNIFICANCE = 0.01
console = Console(width=max(Console().width, 100))  # the table is cut below that


@contextmanager
def served(bundle: Path) -> Iterator[Client]:
    """Runs the service on a free port until the block ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = str(Path(sys.executable).with_name("phenoserve"))
    command = [program, "serve", str(bundle), "--port", str(port), "--log-level", "warning"]
    service = subprocess.Popen(command)
    try:
        with Client(f"http://127.0.0.1:{port}") as client:
            wait_until_ready(client, service)
            yield client
    finally:
        service.terminate()
        service.wait(timeout=30)


def wait_until_ready(client: Client, service: subprocess.Popen[bytes]) -> None:
    """Returns once the service has replayed its golden stacks; raises if it ends before."""
    for _ in range(600):
        if service.poll() is not None:
            raise SystemExit(f"The service ended with exit code {service.returncode} before it was ready.")
        with suppress(ServiceUnreachableError):  # until it listens
            if client.ready():
                return
        time.sleep(0.1)
    raise SystemExit("The service was not ready within 60 s.")


def balanced_accuracy(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Mean over the true treatments of the share that was recognised."""
    return float(np.mean([(predicted[truth == name] == name).mean() for name in np.unique(truth)]))


def well_accuracy(sites: list[dict[str, str]], answers: list[dict[str, float]]) -> tuple[float, float, int]:
    """Balanced accuracy over wells, its one-sided permutation p, and the number of wells."""
    wells = sorted({site["well_id"] for site in sites})
    truth_of = {site["well_id"]: site["treatment"] for site in sites}
    names = list(answers[0])
    mean = {well: np.zeros(len(names)) for well in wells}
    for site, answer in zip(sites, answers, strict=True):
        mean[site["well_id"]] += [answer[name] for name in names]
    truth = np.array([truth_of[well] for well in wells])
    predicted = np.array([names[int(mean[well].argmax())] for well in wells])
    observed = balanced_accuracy(truth, predicted)
    rng = np.random.default_rng(0)
    as_good = sum(
        balanced_accuracy(rng.permutation(truth), predicted) >= observed for _ in range(NUM_PERMUTATIONS)
    )
    return observed, (1 + as_good) / (1 + NUM_PERMUTATIONS), len(wells)


def examples(sites: list[dict[str, str]]) -> list[int]:
    """The first sites of every treatment, of different wells."""
    chosen: list[int] = []
    for treatment in sorted({site["treatment"] for site in sites}):
        seen: set[str] = set()
        for index, site in enumerate(sites):
            if site["treatment"] == treatment and site["well_id"] not in seen and len(seen) < SITES_SHOWN:
                seen.add(site["well_id"])
                chosen.append(index)
    return chosen


def main(bundle: Path, held_out: Path, out: Path) -> int:
    """Posts every held-out site to /predict, and a few to /embed and /explain."""
    with held_out.open(newline="", encoding="utf-8") as file:
        sites = list(csv.DictReader(file))
    out.mkdir(parents=True, exist_ok=True)
    shutil.copy(bundle / "report" / "report.html", out / "report.html")
    files = [[Path(path) for path in json.loads(site["files"])] for site in sites]
    stacks = [of_site if len(of_site) > 1 else of_site[0] for of_site in files]  # one file is a whole stack
    table = Table(
        "site",
        "true treatment",
        "dose",
        "predicted",
        "probability",
        "forest",
        title="Held-out sites over HTTP",
    )
    with served(bundle) as client:
        simulated = client.bundle().manifest["provenance"]["dataset"]["simulated"]
        predictions = [client.predict(stack) for stack in track(stacks, "POST /predict", console=console)]
        embeddings = []
        for index in track(examples(sites), "POST /embed, /explain", console=console):
            site, prediction = sites[index], predictions[index]
            embeddings.append(client.embed(stacks[index]).embedding)
            (out / f"overlay_{site['treatment']}_{site['site_id']}.png").write_bytes(
                client.explain_overlay(stacks[index])
            )
            probability = f"{prediction.prediction.probability:.2f}"
            forest = prediction.forest
            table.add_row(
                site["site_id"],
                site["treatment"],
                site["treatment_conc"],
                prediction.prediction.treatment,
                probability,
                f"{forest.treatment} {forest.probability:.2f}",
            )
    np.save(out / "embeddings.npy", np.stack(embeddings))
    with (out / "predictions.jsonl").open("w", encoding="utf-8") as file:
        for site, prediction in zip(sites, predictions, strict=True):
            answer = {
                "site_id": site["site_id"],
                "treatment": site["treatment"],
                **dict(prediction.probabilities),
            }
            file.write(json.dumps(answer) + "\n")
    console.print(table)
    accuracy, p, num_wells = well_accuracy(
        sites, [dict(prediction.probabilities) for prediction in predictions]
    )
    chance = 1 / len({site["treatment"] for site in sites})
    kind = "simulated " if simulated else ""
    console.print(
        f"{num_wells} held-out {kind}wells: balanced accuracy {accuracy:.2f}, "
        f"chance {chance:.2f}, permutation p {p:.4f}"
    )
    console.print(f"Overlays, predictions, embeddings and report: {out}")
    if p >= SIGNIFICANCE:
        console.print("The held-out accuracy is at chance; something is wrong.", style="red")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*(Path(argument) for argument in sys.argv[1:4])))
