"""What trust scores are made of beside the replicates' effects, by unit."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqtrust.attribution.agreement import agreement_per_sequence
from seqtrust.attribution.map_tables import read_attributions
from seqtrust.bases import Codes
from seqtrust.effects import aligned_values
from seqtrust.errors import InputError
from seqtrust.kmers import canonical_kmers, without_unknown
from seqtrust.predictions import Predictions
from seqtrust.sequence_set import SequenceSet

Floats = npt.NDArray[np.float64]


def kmer_spectra(codes: Codes, k: int = 6) -> npt.NDArray[np.float32]:
    """Counts of canonical k-mers of sequences (N, L), at length 1: shape (N, 4^k)."""
    found = np.zeros((len(codes), 4**k), dtype=np.float32)
    for row, sequence in enumerate(codes):
        kmers = canonical_kmers(sequence[None], k)[0][without_unknown(sequence[None], k)[0]]
        found[row] = np.bincount(kmers.astype(np.int64), minlength=4**k)
    norms = np.linalg.norm(found, axis=1, keepdims=True)
    return found / np.maximum(norms, 1e-12)


def likeness(codes: Codes, training: Codes, k: int = 6, block: int = 512) -> Floats:
    """Largest cosine similarity of each sequence's k-mer spectrum with a training window's.

    Args:
        codes: shape (N, L).
        training: shape (M, L').
        k: k-mer length.
        block: training windows at a time.

    Returns:
        Shape (N,), 1 for the k-mers of a training window; NaN where there is none.
    """
    best = np.full(len(codes), np.nan)
    mine = kmer_spectra(codes, k)
    for start in range(0, len(training), block):
        found = (mine @ kmer_spectra(training[start : start + block], k).T).max(axis=1)
        best = np.fmax(best, found)
    return best


def likeness_of_units(
    sequences: SequenceSet,
    reference_of: Mapping[str, str],
    training: SequenceSet,
    splits: Mapping[str, str],
) -> dict[str, float]:
    """Likeness of every unit's reference sequence to the training windows.

    Args:
        sequences: the set that was judged.
        reference_of: for every unit the sequence_id of its reference.
        training: the set that the replicates were trained on.
        splits: data split of its sequences; those of `train` count.
    """
    rows = [row for row, name in enumerate(training.ids()) if splits[name] == "train"]
    places = {name: row for row, name in enumerate(sequences.ids())}
    chosen = sorted({places[name] for name in reference_of.values()})
    found = likeness(sequences.codes()[chosen], training.codes()[rows])
    by_row = dict(zip(chosen, found.tolist(), strict=True))
    return {unit: by_row[places[name]] for unit, name in reference_of.items()}


def references_of(contrasts: pa.Table) -> dict[str, str]:
    """The reference sequence of every contrast, the first one where it has several."""
    pairs = zip(
        contrasts["contrast_id"].to_pylist(), contrasts["reference_id"].to_pylist(), strict=True
    )
    return dict(reversed(list(pairs)))


def references_of_genes(sequences: SequenceSet) -> dict[str, str]:
    """The first sequence of every window, by the window's name."""
    names = [sequences.windows[index].name for index in sequences.window_indices()]
    return dict(reversed(list(zip(names, sequences.ids(), strict=True))))


def of_references(reference_of: Mapping[str, str], values: Mapping[str, float]) -> dict[str, float]:
    """For every unit the value of its reference sequence.

    Args:
        reference_of: for every unit the sequence_id of its reference.
        values: by sequence_id.

    Raises:
        InputError: a sequence has no value.
    """
    missing = [name for name in reference_of.values() if name not in values]
    if missing:
        raise InputError(
            f"trust: {len(missing)} reference sequences have no value, first {missing[0]!r}: they "
            "must be of the set that is judged"
        )
    return {unit: values[name] for unit, name in reference_of.items()}


def predicted_spread(replicates: Mapping[str, Predictions], output: str) -> dict[str, float]:
    """The negative spread that a distilled network predicts, by sequence_id.

    Args:
        replicates: its predictions; of several the mean is taken.
        output: of one track and one bin.

    Raises:
        InputError: the output has several values per sequence.
    """
    first = next(iter(replicates.values()))
    if first.output(output).shape != (1, 1):
        raise InputError(
            f"trust: output {output!r} of the distilled network has {first.output(output).shape} "
            "tracks and bins: name one with one track and a sum or mean over bins"
        )
    values = [aligned_values(p, p.output(output), first.sequence_ids) for p in replicates.values()]
    mean = np.stack(values)[..., 0, 0].astype(np.float64).mean(axis=0)
    return dict(zip(first.sequence_ids, (-mean).tolist(), strict=True))


def map_agreement(shards: Sequence[Sequence[str | Path]]) -> dict[str, float]:
    """Mean correlation of the maps of all pairs of replicates, by sequence_id.

    Args:
        shards: per replicate the files of its maps, of one track.

    Returns:
        0 where no two replicates have a map.
    """
    replicates = [read_attributions(paths) for paths in shards]
    agreement = np.nan_to_num(agreement_per_sequence(replicates))
    return dict(zip(replicates[0].sequence_ids, agreement.tolist(), strict=True))
