"""The slow way to haplotypes, one sample at a time, that the fast way is compared with."""

from types import SimpleNamespace

import pyarrow.parquet as pq

from seqtrust.edits import Edit, sorted_disjoint
from seqtrust.errors import InputError
from seqtrust.sequence_set import read_sequence_set, write_sequence_set
from seqtrust.sources.haplotypes import HAPLOTYPES, HaplotypeSequences, streamed_table
from seqtrust.sources.variants import CONTRASTS
from seqtrust.tables import read_table


def written_sequences(folder, genome, genotypes, windows, rules):
    """Write and read a haplotype set.

    Returns:
        The source, the set, the contrasts, and the codes and ids of every
        (sample, haplotype, window).
    """
    source = HaplotypeSequences(genome, genotypes, windows, rules, "genes.bed")
    paths = [folder / f"{name}.parquet" for name in ("set", "haplotypes", "contrasts")]
    with (
        streamed_table(paths[1], HAPLOTYPES, {}) as haplotypes,
        streamed_table(paths[2], CONTRASTS, {}) as contrasts,
    ):
        write_sequence_set(paths[0], source.content(haplotypes, contrasts), {})
    found = read_sequence_set(paths[0])
    by_id = {s.sequence_id: found.windows[s.window].sequence(s.edits) for s in found.sequences}
    table = read_table(paths[1], HAPLOTYPES).to_pylist()
    ids = {(r["sample"], r["haplotype"], r["window"]): r["sequence_id"] for r in table}
    return SimpleNamespace(
        source=source,
        set=found,
        contrasts=pq.read_table(paths[2]).to_pylist(),
        ids=ids,
        codes={key: by_id[sequence_id] for key, sequence_id in ids.items()},
    )


def carried_edits(rows, sample, haplotype):
    """(position, REF, ALT, edit) of every record that a haplotype carries, in file order."""
    found = []
    for position, ref, alts, calls in rows:
        parts = calls[sample].replace("/", "|").split("|")
        if haplotype >= len(parts) or not parts[haplotype].isdigit() or parts[haplotype] == "0":
            continue
        alt = alts[int(parts[haplotype]) - 1]
        if set(alt) <= set("ACGT") and alt != ref:
            shared = 0
            while shared < min(len(ref), len(alt)) and ref[shared] == alt[shared]:
                shared += 1
            edit = Edit(position + shared, position + len(ref), alt[shared:])
            found.append((position, ref, alt, edit))
    return found


def kept_by_us(carried):
    """The edits of one haplotype without those that overlap an earlier one."""
    kept = []
    for *_, edit in carried:
        try:
            sorted_disjoint([*kept, edit])
        except InputError:
            continue
        kept.append(edit)
    return kept
