"""Train, validation and test sites that share no well, no plate or no experiment.

A random split by site puts sites of one well on both sides and lets a model recognise the well, the plate
or the staining batch; what it scores then says little about the treatment.
"""

from phenotrain.splits.dealing import ROLES, UNUSED, Role
from phenotrain.splits.learnable import learnable_roles
from phenotrain.splits.protocols import MIN_PLATES_TO_LEAVE_OUT, PROTOCOLS, Protocol
from phenotrain.splits.split import Split, fold_splits, split_sites

__all__ = [
    "MIN_PLATES_TO_LEAVE_OUT",
    "PROTOCOLS",
    "ROLES",
    "UNUSED",
    "Protocol",
    "Role",
    "Split",
    "fold_splits",
    "learnable_roles",
    "split_sites",
]
