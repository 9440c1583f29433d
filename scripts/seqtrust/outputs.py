"""What an ensemble's `outputs:` mean for a model: tracks, bins and reach; without torch."""

from collections.abc import Mapping, Sequence
from typing import Any

from seqtrust.errors import InputError, nearest_clause
from seqtrust.models.facts import Facts
from seqtrust.predictions import OutputSpec

REDUCTIONS = ("none", "sum", "mean")
OUTPUT_KEYS = ("tracks", "bins", "reduction")


def resolve_outputs(
    outputs: Mapping[str, Mapping[str, Any]], facts: Facts, length: int
) -> list[OutputSpec]:
    """Turn an ensemble's `outputs:` into track and bin indices.

    Args:
        outputs: name of an output to its `tracks` (names, indices, or "all"), `bins` ("all",
            "centre" for the bin that holds index length // 2, or [first, stop) in bins) and
            `reduction` over bins ("none", "sum", "mean"); left out they are all, all, none.
        facts: of the model.
        length: of the sequences, bp.

    Raises:
        InputError: no output, an unknown key, track or reduction, bins that do not exist, or a
            length that the model does not take.
    """
    if not outputs:
        raise InputError("no outputs are named: an ensemble needs at least one under outputs:")
    return [_resolve_output(name, dict(config), facts, length) for name, config in outputs.items()]


def output_reach(facts: Facts, output: OutputSpec, shifts: Sequence[int] = (0,)) -> tuple[int, int]:
    """Half-open interval of a sequence, in its own 0-based coordinates, that an output can see.

    What lies outside has an effect of exactly zero. With shifts it is the union over them.
    """
    start, stop = facts.reach(min(output.bins), max(output.bins))
    return start - max(shifts), stop - min(shifts)


def region_of_sequences(region: tuple[int, int] | None, length: int) -> tuple[int, int]:
    """The positions [first, stop) of sequences that are asked for; all if None.

    Raises:
        InputError: the region is no part of the sequences.
    """
    first, stop = region or (0, length)
    if not 0 <= first < stop <= length:
        raise InputError(
            f"region [{first}, {stop}) does not lie in [0, {length}), the sequences of the set: "
            "give positions of the sequence, from 0"
        )
    return first, stop


def _resolve_output(name: str, config: dict[str, Any], facts: Facts, length: int) -> OutputSpec:
    for key in config:
        if key not in OUTPUT_KEYS:
            raise InputError(
                f"output {name!r} has no key {key!r}{nearest_clause(key, OUTPUT_KEYS)}"
            )
    reduction = config.get("reduction", "none")
    if reduction not in REDUCTIONS:
        raise InputError(
            f"output {name!r}: reduction {reduction!r} is not one of {', '.join(REDUCTIONS)}"
        )
    tracks = _resolve_tracks(name, config.get("tracks", "all"), facts)
    return OutputSpec(
        name,
        tracks,
        _resolve_bins(name, config.get("bins", "all"), facts, length),
        reduction,
        tuple(facts.labels()[index] for index in tracks),
    )


def _resolve_tracks(
    name: str, wanted: str | int | Sequence[str | int], facts: Facts
) -> tuple[int, ...]:
    if wanted == "all":
        return tuple(range(len(facts.tracks)))
    several = [wanted] if isinstance(wanted, str | int) else list(wanted)
    indices = tuple(_track_index(name, track, facts) for track in several)
    if not indices or len(set(indices)) < len(indices):
        raise InputError(f"output {name!r}: tracks {several} must be one or more different ones")
    return indices


def _track_index(name: str, wanted: str | int, facts: Facts) -> int:
    """A track by its index, its unique label, or its name where no other has it."""
    if isinstance(wanted, int):
        if not 0 <= wanted < len(facts.tracks):
            raise InputError(
                f"output {name!r}: there is no track {wanted}; the model has "
                f"{len(facts.tracks)}, counted from 0"
            )
        return wanted
    labels = facts.labels()
    if wanted in labels:
        return labels.index(wanted)
    same = [index for index, track in enumerate(facts.tracks) if track.name == wanted]
    if same:
        raise InputError(
            f"output {name!r}: tracks {', '.join(map(str, same))} are all named {wanted!r}: "
            "name the track by its index"
        )
    raise InputError(
        f"output {name!r}: the model has no track {wanted!r}{nearest_clause(wanted, labels)}"
    )


def _resolve_bins(
    name: str, wanted: str | Sequence[int], facts: Facts, length: int
) -> tuple[int, ...]:
    bins = facts.bins(length)
    if wanted == "all":
        return tuple(range(bins))
    if wanted == "centre":
        return ((length // 2 - facts.crop) // facts.bin_width,)
    if isinstance(wanted, str) or len(wanted) != 2:
        raise InputError(
            f"output {name!r}: bins are {wanted!r}, expected all, centre or [first, stop]"
        )
    first, stop = wanted
    if not 0 <= first < stop <= bins:
        raise InputError(
            f"output {name!r}: bins [{first}, {stop}) do not lie in [0, {bins}), the bins of "
            f"sequences of {length} bp"
        )
    return tuple(range(first, stop))
