"""Maps of in-silico mutagenesis: every substitution's effect minus the mean over the four bases."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from seqtrust.attribution.map_tables import MapRows
from seqtrust.inference.ism import mutagenesis
from seqtrust.models.model import Model
from seqtrust.sequence_set import SequenceSet


def centred_effects(effects: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Effects (P, 4, tracks), zero at the own base and NaN at N, to maps (tracks, P, 4).

    The mean over the four bases counts the own base as no change; at an N the map is zero.
    """
    maps = effects.astype(np.float64)
    maps = np.nan_to_num(maps - maps.mean(axis=1, keepdims=True), nan=0.0)
    return np.moveaxis(maps, 2, 0).astype(np.float32)


def mutagenesis_maps(
    model: Model,
    sequences: SequenceSet,
    outputs: Mapping[str, Mapping[str, Any]],
    *,
    region: tuple[int, int],
    reverse_complement: bool,
    savings: bool,
    threads: int,
    device: torch.device,
    block: int,
) -> Iterator[MapRows]:
    """Maps of a set's sequences, some at a time.

    Args:
        model: whose output is explained.
        sequences: of one length.
        outputs: one, of one number per track.
        region: kept positions, the only ones that are substituted.
        reverse_complement: average the effects over both strands.
        savings: compute only what a substitution changes.
        threads: of torch.
        device: of torch.
        block: sequences at a time.
    """
    with mutagenesis(
        model,
        sequences.codes().shape[1],
        outputs,
        region=region,
        reverse_complement=reverse_complement,
        shifts=(0,),
        savings=savings,
        batch_bytes=None,
        threads=threads,
        device=str(device),
    ) as run:
        (output,) = run.outputs
        for first in range(0, len(sequences.sequences), block):
            rows = list(run.rows(sequences, first, first + block))
            yield MapRows(
                [row.sequence_id for row in rows],
                output.track_names,
                np.stack([row.bases for row in rows]),
                np.stack([row.reference[:, 0] for row in rows]).astype(np.float64),
                np.stack([centred_effects(row.effects[..., 0]) for row in rows]),
            )
