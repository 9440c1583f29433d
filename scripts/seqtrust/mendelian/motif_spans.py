"""Where motif instances lie in sequences."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from seqtrust.bases import UNKNOWN, Codes
from seqtrust.errors import InputError, nearest_clause
from seqtrust.mendelian.instrument_tables import Integers
from seqtrust.motifs import Motif, choose_motifs, read_meme


def motif_spans(codes: Codes, motif: Motif, matches: float = 0.8) -> Integers:
    """Instances of a motif on both strands.

    Args:
        codes: base codes (L,).
        motif: the motif.
        matches: smallest score, as a share of the motif's largest; scores are log2 odds against
            equal bases. A site with an N is none.

    Returns:
        0-based half-open intervals (M, 2), sorted.
    """
    width = motif.width
    if len(codes) < width:
        return np.zeros((0, 2), dtype=np.int64)
    words = np.lib.stride_tricks.sliding_window_view(codes, width)
    fine = (words < UNKNOWN).all(axis=1)
    used = np.where(words < UNKNOWN, words, 0)
    bits = motif.bits
    needed = matches * bits.max(axis=1).sum()
    found = np.zeros(len(words), dtype=bool)
    # the reverse complement of a motif has its columns and its bases (A, C, G, T) in reverse
    for table in (bits, bits[::-1, ::-1]):
        found |= table[np.arange(width), used].sum(axis=1) >= needed
    begins = np.flatnonzero(found & fine)
    return np.stack([begins, begins + width], axis=1)


def motifs_of_tasks(
    path: str | Path, of: Mapping[str, Sequence[str]], tasks: Sequence[str]
) -> dict[str, list[Motif]]:
    """The motifs of every task.

    Args:
        path: MEME file.
        of: names of motifs by task; a task that is not named has all motifs of the file.
        tasks: names.

    Raises:
        InputError: a motif or task is unknown.
    """
    for task in of:
        if task not in tasks:
            raise InputError(f"motifs of {task!r}: no such task{nearest_clause(task, tasks)}")
    motifs = read_meme(path)
    return {task: choose_motifs(motifs, of[task], path) if task in of else motifs for task in tasks}


def spans_of_motifs(codes: Codes, motifs: Sequence[Motif], matches: float) -> Integers:
    """Instances of any of several motifs, (M, 2)."""
    found = [motif_spans(codes, motif, matches) for motif in motifs]
    return np.concatenate(found) if found else np.zeros((0, 2), dtype=np.int64)
