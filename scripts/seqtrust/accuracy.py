"""How well replicates predict measured tracks."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqtrust.effects import aligned_values, facts_of
from seqtrust.genome import SPLITS, UNKNOWN_SPLIT, SplitRegions
from seqtrust.predictions import Predictions
from seqtrust.sequence_set import SequenceSet
from seqtrust.targets import MeasuredTracks
from seqtrust.verdicts import measured_bins, splits_of

ENSEMBLE = "ensemble"
COLUMNS = ("track", "split", "replicate", "pearson_r", "bins")


def correlation_table(
    replicates: Mapping[str, Predictions],
    sequences: SequenceSet,
    targets: MeasuredTracks,
    regions: SplitRegions,
    output: str,
) -> pd.DataFrame:
    """Pearson r over all bins of a split, per track and replicate.

    The row `ensemble` is the mean over the replicates' predictions.

    Args:
        replicates: predictions per replicate.
        sequences: windows without edits.
        targets: measured tracks, by the names that the model's tracks have; NaN where a bin
            was not measured.
        regions: data split of the replicates.
        output: output without reduction.

    Returns:
        A row per track, split and replicate, with the number of measured bins; r is NaN where
        predictions or targets are constant.
    """
    first = next(iter(replicates.values()))
    spec = first.output(output)
    ids = sequences.ids()
    values = {name: aligned_values(p, spec, ids) for name, p in replicates.items()}
    values[ENSEMBLE] = np.mean(np.stack(list(values.values())), axis=0, dtype=np.float32)
    measured = measured_bins(sequences, targets, spec, facts_of(first))
    split_of = splits_of(sequences, regions)
    splits = np.array([split_of[key] for key in ids])
    rows = []
    for split in (*SPLITS, UNKNOWN_SPLIT):
        mine = splits == split
        for track, name in enumerate(spec.track_names if mine.any() else ()):
            target = measured[mine, track]
            there = np.isfinite(target)
            for replicate, predicted in values.items():
                r = pearson(predicted[mine, track][there], target[there])
                rows.append((name, split, replicate, r, int(there.sum())))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def pearson(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Pearson correlation in float64; NaN if either is constant."""
    x, y = np.asarray(x, dtype=np.float64).ravel(), np.asarray(y, dtype=np.float64).ravel()
    if x.size < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])
