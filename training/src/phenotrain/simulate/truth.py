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
        "spec": spec.model_dump(mode="json", exclude=_options_not_used(spec)),
        "package": {"name": _DISTRIBUTION, "version": version(_DISTRIBUTION)},
        "truth": {
            "effects": "truth/truth.csv",
            **_limits_of_the_effect(spec),
            "masks": "truth/{experiment}/Plate{plate}/{well}_s{site}.png",
            "mask_bits": {stain: 1 << channel for channel, stain in enumerate(STAINS)},
            "mask_threshold_grey": dict(zip(STAINS, TRUTH_THRESHOLD_GREY, strict=True)),
        },
    }
    path.write_text(json.dumps(statement, indent=2) + "\n", encoding="utf-8")


def _options_not_used(spec: ScreenSpec) -> set[str]:
    # A screen that uses neither option is, to the last byte, the one that was made before there were options.
    return {
        name
        for name in ("effect", "responding_share")
        if getattr(spec, name) == ScreenSpec.model_fields[name].default
    }


def _limits_of_the_effect(spec: ScreenSpec) -> dict[str, str]:
    if not spec.effect:
        return {"no_effect": "The treatments do nothing here: every image is that of its untreated twin."}
    if spec.responding_share < 1:
        return {
            "responding": f"Only cells in one disc a site respond; it covers {spec.responding_share:g} of the field."
        }
    return {}


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
                effect = f"{effect_size(treatment, dose) if spec.effect else 0.0:.6g}"
                for shift in phenotype.shifts:
                    channel = f"w{STAINS.index(shift.stain) + 1}"
                    place = (shift.stain, channel, shift.parameter, f"{shift.target:g}")
                    writer.writerow((treatment, recorded_dose(dose), effect, *place, phenotype.description))
