"""Patterns and maps whose motifs are known."""

import numpy as np

from seqtrust.attribution.map_tables import AttributionMaps, corrected_maps, scorable
from seqtrust.attribution.motif_discovery import Pattern
from seqtrust.motifs import Motif

WORDS = {"first": "TGACTCATCC", "second": "CACGTTGGCA", "third": "GGATATTAGC"}


def matrix_of(word, probability=0.97):
    """Probabilities of a word, the rest shared by the other bases."""
    other = (1 - probability) / 3
    return np.array([[probability if base == own else other for base in "ACGT"] for own in word])


def known_motifs(words=WORDS):
    return [Motif(name, tuple(map(tuple, matrix_of(word)))) for name, word in words.items()]


def pattern(word, seqlets=20, sign="positive", seed=0, noise=0.0, flank=6, name="positive_1"):
    """A pattern of a word between uniform columns."""
    rng = np.random.default_rng(seed)
    ppm = np.pad(matrix_of(word) - 0.25, ((flank, flank), (0, 0))) + 0.25
    cwm = np.where(ppm > 0.5, 1.0, 0.0) + noise * rng.normal(size=ppm.shape)
    cwm = cwm if sign == "positive" else -cwm
    starts = rng.integers(0, 50, seqlets)
    ids = [f"s{row}" for row in range(seqlets)]
    return Pattern(name, sign, ppm, cwm, cwm.copy(), ids, starts, rng.random(seqlets) < 0.5)


def planted_maps(count, length, noise=0.1, words=WORDS, signs=None, seed=0):
    """Maps of random sequences with two words each, on either strand; `signs` by word.

    The words lie so far from the ends that a pattern with its flanks fits.

    Returns:
        Maps and (sequence, start, word, reverse) of every word.
    """
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (count, length)).astype(np.uint8)
    maps = noise * rng.normal(size=(count, length, 4))
    names, placed = list(words), []
    for row in range(count):
        for first in (length // 4, 9 * length // 16):
            start = first + int(rng.integers(length // 10))
            name, reverse = names[rng.integers(len(names))], bool(rng.random() < 0.5)
            word = np.array(["ACGT".index(base) for base in words[name]], dtype=np.uint8)
            word = 3 - word[::-1] if reverse else word
            codes[row, start : start + len(word)] = word
            sign = 1.0 if signs is None else signs[name]
            maps[row, start + np.arange(len(word)), word] += sign
            placed.append((row, start, name, reverse))
    return as_maps(maps, codes), placed


def as_maps(maps, codes):
    """Maps as they are read: centred, with the usable ones marked."""
    with np.errstate(invalid="ignore"):
        usable = scorable(maps, codes)
    ids = [f"s{row}" for row in range(len(maps))]
    flags = np.ones(len(maps), dtype=bool)
    return AttributionMaps(
        ids, "t", codes, np.zeros(len(maps)), corrected_maps(maps, codes), flags, usable
    )
