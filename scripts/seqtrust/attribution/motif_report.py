"""Tables of the motifs of an entry of the config: which are shared, known and planted."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seqtrust.accuracy import ENSEMBLE
from seqtrust.attribution.motif_consistency import (
    KnownMatches,
    SharedMotif,
    match_known,
    permuted_sharing,
    share_motifs,
    single_motifs,
)
from seqtrust.attribution.motif_discovery import Discovery
from seqtrust.attribution.motif_tables import MOTIFS, SHARING
from seqtrust.errors import InputError, nearest_clause
from seqtrust.files import read_tsv
from seqtrust.motifs import Motif, choose_motifs, read_meme


@dataclass(frozen=True)
class Judged:
    """What motifs are held against.

    Attributes:
        known: known motifs, may be none.
        planted: names of those that were planted, may be none.
        similarity: of a match, and of patterns of one motif.
        rounds: of the nulls.
        seed: of the nulls.
    """

    known: Sequence[Motif]
    planted: Sequence[str]
    similarity: float
    rounds: int
    seed: int

    def __post_init__(self) -> None:
        names = [one.name for one in self.known]
        for name in self.planted:
            if name not in names:
                raise InputError(
                    f"motifs/planted names {name!r}, which is none of the known motifs"
                    f"{nearest_clause(name, names)}: give the MEME file that has it as motifs/known"
                )

    def match(self, motifs: Sequence[SharedMotif]) -> KnownMatches | None:
        """The known motif that each is most like; None without known ones."""
        if not self.known:
            return None
        return match_known(motifs, self.known, self.rounds, self.seed)


def known_motifs(
    known: str | Path | None, pool: str | Path | None, planted: Sequence[str] | None
) -> tuple[list[Motif], list[str]]:
    """The known motifs and the names of the planted ones.

    Args:
        known: MEME file.
        pool: the motifs of a simulated grammar, which are a part of the file; its core motifs are
            planted unless others are named.
        planted: names.
    """
    motifs = [] if known is None else read_meme(known)
    if pool is None:
        return motifs, list(planted or [])
    rows = read_tsv(pool)
    used = rows.loc[rows["kind"] != "removed", "motif"]
    core = rows.loc[rows["kind"] == "core", "motif"]
    return choose_motifs(motifs, list(used), str(known)), list(planted or core)


def motif_tables(
    found: Mapping[str, Mapping[str, Discovery]], judged: Judged
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, SharedMotif]]:
    """The motifs of all methods, how they are shared, and the motifs themselves.

    Args:
        found: by method and replicate; replicate `ensemble` is the ensemble's mean map.
        judged: what they are held against.

    Returns:
        A row per motif with the columns of `MOTIFS`; a row per replicate, per number of
        replicates and of the mean map; the motifs by name `{method}_{motif}`.
    """
    rows: list[dict[str, Any]] = []
    sharing: list[dict[str, Any]] = []
    named: dict[str, SharedMotif] = {}
    for method, by_replicate in found.items():
        several = {name: one for name, one in by_replicate.items() if name != ENSEMBLE}
        patterns = {name: one.patterns for name, one in several.items()}
        motifs = share_motifs(patterns, judged.similarity)
        matches = judged.match(motifs)
        if matches is not None:
            turn = zip(motifs, matches.reverse, strict=True)
            motifs = [one.turned() if reverse else one for one, reverse in turn]
        labels = {f"m{number}": one for number, one in enumerate(motifs, 1)}
        rows += list(_motif_rows(method, labels, len(several), matches, judged))
        named |= {f"{method}_{label}": one for label, one in labels.items()}
        sharing += [
            {"method": method} | row for row in _sharing_rows(by_replicate, motifs, matches, judged)
        ]
    columns = [column.name for column in MOTIFS.columns]
    return pd.DataFrame(rows, columns=columns), pd.DataFrame(sharing, columns=SHARING), named


def _motif_rows(
    method: str,
    motifs: Mapping[str, SharedMotif],
    of: int,
    matches: KnownMatches | None,
    judged: Judged,
) -> Iterator[dict[str, Any]]:
    alike = [""] * len(motifs) if matches is None else matches.alike(judged.similarity)
    for index, (label, one) in enumerate(motifs.items()):
        counts = zip(one.replicates, one.seqlets, strict=True)
        yield {
            "method": method,
            "motif": label,
            "sign": one.sign,
            "consensus": one.consensus,
            "replicates": len(one.replicates),
            "of": of,
            "seqlets": sum(one.seqlets),
            "seqlets_by_replicate": " ".join(f"{name}:{count}" for name, count in counts),
            "similarity": one.similarity,
            "known": matches.names[index] if matches else "",
            "known_similarity": matches.similarity[index] if matches else np.nan,
            "known_p": matches.p[index] if matches else np.nan,
            "matched": alike[index] != "",
            "planted": alike[index] in judged.planted,
            "ppm": one.ppm[one.core].ravel(),
            "cwm": one.cwm[one.core].ravel(),
        }


def _sharing_rows(
    by_replicate: Mapping[str, Discovery],
    motifs: Sequence[SharedMotif],
    matches: KnownMatches | None,
    judged: Judged,
) -> Iterator[dict[str, Any]]:
    """Of every replicate alone, of motifs that at least k share, and of the mean map."""
    several = [name for name in by_replicate if name != ENSEMBLE]
    for name in several:
        yield _alone("replicate", name, by_replicate[name], judged)
    patterns = {name: by_replicate[name].patterns for name in several}
    chance = permuted_sharing(patterns, judged.similarity, judged.rounds, judged.seed)
    for k, expected in enumerate(chance, 1):
        kept = np.array([len(one.replicates) >= k for one in motifs], dtype=np.bool_)
        some = None if matches is None else matches.of(kept)
        yield {
            "motifs_of": "at least",
            "replicates": k,
            "motifs": int(kept.sum()),
            # patterns in disorder are alone, so that their number says nothing of sharing
            "motifs_by_chance": expected if k > 1 else np.nan,
        } | _recovered(int(kept.sum()), some, judged)
    if ENSEMBLE in by_replicate:
        yield _alone("mean map", "", by_replicate[ENSEMBLE], judged)


def _alone(kind: str, name: str, found: Discovery, judged: Judged) -> dict[str, Any]:
    motifs = single_motifs(found.patterns, name)
    return {
        "motifs_of": kind,
        "replicate": name,
        "maps": found.maps,
        "unusable": found.unusable,
        "not_drawn": found.not_drawn,
        "motifs": len(motifs),
    } | _recovered(len(motifs), judged.match(motifs), judged)


def _recovered(motifs: int, matches: KnownMatches | None, judged: Judged) -> dict[str, Any]:
    """How many planted motifs are among some motifs, and how many motifs are planted ones."""
    if matches is None or not judged.planted:
        return {}
    right = [name for name in matches.alike(judged.similarity) if name in judged.planted]
    names = [name for name in judged.planted if name in right]
    return {
        "planted": len(judged.planted),
        "recovered": len(names),
        "recovered_by_chance": matches.alike_by_chance(judged.similarity, judged.planted),
        "names": " ".join(names),
        "precision": len(right) / motifs if motifs else np.nan,
    }
