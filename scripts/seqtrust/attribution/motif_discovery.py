"""Motifs in attribution maps: TF-MoDISco (Shrikumar et al. 2018), as modisco-lite has it.

TF-MoDISco cuts windows of high contribution, seqlets, out of the maps, clusters them and averages
every cluster into a pattern. It runs on one thread here, on which its results are the same at
every run: its random draws have seeds of their own.
"""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seqtrust.attribution.attribution_maps import Floats, Integers
from seqtrust.attribution.map_tables import BASES, AttributionMaps, mean_maps
from seqtrust.attribution.motif_tables import PATTERNS
from seqtrust.bases import UNKNOWN
from seqtrust.errors import InputError
from seqtrust.motifs import Motif
from seqtrust.tables import dump, metadata_of, read_table, write_table

POSITIVE, NEGATIVE = "positive", "negative"
# TF-MoDISco clusters the seqlets of a sign if there are more than this many times as many as a
# pattern needs: its own defaults, 100 and 20
_TO_CLUSTER = 5


@dataclass(frozen=True)
class Pattern:
    """A motif that seqlets have in common.

    Attributes:
        name: sign and number.
        sign: `positive` or `negative`.
        ppm: probability of every base, (w, 4); rows sum to 1, or less where seqlets hold N.
        cwm: mean contribution of the bases that are there, (w, 4).
        hypothetical: mean contribution of every base, (w, 4).
        sequence_ids: sequence of each of S seqlets.
        starts: position in the map that each starts at, 0-based, (S,).
        reverse: which are on the other strand, (S,).
    """

    name: str
    sign: str
    ppm: Floats
    cwm: Floats
    hypothetical: Floats
    sequence_ids: list[str]
    starts: Integers
    reverse: npt.NDArray[np.bool_]

    @property
    def seqlets(self) -> int:
        """Number of seqlets."""
        return len(self.sequence_ids)


@dataclass(frozen=True)
class Discovery:
    """What was found in the maps of one replicate.

    Attributes:
        patterns: positive ones first, then by number of seqlets; may be none.
        maps: number of maps that were used.
        unusable: number of drawn maps that were left out with their sequences.
        not_drawn: number of maps beyond the most that are used.
    """

    patterns: list[Pattern]
    maps: int
    unusable: int
    not_drawn: int


def discover(
    maps: AttributionMaps,
    most_maps: int = 2000,
    window: int = 21,
    flank: int = 10,
    width: int = 30,
    least_seqlets: int = 20,
    clusterings: int = 5,
    seed: int = 1,
) -> Discovery:
    """The patterns in the attribution maps of one replicate.

    Args:
        maps: all four channels, the mean over bases subtracted.
        most_maps: so many sequences are drawn if there are more; the same of every replicate.
        window: core of a seqlet, bp.
        flank: added to the core and to a pattern on both sides, bp.
        width: of a pattern without its flanks, bp. Seqlets whose pattern would reach beyond the
            map are lost, so that motifs near its ends are not found.
        least_seqlets: of a pattern; the seqlets of a sign are clustered if there are more than
            five times as many.
        clusterings: every clustering is the best of so many runs of the Leiden algorithm.
        seed: of the draw of sequences.

    Raises:
        InputError: the maps are too few or too short to hold enough seqlets, or all
            contributions have one sign, so that TF-MoDISco has no null to compare with.
    """
    drawn = _drawn(len(maps.maps), most_maps, seed)
    kept = drawn[maps.usable[drawn]]
    one_hot = np.eye(UNKNOWN + 1, BASES, dtype=np.float32)[maps.bases[kept]]
    values = maps.maps[kept].astype(np.float32)
    _check_size(len(kept), values.shape[1], (window, flank, width), least_seqlets)
    _check_signs((one_hot * values).sum(axis=2), window)
    found = _tf_modisco()(
        one_hot,
        values,
        sliding_window_size=window,
        flank_size=flank,
        min_metacluster_size=_TO_CLUSTER * least_seqlets,
        trim_to_window_size=width,
        initial_flank_to_add=flank,
        final_min_cluster_size=least_seqlets,
        n_leiden_runs=clusterings,
    )
    ids = [maps.sequence_ids[index] for index in kept]
    patterns = [
        _pattern(f"{sign}_{number}", sign, one, ids)
        for sign, some in zip((POSITIVE, NEGATIVE), found, strict=True)
        for number, one in enumerate(sorted(some or [], key=lambda one: -len(one.seqlets)), 1)
    ]
    return Discovery(patterns, len(kept), len(drawn) - len(kept), len(maps.maps) - len(drawn))


def _drawn(count: int, most: int, seed: int) -> Integers:
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def _check_size(maps: int, length: int, sizes: tuple[int, int, int], least: int) -> None:
    """Refuse maps in which no pattern could be found, whatever they hold."""
    window, flank, width = sizes
    needed = max(window, width) + 2 * flank
    if length < needed:
        raise InputError(
            f"attribution maps are {length} bp long, and a motif with its flanks has {needed} bp "
            f"(window {window}, width {width}, flank {flank} on both sides): make these three of "
            "motifs smaller, or keep a longer region of the maps"
        )
    # TF-MoDISco takes no second seqlet within half a window and a flank
    most = maps * ((length - window - 2 * flank) // (window // 2 + flank + 1) + 1)
    if most <= _TO_CLUSTER * least:
        raise InputError(
            f"{maps} usable attribution maps of {length} bp hold at most {most} seqlets, and "
            f"TF-MoDISco clusters more than {_TO_CLUSTER * least}: attribute a larger sequence "
            f"set, keep a longer region, or make motifs/least_seqlets ({least}) smaller"
        )


def _check_signs(contributions: npt.NDArray[np.float32], window: int) -> None:
    """Refuse contributions, (N, L), that have one sign in all windows."""
    total = np.cumsum(np.pad(contributions.astype(np.float64), ((0, 0), (1, 0))), axis=1)
    sums = total[:, window:] - total[:, :-window]
    if not (sums > 0).any() or not (sums < 0).any():
        raise InputError(
            "the contributions of all windows of all attribution maps have one sign, and "
            "TF-MoDISco takes its null from both: attribute more sequences, keep a longer region "
            "of the maps, or name another method under motifs/methods"
        )


def _tf_modisco() -> Callable[..., tuple[list[Any] | None, list[Any] | None]]:
    """TF-MoDISco on one thread.

    numba reads its number of threads when it is imported. Where it was imported before, it is told
    later, and the functions of TF-MoDISco are then compiled anew in every process.
    """
    if "numba" not in sys.modules:
        os.environ["NUMBA_NUM_THREADS"] = "1"
    import numba
    from modiscolite.tfmodisco import TFMoDISco

    settings: Any = numba.config
    if settings.NUMBA_NUM_THREADS > 1:
        numba.set_num_threads(1)
    return TFMoDISco


def _pattern(name: str, sign: str, found: Any, ids: list[str]) -> Pattern:
    return Pattern(
        name,
        sign,
        np.asarray(found.sequence, dtype=np.float64),
        np.asarray(found.contrib_scores, dtype=np.float64),
        np.asarray(found.hypothetical_contribs, dtype=np.float64),
        [ids[one.example_idx] for one in found.seqlets],
        np.array([one.start for one in found.seqlets], dtype=np.int64),
        np.array([one.is_revcomp for one in found.seqlets], dtype=np.bool_),
    )


def as_motif(name: str, ppm: Floats) -> Motif:
    """A motif of a MEME file; what N takes of a column is shared by the four bases.

    Args:
        name: of the motif.
        ppm: probabilities (w, 4).
    """
    filled = ppm + (1.0 - ppm.sum(axis=1, keepdims=True)) / BASES
    return Motif(name, tuple((a, c, g, t) for a, c, g, t in filled.tolist()))


def joined_maps(replicates: Iterator[AttributionMaps] | list[AttributionMaps]) -> AttributionMaps:
    """The maps of one replicate, or the mean map of several."""
    found = list(replicates)
    return found[0] if len(found) == 1 else mean_maps(found)


def write_patterns(path: str | Path, found: Discovery, settings: dict[str, Any]) -> None:
    """Write the patterns of one replicate."""
    rows = found.patterns
    columns: dict[str, Any] = {
        "pattern": [one.name for one in rows],
        "sign": [one.sign for one in rows],
        "seqlets": [one.seqlets for one in rows],
        "sequence_ids": [one.sequence_ids for one in rows],
        "starts": [one.starts for one in rows],
        "reverse": [one.reverse for one in rows],
    }
    for name in ("ppm", "cwm", "hypothetical"):
        columns[name] = [getattr(one, name).ravel() for one in rows]
    facts = {
        "settings": settings,
        "maps": found.maps,
        "unusable": found.unusable,
        "not_drawn": found.not_drawn,
    }
    write_table(path, PATTERNS, columns, {name: dump(value) for name, value in facts.items()})


def read_patterns(path: str | Path) -> Discovery:
    """Read what `write_patterns` wrote."""
    table = read_table(path, PATTERNS)
    facts = metadata_of(table.schema)
    patterns = [
        Pattern(
            name=row["pattern"],
            sign=row["sign"],
            ppm=_matrix(row["ppm"]),
            cwm=_matrix(row["cwm"]),
            hypothetical=_matrix(row["hypothetical"]),
            sequence_ids=row["sequence_ids"],
            starts=np.array(row["starts"], dtype=np.int64),
            reverse=np.array(row["reverse"], dtype=np.bool_),
        )
        for row in table.to_pylist()
    ]
    return Discovery(patterns, *(int(facts[name]) for name in ("maps", "unusable", "not_drawn")))


def _matrix(values: list[float]) -> Floats:
    return np.array(values).reshape(-1, BASES)
