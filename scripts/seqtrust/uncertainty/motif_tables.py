"""All tables of one motif analysis."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from seqtrust.errors import InputError
from seqtrust.genome import SplitRegions
from seqtrust.models.facts import Facts
from seqtrust.motifs import Motif
from seqtrust.sequence_set import SequenceSet
from seqtrust.sources.insertions import ACTIVITY, MUTATION, arrangements_of
from seqtrust.tables import dump, streamed_table
from seqtrust.uncertainty.assays import panels_of
from seqtrust.uncertainty.motif_effects import motif_effects
from seqtrust.uncertainty.motifs import (
    AGREEMENT,
    ASSAYS,
    SCHEMA,
    TRUTH,
    MotifAgreement,
    rank_tests,
)
from seqtrust.uncertainty.track_store import PredictionFiles
from seqtrust.verdicts import splits_of


def motif_tables(
    files: PredictionFiles,
    contrasts: pa.Table,
    sequences: SequenceSet,
    regions: SplitRegions,
    pwms: Sequence[Motif],
    insertions: Mapping[str, Any],
    settings: Mapping[str, Any],
    effects_path: str | Path,
    *,
    assays: str | None = None,
    seed: int = 1,
) -> dict[str, pd.DataFrame]:
    """Run a motif analysis.

    Args:
        files: predictions of the ensemble.
        contrasts: the contrasts of the set.
        sequences: the set.
        regions: data split of the replicates.
        pwms: the motifs of the set's MEME file.
        insertions: the set's `insertions` of the config.
        settings: the entry of the config.
        effects_path: where the Parquet table of effects is written.
        assays: table of assays; None: patterns of the entry, or the model's own.
        seed: seed of permutations and resamples.

    Returns:
        The tables agreement, assays, truth, ranks and tests.

    Raises:
        InputError: a track of the truth is not in the output.
    """
    tracks = files.output.track_names
    if unknown := [name for name in settings["truth_tracks"] if name not in tracks]:
        raise InputError(
            f"truth_tracks: {unknown[0]!r} is not among the tracks of output "
            f"{files.output.name!r}: {', '.join(tracks[:12])}"
        )
    facts = Facts.from_dict(json.loads(files.metadata["facts"]))
    panels = panels_of(files.output, facts, assays or settings.get("assays"))
    splits = splits_of(sequences, regions)
    effects = motif_effects(files, contrasts, sequences, splits, settings.get("bins"))
    # a motif that was placed twice in an arrangement is knocked out at its last place
    probabilities = {
        arrangement.name: arrangement.placed[-1].motif.knock_out[2]
        for arrangement in arrangements_of(pwms, insertions, insertions["motifs"]["path"])
    }
    named = contrasts["contrast_id"].to_pylist(), contrasts["truth_effect"].to_pylist()
    truth = {key: value for key, value in zip(*named, strict=True) if value is not None}
    kinds = [
        MotifAgreement(effects, kind, tracks, panels, truth, settings["truth_tracks"])
        for kind in (ACTIVITY, MUTATION)
    ]
    with streamed_table(effects_path, SCHEMA, {"replicates": dump(list(files.shards))}) as sink:
        for kind in kinds:
            kind.write(sink)
    ranks = pd.concat([kind.ranks(probabilities) for kind in kinds], ignore_index=True)
    return {
        "agreement": pd.DataFrame(
            [row for kind in kinds for row in kind.agreement_rows()], columns=list(AGREEMENT)
        ),
        "assays": pd.DataFrame(
            [row for kind in kinds for row in kind.assay_rows(seed)], columns=list(ASSAYS)
        ),
        "truth": pd.DataFrame(
            [row for kind in kinds for row in kind.truth_rows()], columns=list(TRUTH)
        ),
        "ranks": ranks,
        "tests": rank_tests(ranks, settings["probability_above"], seed),
    }
