"""The sequences on which all models of a population are scored, and what stands in their way.

Consistency scores depend on the number of maps, so models are compared on the same ones: those
that every model has. A model that lacks many would take them from all, and is left out instead.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from seqtrust.attribution.attribution_maps import Flags
from seqtrust.attribution.map_tables import AttributionMaps
from seqtrust.errors import InputError
from seqtrust.sequence_set import SequenceSet

USABLE = ("part", "ensemble", "replicate", "maps", "usable", "not_converged", "degenerate",
          "counted")  # fmt: skip
COMMON = ("part", "sequence_id")


def common_maps(
    models: Iterable[tuple[str, str, str, AttributionMaps]], least_usable: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Which maps every model has, part by part.

    Args:
        models: part, ensemble, replicate and maps; of one part all of the same sequences.
        least_usable: a model with a smaller share of usable maps is left out.

    Returns:
        A row per model and part with the columns `USABLE`, and the sequences that all models
        that are counted have, with the columns `COMMON`.

    Raises:
        InputError: models hold maps of different sequences, or none is left.
    """
    rows = []
    kept: dict[str, tuple[list[str], Flags]] = {}
    for part, ensemble, replicate, maps in models:
        counted = bool(maps.usable.mean() >= least_usable)
        degenerate = int((~maps.usable & maps.converged).sum())
        rows.append(
            (part, ensemble, replicate, len(maps.usable), int(maps.usable.sum()),
             int((~maps.converged).sum()), degenerate, counted)
        )  # fmt: skip
        ids, flags = kept.setdefault(part, (maps.sequence_ids, np.ones_like(maps.usable)))
        if ids != maps.sequence_ids:
            raise InputError(
                f"maps of {ensemble}, {replicate} are of other sequences than those of the models "
                f"before it ({part}): remove them and run the workflow again"
            )
        if counted:
            flags &= maps.usable
    table = pd.DataFrame(rows, columns=list(USABLE))
    for part, (_, flags) in kept.items():
        if not table.loc[table["part"] == part, "counted"].any() or not flags.any():
            raise InputError(
                f"no map of the {part} sequences is usable for all models with at least "
                f"{least_usable:.0%} usable maps: look at the maps that are zero or not converged, "
                "attribute the logit, or train longer"
            )
    common = [
        (part, name)
        for part, (ids, flags) in kept.items()
        for name, keep in zip(ids, flags, strict=True)
        if keep
    ]
    return table, pd.DataFrame(common, columns=list(COMMON))


def chosen_maps(maps: AttributionMaps, wanted: Sequence[str]) -> AttributionMaps:
    """The maps of some sequences, in the order of `wanted`.

    Raises:
        InputError: there is no map of one of them.
    """
    place = {name: row for row, name in enumerate(maps.sequence_ids)}
    missing = [name for name in wanted if name not in place]
    if missing:
        raise InputError(f"{len(missing)} sequences have no map, the first is {missing[0]!r}")
    rows = np.array([place[name] for name in wanted], dtype=np.intp)
    return AttributionMaps(
        list(wanted),
        maps.track,
        maps.bases[rows],
        maps.predictions[rows],
        maps.maps[rows],
        maps.converged[rows],
        maps.usable[rows],
    )


def require_disjoint(first: SequenceSet, second: SequenceSet, names: tuple[str, str]) -> None:
    """Refuse to judge models on what they are selected by.

    Args:
        first: what models are selected by.
        second: what they are judged on.
        names: of the two sets, for the message.

    Raises:
        InputError: two windows overlap, or two sequences are the same.
    """
    message = (
        f"sets {names[0]!r} and {names[1]!r} share {{}}: models are selected by the first and "
        "judged on the second, so give them different contigs or regions"
    )
    stretches = sorted(
        (stored.assembly, stored.contig, stored.window.start, stored.window.end, place)
        for place, part in enumerate((first, second))
        for stored in part.windows
    )
    reach: dict[int, tuple[str, str, int]] = {}
    for assembly, contig, start, end, place in stretches:
        other = reach.get(1 - place)
        if other is not None and other[:2] == (assembly, contig) and start < other[2]:
            raise InputError(message.format(f"bases of {contig} from {start:,}"))
        own = reach.get(place, ("", "", 0))
        longest = max(own[2], end) if own[:2] == (assembly, contig) else end
        reach[place] = assembly, contig, longest
    known = {codes.tobytes() for codes in first.codes()}
    for name, codes in zip(second.ids(), second.codes(), strict=True):
        if codes.tobytes() in known:
            raise InputError(message.format(f"the bases of sequence {name!r}"))
