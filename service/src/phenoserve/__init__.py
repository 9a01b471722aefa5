"""Serves what phenotrain learned from fluorescence microscopy plates."""
