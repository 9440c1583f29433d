"""Windows shuffled with their dinucleotide counts kept, as an assembly of their own."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from seqtrust import bases
from seqtrust.bases import Codes
from seqtrust.fasta_files import write_fasta
from seqtrust.genome import Genome, Window
from seqtrust.sequence_set import store_window
from seqtrust.sources.seeds import named_generator


def dinucleotide_shuffle(codes: Codes, rng: np.random.Generator) -> Codes:
    """A random sequence with exactly the dinucleotide counts of `codes`, shape (L,).

    All such sequences are equally likely (Altschul and Erickson 1985): the last exit from
    every base is drawn until all of them lead to the last base, the other exits are permuted,
    and the walk follows them. First and last base stay. N counts as a letter of its own.
    """
    if len(codes) < 3:
        return codes.copy()
    exits = [codes[1:][codes[:-1] == letter] for letter in range(len(bases.LETTERS))]
    last_exits = _last_exits(exits, int(codes[-1]), rng)
    ways = []
    for letter, letters in enumerate(exits):
        order = letters.copy()
        if letter in last_exits:
            place = np.flatnonzero(order == last_exits[letter])[0]
            order = np.append(rng.permutation(np.delete(order, place)), last_exits[letter])
        else:
            order = rng.permutation(order)
        ways.append(iter(order.tolist()))
    walk = [int(codes[0])]
    for _ in range(len(codes) - 1):
        walk.append(next(ways[walk[-1]]))
    return np.array(walk, dtype=np.uint8)


def _last_exits(exits: list[Codes], end: int, rng: np.random.Generator) -> dict[int, int]:
    """The last exit from every base but the end, such that following them leads to the end."""
    starts = [letter for letter, letters in enumerate(exits) if len(letters) and letter != end]
    while True:
        drawn = {letter: int(rng.choice(exits[letter])) for letter in starts}
        if all(_leads_to(end, letter, drawn) for letter in starts):
            return drawn


def _leads_to(end: int, letter: int, exits: dict[int, int]) -> bool:
    for _ in range(len(exits) + 1):
        if letter == end:
            return True
        letter = exits[letter]
    return False


def write_shuffled(
    target: str | Path,
    genome: Genome,
    windows: Iterable[tuple[str, Window]],
    copies: int,
    seed: int,
) -> int:
    """Write shuffled windows as an indexed FASTA, one contig per window and copy.

    Contigs are in the orientation of the windows and named after them, with `_1`, `_2`, ...
    behind the name if there are several copies. Each has a generator of its own, so that
    another window does not change it.

    Args:
        target: path of the FASTA; its index goes beside it.
        genome: assembly of the windows.
        windows: names and windows, inside their contigs.
        copies: shuffled sequences per window.
        seed: seed of all draws.

    Returns:
        The number of contigs.
    """
    return write_fasta(target, _shuffled(genome, windows, copies, seed))


def _shuffled(
    genome: Genome, windows: Iterable[tuple[str, Window]], copies: int, seed: int
) -> Iterator[tuple[str, bases.Codes]]:
    for name, window in windows:
        codes = store_window(genome, window, name).sequence(())
        for copy in range(1, copies + 1):
            contig = name if copies == 1 else f"{name}_{copy}"
            yield contig, dinucleotide_shuffle(codes, named_generator(seed, contig))
