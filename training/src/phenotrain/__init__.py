"""Learns from fluorescence microscopy plates how cells respond to drugs."""
