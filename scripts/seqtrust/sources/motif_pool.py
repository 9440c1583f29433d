"""The motifs of a simulated grammar: core motifs, and a pool of others that are unlike them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import numpy.typing as npt

from seqtrust.errors import InputError
from seqtrust.motifs import UNIFORM, Motif

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class OrientedMotif:
    """A motif as it is written into a sequence.

    Attributes:
        name: of the motif.
        strand: `-` where the columns are those of the reverse complement.
        columns: probabilities of A, C, G, T, shape (w, 4).
    """

    name: str
    strand: str
    columns: Floats

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.columns)


@dataclass(frozen=True)
class MotifPool:
    """What sequences of the two classes are made of.

    Attributes:
        core: of positives; negatives may have them too.
        others: of negatives alone.
        rows: every motif that was looked at: name, kind (`core`, `pool` or `removed`), width,
            information (bits), core motif that it is most like, and how much.
    """

    core: list[OrientedMotif]
    others: list[OrientedMotif]
    rows: list[dict[str, Any]]

    @property
    def negative(self) -> list[OrientedMotif]:
        """All motifs."""
        return self.core + self.others


def motif_pool(
    motifs: Sequence[Motif],
    core: Sequence[str],
    pool: Mapping[str, Any],
    reverse_complements: bool,
    rng: np.random.Generator,
    source: str,
) -> MotifPool:
    """Core motifs, and others drawn of the rest without those that are likest to a core motif.

    Majdandzic et al. (2022) drew 65 and took 10 out by eye; here the likest are taken out.

    Args:
        motifs: of a file.
        core: names of the core motifs.
        pool: `matching`, a pattern of names that others are drawn of (`*` for anything);
            `drawn`, how many; `removed`, how many of these are taken out.
        reverse_complements: every motif also on the other strand, as a motif of its own.
        rng: draws the others.
        source: file of the motifs, for messages.

    Raises:
        InputError: an unknown or repeated core motif, or fewer others than are to be drawn.
    """
    by_name = {motif.name: motif for motif in motifs}
    unknown = [name for name in core if name not in by_name]
    if unknown or len(set(core)) < len(core):
        raise InputError(
            f"{source}: core motifs must be motifs of the file, each once: found "
            f"{', '.join(core)}{f'; there is no {unknown[0]!r}' if unknown else ''}"
        )
    known = [
        name for name in by_name if name not in core and fnmatchcase(name, str(pool["matching"]))
    ]
    drawn, removed = int(pool["drawn"]), int(pool["removed"])
    if drawn > len(known) or removed > drawn:
        raise InputError(
            f"{source}: pool: {drawn} motifs are to be drawn of the {len(known)} that match "
            f"{pool['matching']!r} and are not core, and {removed} of them removed: draw or "
            "remove fewer"
        )
    chosen = [by_name[known[index]] for index in rng.choice(len(known), drawn, replace=False)]
    likest = [_likest(motif, [by_name[name] for name in core]) for motif in chosen]
    order = np.argsort([-value for _, value in likest], kind="stable")
    out = set(order[:removed].tolist())
    rows = [_row(by_name[name], "core", name, 1.0) for name in core]
    rows += [
        _row(motif, "removed" if index in out else "pool", *likest[index])
        for index, motif in enumerate(chosen)
    ]
    kept = [motif for index, motif in enumerate(chosen) if index not in out]
    return MotifPool(
        oriented([by_name[name] for name in core], reverse_complements),
        oriented(kept, reverse_complements),
        rows,
    )


def oriented(motifs: Sequence[Motif], reverse_complements: bool) -> list[OrientedMotif]:
    """Motifs as they are and, if asked for, after them their reverse complements."""
    forward = [OrientedMotif(motif.name, "+", motif.probabilities) for motif in motifs]
    if not reverse_complements:
        return forward
    return forward + [OrientedMotif(one.name, "-", one.columns[::-1, ::-1]) for one in forward]


def likeness(first: Floats, second: Floats) -> float:
    """How alike two motifs are, from 0 to 1, at the best offset on either strand.

    The cosine of the two matrices less a quarter; beyond its ends a motif is uniform, so that
    columns without a partner count as differences. Side by side, any two have 0.

    Args:
        first: probabilities (w, 4).
        second: probabilities (v, 4).
    """
    ours = first - UNIFORM
    both = np.linalg.norm(ours) * np.linalg.norm(second - UNIFORM)
    if not both:
        return 0.0
    products = [
        # all offsets at once: the rows of every base are correlated, and added up
        np.sum([np.correlate(ours[:, base], theirs[:, base], "full") for base in range(4)], axis=0)
        for theirs in (second - UNIFORM, second[::-1, ::-1] - UNIFORM)
    ]
    return max(0.0, float(np.max(np.concatenate(products)) / both))


def _likest(motif: Motif, core: Sequence[Motif]) -> tuple[str, float]:
    values = [likeness(motif.probabilities, one.probabilities) for one in core]
    best = int(np.argmax(values))
    return core[best].name, values[best]


def _row(motif: Motif, kind: str, likest: str, value: float) -> dict[str, Any]:
    return {
        "motif": motif.name,
        "kind": kind,
        "width": motif.width,
        "information": float((2 - motif.entropy).sum()),
        "likest_core": likest,
        "likeness": value,
    }
