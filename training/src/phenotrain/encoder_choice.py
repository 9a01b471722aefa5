"""Which encoder a bundle holds: the trained one, or that of the initial weights where it does better."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from phenotrain.two_heads import HeldOut

Encoder = Literal["trained", "untrained"]

_LEAST_PROBABILITY: Final = 1e-6


@dataclass(frozen=True)
class Candidate:
    """How well an encoder's heads answer labelled sites that they never saw; every class counts alike.

    Attributes:
        balanced_accuracy: Mean over classes of the share of the class's sites that is right.
        log_loss: Mean over classes of the mean of minus the logarithm of the true class's probability.
        num_sites: Labelled sites, none of them a test site.
    """

    balanced_accuracy: float
    log_loss: float
    num_sites: int


@dataclass(frozen=True)
class EncoderChoice:
    """The encoder that is exported, and what it was chosen by.

    Attributes:
        exported: Which one.
        candidates: What each was measured at; empty where there was no choice.
    """

    exported: Encoder
    candidates: Mapping[Encoder, Candidate]

    @property
    def text(self) -> str:
        """Say which encoder it is, and by what figures it was chosen."""
        said = f"The exported encoder is the {self.exported} one"
        if not self.candidates:
            return f"{said}."
        chosen, other = (self.candidates[name] for name in (self.exported, other_encoder(self.exported)))
        return (
            f"{said}, chosen on {chosen.num_sites} labelled sites of training and validation, answered by heads that "
            f"had not seen them: log loss {chosen.log_loss:.2f} against {other.log_loss:.2f} of the "
            f"{other_encoder(self.exported)} one, balanced accuracy {chosen.balanced_accuracy:.2f} against "
            f"{other.balanced_accuracy:.2f}."
        )


def choose_encoder(
    held_out: Mapping[Encoder, HeldOut], labels: np.ndarray, treatments: Sequence[str]
) -> EncoderChoice:
    """Choose the encoder whose heads answer labelled sites with the smaller log loss.

    Log loss rather than accuracy: of a dozen sites several encoders get the same number right.

    Args:
        held_out: What heads on each encoder's embeddings say of sites that they never saw.
        labels: Treatment of every site of the screen, `(num_sites,)`; only those of the held-out rows are looked at.
        treatments: Classes in logit order.

    Returns:
        The choice; the trained encoder where both do alike.
    """
    index_of = {name: index for index, name in enumerate(treatments)}
    candidates = {
        name: _measured(found.probabilities, np.array([index_of[label] for label in labels[found.rows]]))
        for name, found in held_out.items()
    }
    is_worse = candidates["trained"].log_loss > candidates["untrained"].log_loss
    return EncoderChoice("untrained" if is_worse else "trained", candidates)


def other_encoder(name: Encoder) -> Encoder:
    """The encoder that was not exported."""
    return "untrained" if name == "trained" else "trained"


def _measured(probabilities: np.ndarray, targets: np.ndarray) -> Candidate:
    of_truth = np.maximum(probabilities[np.arange(len(targets)), targets], _LEAST_PROBABILITY)
    is_right = probabilities.argmax(axis=1) == targets
    classes = [targets == target for target in np.unique(targets)]
    return Candidate(
        balanced_accuracy=float(np.mean([is_right[own].mean() for own in classes])),
        log_loss=float(np.mean([-np.log(of_truth[own]).mean() for own in classes])),
        num_sites=len(targets),
    )
