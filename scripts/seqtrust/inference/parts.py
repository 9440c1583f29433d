"""Predictions on disk part by part, so that a killed job goes on after its last whole part."""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from seqtrust.files import sha256
from seqtrust.inference.predict import predict_in_parts
from seqtrust.models.model import Model
from seqtrust.predictions import join_parts, write_predictions
from seqtrust.sequence_set import SequenceSet

PARTS = "*.parquet"


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


def digest_of(files: Iterable[str | Path], settings: Mapping[str, Any]) -> str:
    """A digest of the bytes of files and of settings."""
    text = json.dumps([sha256(path) for path in files]) + json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def parts_folder(target: Path, key: str) -> Path:
    """The folder of a file's parts; those of another key are thrown away."""
    folder = target.with_name(f"{target.name}.{key[:16]}.parts")
    for other in target.parent.glob(f"{target.name}.*.parts"):
        if other != folder:
            shutil.rmtree(other)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def part_of(folder: Path, number: int) -> Path:
    """A part by its number."""
    return folder / f"{number:06d}.parquet"
