"""Effects of all mutations of a shard on all tasks, from its ISM maps of every replicate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from seqtrust.bases import LETTERS
from seqtrust.errors import InputError
from seqtrust.ism_maps import IsmMaps, read_maps
from seqtrust.mendelian.instrument_tables import Integers
from seqtrust.mendelian.recalibrated_tasks import Recalibration
from seqtrust.mendelian.residual_errors import RESIDUAL
from seqtrust.mendelian.task_scales import on_scale, task_means
from seqtrust.statistics import Floats


@dataclass(frozen=True)
class MutationEffects:
    """Effects of all mutations of K loci on T tasks in E replicates.

    Attributes:
        tasks: names, T.
        loci: ids of the sequences, K.
        position: 0-based, (M,), four rows per position, one of which is the sequence's own base.
        names: position, own base > base, (K, M); empty where there is no mutation.
        effects: mutant minus sequence (E, T, K, M), NaN at the own base and where that is N.
        references: predictions of the sequences (E, K, T), on the scale.
        counts: mutants and passes of every replicate.
    """

    tasks: tuple[str, ...]
    loci: tuple[str, ...]
    position: Integers
    names: np.ndarray
    effects: Floats
    references: Floats
    counts: list[dict[str, int | str]]


def mutation_effects(
    paths: Mapping[str, str | Path],
    scale: str,
    recalibration: Recalibration | None = None,
    entry: str = "",
    se: str = "moderated",
    tracks_of: Mapping[str, Sequence[str]] | None = None,
) -> MutationEffects:
    """Effects of one shard.

    A factor on variances is applied to the effects; other recalibrations to the predictions of
    sequence and mutant, member by member.

    Args:
        paths: the shard's maps by replicate.
        scale: see `on_scale`.
        recalibration: of the tasks.
        entry: name of the ISM entry, for messages.
        se: kind of standard error; `residual` is of one network, others of several replicates.
        tracks_of: see `task_means`.

    Raises:
        InputError: one task only, several bins, replicates with other sequences, or another
            number of replicates than the errors need.
    """
    if se == RESIDUAL and len(paths) != 1:
        raise InputError(
            f"ism/{entry}: its ensemble has {len(paths)} replicates, and se: residual is for one "
            "network, which has none to tell errors by: set se to moderated"
        )
    if se != RESIDUAL and len(paths) < 2:
        raise InputError(
            f"ism/{entry}: its ensemble has {len(paths)} replicate, and Deep MR needs at least two "
            "to tell errors of effects: train more replicates; or take the errors from the spread "
            "within loci (se: residual, and one of the estimators as main)"
        )
    maps = {name: read_maps([path]) for name, path in paths.items()}
    first = next(iter(maps.values()))
    tracks = first.output.track_names
    if len(tracks) < 2:
        raise InputError(
            f"ism/{entry}: output {first.output.name!r} has one track, {tracks[0]!r}; Deep MR "
            "needs an exposure and an outcome: name an output of several tracks"
        )
    if first.output.shape[1] > 1:
        raise InputError(
            f"ism/{entry}: output {first.output.name!r} has {first.output.shape[1]} bins; Deep MR "
            "needs one number per task: reduce its bins (reduction: sum or mean)"
        )
    for name, one in maps.items():
        if one.sequence_ids != first.sequence_ids or one.region != first.region:
            raise InputError(
                f"ism/{entry}: the maps of {name} hold other sequences or positions than those of "
                f"{next(iter(maps))}; remove them and run the workflow again"
            )
    members = np.stack([one.references[..., 0] for one in maps.values()]).astype(np.float64)
    mutants = np.stack([one.effects[..., 0] for one in maps.values()]).astype(np.float64)
    mutants += members[:, :, None, None]
    what = "predictions"
    where = f"ism/{entry}"
    tasks, references = task_means(on_scale(members, scale, what), tracks, tracks_of, where)
    _, values = task_means(on_scale(mutants, scale, what), tracks, tracks_of, where)
    if recalibration is not None and recalibration.tasks != tasks:
        raise InputError(f"{where}: the recalibration is of the tasks {recalibration.tasks}")
    if recalibration is not None and recalibration.kind != "variance":
        references, values = recalibration.apply(references), recalibration.apply(values)
    d = values - references[:, :, None, None]
    if recalibration is not None and recalibration.kind == "variance":
        d = recalibration.apply(d)
    E, K, P = d.shape[:3]
    own = first.bases[:, :, None] == np.arange(4)
    d = np.where(own[None, ..., None], np.nan, d)
    return MutationEffects(
        tasks,
        tuple(first.sequence_ids),
        np.repeat(np.arange(*first.region), 4),
        _names(first),
        np.moveaxis(d.reshape(E, K, P * 4, len(tasks)), -1, 1),
        references,
        [
            _count(name, one, path)
            for (name, one), path in zip(maps.items(), paths.values(), strict=True)
        ],
    )


def _names(maps: IsmMaps) -> np.ndarray:
    own = np.array(list(LETTERS))[maps.bases]
    at = np.arange(*maps.region).astype(str)
    heads = np.char.add(np.char.add(at, own), ">")
    full = np.char.add(heads[..., None], np.array(list("ACGT")))
    none = (maps.bases[..., None] == np.arange(4)) | (maps.bases[..., None] >= 4)
    return np.where(none, "", full).reshape(len(maps.bases), -1)


def _count(name: str, maps: IsmMaps, path: str | Path) -> dict[str, int | str]:
    table = pq.read_table(path, columns=["mutants", "full_passes", "out_of_reach"])
    mutants = (maps.bases < 4).sum() * 3
    return {
        "replicate": name,
        "loci": len(maps.bases),
        "mutations": int(mutants),
        "mutants_computed": int(np.sum(table["mutants"].to_numpy())),
        "full_passes": int(np.sum(table["full_passes"].to_numpy())),
        "positions_out_of_reach": int(np.sum(table["out_of_reach"].to_numpy())),
    }
