"""Mendelian randomization: causal relations between tasks that a model has learned."""

from seqtrust.mendelian.covariance import error_correlation, shrunk_correlation
from seqtrust.mendelian.diagnostics import (
    Applicability,
    Limits,
    LocusDiagnostics,
    applicability,
    benjamini_hochberg,
    leave_one_position_out,
    locus_diagnostics,
)
from seqtrust.mendelian.direction import Directions, Steiger, bidirectional, steiger
from seqtrust.mendelian.effects import Effects, Estimate
from seqtrust.mendelian.ensembles import per_replicate, per_replicate_local
from seqtrust.mendelian.extensions import (
    egger_simex,
    mean_ratio,
    multivariable_ivw,
    published_baseline,
)
from seqtrust.mendelian.likelihood import divw, maximum_likelihood, pivw, raps
from seqtrust.mendelian.meta import MetaAnalysis, meta_analysis
from seqtrust.mendelian.modes import mode_based
from seqtrust.mendelian.ratios import penalised_median, simple_median, weighted_median
from seqtrust.mendelian.regression import egger, ivw

__all__ = [
    "Applicability",
    "Directions",
    "Effects",
    "Estimate",
    "Limits",
    "LocusDiagnostics",
    "MetaAnalysis",
    "Steiger",
    "applicability",
    "benjamini_hochberg",
    "bidirectional",
    "divw",
    "egger",
    "egger_simex",
    "error_correlation",
    "ivw",
    "leave_one_position_out",
    "locus_diagnostics",
    "maximum_likelihood",
    "mean_ratio",
    "meta_analysis",
    "mode_based",
    "multivariable_ivw",
    "penalised_median",
    "per_replicate",
    "per_replicate_local",
    "pivw",
    "published_baseline",
    "raps",
    "shrunk_correlation",
    "simple_median",
    "steiger",
    "weighted_median",
]
