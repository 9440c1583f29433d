"""Consistency scores of models on the same maps, as rows of tables: values, intervals, nulls."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np

from seqtrust.attribution.attribution_maps import Flags, Floats, Integers
from seqtrust.attribution.consistency_intervals import Comparison, Interval, compare
from seqtrust.attribution.consistency_nulls import AgainstNull, pairing_null, position_null
from seqtrust.attribution.embedding_measure import EmbeddingMeasure
from seqtrust.attribution.kmer_measure import KmerMeasure
from seqtrust.attribution.map_tables import AttributionMaps
from seqtrust.bases import Codes
from seqtrust.errors import InputError

KMER, EMBEDDING = "k-mer", "embedding"
POSITION, PAIRING = "position", "pairing"
# the null that keeps the number of observations
NULL_OF = {KMER: PAIRING, EMBEDDING: POSITION}

Scorer: TypeAlias = KmerMeasure | EmbeddingMeasure

_BROKEN = "shuffled positions break runs and leave few k-mers: read the pairing null"

# observations per cell below which a score without any signal is far from 0
_FEW = 5

SCORE_COLUMNS = (
    "score", "mode", "value", "se", "low", "high", "extrapolated", "groups", "null", "null_mean",
    "null_sd", "excess", "z", "p", "maps", "observations", "note",
)  # fmt: skip
DIFFERENCE_COLUMNS = ("score", "mode", "value", "se", "low", "high", "groups", "maps", "note")
INTERVAL_COLUMNS = ("se", "low", "high", "extrapolated")


@dataclass(frozen=True)
class Scored:
    """Rows of tables.

    Attributes:
        scores: one per model, measure and null: `model` and `SCORE_COLUMNS`.
        nulls: one per draw: `model`, score, mode, null, round, value.
        differences: one per pair of models and measure: `first`, `second` and
            `DIFFERENCE_COLUMNS`.
    """

    scores: list[dict[str, Any]] = field(default_factory=list)
    nulls: list[dict[str, Any]] = field(default_factory=list)
    differences: list[dict[str, Any]] = field(default_factory=list)


def kmer_measure(settings: Mapping[str, Any], mode: str) -> KmerMeasure:
    """The k-mer score with the config's settings of consistency."""
    return KmerMeasure(settings["kmer"]["k"], settings["kmer"]["quantile"], mode)


def embedding_measure(settings: Mapping[str, Any], mode: str) -> EmbeddingMeasure:
    """The embedding score with the config's settings of consistency."""
    chosen = settings["embedding"]
    return EmbeddingMeasure(chosen["window"], chosen["fraction"], chosen["box"], mode=mode)


def about(measure: Scorer) -> dict[str, str]:
    """The columns score (`KMER` or `EMBEDDING`) and mode."""
    name = KMER if isinstance(measure, KmerMeasure) else EMBEDDING
    return {"score": name, "mode": measure.mode}


def common_usable(models: Mapping[Any, AttributionMaps]) -> tuple[Flags, list[Any]]:
    """Which maps all models have, and the models that have none and do not count.

    Returns:
        Flags of shape (N,), and names of models without any usable map.
    """
    empty = [name for name, model in models.items() if not model.usable.any()]
    counted = [model.usable for name, model in models.items() if name not in empty]
    if not counted:
        return np.zeros_like(next(iter(models.values())).usable), empty
    return np.logical_and.reduce(counted), empty


def scored(
    models: Mapping[str, Floats],
    codes: Codes,
    groups: Integers,
    measures: Sequence[Scorer],
    rounds: int,
    seed: int,
) -> Scored:
    """Scores with intervals and nulls of models on the same maps, and paired differences.

    What cannot be computed is empty, and `note` says why.

    Args:
        models: usable maps (N, L, 4) by name, of the same sequences in the same order.
        codes: base codes (N, L).
        groups: group of every map in the jackknife, shape (N,).
        measures: scores to take.
        rounds: permutations per null, at least 2; 0 for no null.
        seed: of the permutations; the same for all models.
    """
    found = Scored()
    for measure in measures:
        named = about(measure)
        compared, reason = compared_models(measure, models, codes, groups)
        values: dict[str, float | None] = {}
        for name, maps in models.items():
            row: dict[str, Any] = {"model": name, "maps": len(maps)} | named
            row |= _value(measure, maps, codes)
            values[name] = row["value"]
            notes = [row.pop("note")]
            if values[name] is not None:
                notes.append(reason if compared is None else _put(row, compared.scores[name]))
            for null, draw in _nulls(measure, maps, codes, rounds, seed).items():
                drawn = row | {"null": null}
                against, why = (None, "") if values[name] is None else _attempt(draw)
                if against is not None:
                    why = _fill_null(drawn, against)
                    found.nulls.extend(
                        {"model": name, "null": null, "round": place, "value": value} | named
                        for place, value in enumerate(against.null.tolist(), start=1)
                        if np.isfinite(value)
                    )
                broken = _BROKEN if (named["score"], null) == (KMER, POSITION) else ""
                found.scores.append(_complete(drawn, [*notes, broken, why]))
            if not rounds:
                found.scores.append(_complete(row, notes))
        found.differences.extend(
            row | named | {"maps": len(codes)} for row in _differences(values, compared, reason)
        )
    return found


def compared_models(
    measure: Scorer, models: Mapping[str, Floats], codes: Codes, groups: Integers
) -> tuple[Comparison | None, str]:
    """Scores of models with their jackknife, or the reason why there is none."""
    if len(np.unique(groups)) < 2:
        return None, "no interval: all windows overlap, and a jackknife leaves out whole groups"
    return _attempt(lambda: compare(measure, models, codes, groups))


def _attempt(work: Callable[[], Any]) -> tuple[Any, str]:
    """What a function gives, or nothing and the message with which it refuses."""
    try:
        return work(), ""
    except InputError as error:
        return None, str(error)


def _value(measure: Scorer, maps: Floats, codes: Codes) -> dict[str, Any]:
    """The score of all maps and the number of k-mers or vectors that it counts."""
    if isinstance(measure, KmerMeasure):
        kmers, why = _attempt(lambda: measure.result(maps, codes))
        if kmers is None:
            return {"value": None, "observations": 0, "note": why}
        if not kmers.kmers:
            why = "no k-mers: no run of strong positions of a map is long enough"
            return {"value": None, "observations": 0, "note": why}
        score, counted, cells = kmers.score, kmers.kmers, 4**measure.k
        effective, noun = counted, "k-mers"
    else:
        vectors, why = _attempt(lambda: measure.result(maps))
        if vectors is None:
            return {"value": None, "observations": 0, "note": why}
        score, counted, cells = vectors.score, vectors.vectors, int(np.prod(measure.shape))
        # weights are squared lengths: a few long vectors may be most of them
        effective, noun = int(vectors.effective), "effective vectors"
    if effective < _FEW * cells:
        why = f"{effective} {noun} in {cells} cells: read the excess, not the value"
    return {"value": score, "observations": counted, "note": why}


def _put(row: dict[str, Any], interval: Interval) -> str:
    """Put a jackknife into a row; a reason where it has none."""
    row["groups"] = interval.groups
    if not np.isfinite(interval.se):
        return "no interval: without one of the groups nothing is left to score"
    row |= {name: getattr(interval, name) for name in INTERVAL_COLUMNS}
    return ""


def _nulls(
    measure: Scorer, maps: Floats, codes: Codes, rounds: int, seed: int
) -> dict[str, Callable[[], AgainstNull]]:
    """The nulls of a score by name; none without rounds."""
    if not rounds:
        return {}
    nulls = {POSITION: lambda: position_null(measure, maps, codes, rounds, seed)}
    if isinstance(measure, KmerMeasure):
        nulls[PAIRING] = lambda: pairing_null(measure, maps, codes, rounds, seed)
    return nulls


def _fill_null(row: dict[str, Any], against: AgainstNull) -> str:
    """Put the null into a row; a reason where permuted maps have no score or do not differ."""
    finite = against.null[np.isfinite(against.null)]
    lacking = len(against.null) - len(finite)
    if len(finite) < 2:
        return f"no null: {lacking} of {len(against.null)} permutations leave nothing to score"
    kept = AgainstNull(against.observed, finite)
    row |= {"null_mean": kept.mean, "null_sd": kept.sd, "excess": kept.excess, "p": kept.p}
    if kept.sd > 0:
        row["z"] = kept.z
    why = f"{lacking} permutations leave nothing to score" if lacking else ""
    return why if kept.sd > 0 else "no z: all permutations score the same"


def _complete(row: dict[str, Any], notes: Sequence[str]) -> dict[str, Any]:
    said = "; ".join(dict.fromkeys(note for note in notes if note))
    filled = {name: row.get(name) for name in SCORE_COLUMNS}
    return {"model": row["model"]} | filled | {"note": said}


def _differences(
    values: Mapping[str, float | None], compared: Comparison | None, reason: str
) -> list[dict[str, Any]]:
    """Rows of the differences of all pairs of models, the first minus the second."""
    rows = []
    for first, second in combinations(values, 2):
        row: dict[str, Any] = {"first": first, "second": second, "value": None, "note": reason}
        one, other = values[first], values[second]
        if one is None or other is None:
            row["note"] = f"{first if one is None else second} has no score"
        else:
            row["value"] = one - other
            if compared is not None:
                row["note"] = _put(row, compared.differences[first, second])
        rows.append({name: row.get(name) for name in ("first", "second", *DIFFERENCE_COLUMNS)})
    return rows
