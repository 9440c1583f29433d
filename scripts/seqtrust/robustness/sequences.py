"""Random sequences with planted motif instances.

Every draw has a generator of its own, so that sequences of one seed differ between two settings
only where the settings reach: with another mean GC content the same instances stand at the same
places.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqtrust.bases import UNKNOWN, Codes, reverse_complement
from seqtrust.errors import InputError
from seqtrust.motifs import Motif, soften
from seqtrust.robustness.checks import refuse_outside
from seqtrust.sources.seeds import named_generator

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# a pool serves where at least this share of rows finds a sequence of nearly the wanted GC content
_POOL_SHARE, _POOL_GAP = 0.9, 0.05


@dataclass(frozen=True)
class SequenceSettings:
    """How sequences are made.

    Attributes:
        length: L, bp.
        gc_mean: mean of the GC content of backgrounds.
        gc_sd: its standard deviation between sequences.
        gc_range: what it is clipped to.
        rate: expected instances per motif (Poisson).
        slot: instances start at multiples of it, so that they never overlap, bp.

    Raises:
        InputError: a value makes no sense.
    """

    length: int = 200
    gc_mean: float = 0.45
    gc_sd: float = 0.05
    gc_range: tuple[float, float] = (0.20, 0.85)
    rate: float = 0.45
    slot: int = 12

    def __post_init__(self) -> None:
        low, high = self.gc_range
        refuse_outside("sequences", "gc_range[0]", low, 0, 1)
        refuse_outside("sequences", "gc_range[1]", high, low, 1)
        refuse_outside("sequences", "gc_mean", self.gc_mean, low, high)
        refuse_outside("sequences", "gc_sd", self.gc_sd, 0, 1)
        refuse_outside("sequences", "rate", self.rate, 0, np.inf)
        refuse_outside("sequences", "slot", self.slot, 1, self.length)

    @property
    def slots(self) -> int:
        """Places for an instance."""
        return self.length // self.slot


@dataclass(frozen=True)
class Drawn:
    """N sequences of L bases with instances of K motifs.

    Attributes:
        codes: base codes, uint8 (N, L).
        planted: instances of every motif, shape (N, K).
        background_gc: G and C outside instances, shape (N,).
        background_bases: bases outside instances, shape (N,).
    """

    codes: Codes
    planted: Integers
    background_gc: Integers
    background_bases: Integers


def draw_sequences(
    settings: SequenceSettings,
    motifs: Sequence[Motif],
    count: int,
    seed: int,
    gc_mean: float | None = None,
    turnover: float = 0.0,
    pool: Codes | None = None,
) -> Drawn:
    """Draw sequences.

    Args:
        settings: how.
        motifs: K motifs to plant.
        count: N.
        seed: of all draws.
        gc_mean: another mean of the GC content of backgrounds than that of `settings`.
        turnover: instances are drawn from (1 - turnover) x PWM + turnover / 4.
        pool: real sequences, shape (M, L). Backgrounds are then dinucleotide shuffles of them:
            a GC content is drawn for every row, and the sequence nearest to it is shuffled.

    Raises:
        InputError: a motif is wider than a slot, or the pool has sequences of another length, an
            unknown base, or too few of the wanted GC content.
    """
    mean = settings.gc_mean if gc_mean is None else gc_mean
    refuse_outside("sequences", "gc_mean", mean, *settings.gc_range)
    refuse_outside("sequences", "turnover", turnover, 0, 1)
    refuse_outside("sequences", "count", count, 1, np.inf)
    wanted = mean + settings.gc_sd * named_generator(seed, "gc").standard_normal(count)
    wanted = np.clip(wanted, *settings.gc_range)
    if pool is None:
        codes = random_background(wanted, settings.length, named_generator(seed, "letters"))
    else:
        _refuse_bad_pool(pool, settings.length)
        codes = shuffled_background(wanted, pool, named_generator(seed, "shuffles"))
    softened = [soften(motif, turnover) for motif in motifs]
    places = _places(softened, count, settings, seed)
    background = np.ones(codes.shape, dtype=bool)
    drawn = named_generator(seed, "instances").random(
        (len(places.rows), max(motif.width for motif in motifs))
    )
    planted = np.zeros((count, len(motifs)), dtype=np.int64)
    for index, motif in enumerate(softened):
        mine = places.motifs == index
        instances = _instances(motif, drawn[mine, : motif.width], places.reverse[mine])
        rows = places.rows[mine]
        columns = places.starts[mine, None] + np.arange(motif.width)
        codes[rows[:, None], columns] = instances
        background[rows[:, None], columns] = False
        planted[:, index] = np.bincount(rows, minlength=count)
    strong = (codes == 1) | (codes == 2)
    return Drawn(codes, planted, (strong & background).sum(axis=1), background.sum(axis=1))


def gc_content(codes: Codes) -> Floats:
    """Share of G and C among known bases along the last axis; 0 where none is known."""
    known = (codes != UNKNOWN).sum(axis=-1)
    return ((codes == 1) | (codes == 2)).sum(axis=-1) / np.maximum(known, 1)


def random_background(gc: Floats, length: int, rng: np.random.Generator) -> Codes:
    """Independent bases with P(G) = P(C) = gc / 2, base codes (N, L).

    Args:
        gc: GC content of each sequence, shape (N,).
        length: L.
        rng: one number per base, whatever `gc` is.
    """
    drawn = rng.random((len(gc), length))
    codes = (drawn >= 0.5).astype(np.uint8)
    codes += drawn >= ((1 - gc) / 2)[:, None]
    codes += drawn >= ((1 + gc) / 2)[:, None]
    return codes


def shuffled_background(gc: Floats, pool: Codes, rng: np.random.Generator) -> Codes:
    """Dinucleotide shuffles of the sequences of a pool that are nearest to a GC content, (N, L).

    Args:
        gc: wanted GC contents, shape (N,).
        pool: sequences, shape (M, L).
        rng: of the shuffles.

    Raises:
        InputError: the pool has too few sequences near the wanted GC contents.
    """
    from seqtrust.sources.shuffled import dinucleotide_shuffle

    known = gc_content(pool)
    order = np.argsort(known, kind="stable")
    ordered = known[order]
    right = np.clip(np.searchsorted(ordered, gc), 1, max(len(order) - 1, 1))
    right = np.minimum(right, len(order) - 1)
    left = np.maximum(right - 1, 0)
    nearer = np.abs(ordered[left] - gc) <= np.abs(ordered[right] - gc)
    chosen = np.where(nearer, left, right)
    far = np.abs(ordered[chosen] - gc) > _POOL_GAP
    if far.mean() > 1 - _POOL_SHARE:
        raise InputError(
            f"background pool: {int(far.sum())} of {len(gc)} wanted GC contents (mean "
            f"{gc.mean():.2f}) have no sequence within {_POOL_GAP}; the pool reaches from "
            f"{ordered[0]:.2f} to {ordered[-1]:.2f}: add sequences, or ask for a smaller shift"
        )
    return np.stack([dinucleotide_shuffle(pool[row], rng) for row in order[chosen].tolist()])


@dataclass(frozen=True)
class _Places:
    """Where M instances stand: arrays of shape (M,)."""

    rows: Integers
    motifs: Integers
    starts: Integers
    reverse: npt.NDArray[np.bool_]


def _places(motifs: Sequence[Motif], count: int, settings: SequenceSettings, seed: int) -> _Places:
    """Rows, motifs, first bases and strands of instances; more than there are slots are left out.

    Which are left out is drawn.
    """
    for motif in motifs:
        if motif.width > settings.slot:
            raise InputError(
                f"motif {motif.name!r} has {motif.width} columns, slots have {settings.slot} bp: "
                "ask for wider slots, or leave the motif out"
            )
    numbers = named_generator(seed, "numbers").poisson(settings.rate, (count, len(motifs)))
    rows, kinds = np.divmod(np.repeat(np.arange(numbers.size), numbers.ravel()), len(motifs))
    rng = named_generator(seed, "places")
    slots = np.argsort(rng.random((count, settings.slots)), axis=1)
    order = np.lexsort((rng.random(len(rows)), rows))
    reverse = rng.random(len(rows)) < 0.5
    rank = np.empty(len(rows), dtype=np.int64)
    rank[order] = np.arange(len(rows)) - np.searchsorted(rows, rows[order])
    kept = rank < settings.slots
    starts = settings.slot * slots[rows[kept], rank[kept]]
    return _Places(rows[kept], kinds[kept], starts, reverse[kept])


def _instances(motif: Motif, drawn: Floats, reverse: npt.NDArray[np.bool_]) -> Codes:
    """Instances, base codes (M, w), from uniform numbers of the same shape."""
    cumulative = np.cumsum(motif.probabilities, axis=1)[:, :3]
    letters = (drawn[:, :, None] >= cumulative).sum(axis=2).astype(np.uint8)
    return np.where(reverse[:, None], reverse_complement(letters), letters)


def _refuse_bad_pool(pool: Codes, length: int) -> None:
    if pool.ndim != 2 or pool.shape[1] != length or not len(pool):
        raise InputError(
            f"background pool of shape {pool.shape}: it needs sequences of {length} bp, one a row"
        )
    unknown = np.flatnonzero((pool == UNKNOWN).any(axis=1))
    if unknown.size:
        raise InputError(
            f"background pool: {unknown.size} sequences hold an N, the first is row "
            f"{int(unknown[0])}: leave them out"
        )
