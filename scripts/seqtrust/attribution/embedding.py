"""Attribution vectors in three dimensions (Majdandzic et al. 2022, method 2)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from seqtrust.attribution.attribution_maps import Flags, Floats, Integers, usable

_E1 = np.sqrt(1 / 2) * np.array([-1, 1, 0, 0])
_E3 = np.sqrt(3 / 4) * np.array([-1 / 3, -1 / 3, -1 / 3, 1])
# columns e1, e2, e3 of the bases A, C, G, T
ISOMETRIC: Floats = np.stack([_E1, np.sqrt(2 / 3) * np.array([-1 / 2, -1 / 2, 1, 0]), _E3], axis=1)
# the published e2 has no term in G: lengths and angles are not kept
PUBLISHED_BASIS: Floats = np.stack(
    [_E1, np.sqrt(2 / 3) * np.array([-1 / 2, -1 / 2, 0, 0]), _E3], axis=1
)

_CENTRING = np.eye(4) - 1 / 4

# numbers in one block of maps, about what a core's cache holds
_BLOCK = 2**17

# one of so many values is looked at for a bound, which leaves so many times the wanted share
_STRIDE, _MARGIN = 61, 1.1


def centred_blocks(maps: Floats) -> Iterator[tuple[slice, Floats, Floats, Floats]]:
    """Some maps of (N, L, 4) at a time, as many as a core's cache holds.

    Yields:
        Which maps, n of them; centred vectors in the isometric basis, (n, 3, L); their norms,
        (n, L); the norm over positions of the mean over bases, (n,).
    """
    # the fourth coordinate is what centring takes away
    coordinates = np.concatenate([ISOMETRIC.T, np.full((1, 4), 0.5)])
    step = max(_BLOCK // (4 * maps.shape[1]), 1)
    for start in range(0, len(maps), step):
        block = slice(start, start + step)
        turned = coordinates @ maps[block].transpose(0, 2, 1)
        own, mean = turned[:, :3], turned[:, 3]
        yield block, own, np.sqrt(_squared(own)), np.sqrt(np.einsum("nl,nl->n", mean, mean))


def centred_norms(maps: Floats) -> tuple[Floats, Flags]:
    """Norms of the centred vectors of maps, shape (N, L), and which maps can be scored, (N,)."""
    found = np.empty(maps.shape[:2])
    kept = np.zeros(len(maps), dtype=bool)
    with np.errstate(invalid="ignore", over="ignore"):
        for block, _, norms, offset in centred_blocks(maps):
            found[block] = norms
            kept[block] = usable(norms.sum(axis=1), offset)
    return found, kept


@dataclass(frozen=True)
class WindowSums:
    """Squared lengths of window sums of centred and scaled maps.

    Attributes:
        maps: as given, shape (N, L, 4).
        totals: sum of the norms of a centred map, by which it is divided, shape (N,).
        usable: which maps can be scored, shape (N,).
        squares: shape (N, W); zero where a map is not usable.
        window: positions per window.
        basis: in which lengths are taken, 4 x 3.
    """

    maps: Floats
    totals: Floats
    usable: Flags
    squares: Floats
    window: int
    basis: Floats

    def only_usable(self) -> "WindowSums":
        """Without the maps that cannot be scored."""
        if self.usable.all():
            return self
        kept = self.usable
        return WindowSums(
            self.maps[kept], self.totals[kept], kept[kept], self.squares[kept],
            self.window, self.basis,
        )  # fmt: skip


def window_sums(
    maps: Floats, window: int, basis: Floats = ISOMETRIC, circular: bool = False
) -> WindowSums:
    """Lengths of sums over windows; every map is centred over bases and divided by its L2,1 norm.

    Args:
        maps: shape (N, L, 4).
        window: positions per window, at most L.
        basis: 4 x 3, in which lengths are taken.
        circular: W is L, and the last windows go on at the start; else W is L - window + 1.
    """
    count, length, _ = maps.shape
    width = length if circular else length - window + 1
    totals, kept = np.empty(count), np.zeros(count, dtype=bool)
    squares = np.empty((count, width))
    turn = None if basis is ISOMETRIC else basis.T @ ISOMETRIC
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        for block, own, norms, mean in centred_blocks(maps):
            totals[block] = norms.sum(axis=1)
            kept[block] = usable(totals[block], mean)
            if circular:
                own = np.concatenate([own, own[:, :, : window - 1]], axis=2)
            sums = own[:, :, :width]
            for offset in range(1, window):
                added = own[:, :, offset : offset + width]
                sums = np.add(sums, added, out=None if offset == 1 else sums)
            if turn is not None:
                sums = turn @ sums
            np.multiply(_squared(sums), totals[block, None] ** -2, out=squares[block])
    squares[~kept] = 0.0
    return WindowSums(maps, totals, kept, squares, window, basis)


def _squared(vectors: Floats) -> Floats:
    """Squared lengths of (n, 3, W), shape (n, W)."""
    return np.asarray(np.einsum("ncw,ncw->nw", vectors, vectors))


@dataclass(frozen=True)
class Strongest:
    """The longest window sums of all maps together.

    Attributes:
        map: the map of each, shape (K,), 0-based.
        vectors: coordinates, shape (3, K).
        weights: squared lengths, shape (K,).
        cutoff: the length that they exceed.
        wanted: M; K is one less if no two lengths are equal.
    """

    map: Integers
    vectors: Floats
    weights: Floats
    cutoff: float
    wanted: int


def strongest(sums: WindowSums, fraction: float) -> Strongest:
    """The window sums that are strictly longer than the M-th longest.

    Args:
        sums: of N maps, W windows each.
        fraction: M is this fraction of N x W, rounded down; 0 means the shortest, as published.
    """
    flat = sums.squares.reshape(-1)
    # as published: four numbers per window, a product in floating point
    wanted = int(fraction * (4 * len(flat)) / 4)
    cut, chosen, weights = _above(flat, wanted or len(flat))
    length, width = sums.maps.shape[1], sums.squares.shape[1]
    row, column = np.divmod(chosen, width)
    positions = sums.maps.reshape(-1, 4)
    places = row * length + column
    added = np.take(positions, places, axis=0)
    for offset in range(1, sums.window):
        places += 1
        if width == length:
            # circular windows go beyond the end
            places[column + offset == length] -= length
        added += np.take(positions, places, axis=0)
    vectors = (sums.basis.T @ _CENTRING) @ added.T
    vectors /= sums.totals[row]
    return Strongest(row, vectors, weights, float(np.sqrt(cut)), wanted)


def _above(values: Floats, wanted: int) -> tuple[float, Integers, Floats]:
    """The value `wanted` from the top of some (K,), where larger ones are, and these."""
    # a sample bounds it from below, but for ill luck: only few are left to look among
    sample = values[::_STRIDE]
    bound = int(len(sample) * (1 - _MARGIN * wanted / len(values)))
    chosen = np.arange(0)
    if bound > 0:
        chosen = np.flatnonzero(values > np.partition(sample, bound)[bound])
    if len(chosen) < wanted:
        chosen = np.arange(len(values))
    near = values[chosen]
    cut = np.partition(near, len(near) - wanted)[len(near) - wanted]
    above = near > cut
    return float(cut), chosen[above], near[above]
