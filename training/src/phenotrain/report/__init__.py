"""The report of a run and the model card: self-contained, light and dark, printable."""

from phenotrain.report.build import build_report, card_markdown
from phenotrain.report.context import Overlay, ReportContext
from phenotrain.report.section import Section

__all__ = ["Overlay", "ReportContext", "Section", "build_report", "card_markdown"]
