"""Calibration: how wrong stated uncertainty is, and what mends it."""
