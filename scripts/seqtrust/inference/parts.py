"""Predictions on disk part by part, so that a killed job goes on after its last whole part."""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from seqtrust.files import sha256
from seqtrust.inference.predict import predict_in_parts
from seqtrust.models.model import Model
from seqtrust.predictions import join_parts, write_predictions
from seqtrust.sequence_set import SequenceSet


def predict_to_file(
    path: str | Path,
    model: Model,
    sequences: SequenceSet,
    outputs: Mapping[str, Mapping[str, Any]],
    key: str,
    **settings: Any,
) -> dict[str, str]:
    """Predict a sequence set into a file.

    Parts are kept in a folder beside the file until all are there; then they are joined, and the
    file appears. Started again, the run goes on after the parts that it finds, and ends with
    the same bytes, unless it had to halve its batches for want of memory.

    Args:
        path: the file of predictions.
        model: one replicate.
        sequences: the set or a shard of it.
        outputs: what to keep.
        key: digest of all that the predictions depend on; parts of another one are thrown away.
        settings: as for `predict_in_parts`.

    Returns:
        The metadata of the file.
    """
    target = Path(path)
    folder = target.with_name(f"{target.name}.{key[:16]}.parts")
    for other in target.parent.glob(f"{target.name}.*.parts"):
        if other != folder:
            shutil.rmtree(other)
    folder.mkdir(parents=True, exist_ok=True)
    kept = len(list(folder.glob(_PARTS)))
    if kept:
        logging.getLogger(__name__).info("going on after %d parts", kept)
    for number, part in predict_in_parts(
        model, sequences, outputs, have=lambda n: _part(folder, n).exists(), **settings
    ):
        write_predictions(_part(folder, number), part)
    metadata = join_parts(target, sorted(folder.glob(_PARTS)))
    shutil.rmtree(folder)
    return metadata


def digest_of(files: Iterable[str | Path], settings: Mapping[str, Any]) -> str:
    """A digest of the bytes of files and of settings."""
    text = json.dumps([sha256(path) for path in files]) + json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


_PARTS = "*.parquet"


def _part(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.parquet"
