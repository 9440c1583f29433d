"""Which motifs replicates have in common, and which of the planted ones they find.

Patterns of all replicates are clustered by the similarity of their contributions (average
linkage, so that no chain of half-alike patterns joins two motifs). A cluster is a motif;
replicates that have a pattern in it share it, however many patterns they have there.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from seqtrust.attribution.attribution_maps import Flags, Floats, Integers
from seqtrust.attribution.motif_discovery import Pattern, as_motif
from seqtrust.attribution.motif_matching import (
    centred,
    core,
    match,
    permuted_similarity,
    place_on,
    reverse_complement,
)
from seqtrust.motifs import Motif


@dataclass(frozen=True)
class SharedMotif:
    """A motif of one or several replicates.

    Attributes:
        sign: `positive` or `negative`.
        replicates: those that have it, in the order given.
        seqlets: number of seqlets by replicate, in the same order.
        ppm: probability of every base, mean weighted by seqlets, (w, 4).
        cwm: contributions scaled to length 1, mean weighted by seqlets, (w, 4).
        similarity: mean over pairs of patterns of different replicates; NaN of one replicate.
    """

    sign: str
    replicates: tuple[str, ...]
    seqlets: tuple[int, ...]
    ppm: Floats
    cwm: Floats
    similarity: float

    @property
    def core(self) -> slice:
        """The columns that contribute."""
        return core(self.cwm)

    @property
    def consensus(self) -> str:
        """The most likely bases of the core, in lower case where below one half."""
        inner = self.ppm[self.core]
        letters = ["ACGT"[base] for base in inner.argmax(axis=1)]
        sure = inner.max(axis=1) >= 0.5
        return "".join(a if big else a.lower() for a, big in zip(letters, sure, strict=True))

    def turned(self) -> "SharedMotif":
        """The same motif on the other strand."""
        return SharedMotif(
            self.sign,
            self.replicates,
            self.seqlets,
            reverse_complement(self.ppm),
            reverse_complement(self.cwm),
            self.similarity,
        )


@dataclass(frozen=True)
class KnownMatches:
    """The known motif that each of M motifs is most like.

    Attributes:
        names: of the known motifs, (M,).
        similarity: with it, (M,).
        p: share of permuted sets of known motifs whose best is as similar, at least
            1 / (rounds + 1), (M,).
        reverse: whether the known motif is on the other strand, (M,).
        null: best similarity with the known motifs of every permuted set, (rounds, M).
        null_names: which of them it is, (rounds, M).
    """

    names: list[str]
    similarity: Floats
    p: Floats
    reverse: Flags
    null: Floats
    null_names: npt.NDArray[np.str_]

    def of(self, kept: Flags) -> "KnownMatches":
        """Those of some of the motifs, flags of shape (M,)."""
        return KnownMatches(
            [name for name, keep in zip(self.names, kept, strict=True) if keep],
            self.similarity[kept],
            self.p[kept],
            self.reverse[kept],
            self.null[:, kept],
            self.null_names[:, kept],
        )

    def alike(self, similarity: float) -> list[str]:
        """The known motif of every motif; empty where they are less similar."""
        pairs = zip(self.names, self.similarity, strict=True)
        return [name if value >= similarity else "" for name, value in pairs]

    def alike_by_chance(self, similarity: float, names: Collection[str]) -> float:
        """How many of some known motifs are found in permuted sets, mean over rounds."""
        wanted = (self.null >= similarity) & np.isin(self.null_names, list(names))
        found = [len(set(row[keep])) for row, keep in zip(self.null_names, wanted, strict=True)]
        return float(np.mean(found))


def share_motifs(
    patterns: Mapping[str, Sequence[Pattern]], similarity: float = 0.8
) -> list[SharedMotif]:
    """The motifs of several replicates, those of most replicates first, then of most seqlets.

    Args:
        patterns: of every replicate.
        similarity: patterns are joined while those of two clusters are on average so similar.
    """
    members = [(name, one) for name, some in patterns.items() for one in some]
    labels = _clusters([one.cwm for _, one in members], similarity)
    motifs = [
        _joined([members[index] for index in np.flatnonzero(labels == label)], list(patterns))
        for label in np.unique(labels)
    ]
    return sorted(motifs, key=lambda one: (-len(one.replicates), -sum(one.seqlets)))


def permuted_sharing(
    patterns: Mapping[str, Sequence[Pattern]], similarity: float, rounds: int, seed: int
) -> Floats:
    """How many motifs so many replicates share by chance, mean over rounds.

    The columns of every pattern's core are put in an order of their own.

    Returns:
        Motifs that at least k replicates have, for k = 1 to R, (R,).
    """
    rng = np.random.default_rng(seed)
    names = list(patterns)
    owners = np.array([names.index(name) for name in names for _ in patterns[name]], dtype=int)
    cores = [one.cwm[core(one.cwm)] for some in patterns.values() for one in some]
    counts = np.zeros((rounds, len(names)))
    for found in counts:
        labels = _clusters([rng.permutation(one) for one in cores], similarity)
        having = [len(set(owners[labels == label])) for label in np.unique(labels)]
        found[:] = [sum(one >= k for one in having) for k in range(1, len(names) + 1)]
    return np.asarray(counts.mean(axis=0))


def _clusters(matrices: Sequence[Floats], similarity: float) -> Integers:
    """Number of the cluster of every matrix."""
    if len(matrices) < 2:
        return np.ones(len(matrices), dtype=np.int64)
    alike = match(matrices, matrices).similarity
    distances = np.maximum(1.0 - (alike + alike.T) / 2, 0.0)
    np.fill_diagonal(distances, 0.0)
    tree = linkage(squareform(distances, checks=False), method="average")
    return np.asarray(fcluster(tree, 1.0 - similarity, criterion="distance"), dtype=np.int64)


def _joined(members: Sequence[tuple[str, Pattern]], order: Sequence[str]) -> SharedMotif:
    """A motif of patterns, in the frame of the one of most seqlets."""
    seed = max((one for _, one in members), key=lambda one: one.seqlets)
    found = match([seed.cwm], [one.cwm for _, one in members])
    ppm, cwm = np.zeros_like(seed.ppm), np.zeros_like(seed.cwm)
    weight, total = np.zeros((len(ppm), 1)), 0
    for index, (_, one) in enumerate(members):
        frame = (len(ppm), int(found.offset[0, index]), bool(found.reverse[0, index]))
        placed, covered = place_on(one.ppm, *frame)
        ppm += one.seqlets * placed
        weight += one.seqlets * covered[:, None]
        cwm += one.seqlets * place_on(one.cwm / np.linalg.norm(one.cwm), *frame)[0]
        total += one.seqlets
    counts = {name: sum(one.seqlets for own, one in members if own == name) for name in order}
    having = [name for name in order if counts[name]]
    return SharedMotif(
        seed.sign,
        tuple(having),
        tuple(counts[name] for name in having),
        ppm / weight,
        cwm / total,
        _between_replicates(members),
    )


def _between_replicates(members: Sequence[tuple[str, Pattern]]) -> float:
    matrices = [one.cwm for _, one in members]
    names = np.array([name for name, _ in members])
    pairs = names[:, None] < names
    return float(match(matrices, matrices).similarity[pairs].mean()) if pairs.any() else np.nan


def match_known(
    motifs: Sequence[SharedMotif], known: Sequence[Motif], rounds: int, seed: int
) -> KnownMatches:
    """The known motif that each motif is most like, by the probabilities of the core.

    Args:
        motifs: M motifs.
        known: at least one.
        rounds: permuted sets of the known motifs.
        seed: of the permutations.
    """
    queries = [centred(one.ppm[one.core]) for one in motifs]
    targets = [centred(one.probabilities) for one in known]
    found = match(queries, targets)
    null = permuted_similarity(queries, targets, rounds, seed)
    best = found.similarity.argmax(axis=1)
    rows = np.arange(len(motifs))
    similarity = found.similarity[rows, best]
    highest = null.max(axis=2)
    return KnownMatches(
        [known[index].name for index in best],
        similarity,
        (1 + (highest >= similarity).sum(axis=0)) / (rounds + 1),
        found.reverse[rows, best],
        highest,
        np.array([one.name for one in known])[null.argmax(axis=2)],
    )


def as_motifs(motifs: Mapping[str, SharedMotif]) -> list[Motif]:
    """The cores as motifs of a MEME file, by name."""
    return [as_motif(name, one.ppm[one.core]) for name, one in motifs.items()]


def single_motifs(patterns: Sequence[Pattern], replicate: str) -> list[SharedMotif]:
    """Every pattern of one replicate as a motif of its own."""
    return [_joined([(replicate, one)], [replicate]) for one in patterns]
