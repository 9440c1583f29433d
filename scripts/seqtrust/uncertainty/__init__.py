"""Replicate uncertainty: the analyses of Bajwa et al. 2024, and what they left open."""
