"""Robustness: simulated worlds, assays and shifts with a known truth, and what they should cost."""
