"""Whether learning the encoder was worth it, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phenotrain.evaluate.estimates import FEW_WELLS
from phenotrain.evaluate.predictions import CLASSIFIER, INTENSITY, TRAINED, UNTRAINED

if TYPE_CHECKING:
    from phenotrain.evaluate.metrics import Metrics


def encoder_text(metrics: Metrics) -> str:
    """Say where an encoder without SimCLR, or no encoder at all, does as well as the exported one or better.

    Args:
        metrics: What was found.

    Returns:
        Sentences with the numbers and the way out, each after a space: of the untrained encoder where the trained one
        is not shown to be better, and of intensities where they are ahead. Empty where there is nothing to say.
    """
    return _of_encoders(metrics) + _of_intensity(metrics)


def _of_encoders(metrics: Metrics) -> str:
    is_trained = metrics.exported_encoder == "trained" and TRAINED not in metrics.test.models
    lead = metrics.test.difference(UNTRAINED if is_trained else TRAINED)
    if not is_trained:
        trained = (
            ""
            if lead is None
            else f"; on the test sites it reaches {_figures(metrics, TRAINED, 'the trained one')}"
        )
        return f" The exported encoder is the untrained one{trained}."
    if lead is None or (lead.is_positive and lead.smallest_class >= FEW_WELLS):
        return ""
    figures = _figures(metrics, UNTRAINED, "the untrained one")
    way_out = "`--encoder best` exports the one that does better on labelled sites held out in turn"
    if lead.smallest_class < FEW_WELLS:
        if lead.value > 0:
            return (
                f" The trained encoder reaches {figures}: so few wells cannot tell whether training helped."
            )
        behind = "loses to" if lead.value < 0 else "does no better than"
        return (
            f" The trained encoder {behind} the untrained one here, {figures}, which so few wells cannot decide; "
            f"{way_out}."
        )
    if lead.interval is not None and lead.interval.high < 0:
        return f" The trained encoder loses to the untrained one, {figures}; {way_out}."
    return f" The trained encoder is not shown to be better than the untrained one, {figures}; {way_out}."


def _of_intensity(metrics: Metrics) -> str:
    lead = metrics.test.difference(INTENSITY)
    if lead is None or lead.value >= 0:
        return ""
    undecided = ", which so few wells cannot decide" if lead.smallest_class < FEW_WELLS else ""
    own, simple = (
        metrics.test.classified(model, "well").balanced_accuracy for model in (CLASSIFIER, INTENSITY)
    )
    return (
        f" {INTENSITY.capitalize()} alone reach more without any encoder, {simple.value:.2f} against {own.value:.2f}"
        f"{undecided}; a bundle cannot hold them."
    )


def _figures(metrics: Metrics, other: str, name: str) -> str:
    own, others = (metrics.test.classified(model, "well").balanced_accuracy for model in (CLASSIFIER, other))
    lead = metrics.test.difference(other)
    interval = ""
    if lead is not None and lead.interval is not None:
        interval = f", difference {lead.value:+.2f} [{lead.interval.low:+.2f}, {lead.interval.high:+.2f}]"
    return f"{own.value:.2f} against {others.value:.2f} of {name}{interval}"
