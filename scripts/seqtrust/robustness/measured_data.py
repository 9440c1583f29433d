"""Data sets of one split of a reporter assay: for training, for calibration, and under every shift.

The parts of a split hold whole groups. Every tested condition takes sequences of test groups alone:
other ones (covariate), the same ones measured otherwise, or measured with fewer reads.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqtrust.errors import InputError, nearest_clause
from seqtrust.libraries import Library, dealt_groups
from seqtrust.library_tables import read_table
from seqtrust.robustness.benchmark_worlds import data_seed
from seqtrust.robustness.conditions import Condition
from seqtrust.robustness.measured_shifts import MeasuredShift, step_kind
from seqtrust.robustness.readout import GC_CENTRE
from seqtrust.robustness.sequences import gc_content
from seqtrust.robustness.world_tables import CALIBRATION, TRAIN, VALIDATION
from seqtrust.sources.seeds import named_generator

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

TEST = "test"
# a group that a published split cuts stays in the first of these that it has
_FIRST = (TEST, CALIBRATION, VALIDATION, TRAIN)
# of the same sequences as without a shift
_INPUTS = ("where", "gc")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Measured:
    """Measurements of all sequences of a library in one way, shape (N,) each.

    Attributes:
        value: NaN where there is none.
        sd: NaN where it is not known.
        observations: NaN where their number is not known.
    """

    value: Floats
    sd: Floats
    observations: Floats


def measured_data(
    library: Library,
    tables: Mapping[str, Any],
    columns: Floats | None,
    split: int,
    seed: int,
) -> Iterator[tuple[str, Condition]]:
    """Every data set of a split with its name; the training data come first.

    Those with the same sequences follow each other. Sequences that some other measurement of the
    unshifted test data lacks are left out of all of them, so that they stay the same.

    Args:
        library: with the measurements.
        tables: `tables` of the config.
        columns: numbers that are known of every sequence, shape (N, F), or None.
        split: its seed.
        seed: of the config.

    Raises:
        InputError: a column, value or track is unknown, or a data set has too few sequences.
    """
    parts = assigned_parts(library, tables["splits"], data_seed(seed, split, "split"))
    home = plain_measurement(library, tables["track"])
    allowed = chosen_rows(library, home, tables, {})
    steps = [
        (MeasuredShift(ladder, number, step=name, kind=step_kind(step)), step)
        for ladder, listed in tables["shifts"].items()
        for number, (name, step) in enumerate(listed.items(), start=1)
    ]
    steps.sort(key=lambda one: [str(one[1].get(key)) for key in _INPUTS if key in one[1]])
    found = [(shift, step, _measurement(library, home, tables["track"], step, split, seed))
             for shift, step in steps]  # fmt: skip
    shared = np.isfinite(home.value)
    for _, step, measured in found:
        if not any(key in step for key in _INPUTS):
            shared &= np.isfinite(measured.value)
    least = tables["least"]

    def condition(shift: MeasuredShift, rows: Mask, measured: Measured, name: str) -> Condition:
        return _condition(library, shift, rows & np.isfinite(measured.value), measured, columns,
                          name, least)  # fmt: skip

    unshifted = MeasuredShift()
    for name in (TRAIN, VALIDATION, CALIBRATION):
        yield name, condition(unshifted, allowed & (parts == name), home, name)
    tested = allowed & (parts == TEST)
    if left := int((tested & np.isfinite(home.value) & ~shared).sum()):
        logger.info(
            "%d of %d test sequences lack a measurement under another condition and are left out",
            left,
            tested.sum(),
        )
    yield unshifted.label, condition(unshifted, tested & shared, home, unshifted.label)
    for shift, step, measured in found:
        rows = tested & shared
        if any(key in step for key in _INPUTS):
            rows = chosen_rows(library, home, tables, step) & (parts == TEST)
        yield shift.label, condition(shift, rows, measured, shift.label)


def assigned_parts(library: Library, splits: Mapping[str, Any], seed: int) -> npt.NDArray[np.str_]:
    """The part of every sequence, shape (N,); "" for those that a published split would cut.

    Args:
        library: with groups.
        splits: `tables: splits` of the config.
        seed: of the order in which groups are dealt out.

    Raises:
        InputError: the column of a published split is unknown, or none of its values is there.
    """
    groups = np.array(library.groups)
    shares = {TEST: splits[TEST], CALIBRATION: splits[CALIBRATION], VALIDATION: splits[VALIDATION]}
    parts = np.full(len(groups), "", dtype="<U16")
    if "column" in splits:
        given = _column(library, splits["column"])
        for name, values in splits["values"].items():
            rows = given.isin(values).to_numpy()
            if not rows.any():
                known = ", ".join(sorted(map(str, given.dropna().unique()))[:8])
                raise InputError(
                    f"splits: no sequence has {splits['column']} in {values} ({name}); its values "
                    f"are: {known}"
                )
            parts[rows] = name
            del shares[name]
    free = parts == ""
    # a group with a fixed sequence is not dealt out: its other sequences are of no part
    fixed = np.isin(groups, groups[~free])
    dealt = free & ~fixed
    # shares are of all sequences, and only some are left to deal out
    rest = {name: share * len(groups) / max(dealt.sum(), 1) for name, share in shares.items()}
    parts[dealt] = dealt_groups(groups[dealt].tolist(), rest, seed)
    return _uncut(parts, groups)


def chosen_rows(
    library: Library, home: Measured, tables: Mapping[str, Any], step: Mapping[str, Any]
) -> Mask:
    """Sequences that a data set may take, whatever their part, shape (N,).

    Quantiles of GC content are those of all measured sequences that `where` of the tables takes:
    they mean the same in every data set, and ranges that share an edge share no sequence.

    Args:
        library: with the table of sequences.
        home: measurements of the training data.
        tables: `tables` of the config.
        step: of a ladder, which says otherwise; empty for the data without a shift.

    Raises:
        InputError: a column is unknown, or no sequence fits.
    """
    own = _where(library, tables.get("where", {}))
    rows = _where(library, step["where"]) if "where" in step else own
    between = step.get("gc", tables.get("gc"))
    if between is None:
        return rows
    gc = gc_content(library.sequences)
    edges = gc_edges(gc[own & np.isfinite(home.value)], between)
    return rows & (gc >= edges[0]) & (gc < edges[1])


def gc_edges(gc: Floats, between: Sequence[float]) -> tuple[float, float]:
    """GC contents from which, and below which, sequences lie between two quantiles.

    Args:
        gc: of all sequences.
        between: the quantiles; those at 0 and 1 hold everything beyond.
    """
    low, high = np.quantile(gc, between).tolist()
    return -np.inf if between[0] == 0 else low, np.inf if between[1] == 1 else high


def read_columns(settings: Mapping[str, Any], path: str, ids: Sequence[str]) -> Floats:
    """Numbers that are known of every sequence, shape (N, F).

    Args:
        settings: `tables: features` of the config.
        path: of the table.
        ids: of the N sequences.

    Raises:
        InputError: a column or sequence is missing, an id is repeated, or a value is no number.
    """
    names = list(settings["columns"])
    table = read_table(path, [settings["id"], *names])
    keys = table[settings["id"]].astype(str)
    if (repeated := keys[keys.duplicated()]).size:
        raise InputError(f"{path}: id {repeated.iloc[0]!r} occurs twice: ids must be unique")
    values = table[names].apply(pd.to_numeric, errors="coerce").set_axis(keys.to_numpy(), axis=0)
    found: Floats = values.reindex(list(ids)).to_numpy(dtype=np.float64)
    bad = np.argwhere(~np.isfinite(found))
    if bad.size:
        row, column = bad[0]
        raise InputError(
            f"{path}: sequence {ids[row]!r} has no number in column {names[column]!r}: every "
            "sequence of the library needs one"
        )
    return found


def plain_measurement(library: Library, track: str) -> Measured:
    """Measurements of a track."""
    column = library.track(track)
    parts = (library.activities, library.sds, library.observations)
    return Measured(*(part[:, column] for part in parts))


def _measurement(
    library: Library, home: Measured, track: str, step: Mapping[str, Any], split: int, seed: int
) -> Measured:
    name = step.get("track", track)
    if "depth" not in step:
        return plain_measurement(library, name) if "track" in step else home
    if name not in library.barcodes:
        raise InputError(
            f"depth {step['depth']:g}: track {name!r} is not made of counts of barcodes, so no "
            "reads are known that could be thinned"
        )
    rng = named_generator(seed, "depth", str(split), str(step["depth"]), name)
    found = library.barcodes[name].thinned(step["depth"], rng).activity()
    return Measured(found.value, found.sd, found.barcodes)


def _condition(
    library: Library,
    shift: MeasuredShift,
    rows: Mask,
    measured: Measured,
    columns: Floats | None,
    name: str,
    least: int,
) -> Condition:
    count = int(rows.sum())
    if count < least:
        raise InputError(
            f"data set {name!r} has {count} sequences, fewer than {least}: give its part a larger "
            "share under splits, choose more sequences, or lower least"
        )
    sequences = library.sequences[rows]
    nothing, none = np.full(count, np.nan), np.zeros(count, dtype=np.int64)
    return Condition(
        shift,
        sequences,
        sequences,
        (gc_content(sequences) - GC_CENTRE)[:, None],
        activity=nothing,
        mean=nothing,
        sd=measured.sd[rows],
        observed=measured.value[rows],
        depth=measured.observations[rows],
        cells=none,
        planted=np.zeros((count, 0), dtype=np.int64),
        background_gc=none,
        background_bases=none,
        groups=np.array(library.groups)[rows],
        columns=None if columns is None else columns[rows],
    )


def _uncut(parts: npt.NDArray[np.str_], groups: npt.NDArray[np.str_]) -> npt.NDArray[np.str_]:
    """Of a group in several parts only the sequences of the first part stay."""
    rank = np.array([_FIRST.index(part) if part else len(_FIRST) for part in parts])
    _, places = np.unique(groups, return_inverse=True)
    first = np.full(places.max() + 1, len(_FIRST))
    np.minimum.at(first, places, rank)
    kept = rank == first[places]
    if left := int((~kept | (parts == "")).sum()):
        logger.warning(
            "%d sequences share a group with sequences of another part of the published split and "
            "are left out",
            left,
        )
    return np.where(kept, parts, "")


def _where(library: Library, where: Mapping[str, Sequence[Any]]) -> Mask:
    rows = np.ones(len(library.groups), dtype=bool)
    for column, values in where.items():
        rows &= _column(library, column).isin(list(values)).to_numpy()
    if not rows.any():
        raise InputError(f"no sequence of the library has {dict(where)}: see where")
    return rows


def _column(library: Library, name: str) -> pd.Series:
    if name not in library.table.columns:
        raise InputError(
            f"the table of sequences has no column {name!r}"
            f"{nearest_clause(name, library.table.columns)}"
        )
    return library.table[name]
