"""How good the answers are on held-out sites: intervals, chance, and controls of the same plates."""

from phenotrain.evaluate.dose_response import dose_probability
from phenotrain.evaluate.evaluation import evaluate
from phenotrain.evaluate.metrics import (
    Classification,
    Comparison,
    Interval,
    Metrics,
    RoleMetrics,
    p_text,
)
from phenotrain.evaluate.predictions import ModelPredictions, Predictions
from phenotrain.evaluate.units import held_out

__all__ = [
    "Classification",
    "Comparison",
    "Interval",
    "Metrics",
    "ModelPredictions",
    "Predictions",
    "RoleMetrics",
    "dose_probability",
    "evaluate",
    "held_out",
    "p_text",
]
