"""Artefacts of sequencing: what is read of molecules, and whose measurement is whose."""

import numpy as np
import numpy.typing as npt

from seqtrust.bases import UNKNOWN, Codes
from seqtrust.sources.seeds import named_generator


def read_bases(codes: Codes, substitutions: float, masked: float, seed: int) -> Codes:
    """Sequences as they are read, shape (N, L).

    Args:
        codes: the molecules, shape (N, L).
        substitutions: share of bases that are read as one of the three others.
        masked: share of bases that are read as N, after substitutions.
        seed: of the draws; a smaller share changes a subset of the bases.
    """
    if not (substitutions or masked):
        return codes
    rng = named_generator(seed, "reads")
    wrong = rng.random(codes.shape) < substitutions
    turns = rng.integers(1, 4, size=codes.shape, dtype=np.uint8)
    hidden = rng.random(codes.shape) < masked
    read = np.where(wrong & (codes != UNKNOWN), (codes + turns) % 4, codes)
    return np.where(hidden, UNKNOWN, read).astype(np.uint8)


def swapped_rows(count: int, swaps: float, seed: int) -> npt.NDArray[np.int64]:
    """Whose measurement every row gets, shape (N,): itself, or another row's.

    Args:
        count: N.
        swaps: share of rows with the measurement of another one; they pass theirs on in a ring.
        seed: of the choice.
    """
    order = np.arange(count)
    number = round(swaps * count)
    if number > 1:
        chosen = named_generator(seed, "swaps").permutation(count)[:number]
        order[chosen] = np.roll(chosen, 1)
    return order
