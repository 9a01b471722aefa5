"""What a screen says of itself: that it is simulated, what its masks mean, and every treatment's effects."""

from __future__ import annotations

import csv
import json
from importlib.metadata import version
from pathlib import Path
from typing import Final

from phenotrain.simulate.layout import recorded_dose
from phenotrain.simulate.phenotypes import PHENOTYPES, effect_size
from phenotrain.simulate.render import TRUTH_THRESHOLD_GREY
from phenotrain.simulate.spec import STAINS, ScreenSpec

STATEMENT_FILE: Final = "SIMULATED.json"
"""The file at the root of a screen that says it is simulated, and how to make it again."""

STATEMENT: Final = (
    "These images, plates and treatments are simulated. No cell, drug or microscope was involved; the "
    "phenotypes are invented and are not the biology of interferons. Results on them say whether software "
    "works, nothing more."
)

EFFECT_COLUMNS: Final = (
    "treatment",
    "treatment_conc",
    "effect",
    "stain",
    "channel",
    "parameter",
    "target",
    "description",
)
"""The columns of `truth/truth.csv`: one row a treatment, dose and parameter that it moves."""

_DISTRIBUTION: Final = "phenoserve-training"


def write_statement(path: Path, spec: ScreenSpec) -> None:
    """Write the statement that a screen is simulated, with all that is needed to make it again.

    Args:
        path: File to write, named `STATEMENT_FILE`.
        spec: The screen.
    """
    statement = {
        "simulated": True,
        "statement": STATEMENT,
        "seed": spec.seed,
        "spec": spec.model_dump(mode="json"),
        "package": {"name": _DISTRIBUTION, "version": version(_DISTRIBUTION)},
        "truth": {
            "effects": "truth/truth.csv",
            "masks": "truth/{experiment}/Plate{plate}/{well}_s{site}.png",
            "mask_bits": {stain: 1 << channel for channel, stain in enumerate(STAINS)},
            "mask_threshold_grey": dict(zip(STAINS, TRUTH_THRESHOLD_GREY, strict=True)),
        },
    }
    path.write_text(json.dumps(statement, indent=2) + "\n", encoding="utf-8")


def write_effects(path: Path, spec: ScreenSpec) -> None:
    """Write the size and place of every treatment's effect at every dose.

    Args:
        path: File to write.
        spec: The screen.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(EFFECT_COLUMNS)
        for treatment in spec.treatments:
            phenotype = PHENOTYPES[treatment]
            for dose in spec.doses:
                effect = f"{effect_size(treatment, dose):.6g}"
                for shift in phenotype.shifts:
                    channel = f"w{STAINS.index(shift.stain) + 1}"
                    place = (shift.stain, channel, shift.parameter, f"{shift.target:g}")
                    writer.writerow((treatment, recorded_dose(dose), effect, *place, phenotype.description))
