"""Draws a Grad-CAM heatmap over every stain of its stack, and enlarges it to the field's size."""

from phenoserve.overlay.enlarge import heatmap_at_field_size
from phenoserve.overlay.figure import render_overlay

__all__ = ["heatmap_at_field_size", "render_overlay"]
