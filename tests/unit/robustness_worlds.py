"""Small worlds and naive twins for the tests of the robustness simulator."""

import math

import numpy as np

from seqtrust.robustness.sequences import SequenceSettings
from seqtrust.robustness.worlds import WorldSettings, make_world


def small_world(seed=3, **settings):
    """Short sequences with three narrow motifs: the laws are the same, the scan is fast."""
    sequences = SequenceSettings(length=48, slot=8, rate=0.8)
    chosen = {"motifs": 3, "width": 6, "reference": 4000} | settings
    return make_world(WorldSettings(seed, sequences, **chosen))


def naive_bits(codes, motif):
    """Bits of every site on its better strand, one base at a time; -inf with an N."""
    forward, reverse = motif.bits, motif.bits[::-1, ::-1]
    found = []
    for start in range(len(codes) - motif.width + 1):
        site = codes[start : start + motif.width]
        if (site == 4).any():
            found.append(-math.inf)
        else:
            found.append(
                max(
                    sum(bits[i, base] for i, base in enumerate(site)) for bits in (forward, reverse)
                )
            )
    return found


def naive_occupancies(codes, motif, threshold=0.7, softness=1.0):
    half = threshold * sum(max(column) for column in motif.bits)
    return [
        1 / (1 + math.exp(min((half - bits) / softness, 700))) for bits in naive_bits(codes, motif)
    ]


def naive_feature(codes, motif, threshold=0.7, softness=1.0, count_weight=0.3):
    occupied = naive_occupancies(codes, motif, threshold, softness)
    empty = 1.0
    for o in occupied:
        empty *= 1 - o
    return 1 - empty + count_weight * math.log(1 + sum(occupied))


def naive_gc(codes):
    known = [base for base in codes if base != 4]
    return sum(base in (1, 2) for base in known) / len(known)


def naive_activity(codes, readout, program):
    """Mean activity of one sequence by its definition."""
    h = [
        naive_feature(codes, motif, readout.threshold, readout.softness, readout.count_weight)
        for motif in readout.motifs
    ]
    total = program.intercept + program.gc * (naive_gc(codes) - 0.45)
    total += sum(weight * value for weight, value in zip(program.motifs, h, strict=True))
    for weight, (a, b) in zip(program.pairs, readout.pairs, strict=True):
        total += weight * h[a] * h[b]
    return total


def coverage_of(condition, level_z=1.6448536269514722):
    return float(np.mean(np.abs(condition.observed - condition.mean) <= level_z * condition.sd))
