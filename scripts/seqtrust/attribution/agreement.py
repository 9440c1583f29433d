"""Agreement of attribution maps between replicates, and between methods."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from seqtrust.accuracy import ENSEMBLE
from seqtrust.attribution.attribution_maps import Flags, Floats, contributions
from seqtrust.attribution.map_tables import (
    AttributionMaps,
    mean_maps,
    read_attributions,
    read_quality,
)
from seqtrust.bases import UNKNOWN
from seqtrust.statistics import locus_bootstrap

Singles = npt.NDArray[np.float32]
Shards = Mapping[str, Mapping[str, Sequence[str]]]

MEASURES = ("pearson", "spearman", "overlap")
COLUMNS = (
    "track", "comparison", "method", "replicate", "other_method", "other_replicate", "sequences",
    "left_out", *(f"{measure}{end}" for measure in MEASURES for end in ("", "_low", "_high")),
)  # fmt: skip
TOP = 0.1
OTHERS = "mean of the others"


@dataclass(frozen=True)
class Compared:
    """Maps of some sequences, made ready to be compared with others of the same sequences.

    Attributes:
        maps: corrected and of length 1, so that products are correlations, (N, P x 4).
        ranks: ranks of position scores, centred and of length 1; 0 at N, (N, P).
        top: the largest tenth of absolute position scores, (N, P).
        usable: (N,).
    """

    maps: Singles
    ranks: Singles
    top: Flags
    usable: Flags

    @classmethod
    def of(cls, found: AttributionMaps) -> "Compared":
        """Make maps ready."""
        maps = np.where(found.usable[:, None, None], found.maps, 0.0)
        scores = contributions(maps, found.bases)
        flat = maps.reshape(len(maps), -1)
        return cls(
            _of_length_one(flat - flat.mean(axis=1, keepdims=True)),
            _of_length_one(_centred_ranks(scores, found.bases != UNKNOWN)),
            _top(np.abs(scores), found.bases != UNKNOWN),
            found.usable,
        )

    def measures(self, other: "Compared") -> tuple[Flags, Floats]:
        """Which sequences both have maps of, and the measures of these, (kept, 3)."""
        kept = self.usable & other.usable
        shared = (self.top & other.top)[kept].sum(axis=1)
        most = np.maximum(self.top[kept].sum(axis=1), other.top[kept].sum(axis=1))
        values = [
            (self.maps[kept] * other.maps[kept]).sum(axis=1),
            (self.ranks[kept] * other.ranks[kept]).sum(axis=1),
            np.divide(shared, most, out=np.zeros(len(most)), where=most > 0),
        ]
        return kept, np.stack(values, axis=1).astype(np.float64)


def agreement_per_sequence(
    replicates: Sequence[AttributionMaps], region: tuple[int, int] | None = None
) -> Floats:
    """Mean Pearson correlation of corrected maps over all pairs of replicates, per sequence.

    Args:
        replicates: maps of the same sequences.
        region: positions [first, stop) of the kept ones; all if None.

    Returns:
        (N,); NaN where fewer than two replicates have a map that is not zero there.
    """
    total: Floats | None = None
    count = np.zeros(len(replicates[0].sequence_ids))
    for one in replicates:
        maps = one.maps[:, slice(*(region or (0, None)))]
        maps = np.where(one.usable[:, None, None], maps, 0.0).reshape(len(maps), -1)
        unit = _of_length_one(maps - maps.mean(axis=1, keepdims=True)).astype(np.float64)
        count += np.any(unit, axis=1)
        total = unit if total is None else total + unit
    assert total is not None
    pairs = count * (count - 1)
    both = (total**2).sum(axis=1) - count
    return np.divide(both, pairs, out=np.full(len(count), np.nan), where=pairs > 0)


def counts_table(shards: Shards) -> pd.DataFrame:
    """Maps kept and not, per method, replicate and track.

    Args:
        shards: per method and replicate the files.

    Returns:
        A map is counted once: as not finite, zero after centring, not converged, or kept.
    """
    rows = []
    for method, of_replicates in shards.items():
        for replicate, paths in of_replicates.items():
            quality = read_quality(paths).to_pandas()
            for track, of_track in quality.groupby("track", sort=False):
                rows.append(
                    {"method": method, "replicate": replicate, "track": track} | _counted(of_track)
                )
    return pd.DataFrame(rows)


def agreement_table(shards: Shards, seed: int) -> pd.DataFrame:
    """Agreement between replicates of a method, and between methods of a replicate.

    Rows of `comparison`: `replicates` (every pair), `single` (a replicate and the mean map of
    the others), `methods` (two methods, of one replicate or of the ensemble's mean map).

    Args:
        shards: per method and replicate the files.
        seed: of the bootstrap over sequences.
    """
    first = next(iter(next(iter(shards.values())).values()))
    tracks = dict.fromkeys(read_quality(first)["track"].to_pylist())
    rows: list[dict[str, Any]] = []
    for track in tracks:
        rows += _of_track(shards, track, seed)
    # one replicate of one method has nothing to agree with
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _of_track(shards: Shards, track: str, seed: int) -> Iterator[dict[str, Any]]:
    ready: dict[str, dict[str, Compared]] = {}
    for method, of_replicates in shards.items():
        found = {name: read_attributions(paths, track) for name, paths in of_replicates.items()}
        ready[method] = {name: Compared.of(one) for name, one in found.items()}
        for one, other in combinations(found, 2):
            yield _row(track, "replicates", (method, one), (method, other), ready, seed)
        if len(found) > 2:
            for name in found:
                others = mean_maps([one for key, one in found.items() if key != name])
                ready[method][OTHERS] = Compared.of(others)
                yield _row(track, "single", (method, name), (method, OTHERS), ready, seed)
            del ready[method][OTHERS]
        if len(found) > 1:
            ready[method][ENSEMBLE] = Compared.of(mean_maps(list(found.values())))
    for one, other in combinations(shards, 2):
        for name in ready[one]:
            yield _row(track, "methods", (one, name), (other, name), ready, seed)


def _row(
    track: str,
    comparison: str,
    first: tuple[str, str],
    second: tuple[str, str],
    ready: Mapping[str, Mapping[str, Compared]],
    seed: int,
) -> dict[str, Any]:
    kept, values = ready[first[0]][first[1]].measures(ready[second[0]][second[1]])
    row: dict[str, Any] = {
        "track": track,
        "comparison": comparison,
        "method": first[0],
        "replicate": first[1],
        "other_method": second[0],
        "other_replicate": second[1],
        "sequences": int(kept.sum()),
        "left_out": int((~kept).sum()),
    }
    means = values.mean(axis=0) if len(values) else np.full(len(MEASURES), np.nan)
    low, high = _interval(values, seed)
    for number, measure in enumerate(MEASURES):
        row[measure] = means[number]
        row[f"{measure}_low"], row[f"{measure}_high"] = low[number], high[number]
    return row


def _interval(values: Floats, seed: int) -> tuple[Floats, Floats]:
    if len(values) < 2:
        return np.full(len(MEASURES), np.nan), np.full(len(MEASURES), np.nan)
    sums = np.column_stack([values, np.ones(len(values))])
    return locus_bootstrap(
        sums, range(len(values)), lambda drawn: drawn[..., :-1] / drawn[..., -1:], seed
    )


def _counted(quality: pd.DataFrame) -> dict[str, Any]:
    converged = ~quality["converged"].eq(False)
    missed = quality["finite"] & ~quality["zero"] & ~converged
    counts: dict[str, Any] = {
        "maps": len(quality),
        "kept": int((quality["finite"] & ~quality["zero"] & converged).sum()),
        "zero": int(quality["zero"].sum()),
        "not_finite": int((~quality["finite"]).sum()),
        "not_converged": int(missed.sum()),
    }
    for name in ("error", "mc_se", "steps"):
        values = quality[name].astype(float)
        counts |= {f"median_{name}": values.median(), f"largest_{name}": values.max()}
    return counts


def _of_length_one(values: Floats) -> Singles:
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return np.divide(values, length, out=np.zeros_like(values), where=length > 0).astype(np.float32)


def _centred_ranks(scores: Floats, known: Flags) -> Floats:
    """Mid-ranks among the known positions minus their mean; 0 elsewhere."""
    ranks = np.zeros_like(scores)
    whole = known.all(axis=1)
    ranks[whole] = rankdata(scores[whole], axis=1) if whole.any() else 0.0
    for row in np.flatnonzero(~whole):
        ranks[row, known[row]] = rankdata(scores[row, known[row]])
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    return np.where(known, ranks - ranks.sum(axis=1, keepdims=True) / count, 0.0)


def _top(sizes: Floats, known: Flags) -> Flags:
    """The largest tenth of the known positions; those of size 0 never."""
    wanted = np.ceil(TOP * known.sum(axis=1)).astype(int)
    order = np.argsort(-sizes, axis=1, kind="stable")
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.arange(sizes.shape[1])[None], axis=1)
    return (place < wanted[:, None]) & (sizes > 0)
