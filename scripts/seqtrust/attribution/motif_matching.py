"""Similarity of motifs: the best alignment over offsets and both strands.

Motifs are matrices of w columns by A, C, G, T: contribution weight matrices (CWM), or probabilities
less the 1/4 of no preference. Their similarity is the cosine of the two matrices at the offset and
strand where it is largest, a column without a partner counting as zero. It is 1 for equal
matrices, whatever their scale, and 0 where no alignment has anything in common, as is that of
contributions of opposite signs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqtrust.attribution.attribution_maps import Flags, Floats, Integers
from seqtrust.motifs import UNIFORM

# of the largest column: where the core of a pattern ends, and columns kept beside it; both as in
# the reports of TF-MoDISco
_CORE, _FLANK = 0.3, 4
# what rounding makes of equal similarities: the first alignment is kept
_TIE = 1e-12


@dataclass(frozen=True)
class Matches:
    """Best alignments of Q matrices with T others.

    Attributes:
        similarity: cosine, (Q, T); 0 where a matrix is zero.
        offset: column of the first matrix that column 0 of the other one lies at, (Q, T).
        reverse: whether the other one is reverse complemented before that, (Q, T).
    """

    similarity: Floats
    offset: Integers
    reverse: Flags


def centred(probabilities: npt.ArrayLike) -> Floats:
    """Probabilities (w, 4) less those of no preference, so that such a column is zero."""
    return np.asarray(probabilities, dtype=np.float64) - UNIFORM


def reverse_complement(matrix: Floats) -> Floats:
    """A matrix (w, 4) on the other strand."""
    return matrix[::-1, ::-1]


def core(cwm: Floats) -> slice:
    """The columns of a pattern that contribute, with some beside them.

    Args:
        cwm: contribution weight matrix (w, 4).
    """
    weights = np.abs(cwm).sum(axis=1)
    strong = np.flatnonzero(weights >= _CORE * weights.max())
    first, last = int(strong[0]), int(strong[-1])
    return slice(max(first - _FLANK, 0), min(last + 1 + _FLANK, len(cwm)))


def match(queries: Sequence[Floats], targets: Sequence[Floats]) -> Matches:
    """The best alignment of every query with every target.

    Args:
        queries: Q matrices of shape (w, 4).
        targets: T matrices of shape (w, 4).
    """
    pool = _Pool(targets)
    found = [pool.best(query) for query in queries]
    shape = (len(queries), len(targets))
    parts = [np.array([one[part] for one in found]).reshape(shape) for part in range(3)]
    return Matches(parts[0], parts[1].astype(np.int64), parts[2].astype(np.bool_))


def permuted_similarity(
    queries: Sequence[Floats], targets: Sequence[Floats], rounds: int, seed: int
) -> Floats:
    """What similarity chance gives: with the columns of every target in another order.

    A target keeps its columns, hence its bases and how sharp it is, and loses their order.

    Args:
        queries: Q matrices of shape (w, 4).
        targets: T matrices of shape (w, 4).
        rounds: number of orders drawn.
        seed: of the draws.

    Returns:
        Similarity of every query and target, (rounds, Q, T).
    """
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(rounds):
        drawn = [rng.permutation(target) for target in targets]
        rows.append(match(queries, drawn).similarity)
    return np.array(rows).reshape(rounds, len(queries), len(targets))


class _Pool:
    """Targets side by side, so that a query is aligned with all of them at once."""

    def __init__(self, targets: Sequence[Floats]) -> None:
        self.count = len(targets)
        widths = np.array([len(target) for target in targets], dtype=np.int64)
        self.widest = int(widths.max(initial=1))
        self.norms = np.array([np.linalg.norm(target) for target in targets])
        self.owner = np.repeat(np.arange(self.count), widths)
        self.place = np.concatenate([np.arange(width) for width in widths] or [widths])
        turned = [reverse_complement(target) for target in targets]
        self.strands = [np.vstack([*both, np.zeros((0, 4))]) for both in (targets, turned)]

    def best(self, query: Floats) -> tuple[Floats, Integers, Flags]:
        """Similarity, offset and strand of the best alignment with each target."""
        span = len(query) + self.widest - 1
        # offset of the target in the query, from -(widest - 1)
        offset = np.arange(len(query))[:, None] - self.place + self.widest - 1
        cells = (self.owner * span + offset).ravel()
        sums = [
            np.bincount(cells, (query @ columns.T).ravel(), self.count * span)
            for columns in self.strands
        ]
        table = np.stack(sums).reshape(2, self.count, span).transpose(1, 0, 2)
        scale = np.linalg.norm(query) * self.norms
        flat = table.reshape(self.count, 2 * span) / np.where(scale > 0, scale, 1.0)[:, None]
        # 0 is among them: offsets at which a narrow target has no column in common
        top = np.maximum(flat.max(axis=1, keepdims=True), 0.0)
        chosen = np.argmax(flat >= top - _TIE, axis=1)
        return top[:, 0], chosen % span - (self.widest - 1), chosen >= span


def place_on(matrix: Floats, width: int, offset: int, reverse: bool) -> tuple[Floats, Flags]:
    """A matrix in the frame of another one.

    Args:
        matrix: (w, 4).
        width: columns of the frame.
        offset: column of the frame that column 0 of the matrix, turned if need be, lies at.
        reverse: reverse complement it first.

    Returns:
        The matrix, (width, 4), and which columns of the frame it covers, (width,).
    """
    turned = reverse_complement(matrix) if reverse else matrix
    columns = np.arange(width) - offset
    covered = (columns >= 0) & (columns < len(turned))
    placed = np.zeros((width, 4))
    placed[covered] = turned[columns[covered]]
    return placed, covered
