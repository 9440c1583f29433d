"""All tables of one reference analysis."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seqtrust.genes import Point
from seqtrust.genome import SplitRegions
from seqtrust.models.facts import Facts
from seqtrust.sequence_set import SequenceSet
from seqtrust.signal_files import mean_signal
from seqtrust.tables import dump, streamed_table
from seqtrust.targets import MeasuredTracks
from seqtrust.uncertainty.assays import chosen_tracks, panels_of
from seqtrust.uncertainty.bins import (
    Bins,
    distances_to_points,
    gc_contents,
    judged_bins,
    points_in_bins,
)
from seqtrust.uncertainty.reference import Judged, ReferenceRun, windows_by_split
from seqtrust.uncertainty.reference_classes import (
    PEAKS,
    SCHEMA,
    TSS_PEAKS,
    ClassFractions,
)
from seqtrust.uncertainty.reference_details import Agreement, Attributes, TssBins
from seqtrust.uncertainty.track_store import Floats, PredictionFiles
from seqtrust.verdicts import splits_of

TSS_DISTANCE, GC = "distance to TSS", "GC content"


def reference_tables(
    files: PredictionFiles,
    facts: Facts,
    sequences: SequenceSet,
    targets: MeasuredTracks,
    regions: SplitRegions,
    settings: Mapping[str, Any],
    classes: str | Path,
    *,
    points: Sequence[Point] | None = None,
    assays: str | None = None,
    seed: int = 1,
) -> dict[str, pd.DataFrame]:
    """Run a reference analysis.

    Args:
        files: predictions of the ensemble.
        facts: of its model.
        sequences: reference windows.
        targets: measured tracks.
        regions: data split of the replicates.
        settings: the entry of the config, with its signal files as paths.
        classes: where the Parquet table of class fractions is written.
        points: TSS; None: nothing is said of TSS.
        assays: table of assays; None: patterns of the entry, or the model's own.
        seed: seed of the bootstrap.

    Returns:
        The tables accuracy, pairs, assays, agreement, attributes, tests and tss_bins.
    """
    panels = panels_of(files.output, facts, assays or settings.get("assays"))
    bins = judged_bins(sequences, files.output, facts, **settings["subsample"])
    split = windows_by_split(splits_of(sequences, regions), bins.ids)
    run = ReferenceRun(files, bins, split, settings["fdr"])
    chosen = chosen_tracks(files.output, settings["tracks"])
    inside = points_in_bins(bins, points or [])
    at_tss = None
    if points is not None:
        at_tss = np.zeros(len(bins), dtype=bool)
        at_tss[[row for row, _ in inside]] = True
    agreement = Agreement(run, panels, chosen)
    attributes = Attributes(
        run, chosen, bin_attributes(bins, sequences, facts, points, settings["signals"])
    )
    tss_bins = TssBins(run, inside)
    metadata = {"replicates": dump(run.replicates)}
    with streamed_table(classes, SCHEMA, metadata) as sink:
        fractions = ClassFractions(run, panels, at_tss, sink, seed)
        receive: list[Callable[[Judged], None]] = [fractions, agreement, attributes, tss_bins]
        run.judge(sequences, targets, facts, receive)
    least = {PEAKS: settings["least_peaks"], TSS_PEAKS: settings["least_tss_bins"]}
    summaries, tests = attributes.tables()
    return {
        "accuracy": run.accuracy(panels),
        "pairs": run.pairs(panels),
        "assays": fractions.summary(least),
        "agreement": agreement.table(),
        "attributes": summaries,
        "tests": tests,
        "tss_bins": tss_bins.table(),
    }


def bin_attributes(
    bins: Bins,
    sequences: SequenceSet,
    facts: Facts,
    points: Sequence[Point] | None,
    signals: Mapping[str, str],
) -> dict[str, Floats]:
    """What is known of every judged bin: distance to a TSS, GC content, mean signals."""
    found = {} if points is None else {TSS_DISTANCE: distances_to_points(bins, points)}
    found[GC] = gc_contents(bins, sequences, facts)
    places = bins.places(np.arange(len(bins)))
    return found | {name: mean_signal(path, places) for name, path in signals.items()}
