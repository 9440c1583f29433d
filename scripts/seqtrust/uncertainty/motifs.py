"""How far replicates agree on what motifs do, per track and per motif (figures 2A, 2B, S3)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from scipy.stats import norm, rankdata

from seqtrust import reference_levels
from seqtrust.consistency import CORRELATED, INDEPENDENT, OBSERVED
from seqtrust.statistics import wilson
from seqtrust.tables import Column, Sink, TableSchema
from seqtrust.uncertainty.motif_effects import MotifEffects
from seqtrust.uncertainty.reference_classes import percentiles, window_draws
from seqtrust.uncertainty.track_store import Floats, Integers
from seqtrust.verdicts import CORRECT, INCONSISTENT, INCORRECT, OUT_OF_REACH, TIE, classify

SCHEMA = TableSchema(
    name="motif_effects",
    version=1,
    path="motifs/{motifs}.effects.parquet",
    description=(
        "What inserting a motif (activity) or changing one base of it (mutation) does to a "
        "track, as a mean over backgrounds. Lists are in the order of the replicates in the "
        "metadata (`replicates`)."
    ),
    columns=(
        Column("motif", pa.string(), "motif, or arrangement of motifs"),
        Column("kind", pa.string(), "activity or mutation"),
        Column("track", pa.string(), "track of the model"),
        Column("assay", pa.string(), "panel of the track"),
        Column("split", pa.string(), "data split of the backgrounds, or all"),
        Column("backgrounds", pa.int32(), "number of backgrounds"),
        Column("effect", pa.list_(pa.float64()), "mean over backgrounds", "model's scale"),
        Column("se", pa.list_(pa.float64()), "its standard error, sd / sqrt(backgrounds)",
               "model's scale"),
        Column("n_positive", pa.int16(), "replicates with a positive effect"),
        Column("n_negative", pa.int16(), "replicates with a negative effect"),
        Column("n_tie", pa.int16(), "replicates whose effect is within the noise floor"),
        Column("truth", pa.int8(), "+1 or -1, where it is known", nullable=True),
        Column("class", pa.string(), "as in verdicts"),
    ),
)  # fmt: skip

AGREEMENT = (
    "kind", "split", "assay", "track", "level", "n_agree", "count", "total",
    "fraction", "low", "high",
)  # fmt: skip
ASSAYS = (
    "kind", "split", "assay", "level", "n_agree", "median", "low", "high", "tracks", "motifs",
)  # fmt: skip
TRUTH = ("kind", "split", "class", "count", "total", "fraction", "low", "high")
TESTS = (
    "kind", "split", "motifs", "left_out", "spearman", "low", "high", "p", "rounds",
)  # fmt: skip

_GRID = np.linspace(-8, 8, 1601)
_WEIGHTS = norm.pdf(_GRID) * (_GRID[1] - _GRID[0])


class MotifAgreement:
    """Counts of agreeing replicates for every motif and track, of one kind of effect."""

    def __init__(
        self,
        effects: MotifEffects,
        kind: str,
        tracks: Sequence[str],
        panels: Sequence[str],
        truth: Mapping[str, float],
        truth_tracks: Sequence[str],
    ) -> None:
        """Select the contrasts of one kind.

        Args:
            effects: of all contrasts.
            kind: `activity` or `mutation`.
            tracks: names of the tracks.
            panels: assay of every track.
            truth: known effects by contrast id; only their sign is used.
            truth_tracks: tracks that the truth is about.
        """
        self.kind, self.tracks, self.panels = kind, list(tracks), list(panels)
        self.rows = [i for i, name in enumerate(effects.names) if name.endswith(f":{kind}")]
        self.motifs = [effects.names[i].removesuffix(f":{kind}") for i in self.rows]
        self.effects = effects
        self.calls = {split: effects.calls(split)[:, self.rows] for split in effects.splits}
        signs = np.array([np.sign(truth.get(effects.names[i], 0.0)) for i in self.rows])
        about = np.isin(self.tracks, list(truth_tracks))
        self.truth = (signs[:, None] * about).astype(np.int8)

    @property
    def replicates(self) -> int:
        """R."""
        return len(self.effects.floors)

    def with_backgrounds(self, split: str) -> npt.NDArray[np.bool_]:
        """Motifs with a background in a split, shape (C,)."""
        return self.effects.backgrounds[split][self.rows] > 0

    def n_agree(self, split: str) -> Integers:
        """Replicates of the larger side, 0 where none makes a call; shape (C, T)."""
        calls = self.calls[split]
        return np.maximum((calls > 0).sum(axis=0), (calls < 0).sum(axis=0))

    def classes(self, split: str) -> npt.NDArray[np.str_]:
        """As in verdicts, shape (C, T)."""
        calls = self.calls[split].reshape(self.replicates, -1).T
        away = np.repeat(self.effects.out_of_reach[self.rows], len(self.tracks))
        return classify(calls, self.truth.ravel(), away).reshape(self.truth.shape)

    def write(self, sink: Sink) -> None:
        """Hand on the rows of `SCHEMA`, motif by motif."""
        for split in self.effects.splits:
            calls, classes = self.calls[split], self.classes(split)
            for place in np.flatnonzero(self.with_backgrounds(split)):
                row, number = self.rows[place], len(self.tracks)
                mine = calls[:, place]
                sink(
                    {
                        "motif": [self.motifs[place]] * number,
                        "kind": [self.kind] * number,
                        "track": self.tracks,
                        "assay": self.panels,
                        "split": [split] * number,
                        "backgrounds": [self.effects.backgrounds[split][row]] * number,
                        "effect": list(self.effects.effect[split][:, row].T),
                        "se": list(self.effects.error[split][:, row].T),
                        "n_positive": (mine > 0).sum(axis=0),
                        "n_negative": (mine < 0).sum(axis=0),
                        "n_tie": (mine == 0).sum(axis=0),
                        "truth": pa.array(self.truth[place], mask=self.truth[place] == 0),
                        "class": classes[place],
                    }
                )

    def agreement_rows(self) -> Iterator[tuple[Any, ...]]:
        """Per track the number of motifs at each level of agreement, and what to expect."""
        for split in self.effects.splits:
            there = self.with_backgrounds(split)
            agree = self.n_agree(split)[there]
            for track, name in enumerate(self.tracks):
                where = self.kind, split, self.panels[track], name
                counts = np.bincount(agree[:, track], minlength=self.replicates + 1)
                total = int(counts.sum())
                for level, count in enumerate(counts.tolist()):
                    fraction = count / total if total else float("nan")
                    yield (*where, OBSERVED, level, count, total, fraction, *wilson(count, total))
                for name_of, (of, expected) in self._expected(split, there, track).items():
                    for level, fraction in enumerate(expected):
                        yield (*where, name_of, level, None, of, fraction, None, None)

    def _expected(
        self, split: str, there: npt.NDArray[np.bool_], track: int
    ) -> dict[str, tuple[int, Floats]]:
        """Per level, how many motifs all replicates make a call on, and what it says of them."""
        calls = self.calls[split][:, there, track].T
        scores = self.effects.effect[split][:, self.rows][:, there, track].T
        decided = (calls != 0).all(axis=1)
        levels: dict[str, tuple[int, Floats]] = {}
        correlation = reference_levels.replicate_correlation(scores[decided], True)
        if np.isfinite(correlation):
            rates = (calls[decided] > 0).mean(axis=0)
            implied = agreement_levels(correlation, [float(rate) for rate in rates])
            levels[CORRELATED] = int(decided.sum()), implied
        fair = agreement_levels(0.0, [0.5] * self.replicates)
        levels[INDEPENDENT] = int(decided.sum()), fair
        return levels

    def assay_rows(self, seed: int, rounds: int = 200) -> Iterator[tuple[Any, ...]]:
        """Medians over the tracks of each panel, with intervals over resampled motifs."""
        table = pd.DataFrame(self.agreement_rows(), columns=list(AGREEMENT))
        grouped = ["split", "assay", "level", "n_agree"]
        medians = table.groupby(grouped, sort=False)[["fraction"]].median().reset_index()
        intervals: dict[tuple[str, str], tuple[Floats, Floats]] = {}
        for row in medians.to_dict("records"):
            split, assay, level = str(row["split"]), str(row["assay"]), str(row["level"])
            agree, median = int(row["n_agree"]), float(row["fraction"])
            if (split, assay) not in intervals:
                intervals[split, assay] = self._interval(split, assay, seed, rounds)
            low, high = (float(bound[agree]) for bound in intervals[split, assay])
            if level != OBSERVED:
                low = high = float("nan")
            tracks = self.panels.count(assay)
            number = int(self.with_backgrounds(split).sum())
            yield self.kind, split, assay, level, agree, median, low, high, tracks, number

    def _interval(self, split: str, assay: str, seed: int, rounds: int) -> tuple[Floats, Floats]:
        mine = np.array(self.panels) == assay
        agree = self.n_agree(split)[self.with_backgrounds(split)][:, mine]
        draws = window_draws(len(agree), seed, rounds)
        medians = [
            np.median(draws @ (agree == level).astype(np.float64) / len(agree), axis=1)
            for level in range(self.replicates + 1)
        ]
        return percentiles(np.stack(medians, axis=1))

    def truth_rows(self) -> Iterator[tuple[Any, ...]]:
        """Classes of the motifs and tracks with a truth, with Wilson intervals.

        Ties and motifs out of reach are fractions of all; the other classes of decided ones.
        """
        for split in self.effects.splits:
            known = (self.truth != 0) & self.with_backgrounds(split)[:, None]
            found = self.classes(split)[known]
            decided = int((~np.isin(found, [TIE, OUT_OF_REACH])).sum())
            for name in (CORRECT, INCONSISTENT, INCORRECT, TIE, OUT_OF_REACH):
                total = len(found) if name in (TIE, OUT_OF_REACH) else decided
                count = int((found == name).sum())
                if len(found):
                    fraction = count / total if total else float("nan")
                    yield self.kind, split, name, count, total, fraction, *wilson(count, total)

    def ranks(self, probabilities: Mapping[str, float]) -> pd.DataFrame:
        """Motifs from the least to the most consistent, beside their knock-out probability.

        Args:
            probabilities: PWM probability of the substituted base at the mutated position.
        """
        parts = []
        for split in self.effects.splits:
            there = self.with_backgrounds(split)
            counts = level_counts(self.n_agree(split)[there], self.replicates)
            names = [name for name, ok in zip(self.motifs, there, strict=True) if ok]
            part = pd.DataFrame(
                {
                    "kind": self.kind,
                    "split": split,
                    "motif": names,
                    "rank": consistency_ranks(counts),
                    "knock_out_probability": [probabilities[name] for name in names],
                }
            )
            for level in range(self.replicates + 1):
                part[f"tracks_{level}_agree"] = counts[:, level]
            parts.append(part.sort_values("rank", kind="stable"))
        return pd.concat(parts, ignore_index=True)


def agreement_levels(correlation: float, call_rates: Sequence[float]) -> Floats:
    """Distribution of the larger side among correlated Gaussian replicates, shape (R + 1,).

    Replicate r calls positive where sqrt(rho) z + sqrt(1 - rho) e_r exceeds the quantile of its
    call rate; entry a is the probability that the majority has a replicates.

    Args:
        correlation: rho, between replicates.
        call_rates: fraction of motifs that each replicate calls positive.
    """
    rho = float(np.clip(correlation, 0, 1 - 1e-9))
    thresholds = norm.isf(np.clip(call_rates, 1e-12, 1 - 1e-12))
    # number of positive calls given z, one replicate after the other
    given = np.ones((1, len(_GRID)))
    for threshold in thresholds:
        p = norm.sf((threshold - np.sqrt(rho) * _GRID) / np.sqrt(1 - rho))
        given = np.vstack([given * (1 - p), np.zeros(len(_GRID))]) + np.vstack(
            [np.zeros(len(_GRID)), given * p]
        )
    positive = given @ _WEIGHTS
    replicates = len(thresholds)
    levels = np.zeros(replicates + 1)
    np.add.at(levels, np.maximum(np.arange(replicates + 1), replicates - np.arange(replicates + 1)),
              positive)  # fmt: skip
    return levels


def level_counts(agree: Integers, replicates: int) -> Integers:
    """Tracks of every motif at each level of agreement, shape (C, R + 1)."""
    return np.stack([(agree == level).sum(axis=1) for level in range(replicates + 1)], axis=1)


def consistency_ranks(counts: Integers) -> Floats:
    """Ranks by the counts at the lowest level, then the next, ..., the largest counts first.

    Rank 1 is the least consistent; equals share their mean rank.

    Args:
        counts: shape (C, levels), from the lowest agreement to the highest.
    """
    _, index = np.unique(-counts, axis=0, return_inverse=True)
    return rankdata(index.ravel())


def rank_test(
    ranks: Floats, probabilities: Floats, above: float, seed: int, rounds: int = 10_000
) -> tuple[int, int, float, float, float, float, int]:
    """Spearman correlation of rank and knock-out probability, over motifs above a probability.

    Args:
        ranks: consistency ranks, shape (C,).
        probabilities: shape (C,).
        above: smallest probability, not included, as in Bajwa et al. 2024 (.005).
        seed: seed of permutations and resamples.
        rounds: permutations; a tenth as many resamples of motifs.

    Returns:
        Motifs, motifs left out, Spearman's rho, its 95 % interval over resampled motifs, the
        two-sided permutation p-value, and the rounds; NaN where it is not defined.
    """
    kept = probabilities > above
    number, left_out = int(kept.sum()), int((~kept).sum())
    nothing = float("nan")
    x, y = rankdata(ranks[kept]), rankdata(probabilities[kept])
    if number < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return number, left_out, nothing, nothing, nothing, nothing, rounds
    rng = np.random.default_rng(seed)
    observed = float(np.corrcoef(x, y)[0, 1])
    x, y = (x - x.mean()) / x.std(), (y - y.mean()) / y.std()
    shuffled = np.array([x @ rng.permutation(y) for _ in range(rounds)]) / number
    p = (1 + int((np.abs(shuffled) >= abs(observed) - 1e-12).sum())) / (rounds + 1)
    resampled = []
    for _ in range(rounds // 10):
        some = rng.integers(0, number, number)
        a, b = rankdata(ranks[kept][some]), rankdata(probabilities[kept][some])
        if np.ptp(a) > 0 and np.ptp(b) > 0:
            resampled.append(np.corrcoef(a, b)[0, 1])
    low, high = np.percentile(resampled, [2.5, 97.5]) if resampled else (nothing, nothing)
    return number, left_out, observed, float(low), float(high), p, rounds


def rank_tests(table: pd.DataFrame, above: float, seed: int) -> pd.DataFrame:
    """`rank_test` for every kind and split of a table of ranks."""
    rows = [
        (kind, split, *rank_test(
            mine["rank"].to_numpy(), mine["knock_out_probability"].to_numpy(), above, seed
        ))
        for (kind, split), mine in table.groupby(["kind", "split"], sort=False)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(TESTS))
