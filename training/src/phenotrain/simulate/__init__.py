"""A simulated screen in the layout of RxRx2, with the truth written beside the images."""

from phenotrain.simulate.phenotypes import PHENOTYPES, Phenotype, Shift, effect_size
from phenotrain.simulate.screen import simulate_screen
from phenotrain.simulate.spec import CONTROL, DOSE_LADDER, STAINS, ScreenSpec
from phenotrain.simulate.truth import STATEMENT, STATEMENT_FILE

__all__ = [
    "CONTROL",
    "DOSE_LADDER",
    "PHENOTYPES",
    "STAINS",
    "STATEMENT",
    "STATEMENT_FILE",
    "Phenotype",
    "ScreenSpec",
    "Shift",
    "effect_size",
    "simulate_screen",
]
