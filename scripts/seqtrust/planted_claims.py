"""The claims of Bajwa et al. 2024 on a toy: what was planted beside what replicates say.

(a) Replicates are sure on reference sequence, even where they are wrong. (b) They are less sure
on sequences with variants. (c) They disagree on most eQTLs and personal genomes. (d) They agree
on what an inserted motif does.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm

from seqtrust.consistency import TRUE_PEAKS
from seqtrust.statistics import wilson
from seqtrust.verdicts import INCONSISTENT, OUT_OF_REACH, TIE

Floats = npt.NDArray[np.float64]
Row = tuple[Any, ...]

KNOWS = "replicates that know the grammar"
IMPLIED = "planted effects, seen through the observed spread of replicates"


def reference_claims(truth: Mapping[str, Any], statistics: pd.DataFrame) -> Iterator[Row]:
    """(a): unanimity on true peaks, and how often it is right.

    Replicates that know the grammar agree on all, and miss the peaks that are noise.

    Args:
        truth: `peak_ceiling` is the share of true peaks among as many highest expected bins,
            by track and split.
        statistics: headline statistics of the verdict on peaks.
    """
    mine = statistics[(statistics["subset"] == TRUE_PEAKS) & (statistics["split"] == "all")]
    by_name = mine.set_index("statistic")
    ceiling = float(np.mean([part["all"] for part in truth["peak_ceiling"].values()]))
    for claim, name, planted in (
        ("(a) reference, true peaks: unanimous", "unanimous", 1.0),
        ("(a) reference, true peaks: right if unanimous", "accuracy_if_unanimous", ceiling),
    ):
        row: Any = by_name.loc[name]
        yield claim, planted, row["value"], row["low"], row["high"], int(row["units"]), KNOWS


def effect_claims(
    genes: pd.DataFrame, verdicts: pd.DataFrame, references: Mapping[str, Floats]
) -> Iterator[Row]:
    """(b) and (c) for eQTLs: unanimity and inconsistency that the planted effects imply.

    Args:
        genes: planted genes.
        verdicts: verdicts on signs of effects.
        references: predictions of the reference per unit, one per replicate.
    """
    mine = _decided(verdicts)
    effects = np.array(mine["scores"].tolist(), dtype=np.float64)
    reference = np.array([references[unit] for unit in mine["unit"]], dtype=np.float64)
    logs = np.log((reference + effects) / reference)
    planted = genes.set_index("gene").loc[mine["locus"]]
    tags = planted["mechanism"] == "tag"
    size = np.where(tags, planted["tag_log_effect"], planted["causal_log_effect"])
    implied = implied_inconsistent(np.abs(size.astype(np.float64)), logs)
    inconsistent = int((mine["class"] == INCONSISTENT).sum())
    yield "(b) eQTLs: unanimous", 1 - implied, *_share(len(mine) - inconsistent, len(mine)), IMPLIED
    yield "(c) eQTLs: inconsistent", implied, *_share(inconsistent, len(mine)), IMPLIED


def people_claims(
    truth: Mapping[str, Any], genes: pd.DataFrame, verdicts: pd.DataFrame
) -> Iterator[Row]:
    """(c) for personal genomes: the planted correlations imply an inconsistent fraction.

    Expression follows the track with the planted share of its variance, up or down; of a gene
    whose causal variant was not genotyped nothing can be predicted.

    Args:
        truth: `expression_variance` has the share that the track explains (`modelled`).
        genes: planted genes.
        verdicts: verdicts on people; scores are correlations.
    """
    mine = _decided(verdicts)
    planted = genes.set_index("gene").loc[mine["locus"]]
    known = (planted["mechanism"] != "tag").to_numpy()
    size = np.sqrt(truth["expression_variance"]["modelled"]) * known
    implied = implied_inconsistent(size, np.array(mine["scores"].tolist(), dtype=np.float64))
    count = int((mine["class"] == INCONSISTENT).sum())
    yield "(c) personal genomes: inconsistent", implied, *_share(count, len(mine)), IMPLIED


def motif_claims(statistics: pd.DataFrame) -> Iterator[Row]:
    """(d): the sign of an inserted motif's effect.

    Args:
        statistics: headline statistics of the verdict on inserted motifs.
    """
    mine = statistics[(statistics["subset"] == "all") & (statistics["split"] == "all")]
    row: Any = mine.set_index("statistic").loc["single_replicate_accuracy"]
    values = row["value"], row["low"], row["high"], int(row["units"])
    yield "(d) inserted motifs: sign right, single replicate", 1.0, *values, KNOWS


def implied_inconsistent(size: Floats, scores: Floats) -> float:
    """Fraction of units that replicates disagree on, if each adds Gaussian noise to a known size.

    Args:
        size: |planted| per unit, shape (N,).
        scores: of R replicates, whose variance is that of the noise, shape (N, R).
    """
    spread = np.sqrt(scores.var(axis=1, ddof=1).mean())
    up = norm.cdf(size / spread)
    replicates = scores.shape[1]
    return float((1 - up**replicates - (1 - up) ** replicates).mean())


def _decided(verdicts: pd.DataFrame) -> pd.DataFrame:
    return verdicts[~verdicts["class"].isin([TIE, OUT_OF_REACH])]


def _share(count: int, total: int) -> tuple[float, float, float, int]:
    return (count / total if total else float("nan"), *wilson(count, total), total)
