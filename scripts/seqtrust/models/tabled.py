"""Architecture "table": predictions that were made elsewhere, of which there is no network here."""

from dataclasses import dataclass

from seqtrust.errors import InputError
from seqtrust.models.facts import Track
from seqtrust.models.model import Model


@dataclass(frozen=True)
class TableParameters:
    """Architecture "table" has no parameters."""


def build(parameters: TableParameters, tracks: tuple[Track, ...], genome_build: str) -> Model:
    """Refuse: a table cannot predict another sequence.

    Raises:
        InputError: always.
    """
    raise InputError(
        "the ensemble is a table of predictions and has no network to run: leave this stage out, "
        "or give the model itself under `own`"
    )
