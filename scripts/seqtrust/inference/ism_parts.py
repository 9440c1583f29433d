"""Maps on disk part by part, so that a killed job goes on after its last whole part."""

import logging
import shutil
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from seqtrust.inference.ism import Mutagenesis, mutagenesis
from seqtrust.inference.part_files import PARTS, part_of, parts_folder
from seqtrust.ism_maps import ROW_GROUP_BYTES, join_maps, row_bytes, stored_noise_floor, write_maps
from seqtrust.models.model import Model
from seqtrust.sequence_set import SequenceSet

# some minutes of the slowest networks
_PART_SEQUENCES = 64


def map_to_file(
    path: str | Path,
    model: Model,
    sequences: SequenceSet,
    outputs: Mapping[str, Mapping[str, Any]],
    key: str,
    **settings: Any,
) -> dict[str, str]:
    """Map a sequence set, or a shard of it, into a file.

    A part is some sequences in a row. Started again, the run goes on after the parts that it
    finds, and ends with the same bytes: only the first sequence of the first part is compared
    with full passes, and equal sequences are mapped once within a part.

    Args:
        path: the file of maps.
        model: one replicate.
        sequences: of one length.
        outputs: one output.
        key: digest of all that the maps depend on; parts of another one are thrown away.
        settings: as for `seqtrust.inference.ism.mutagenesis`.

    Returns:
        The metadata of the file.
    """
    folder = parts_folder(Path(path), key)
    kept = len(list(folder.glob(PARTS)))
    if kept:
        logging.getLogger(__name__).info("going on after %d parts", kept)
    with mutagenesis(model, sequences.codes().shape[1], outputs, **settings) as run:
        (output,) = run.outputs
        size = row_bytes(run.region[1] - run.region[0], output)
        step = max(1, min(_PART_SEQUENCES, ROW_GROUP_BYTES // size))
        count = len(sequences.sequences)
        bounds = [*range(0, count, step), count] if count else [0, 0]
        for number, (first, last) in enumerate(pairwise(bounds)):
            part = part_of(folder, number)
            if part.exists():
                run.noise_floor = run.noise_floor or stored_noise_floor(part)
                continue
            _write(part, run, sequences, first, last)
    metadata = join_maps(path, sorted(folder.glob(PARTS)))
    shutil.rmtree(folder)
    return metadata


def _write(part: Path, run: Mutagenesis, sequences: SequenceSet, first: int, last: int) -> None:
    before = run.work
    rows = run.rows(sequences, first, last)
    write_maps(part, rows, run.outputs[0], run.metadata, lambda: run.totals(before))
