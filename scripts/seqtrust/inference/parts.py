"""Predictions on disk part by part, so that a killed job goes on after its last whole part."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seqtrust.inference.part_files import PARTS, part_of, parts_folder
from seqtrust.inference.predict import predict_in_parts
from seqtrust.models.model import Model
from seqtrust.predictions import join_parts, write_predictions
from seqtrust.sequence_set import SequenceSet


def predict_to_files(
    paths: Sequence[str | Path],
    models: Sequence[Model],
    sequences: SequenceSet,
    outputs: Mapping[str, Mapping[str, Any]],
    key: str,
    **settings: Any,
) -> list[dict[str, str]]:
    """Predict a sequence set into a file per replicate.

    Parts are kept in a folder beside each file until all are there; then they are joined, and
    the file appears. Started again, the run goes on after the parts that it finds, and ends with
    the same bytes, unless it had to halve its batches for want of memory.

    Args:
        paths: the files of predictions.
        models: the replicates, in the same order.
        sequences: the set or a shard of it.
        outputs: what to keep.
        key: digest of all that the predictions depend on; parts of another one are thrown away.
        settings: as for `predict_in_parts`.

    Returns:
        The metadata of the files.
    """
    folders = [parts_folder(Path(path), key) for path in paths]
    kept = min(len(list(folder.glob(PARTS))) for folder in folders)
    if kept:
        logging.getLogger(__name__).info("going on after %d parts", kept)
    for number, made in predict_in_parts(
        models,
        sequences,
        outputs,
        have=lambda n: all(part_of(folder, n).exists() for folder in folders),
        **settings,
    ):
        for folder, part in zip(folders, made, strict=True):
            write_predictions(part_of(folder, number), part)
    metadata = [
        join_parts(path, sorted(folder.glob(PARTS)))
        for path, folder in zip(paths, folders, strict=True)
    ]
    for folder in folders:
        shutil.rmtree(folder)
    return metadata
