"""Train, validation and test sites that share no well, no plate or no experiment.

A random split by site puts sites of one well on both sides and lets a model recognise the well, the plate
or the staining batch; what it scores then says little about the treatment.
"""

from phenotrain.splits.dealing import ROLES, Role
from phenotrain.splits.protocols import MIN_PLATES_TO_LEAVE_OUT, Protocol
from phenotrain.splits.split import Split, split_sites

__all__ = ["MIN_PLATES_TO_LEAVE_OUT", "ROLES", "Protocol", "Role", "Split", "split_sites"]
