"""The oracle of the Deep MR simulation: expected labels of any sequence, and the true effects.

Occupancy of a site is 1 / (1 + exp(-(log odds + potential))), on the forward strand; that of a
sequence is 1 - prod(1 - occupancy of a site), kept as the logarithm of the vacancy, which is
a sum over sites, so that a mutation changes only the terms of the sites over it.
"""

from dataclasses import dataclass

import numpy as np

from seqtrust.bases import Codes
from seqtrust.mendelian.effects import Flags
from seqtrust.mendelian.simulated_grammar import (
    EXPOSURE,
    Integers,
    Process,
    Relation,
    Sequences,
    anscombe,
    drawn_sequences,
    effects_of_loci,
    expected_counts,
)
from seqtrust.statistics import Floats

ROWS = 200  # sequences whose mutants are held at a time


@dataclass(frozen=True)
class TrueEffects:
    """Effects of substitutions of K loci on the expected labels.

    Attributes:
        causal: without confounders, shape (2, K, 4 P) for P positions: exposure and outcome;
            position by position, bases in the order of codes; NaN for the locus' own base.
        learned: with confounders, which an ideal network would learn, same shape.
        span_slope: slope through the origin of the causal outcome effects on the exposure
            effects of all mutations of the exposure motif, shape (K,); NaN without the motif.
    """

    causal: Floats
    learned: Floats
    span_slope: Floats


def occupancies(codes: Codes, process: Process) -> Floats:
    """Occupancy of every motif in every sequence, shape (N, 3)."""
    vacancy = [-_softplus(site_scores(codes, process, motif)).sum(axis=1) for motif in range(3)]
    return -np.expm1(np.stack(vacancy, axis=-1))


def site_scores(codes: Codes, process: Process, motif: int) -> Floats:
    """Log odds plus potential of every site of a motif, nats, shape (N, L - w + 1)."""
    table = process.log_odds(motif)
    sites = codes.shape[1] - len(table) + 1
    scores = np.full((len(codes), sites), float(process.potential[motif]))
    for column, odds in enumerate(table):
        scores += odds[codes[:, column : column + sites]]
    return scores


def mutant_occupancies(codes: Codes, process: Process, position: Integers) -> Floats:
    """Occupancy of every motif in every mutant; own bases change nothing.

    Args:
        codes: base codes, shape (N, L).
        process: of the simulation.
        position: 0-based, of the mutations, shape (N, P).

    Returns:
        Shape (N, P, 4, 3): the third axis is the new base.
    """
    own = np.take_along_axis(codes, position, axis=1)
    found = np.empty((*position.shape, 4, 3))
    for motif in range(3):
        table = process.log_odds(motif)
        scores = site_scores(codes, process, motif)
        terms = _softplus(scores)
        vacancy = np.repeat(-terms.sum(axis=1)[:, None, None], position.shape[1], axis=1)
        vacancy = np.repeat(vacancy, 4, axis=2)
        for column, odds in enumerate(table):
            # the mutated base is this column of the site that begins so many bases before it
            begin = position - column
            there = (begin >= 0) & (begin < scores.shape[1])
            begin = np.clip(begin, 0, scores.shape[1] - 1)
            before = np.take_along_axis(scores, begin, axis=1)[..., None]
            moved = before + odds - odds[own][..., None]
            change = _softplus(moved) - np.take_along_axis(terms, begin, axis=1)[..., None]
            vacancy -= there[..., None] * change
        found[..., motif] = -np.expm1(np.minimum(vacancy, 0))
    return found


def expected_labels(
    occupancy: Floats, effect: Floats, relation: Relation, process: Process, *, confounded: bool
) -> Floats:
    """Labels of expected counts, shape (..., 2); over a coin that confounds, their mean.

    Args:
        occupancy: shape (..., 3).
        effect: causal effect of the locus, broadcast to (...).
        relation: of the round.
        process: of the simulation.
        confounded: with confounders.
    """
    sides = [
        anscombe(
            expected_counts(occupancy, effect, relation, process, confounded=confounded, coin=heads)
        )
        for heads in ((0.0, 1.0) if confounded and process.by_coin else (0.0,))
    ]
    if len(sides) == 1:
        return sides[0]
    return (1 - process.coin_share) * sides[0] + process.coin_share * sides[1]


def true_effects(
    sequences: Sequences, relation: Relation, process: Process, *, span: bool = False
) -> TrueEffects:
    """Effects of all substitutions on the expected labels.

    Args:
        sequences: the loci.
        relation: of the round.
        process: of the simulation.
        span: of the exposure motif only, which all loci must have; else of every position.
    """
    length, width = process.length, process.widths[EXPOSURE]
    if span:
        position = sequences.starts[:, EXPOSURE][:, None] + np.arange(width)
    else:
        position = np.broadcast_to(np.arange(length), (len(sequences), length))
    both = np.empty((2, 2, len(sequences), 4 * position.shape[1]))
    for first in range(0, len(sequences), ROWS):
        rows = np.arange(first, min(first + ROWS, len(sequences)))
        part, here = sequences.rows(rows), position[rows]
        effect = effects_of_loci(part.spacing, relation, process.heterogeneity)
        own = occupancies(part.codes, process)
        mutants = mutant_occupancies(part.codes, process, here)
        for kind, confounded in enumerate((False, True)):
            before = expected_labels(own, effect, relation, process, confounded=confounded)
            after = expected_labels(
                mutants, effect[:, None, None], relation, process, confounded=confounded
            )
            moved = (after - before[:, None, None]).reshape(len(part), -1, 2)
            both[kind, :, rows] = np.moveaxis(moved, -1, 1)
    bases = np.take_along_axis(sequences.codes, position, axis=1)
    both[:, :, (bases[..., None] == np.arange(4)).reshape(len(bases), -1)] = np.nan
    inside = within_exposure(sequences, process) if not span else np.isfinite(both[0, 0])
    return TrueEffects(both[0], both[1], _slopes(both[0], inside))


def within_exposure(sequences: Sequences, process: Process) -> Flags:
    """Which of the 4 L substitutions are in the exposure motif, shape (N, 4 L)."""
    position = np.repeat(np.arange(process.length), 4)
    start = sequences.starts[:, EXPOSURE][:, None]
    inside = (position >= start) & (position < start + process.widths[EXPOSURE])
    return inside & (start >= 0)


def _slopes(causal: Floats, inside: Flags) -> Floats:
    """Least squares through the origin, shape (N,)."""
    used = inside & np.isfinite(causal[0])
    x, y = (np.where(used, side, 0.0) for side in causal)
    squares = (x**2).sum(axis=1)
    return np.divide((x * y).sum(axis=1), squares, out=np.full(len(x), np.nan), where=squares > 0)


def drawn_loci(
    number: int, process: Process, rng: np.random.Generator, *, both: bool = True
) -> Sequences:
    """Exactly so many sequences with both motifs, or with the exposure motif."""
    found = drawn_sequences(0, process, rng)
    while len(found) < number:
        more = drawn_sequences(6 * number + 50, process, rng)
        found = found.joined(more.rows(more.has_both if both else more.has_exposure))
    return found.rows(np.arange(number))


def _softplus(values: Floats) -> Floats:
    """log(1 + exp(x)), which is -log(vacancy of a site)."""
    return np.logaddexp(0.0, values)
