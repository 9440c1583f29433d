"""Sequences, counts and labels of the Deep MR simulation (Malina et al. 2022), with known effects.

An exposure motif gives counts of the exposure; where an outcome motif stands beside it, also
counts of the outcome. Confounders raise both: a motif of their own, or a coin per sequence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seqtrust.bases import Codes
from seqtrust.errors import InputError
from seqtrust.motifs import Motif, choose_motifs, read_meme
from seqtrust.statistics import Floats

Integers = npt.NDArray[np.int64]

NONE, RANDOM, SEQUENCE, BOTH = "none", "random", "sequence", "both"
MODES = (NONE, RANDOM, SEQUENCE, BOTH)
EXPOSURE, OUTCOME, CONFOUNDER = 0, 1, 2
EMBEDDED = 0.75  # of all sequences
CLUSTERS = (1.0, 10.0)  # means of the published law of outcome over exposure counts
CLUSTER_SD = 0.5
WIDEST = np.sqrt(3)  # of a uniform number with sd 1


@dataclass(frozen=True)
class Process:
    """What data are drawn from; counts are means of Poisson laws.

    Attributes:
        motifs: of exposure, outcome and confounder.
        mode: which confounders there are: `none`, `random` (a coin per sequence), `sequence` (a
            motif), `both`.
        heterogeneity: sd of the causal effect over loci; it grows with the gap between the two
            motifs, so that sequences tell it.
        strength: of the confounders, a factor of their counts.
        length: of sequences, bp.
        background: probabilities of A, C, G, T.
        potential: of each motif, nats; a site is half occupied where its log odds are minus this.
        pseudocount: added to every probability of a motif.
        exposure_count: mean and sd over rounds of the counts of an occupied exposure motif.
        motif_counts: what an occupied confounder adds to exposure and outcome.
        coin_counts: what the coin adds to them.
        confounder_share: of sequences with the confounder's motif.
        coin_share: of sequences whose coin shows heads.
    """

    motifs: tuple[Motif, Motif, Motif]
    mode: str = NONE
    heterogeneity: float = 0.0
    strength: float = 1.0
    length: int = 100
    background: tuple[float, ...] = (0.27, 0.23, 0.23, 0.27)
    potential: tuple[float, ...] = (0.0, 0.0, 0.0)
    pseudocount: float = 1e-5
    exposure_count: tuple[float, ...] = (100.0, 3.0)
    motif_counts: tuple[float, ...] = (20.0, 30.0)
    coin_counts: tuple[float, ...] = (25.0, 25.0)
    confounder_share: float = 0.5
    coin_share: float = 0.5

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise InputError(f"mode of confounding {self.mode!r}; known: {', '.join(MODES)}")
        if abs(sum(self.background) - 1) > 1e-9 or min(self.background) <= 0:
            raise InputError(
                f"background {list(self.background)}: four positive probabilities that sum to 1 "
                "are needed"
            )
        first, last = self.gaps
        if first > last:
            widths = ", ".join(f"{motif.name} {motif.width} bp" for motif in self.motifs)
            raise InputError(
                f"sequences of {self.length} bp do not hold both motifs with a gap of {first} bp "
                f"({widths}): make length at least {self.length + first - last}"
            )

    @property
    def gaps(self) -> tuple[int, int]:
        """Smallest and largest gap between exposure and outcome motif, bp."""
        widths = self.widths[: OUTCOME + 1]
        return max(widths), self.length - sum(widths)

    @property
    def widths(self) -> tuple[int, ...]:
        """Of the three motifs, bp."""
        return tuple(motif.width for motif in self.motifs)

    @property
    def by_motif(self) -> bool:
        """Whether the confounder's motif is in the sequences."""
        return self.mode in (SEQUENCE, BOTH)

    @property
    def by_coin(self) -> bool:
        """Whether a coin confounds."""
        return self.mode in (RANDOM, BOTH)

    def probabilities(self, motif: int) -> Floats:
        """Of a motif, with the pseudocount, shape (w, 4)."""
        return (self.motifs[motif].probabilities + self.pseudocount) / (1 + 4 * self.pseudocount)

    def log_odds(self, motif: int) -> Floats:
        """Of a motif against the background, nats, shape (w, 4)."""
        return np.log(self.probabilities(motif) / np.array(self.background))


@dataclass(frozen=True)
class Relation:
    """The causal relation of one round.

    Attributes:
        alpha: counts of an occupied exposure motif.
        effect: mean causal effect on the scale of labels: about the change of the outcome's
            label per change of the exposure's; below 0 the exposure represses the outcome.
        cluster: name of the part of the law that the effect was drawn from.
    """

    alpha: float
    effect: float
    cluster: str


@dataclass(frozen=True)
class Sequences:
    """N simulated sequences.

    Attributes:
        codes: base codes, shape (N, L).
        starts: 0-based first base of the embedded exposure, outcome and confounder motif, -1
            where there is none, shape (N, 3).
        spacing: gap between exposure and outcome motif, uniform with mean 0 and sd 1 over pairs;
            0 where there is no pair, shape (N,).
    """

    codes: Codes
    starts: Integers
    spacing: Floats

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def has_exposure(self) -> npt.NDArray[np.bool_]:
        """Sequences with the exposure motif, shape (N,)."""
        return self.starts[:, EXPOSURE] >= 0

    @property
    def has_both(self) -> npt.NDArray[np.bool_]:
        """Sequences with exposure and outcome motif, shape (N,)."""
        return self.has_exposure & (self.starts[:, OUTCOME] >= 0)

    def rows(self, chosen: npt.NDArray[Any]) -> "Sequences":
        """Some of them."""
        return Sequences(self.codes[chosen], self.starts[chosen], self.spacing[chosen])

    def joined(self, others: "Sequences") -> "Sequences":
        """These and others behind them."""
        return Sequences(
            np.concatenate([self.codes, others.codes]),
            np.concatenate([self.starts, others.starts]),
            np.concatenate([self.spacing, others.spacing]),
        )


def chosen_motifs(path: str, names: Sequence[str]) -> tuple[Motif, Motif, Motif]:
    """The motifs of exposure, outcome and confounder from a MEME file."""
    exposure, outcome, confounder = choose_motifs(read_meme(path), names, path)
    return exposure, outcome, confounder


def drawn_relation(law: Mapping[str, Any], process: Process, rng: np.random.Generator) -> Relation:
    """The relation of one round.

    Args:
        law: `{clusters: true}`: the published one, the square root of N(1, .5^2) or N(10, .5^2),
            floored at 0; `{fixed: effect}`; `{uniform: [low, high]}`.
        process: with mean and sd of the exposure's counts.
        rng: source of randomness.
    """
    mean, sd = process.exposure_count
    alpha = max(1.0, rng.normal(mean, sd))
    if "fixed" in law:
        return Relation(alpha, float(law["fixed"]), "all")
    if "uniform" in law:
        return Relation(alpha, float(rng.uniform(*law["uniform"])), "all")
    which = int(rng.random() < 0.5)
    ratio = max(0.0, rng.normal(CLUSTERS[which], CLUSTER_SD))
    return Relation(alpha, float(np.sqrt(ratio)), ("low", "high")[which])


def drawn_sequences(number: int, process: Process, rng: np.random.Generator) -> Sequences:
    """Background sequences, three quarters with motifs of exposure, outcome or both.

    Of those with motifs a third has the exposure's, a third the outcome's, a third both, the
    exposure's first. Where motifs confound, the confounder's stands somewhere in a share of all
    sequences, also over another motif.
    """
    length, widths = process.length, process.widths
    codes = rng.choice(4, size=(number, length), p=process.background).astype(np.uint8)
    starts = np.full((number, 3), -1, dtype=np.int64)
    spacing = np.zeros(number)
    kind = np.where(rng.random(number) < EMBEDDED, rng.integers(0, 3, number), -1)
    for motif in (EXPOSURE, OUTCOME):
        alone = np.flatnonzero(kind == motif)
        starts[alone, motif] = rng.integers(0, length - widths[motif] + 1, len(alone))
    pairs = np.flatnonzero(kind == 2)
    first, last = process.gaps
    gaps = rng.integers(first, last + 1, len(pairs))
    room = length - widths[EXPOSURE] - widths[OUTCOME] - gaps
    starts[pairs, EXPOSURE] = rng.integers(0, room + 1)
    starts[pairs, OUTCOME] = starts[pairs, EXPOSURE] + widths[EXPOSURE] + gaps
    # a uniform whole number has variance ((n + 1)^2 - 1) / 12
    spread = np.sqrt(((last - first + 1) ** 2 - 1) / 12)
    spacing[pairs] = (gaps - (first + last) / 2) / spread if spread else 0.0
    confounded = process.by_motif & (rng.random(number) < process.confounder_share)
    places = rng.integers(0, length - widths[CONFOUNDER] + 1, number)
    starts[confounded, CONFOUNDER] = places[confounded]
    for motif in range(3):
        rows = np.flatnonzero(starts[:, motif] >= 0)
        columns = starts[rows, motif][:, None] + np.arange(widths[motif])
        codes[rows[:, None], columns] = _instances(len(rows), process.probabilities(motif), rng)
    return Sequences(codes, starts, spacing)


def drawn_variants(
    sequences: Sequences, number: int, process: Process, rng: np.random.Generator
) -> Sequences:
    """Sequences with motifs, each with one other base somewhere in every one of its motifs.

    Args:
        sequences: what they are drawn from, without replacement.
        number: how many, at most as there are.
        process: of the sequences.
        rng: source of randomness.
    """
    with_motif = np.flatnonzero((sequences.starts >= 0).any(axis=1))
    rows = rng.choice(with_motif, size=min(number, len(with_motif)), replace=False)
    drawn = sequences.rows(rows)
    codes = drawn.codes.copy()
    for motif, width in enumerate(process.widths):
        there = np.flatnonzero(drawn.starts[:, motif] >= 0)
        at = drawn.starts[there, motif] + rng.integers(0, width, len(there))
        other = rng.integers(1, 4, len(there))
        codes[there, at] = (codes[there, at] + other) % 4
    return Sequences(codes, drawn.starts, drawn.spacing)


def effects_of_loci(spacing: Floats, relation: Relation, heterogeneity: float) -> Floats:
    """The causal effect of every locus, shape (N,)."""
    return relation.effect + heterogeneity * spacing


def expected_counts(
    occupancy: Floats,
    effect: Floats,
    relation: Relation,
    process: Process,
    *,
    confounded: bool,
    coin: npt.ArrayLike = 0.0,
) -> Floats:
    """Mean counts of exposure and outcome.

    An activator gives 1 + beta q_x q_y counts of the outcome, a repressor
    1 + beta q_y (1 - sqrt q_x)^2, with beta = alpha effect^2: both are about linear in the
    exposure on the scale of labels.

    Args:
        occupancy: of the three motifs, shape (..., 3).
        effect: causal effect, broadcast to (...).
        relation: of the round.
        process: the counts of confounders.
        confounded: add them.
        coin: 0 or 1, broadcast to (...).

    Returns:
        Shape (..., 2).
    """
    q_x, q_y, q_c = (occupancy[..., motif] for motif in range(3))
    beta = relation.alpha * np.square(effect)
    bound = np.where(np.asarray(effect) >= 0, q_x, (1 - np.sqrt(q_x)) ** 2)
    counts = np.stack([1 + relation.alpha * q_x, 1 + beta * q_y * bound], axis=-1)
    if confounded and process.by_motif:
        counts += process.strength * q_c[..., None] * np.array(process.motif_counts)
    if confounded and process.by_coin:
        heads = np.asarray(coin, dtype=np.float64)[..., None]
        counts += process.strength * heads * np.array(process.coin_counts)
    return counts


def anscombe(counts: npt.ArrayLike) -> Floats:
    """Labels of counts, 2 sqrt(c + 3/8), with a variance of about 1 (Anscombe 1948)."""
    return np.asarray(2 * np.sqrt(np.asarray(counts) + 0.375))


def drawn_labels(
    occupancy: Floats,
    sequences: Sequences,
    relation: Relation,
    process: Process,
    rng: np.random.Generator,
) -> Floats:
    """Noisy, confounded labels of exposure and outcome, shape (N, 2)."""
    effect = effects_of_loci(sequences.spacing, relation, process.heterogeneity)
    coin = rng.random(len(sequences)) < process.coin_share
    means = expected_counts(occupancy, effect, relation, process, confounded=True, coin=coin)
    return anscombe(rng.poisson(means))


def _instances(number: int, probabilities: Floats, rng: np.random.Generator) -> Codes:
    """Instances of a motif, every base drawn from its column, shape (number, w)."""
    cumulative = np.cumsum(probabilities, axis=1)
    drawn = rng.random((number, len(probabilities), 1)) >= cumulative
    return np.minimum(drawn.sum(axis=-1), 3).astype(np.uint8)
