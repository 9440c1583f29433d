"""Drawing the sequences of a grammar: motifs at random places of a uniform background.

As the authors of Majdandzic et al. (2022) do (task 3 of Koo et al. 2021): positives hold motifs
of a core, negatives of a pool that the core is part of; how many, which and where is random. All
numbers are settings, with the published values as defaults.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqtrust import bases
from seqtrust.errors import InputError
from seqtrust.fasta_files import write_fasta
from seqtrust.files import write_text, write_tsv
from seqtrust.genome import SPLITS
from seqtrust.motifs import UNIFORM, Motif
from seqtrust.sources.grammar import BASES, GrammarTruth
from seqtrust.sources.motif_pool import MotifPool, OrientedMotif, motif_pool

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_MOST_ROUNDS = 10_000
_CHUNK = 2_000


@dataclass(frozen=True)
class Composition:
    """The motifs of N sequences.

    Attributes:
        motifs: indices into a list of motifs, from the left, N arrays.
        starts: first positions, 0-based, N arrays.
    """

    motifs: list[Integers]
    starts: list[Integers]


@dataclass(frozen=True)
class Grammar:
    """Simulated sequences.

    Attributes:
        codes: base codes, (N, L), in the order of the truth.
        truth: what they were made of: training first, then validation and test.
        pool: the motifs.
    """

    codes: bases.Codes
    truth: GrammarTruth
    pool: MotifPool


def simulate_grammar(motifs: Sequence[Motif], settings: Mapping[str, Any], source: str) -> Grammar:
    """Draw the sequences of a grammar; equal settings give equal sequences.

    Motifs, positives, negatives, bases, splits and the artefact are drawn by generators of their
    own: a grammar with an artefact is the one without, but for the planted words.

    Args:
        motifs: of a file.
        settings: an entry of `grammars` of the config.
        source: file of the motifs, for messages.

    Raises:
        InputError: motifs that are unknown or do not fit, or numbers that contradict each other.
    """
    _refuse_bad_settings(settings)
    streams = np.random.SeedSequence(settings["seed"]).spawn(6)
    draws, positive, negative, letters, order, planting = map(np.random.default_rng, streams)
    pool = motif_pool(
        motifs, settings["core"], settings["pool"], settings["reverse_complements"], draws, source
    )
    positives = round(settings["sequences"] * settings["positives"])
    parts = [
        (compose(chosen, count, settings, rng), chosen)
        for chosen, count, rng in (
            (pool.core, positives, positive),
            (pool.negative, settings["sequences"] - positives, negative),
        )
    ]
    pwms = np.concatenate([sequence_pwms(*part, settings["length"]) for part in parts])
    codes = sampled(pwms, letters)
    labels = np.repeat([1, 0], [positives, len(codes) - positives]).astype(np.int8)
    artefacts = np.full(len(codes), -1, dtype=np.int32)
    if "artefact" in settings:
        artefacts[:positives] = _plant(
            codes[:positives], pwms[:positives], settings["artefact"], planting
        )
    splits = split_sizes(len(codes), settings["validation"], settings["test"])
    rows = order.permutation(len(codes))
    named = [name for name in SPLITS for _ in range(splits[name])]
    placed = [place for part in parts for place in _placed(*part)]
    truth = GrammarTruth(
        contig_names(labels[rows], named),
        labels[rows],
        named,
        pwms[rows],
        [placed[row][0] for row in rows],
        [placed[row][1] for row in rows],
        [placed[row][2] for row in rows],
        artefacts[rows],
    )
    return Grammar(codes[rows], truth, pool)


def compose(
    motifs: Sequence[OrientedMotif],
    count: int,
    settings: Mapping[str, Any],
    rng: np.random.Generator,
) -> Composition:
    """Which motifs sequences hold, and where.

    The number of motifs is drawn first. Motifs are drawn with replacement, and all of a sequence
    again where they fill it. Gaps before, between and behind them are `sample_gaps`.

    Args:
        motifs: to draw of.
        count: N, sequences.
        settings: `motif_numbers`, `probabilities` and `length`.
        rng: of all draws.

    Raises:
        InputError: so many motifs never fit.
    """
    length = settings["length"]
    widths = np.array([motif.width for motif in motifs])
    numbers = rng.choice(settings["motif_numbers"], count, p=settings["probabilities"])
    chosen: list[Integers] = [np.empty(0, dtype=np.int64)] * count
    starts = list(chosen)
    for number in np.unique(numbers).tolist():
        rows = np.flatnonzero(numbers == number)
        drawn = _drawn_motifs(widths, number, len(rows), length, rng)
        gaps = sample_gaps(length - widths[drawn].sum(axis=1), number, rng)
        first = np.cumsum(gaps[:, :-1], axis=1)
        first[:, 1:] += np.cumsum(widths[drawn[:, :-1]], axis=1)
        for row, mine, places in zip(rows.tolist(), drawn, first, strict=True):
            chosen[row], starts[row] = mine, places
    return Composition(chosen, starts)


def _drawn_motifs(
    widths: Integers, number: int, count: int, length: int, rng: np.random.Generator
) -> Integers:
    """Indices of motifs that leave background, (count, number)."""
    drawn = np.empty((count, number), dtype=np.int64)
    waiting = np.arange(count)
    for _ in range(_MOST_ROUNDS):
        drawn[waiting] = rng.integers(len(widths), size=(len(waiting), number))
        waiting = waiting[widths[drawn[waiting]].sum(axis=1) >= length]
        if not len(waiting):
            return drawn
    raise InputError(
        f"{number} motifs, of {widths.min()} to {widths.max()} bp, do not fit into sequences of "
        f"{length} bp: ask for longer sequences or fewer motifs"
    )


def sample_gaps(free: Integers, motifs: int, rng: np.random.Generator) -> Integers:
    """Lengths of the stretches of background before, between and behind motifs.

    Uniform numbers, scaled to the free length and rounded, and drawn again until they add up.

    Args:
        free: bp of background in each of N sequences.
        motifs: in every sequence.
        rng: of the draws.

    Returns:
        Shape (N, motifs + 1); every row adds up to its `free`.
    """
    gaps = np.empty((len(free), motifs + 1), dtype=np.int64)
    waiting = np.arange(len(free))
    while len(waiting):
        drawn = rng.random((len(waiting), motifs + 1))
        shares = drawn / drawn.sum(axis=1, keepdims=True)
        gaps[waiting] = np.rint(shares * free[waiting, None]).astype(np.int64)
        waiting = waiting[gaps[waiting].sum(axis=1) != free[waiting]]
    return gaps


def sequence_pwms(
    composition: Composition, motifs: Sequence[OrientedMotif], length: int
) -> npt.NDArray[np.float32]:
    """The matrices that sequences are drawn from: uniform but for their motifs, (N, L, 4)."""
    pwms = np.full((len(composition.motifs), length, BASES), UNIFORM, dtype=np.float32)
    for pwm, mine, places in zip(pwms, composition.motifs, composition.starts, strict=True):
        for index, first in zip(mine.tolist(), places.tolist(), strict=True):
            pwm[first : first + motifs[index].width] = motifs[index].columns
    return pwms


def sampled(pwms: npt.NDArray[np.float32], rng: np.random.Generator) -> bases.Codes:
    """A sequence of every matrix (N, L, 4): base codes (N, L)."""
    codes = np.empty(pwms.shape[:2], dtype=np.uint8)
    for first in range(0, len(pwms), _CHUNK):
        part = pwms[first : first + _CHUNK].astype(np.float64)
        cumulative = np.cumsum(part / part.sum(axis=2, keepdims=True), axis=2)
        # the last base of a sum that rounding leaves below 1 is one that can occur
        cumulative[cumulative >= cumulative[..., -1:]] = 1.0
        drawn = rng.random((*part.shape[:2], 1))
        codes[first : first + _CHUNK] = (drawn >= cumulative).sum(axis=2)
    return codes


def _plant(
    codes: bases.Codes,
    pwms: npt.NDArray[np.float32],
    artefact: Mapping[str, Any],
    rng: np.random.Generator,
) -> npt.NDArray[np.int32]:
    """Write the word over background of sequences; where, -1 for those without."""
    word = bases.encode(artefact["word"])
    share, (first, stop) = artefact["share"], artefact.get("position", (0, codes.shape[1]))
    if not 0 <= first <= stop - len(word) <= codes.shape[1] - len(word):
        raise InputError(
            f"artefact: position [{first}, {stop}) does not hold the {len(word)} bp of "
            f"{artefact['word']!r} in sequences of {codes.shape[1]} bp: widen it"
        )
    found = np.full(len(codes), -1, dtype=np.int32)
    motif = (pwms != UNIFORM).any(axis=2)
    for row in rng.permutation(len(codes))[: round(share * len(codes))].tolist():
        taken = np.convolve(motif[row, first:stop], np.ones(len(word)), "valid")
        free = np.flatnonzero(taken == 0)
        if len(free):
            start = first + int(rng.choice(free))
            codes[row, start : start + len(word)] = word
            found[row] = start
    return found


def split_sizes(count: int, validation: float, test: float) -> dict[str, int]:
    """How many sequences each data split gets.

    Raises:
        InputError: a split would be empty.
    """
    sizes = {"validation": round(count * validation), "test": round(count * test)}
    sizes["train"] = count - sum(sizes.values())
    if min(sizes.values()) < 1:
        raise InputError(
            f"{count} sequences with fractions {validation} (validation) and {test} (test) leave "
            "a data split empty: change the fractions or make more sequences"
        )
    return sizes


def contig_names(labels: npt.NDArray[np.int8], splits: Sequence[str]) -> list[str]:
    """Names that sets can choose by: split, class, and a number from 1 within both."""
    width = max(5, len(str(len(labels))))
    numbers: dict[str, int] = {}
    found = []
    for label, split in zip(labels.tolist(), splits, strict=True):
        kind = f"{split}_{'pos' if label else 'neg'}"
        numbers[kind] = numbers.get(kind, 0) + 1
        found.append(f"{kind}_{numbers[kind]:0{width}d}")
    return found


def write_grammar(
    grammar: Grammar,
    fasta: str | Path,
    targets: str | Path,
    splits: str | Path,
    motifs: str | Path,
) -> None:
    """Write sequences as contigs, targets of one bin each, a BED of splits, and the motifs."""
    names, length = grammar.truth.contigs, grammar.codes.shape[1]
    write_fasta(fasta, zip(names, grammar.codes, strict=True))
    places = {"contig": names, "start": 0, "end": length, "label": grammar.truth.labels}
    write_tsv(targets, pd.DataFrame(places))
    rows = zip(names, grammar.truth.splits, strict=True)
    write_text(splits, "".join(f"{name}\t0\t{length}\t{split}\n" for name, split in rows))
    write_tsv(motifs, pd.DataFrame(grammar.pool.rows))


def _placed(
    composition: Composition, motifs: Sequence[OrientedMotif]
) -> list[tuple[list[str], list[int], list[str]]]:
    """Names, starts and strands of every sequence's motifs."""
    return [
        ([motifs[i].name for i in mine], places.tolist(), [motifs[i].strand for i in mine])
        for mine, places in zip(composition.motifs, composition.starts, strict=True)
    ]


def _refuse_bad_settings(settings: Mapping[str, Any]) -> None:
    numbers, probabilities = settings["motif_numbers"], settings["probabilities"]
    if len(numbers) != len(probabilities) or abs(sum(probabilities) - 1) > 1e-9:
        raise InputError(
            f"grammar: motif_numbers {numbers} need as many probabilities, which add up to 1: "
            f"found {probabilities}"
        )
    if "artefact" in settings and not set(settings["artefact"]["word"]) <= set("ACGT"):
        raise InputError(
            f"grammar: artefact: {settings['artefact']['word']!r} is no word of A, C, G and T"
        )
