"""Do a bundle's maps find a treatment that acts in one place? Asked on a screen where the place is known.

The screen is simulated for this: fields of 512 pixels at the top dose, in which only the cells in one disc respond, a
fifth of each field. The bundle must know the simulation's treatments, as one of the demo does:

python benchmarks/faithfulness.py demo/bundle
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from rich.progress import track
from scipy.special import softmax

from phenoserve.bundle import Bundle, read_bundle
from phenoserve.engine import Graph
from phenotrain.cache import FieldCache, build_cache
from phenotrain.datasets import load_description
from phenotrain.explain.collect import explain_findings
from phenotrain.explain.findings import ExplanationFindings
from phenotrain.labelled import Task
from phenotrain.report.explanation import estimate_text, verdicts
from phenotrain.simulate import CONTROL, DOSE_LADDER, PHENOTYPES, ScreenSpec, simulate_screen

FIELD_PX = 512
RESPONDING_SHARE = 0.2


def main() -> None:
    """Prints pointing game, relevance mass, foreground share and stain agreement, each with its interval."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument(
        "--seed", type=int, default=100, help="of the screen; another one than the bundle learned from"
    )
    parser.add_argument("--sites", type=int, default=24, help="sites a treatment, each of a well of its own")
    parser.add_argument("--json", type=Path, help="file to write all numbers to")
    arguments = parser.parse_args()
    bundle = read_bundle(arguments.bundle)
    treated = tuple(name for name in bundle.manifest.treatments if name in PHENOTYPES)
    if not treated:
        parser.error(f"{arguments.bundle} knows none of the simulation's treatments: {', '.join(PHENOTYPES)}")
    with tempfile.TemporaryDirectory() as folder:
        cache = companion(Path(folder), treated, bundle, arguments.seed, arguments.sites)
        findings = explain(cache, bundle, arguments.seed, arguments.sites)
    show(findings)
    if arguments.json:
        arguments.json.write_text(json.dumps(findings.to_json(), indent=2) + "\n", encoding="utf-8")


def companion(
    folder: Path, treated: tuple[str, ...], bundle: Bundle, seed: int, num_sites: int
) -> FieldCache:
    """Simulates the screen and pools it as the bundle does; a treatment's wells lie on two plates."""
    spec = ScreenSpec(
        seed=seed,
        field_px=FIELD_PX,
        num_experiments=1,
        doses=DOSE_LADDER[:1],
        treatments=treated,
        wells_per_treatment=-(-num_sites // 2),
        control_wells=max(8, num_sites // 2),
        sites_per_well=1,
        responding_share=RESPONDING_SHARE,
    )
    simulate_screen(folder / "screen", spec)
    downsample = bundle.manifest.input.downsample
    return build_cache(load_description("rxrx2"), folder / "screen", folder / "cache", downsample=downsample)


def explain(cache: FieldCache, bundle: Bundle, seed: int, num_sites: int) -> ExplanationFindings:
    """Judges the maps of every site; the bundle has seen none of them, so all are test sites."""
    task = Task(CONTROL, bundle.manifest.treatments)
    model_onnx = bundle.read_model()
    graph = Graph.load(model_onnx, device="cpu")
    stacks = (cache.read_raw(row)[np.newaxis].astype(np.float32) for row in range(len(cache)))
    logits = [graph.run(stack)["logits"][0] for stack in track(stacks, "Predicting", total=len(cache))]
    roles = np.full(len(cache), "test")
    probabilities = softmax(np.array(logits, dtype=np.float64), axis=1)
    return explain_findings(
        None, model_onnx, cache, roles, task, probabilities, num_top_doses=3, seed=seed, num_sites=num_sites
    )


def show(findings: ExplanationFindings) -> None:
    """Prints the findings as a table of Markdown, and what they mean."""
    print(f"{findings.num_sites} sites, {findings.num_right} of them classified right (simulated data)")
    print("| sites | pointing game | random cell | mass / area |\n|---|---|---|---|")
    for name, found in (("all", findings.truth), ("classified right", findings.truth_right)):
        if found is not None:
            texts = (found.pointing.hits, found.pointing.chance, found.inside.ratio)
            print(f"| {name} | {' | '.join(estimate_text(text) for text in texts)} |")
    for name in ("truth", "foreground", "stains"):
        print(f"\n{verdicts(findings)[name]}")


if __name__ == "__main__":
    main()
