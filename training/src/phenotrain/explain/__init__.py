"""Explanations that are tested: where the maps lie, what they follow, and which stains an answer rests on.

`phenotrain.explain.collect.explain_findings` is the one call for all of it; the rest needs no TensorFlow to read.
"""
