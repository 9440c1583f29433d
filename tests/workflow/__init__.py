"""Snakemake runs in copies of the project."""
