"""Inference: predictions of a sequence set by one replicate."""
