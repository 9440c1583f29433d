"""Whether models rank the same under other settings of a consistency score."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from seqtrust.attribution.attribution_maps import CORRECTED, checked_maps
from seqtrust.attribution.consistency_intervals import common_maps
from seqtrust.attribution.embedding_measure import EmbeddingMeasure
from seqtrust.attribution.kmer_measure import KmerMeasure
from seqtrust.attribution.measures import Measure
from seqtrust.errors import InputError


@dataclass(frozen=True)
class Sensitivity:
    """Scores of models under several settings, and how far their orders agree.

    Attributes:
        scores: rows are settings, columns models.
        kendall: Kendall's tau-b of the models between settings, settings x settings.
        spearman: Spearman's correlation, likewise.
    """

    scores: pd.DataFrame
    kendall: pd.DataFrame
    spearman: pd.DataFrame

    def stability(self) -> pd.DataFrame:
        """Mean and least agreement of every setting with the others, the steadiest first."""
        found = {}
        for name, table in (("kendall", self.kendall), ("spearman", self.spearman)):
            others = table.where(~np.eye(len(table), dtype=bool))
            found[f"mean_{name}"] = others.mean(axis=1)
            found[f"least_{name}"] = others.min(axis=1)
        return pd.DataFrame(found).sort_values("mean_kendall", ascending=False)


def kmer_grid(
    ks: Sequence[int] = (1, 2, 3, 4, 5, 6, 7, 8),
    quantiles: Sequence[float] = (0.8, 0.9, 0.95),
    mode: str = CORRECTED,
) -> list[KmerMeasure]:
    """All pairs of settings of the k-mer score."""
    return [KmerMeasure(k, quantile, mode) for k, quantile in product(ks, quantiles)]


def embedding_grid(
    windows: Sequence[int] = (1, 3, 6),
    fractions: Sequence[float] = (0.01, 0.04, 0.1, 0.3, 0.99),
    boxes: Sequence[float] = (0.05, 0.1, 0.2),
    mode: str = CORRECTED,
) -> list[EmbeddingMeasure]:
    """All triples of settings of the embedding score."""
    return [
        EmbeddingMeasure(window, fraction, box, mode=mode)
        for window, fraction, box in product(windows, fractions, boxes)
    ]


def sensitivity(
    measures: Sequence[Measure],
    models: Mapping[str, npt.ArrayLike],
    sequences: npt.ArrayLike | None = None,
) -> Sensitivity:
    """Scores of all models under all settings, on the maps that all models have.

    Args:
        measures: settings, at least two, as `kmer_grid` and `embedding_grid` make them.
        models: attribution maps (N, L, 4) by name, at least three models.
        sequences: base codes (N, L), for k-mer scores.

    Raises:
        InputError: too few settings or models, or what a score refuses.
    """
    if len(measures) < 2 or len(models) < 3:
        raise InputError(
            f"{len(measures)} settings and {len(models)} models: rank stability needs at least "
            "two settings and three models"
        )
    names, codes, kept, _ = common_maps(measures[0], models, sequences)
    chosen = None if codes is None else codes[kept]
    scores = np.empty((len(measures), len(names)))
    for column, name in enumerate(names):
        maps = checked_maps(models[name])[kept]
        for row, measure in enumerate(measures):
            scores[row, column] = measure.score(maps, chosen)
    labels = [measure.label for measure in measures]
    return rank_agreement(pd.DataFrame(scores, index=labels, columns=list(names)))


def rank_agreement(scores: pd.DataFrame) -> Sensitivity:
    """How far settings agree on the order of models.

    Args:
        scores: rows are settings, columns models; finite.
    """
    values, labels = scores.to_numpy(dtype=np.float64), scores.index
    ranks = rankdata(values, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        spearman = np.corrcoef(ranks)
    # tau-b: the signs of all pairs of models as vectors, their cosine
    first, second = np.triu_indices(values.shape[1], 1)
    signs = np.sign(values[:, first] - values[:, second])
    untied = np.square(signs).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        kendall = signs @ signs.T / np.sqrt(np.outer(untied, untied))
    return Sensitivity(
        scores,
        pd.DataFrame(kendall, index=labels, columns=labels),
        pd.DataFrame(spearman, index=labels, columns=labels),
    )
