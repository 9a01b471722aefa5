"""How good the answers are on held-out sites: intervals, chance, and controls of the same plates."""

from phenotrain.evaluate.difference import Answers, balanced_accuracy_difference
from phenotrain.evaluate.dose_response import DoseTable, dose_probability, treated_log_odds
from phenotrain.evaluate.estimates import METRICS, Difference, Estimate, Interval, MetricName
from phenotrain.evaluate.evaluation import answers_at_wells, evaluate
from phenotrain.evaluate.headline import doses_text, interval_text, p_text
from phenotrain.evaluate.metrics import Classification, Comparison, Metrics, RoleMetrics
from phenotrain.evaluate.predictions import ModelPredictions, Predictions
from phenotrain.evaluate.units import held_out

__all__ = [
    "METRICS",
    "Answers",
    "Classification",
    "Comparison",
    "Difference",
    "DoseTable",
    "Estimate",
    "Interval",
    "MetricName",
    "Metrics",
    "ModelPredictions",
    "Predictions",
    "RoleMetrics",
    "answers_at_wells",
    "balanced_accuracy_difference",
    "dose_probability",
    "doses_text",
    "evaluate",
    "held_out",
    "interval_text",
    "p_text",
    "treated_log_odds",
]
