"""Where the parts of an unfinished file are kept, and what they depend on."""

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from seqtrust.files import sha256

PARTS = "*.parquet"


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
