"""The instruments of one shard of loci, from its maps and an entry of the config."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqtrust.genome import SplitRegions
from seqtrust.mendelian.effect_moments import Moments
from seqtrust.mendelian.instrument_tables import Instruments
from seqtrust.mendelian.loci_of_pairs import located
from seqtrust.mendelian.mutation_effects import mutation_effects
from seqtrust.mendelian.recalibrated_tasks import Recalibration
from seqtrust.mendelian.selected_instruments import selected_instruments
from seqtrust.mendelian.stage import published_threshold, rule_of, task_spans
from seqtrust.sequence_set import SequenceSet
from seqtrust.verdicts import splits_of


def shard_instruments(
    paths: Mapping[str, str | Path],
    moments: Moments,
    sequences: SequenceSet,
    regions: SplitRegions,
    settings: Mapping[str, Any],
    *,
    entry: str = "",
    kind: str | None = None,
    recalibrations: Mapping[str, Recalibration] | None = None,
    motifs: str | None = None,
) -> tuple[Instruments, list[dict[str, int | str]]]:
    """Choose the instruments of a shard.

    Args:
        paths: the shard's maps by replicate.
        moments: of all shards.
        sequences: of the shard.
        regions: the data split of the ensemble.
        settings: entry of the config's `deep_mr`.
        entry: name of its `ism`, for messages.
        kind: of the recalibration that is asked for.
        recalibrations: by kind; the published one where that is compared.
        motifs: MEME file of `instruments/spans`.

    Returns:
        The instruments, and the mutants that every replicate computed.
    """
    known = recalibrations or {}
    how = entry, settings["se"], settings.get("task_tracks")
    effects = mutation_effects(paths, settings["scale"], known.get(kind or ""), *how)
    published = known.get("published") if settings["compare_published"] else None
    moved = None
    if published is not None:
        moved = mutation_effects(paths, settings["scale"], published, *how)
    spans = settings["instruments"].get("spans")
    made = selected_instruments(
        effects,
        moments,
        splits_of(sequences, regions),
        rule_of(settings["instruments"]),
        se=settings["se"],
        published_threshold=published_threshold(settings),
        recalibrated=moved,
        spans=task_spans(spans, motifs, sequences, effects.tasks) if spans and motifs else None,
    )
    return located(made, settings), effects.counts
