"""Train, validation and test sites that share no well, no plate or no experiment.

A random split by site puts sites of one well on both sides and lets a model recognise the well, the plate
or the staining batch; what it scores then says little about the treatment.
"""

from phenotrain.splits.controls import (
    WithoutControls,
    controls_only_plates,
    left_out_plates,
    some_plates,
    without_controls_text,
)
from phenotrain.splits.dealing import ROLES, UNUSED, Role
from phenotrain.splits.learnable import learnable_roles
from phenotrain.splits.notes import notes_of
from phenotrain.splits.protocols import DEFAULT_ORDER, MIN_PLATES_TO_LEAVE_OUT, PROTOCOLS, Protocol
from phenotrain.splits.split import NOTED, Split, fold_splits, split_sites

__all__ = [
    "DEFAULT_ORDER",
    "MIN_PLATES_TO_LEAVE_OUT",
    "NOTED",
    "PROTOCOLS",
    "ROLES",
    "UNUSED",
    "Protocol",
    "Role",
    "Split",
    "WithoutControls",
    "controls_only_plates",
    "fold_splits",
    "learnable_roles",
    "left_out_plates",
    "notes_of",
    "some_plates",
    "split_sites",
    "without_controls_text",
]
