"""Where the disagreement of replicates comes from: variance by source of randomness.

Ensembles that differ in one thing only (first weights, order of the windows, dropout, the
sample of training windows, the data split, the architecture) are held beside one that differs
in everything. Sources interact, so their variances need not add up. Beside what replicates
disagree by (epistemic) may stand what one replicate predicts for the noise of a measurement
(aleatoric), from a Gaussian head.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from seqtrust.effects import aligned_values
from seqtrust.errors import InputError
from seqtrust.models.facts import Facts
from seqtrust.predictions import OutputSpec, Predictions
from seqtrust.statistics import locus_bootstrap

Floats = npt.NDArray[np.float64]

BETWEEN_REPLICATES = "between replicates"
BETWEEN_ENSEMBLES = "between ensembles"
WITHIN_REPLICATE = "predicted by one replicate"
NOISE = "noise of a measurement"

COLUMNS = (
    "source", "part", "ensembles", "replicates", "units", "loci",
    "sd", "sd_low", "sd_high", "share", "share_low", "share_high", "relative_sd",
    "agreement", "agreement_low", "agreement_high",
    "accuracy", "accuracy_low", "accuracy_high",
)  # fmt: skip


class Units:
    """What replicates of one or more ensembles say of the same units.

    Attributes:
        keys: identity of every unit, so that ensembles are compared unit by unit.
        loci: locus of every unit.
        truth: sign of the measured effect, 0 where there is none, shape (N,).
        values: per ensemble effects or predictions, shape (R, N).
        ties: per ensemble whether a value is no call, shape (R, N).
    """

    def __init__(
        self,
        keys: Sequence[Any],
        loci: Sequence[str],
        truth: npt.NDArray[np.int8],
        values: Sequence[Floats],
        ties: Sequence[npt.NDArray[np.bool_]],
    ) -> None:
        self.keys = list(keys)
        self.loci = list(loci)
        self.truth = truth
        self.values = list(values)
        self.ties = list(ties)

    @classmethod
    def joined(cls, parts: Sequence["Units"]) -> "Units":
        """The same units of several ensembles.

        Raises:
            InputError: the ensembles speak of different units.
        """
        first = parts[0]
        if any(part.keys != first.keys for part in parts[1:]):
            raise InputError(
                "the ensembles of a source have different units: their output needs the same "
                "tracks and bins, and their predictions the same sequence set"
            )
        values = [one for part in parts for one in part.values]
        ties = [one for part in parts for one in part.ties]
        return cls(first.keys, first.loci, first.truth, values, ties)


def effect_units(effects: pa.Table, contrasts: pa.Table, output: str, track: str | None) -> Units:
    """Effects of one ensemble within the reach of the output.

    Args:
        effects: the effects table.
        contrasts: the contrasts of the set; the sign of `truth_effect` is the truth.
        output: output of the ensemble.
        track: one of its tracks, or None for all.

    Raises:
        InputError: there is no such effect.
    """
    mine = effects.filter(pc.equal(effects["output"], output))
    if track is not None:
        mine = mine.filter(pc.equal(mine["track"], track))
    mine = mine.filter(pc.invert(mine["out_of_reach"]))
    if mine.num_rows == 0:
        raise InputError(
            f"there is no effect of output {output!r} and track {track!r} within reach"
        )
    about = {row["contrast_id"]: row for row in contrasts.to_pylist()}
    ids = mine["contrast_id"].to_pylist()
    keys = zip(ids, mine["track"].to_pylist(), mine["bin"].to_pylist(), strict=True)
    truth = np.sign([about[key]["truth_effect"] or 0.0 for key in ids]).astype(np.int8)
    values = np.array(mine["effect"].to_pylist(), dtype=np.float64).T
    ties = np.array(mine["tie"].to_pylist(), dtype=bool).T
    return Units(list(keys), [about[key]["locus"] for key in ids], truth, [values], [ties])


def prediction_units(
    replicates: Mapping[str, Predictions], ids: Sequence[str], output: str, track: str | None
) -> Units:
    """Prediction of every sequence, track and bin of one ensemble; no calls.

    Rates and probabilities p are compared as log2(1 + p), log expression as it is.

    Args:
        replicates: predictions per replicate.
        ids: sequences, in their order.
        output: output of the ensemble.
        track: one of its tracks, or None for all.

    Raises:
        InputError: there is no such track, or a rate is not above -1.
    """
    spec, facts = _described(replicates, output)
    chosen = _chosen_tracks(spec, track)
    rows = []
    for predictions in replicates.values():
        values = aligned_values(predictions, spec, ids)[:, chosen].astype(np.float64)
        if facts.output_scale != "log_expression":
            if (values <= -1).any():
                raise InputError(
                    f"output {output!r} has predictions of -1 or below, which have no log2(1 + p): "
                    "compare effects instead"
                )
            values = np.log2(1 + values)
        rows.append(values.reshape(-1))
    shape = len(ids), len(chosen), spec.shape[1]
    sequence, place, number = np.indices(shape).reshape(3, -1)
    keys = list(zip(sequence.tolist(), place.tolist(), number.tolist(), strict=True))
    stacked = np.stack(rows)
    nothing = np.zeros(stacked.shape, dtype=bool)
    loci = [ids[row] for row in sequence]
    return Units(keys, loci, np.zeros(len(keys), dtype=np.int8), [stacked], [nothing])


def predicted_noise(
    replicates: Mapping[str, Predictions],
    ids: Sequence[str],
    output: str,
    noise: str,
    track: str | None,
) -> Floats:
    """Variance of a measurement that replicates predict, averaged over them, per unit.

    Args:
        replicates: predictions per replicate, of a model with a Gaussian head.
        ids: sequences, in their order.
        output: output of the means.
        noise: output of their natural-log variances, with the same tracks and bins.
        track: one of the means' tracks, or None for all.

    Returns:
        Shape (N,), in the order of `prediction_units`.

    Raises:
        InputError: the outputs do not belong together, or sum over bins.
    """
    spec, facts = _described(replicates, output)
    logs = next(iter(replicates.values())).output(noise)
    if [facts.tracks[index].variance_of for index in logs.tracks] != list(spec.tracks):
        raise InputError(
            f"output {noise!r} does not hold the log variance of every track of output {output!r} "
            f"in its order: it has {', '.join(logs.track_names)}"
        )
    if logs.bins != spec.bins or {logs.reduction, spec.reduction} != {"none"}:
        raise InputError(
            f"outputs {output!r} and {noise!r} need the same bins and reduction: none, because "
            "a log variance is that of one bin"
        )
    chosen = _chosen_tracks(spec, track)
    variances = [
        np.exp(aligned_values(predictions, logs, ids)[:, chosen].astype(np.float64)).reshape(-1)
        for predictions in replicates.values()
    ]
    return np.mean(variances, axis=0)


def _described(replicates: Mapping[str, Predictions], output: str) -> tuple[OutputSpec, Facts]:
    first = next(iter(replicates.values()))
    return first.output(output), Facts.from_dict(json.loads(first.metadata["facts"]))


def _chosen_tracks(spec: OutputSpec, track: str | None) -> list[int]:
    """Places of the wanted tracks within an output."""
    names = list(spec.track_names)
    if track is not None and track not in names:
        raise InputError(f"output {spec.name!r} has no track {track!r}; it has: {', '.join(names)}")
    return [place for place, name in enumerate(names) if track in (None, name)]


def randomness(
    sources: Mapping[str, Units],
    ensembles: Mapping[str, Sequence[str]],
    seed: int,
    signs: bool,
    noise: Mapping[str, Floats] | None = None,
) -> pd.DataFrame:
    """Standard deviation between replicates per source of randomness.

    A source with one ensemble is the variance between its replicates (ddof 1), averaged over
    units; one with several is the variance between ensembles: that of their means, less what the
    variance between replicates puts into these. `share` is the variance over that of the first
    source. Pairs of replicates that agree, unlike unanimity, do not depend on how many there are.
    Intervals resample loci, the same ones for all sources.

    Args:
        sources: units per source, the first of which differs in everything.
        ensembles: names of the ensembles per source.
        seed: of the bootstrap.
        signs: values are effects, whose signs are calls.
        noise: per ensemble the variance of a measurement that its replicates predict, see
            `predicted_noise`; a row each after the sources.

    Returns:
        One row per source with `COLUMNS`.

    Raises:
        InputError: sources speak of different units, or a source has no two replicates.
    """
    every = list(sources.values())
    Units.joined(every)
    loci = every[0].loci
    noise = noise or {}
    parts = [*(_variance(name, units) for name, units in sources.items()), *noise.values()]
    calls = [_called(units, signs) for units in every]
    calls += [(np.zeros(len(loci)),) * 4] * len(noise)
    ones = np.ones(len(loci))
    sums = np.stack([ones, *parts, *(column for three in calls for column in three)], axis=1)
    count = len(parts)

    def statistic(totals: Floats) -> Floats:
        variances = np.maximum(totals[..., 1 : 1 + count] / totals[..., :1], 0)
        rest = totals[..., 1 + count :].reshape(*totals.shape[:-1], count, 4)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = variances / variances[..., :1]
            agreement = rest[..., 0] / rest[..., 1]
            accuracy = rest[..., 2] / rest[..., 3]
        return np.concatenate([np.sqrt(variances), share, agreement, accuracy], axis=-1)

    found = statistic(sums.sum(axis=0)).reshape(4, count)
    low, high = (ends.reshape(4, count) for ends in locus_bootstrap(sums, loci, statistic, seed))
    means = np.mean([values.mean(axis=0) for values in every[0].values], axis=0)
    about = [
        (
            name,
            BETWEEN_ENSEMBLES if len(units.values) > 1 else BETWEEN_REPLICATES,
            " ".join(ensembles[name]),
            sum(len(values) for values in units.values),
        )
        for name, units in sources.items()
    ]
    about += [(f"{NOISE}, {name}", WITHIN_REPLICATE, name, 1) for name in noise]
    rows = []
    for place, named in enumerate(about):
        four = [(found[i, place], low[i, place], high[i, place]) for i in range(4)]
        relative = four[0][0] / means.std()
        rows.append(
            (*named, len(loci), len(set(loci)), *four[0], *four[1], relative, *four[2], *four[3])
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _variance(name: str, units: Units) -> Floats:
    """The variance of a source for every unit, shape (N,); unbiased, so it may be negative."""
    if any(len(values) < 2 for values in units.values):
        raise InputError(f"source {name!r}: an ensemble of one replicate has no variance")
    within = [values.var(axis=0, ddof=1) for values in units.values]
    if len(within) == 1:
        return within[0]
    means = np.stack([values.mean(axis=0) for values in units.values])
    noise = [part / len(values) for part, values in zip(within, units.values, strict=True)]
    return means.var(axis=0, ddof=1) - np.mean(noise, axis=0)


def _called(units: Units, signs: bool) -> tuple[Floats, Floats, Floats, Floats]:
    """Per unit: pairs that agree, pairs, right calls, calls with a truth; of all replicates."""
    nothing = np.zeros(len(units.loci))
    if not signs:
        return nothing, nothing, nothing, nothing
    values, ties = np.concatenate(units.values), np.concatenate(units.ties)
    calls = np.where(ties, 0, np.sign(values))
    decided = (calls != 0).any(axis=0)
    votes = [(calls == call).sum(axis=0) for call in (-1, 0, 1)]
    agreeing = np.sum([count * (count - 1) / 2 for count in votes], axis=0) * decided
    pairs = decided * (len(calls) * (len(calls) - 1) / 2)
    known = decided & (units.truth != 0)
    right = (calls == units.truth).sum(axis=0) * known
    return agreeing, pairs, right * 1.0, known * float(len(calls))
