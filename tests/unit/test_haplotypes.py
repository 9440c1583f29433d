"""Haplotypes against the slow way, one haplotype at a time; rules, counts and messages.

The slow way edits the whole contig of one haplotype and cuts the window at its anchor.
"""

import time
import tracemalloc
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twins import carried_edits, kept_by_us, records, vcf_of, written_sequences

from seqtrust import bases
from seqtrust.edit_columns import edit_columns
from seqtrust.edits import (
    Edit,
    edited_anchor,
    edited_sequence,
    reference_positions,
    sorted_disjoint,
)
from seqtrust.errors import InputError
from seqtrust.genome import Window
from seqtrust.genotypes import GenotypeFile
from seqtrust.haplotype_edits import distinct_columns, overlapping_earlier
from seqtrust.sequence_set import (
    Sequence,
    StoredWindow,
    read_sequence_set,
    sequence_hash,
    write_sequence_set,
)
from seqtrust.sources.haplotype_rules import (
    DUPLICATE,
    MIXED_PLOIDY,
    OVERLAPPING,
    SYMBOLIC,
    HaplotypeRules,
)
from seqtrust.sources.haplotypes import HAPLOTYPES, HaplotypeSequences, write_samples, write_windows
from seqtrust.tables import read_table

SIZE, SAMPLES, LENGTH, FLANK = 420, 5, 61, 300
SEQUENCE = "".join(np.random.default_rng(8).choice(list("ACGT"), SIZE))
OUTSIDE = (2, SEQUENCE[2], ["*"], ["0"] * SAMPLES)


@pytest.fixture(scope="module")
def genome(make_genome):
    return make_genome({"c": SEQUENCE})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("haplotypes")


def build(folder, genome, rows, windows, rules=None, samples=None, suffix=""):
    """Write the rows as a VCF and the windows' haplotypes as a set."""
    path = folder / "calls.vcf.gz"
    vcf_of(path, rows, suffix)
    opened = GenotypeFile(path, f"{path}.elsewhere", samples)
    rules = rules or HaplotypeRules(missing="reference")
    return written_sequences(folder, genome, opened, windows, rules)


def slowly(rows, sample, haplotype, window, snvs):
    """The edits of one haplotype, how many overlap them, and the bases of its window."""
    carried = carried_edits(rows, sample, haplotype)
    if snvs:
        carried = [row for row in carried if len(row[1]) == len(row[2]) == 1]
    edits = sorted_disjoint(kept_by_us(carried))
    codes = np.pad(bases.encode(SEQUENCE), FLANK, constant_values=bases.UNKNOWN)
    return edits, len(carried) - len(edits), edited_sequence(codes, -FLANK, window, edits)


WINDOWS = st.lists(
    st.builds(
        Window,
        st.just("toy"),
        st.just("c"),
        st.integers(0, SIZE - 1),
        st.integers(0, LENGTH - 1),
        st.just(LENGTH),
        st.sampled_from("+-"),
    ),
    min_size=1,
    max_size=3,
)


@given(
    records(SEQUENCE, 90, 260, SAMPLES), WINDOWS, st.sampled_from(["all", "snvs"]), st.booleans()
)
@settings(max_examples=250)
def test_haplotypes_are_those_of_the_slow_way(folder, genome, rows, windows, variants, other):
    """Bases, identities and counts, for windows anywhere, also over the ends of the contig."""
    rules = HaplotypeRules(variants, missing="reference", beyond_contig="pad")
    named = [(f"w{number}", window) for number, window in enumerate(windows)]
    found = build(folder, genome, [OUTSIDE, *rows], named, rules, suffix=":3" if other else "")
    places = {window.name: window for window in found.set.windows}
    for name, window in named:
        keys = [key for key in found.ids if key[2] == name]
        seen = []
        lost = deleted = 0
        for key in keys:
            edits, refused, expected = slowly(rows, *key[:2], window, variants == "snvs")
            assert np.array_equal(found.codes[key], expected), (key, edits)
            lost += refused
            deleted += edited_anchor(window.anchor, edits, window.strand)[1]
            seen.append((found.ids[key], expected.tobytes()))
        assert len({i for i, _ in seen}) == len({b for _, b in seen}) == len(set(seen))
        reference = places[name].sequence(()).tobytes()
        assert all((sequence_id == f"{name}.ref") == (b == reference) for sequence_id, b in seen)
        others = list(dict.fromkeys(i for i, _ in seen if i != f"{name}.ref"))
        assert others == [f"{name}.h{number}" for number in range(1, len(others) + 1)]
        (counts,) = [row for row in found.source.counts if row.window == name]
        assert counts.haplotypes == len(keys)
        assert counts.distinct == len({b for _, b in seen})
        assert counts.deleted_anchors == deleted
        # the slow way looks at the whole contig, also beyond what the window needs
        assert counts.overlaps <= lost


@given(records(SEQUENCE, 90, 260, SAMPLES), WINDOWS)
@settings(max_examples=100)
def test_every_written_edit_reaches_its_sequence(folder, genome, rows, windows):
    """It replaces or inserts beside a base of the window, or takes the anchor away."""
    named = [(f"w{number}", window) for number, window in enumerate(windows)]
    rules = HaplotypeRules(missing="reference", beyond_contig="pad")
    found = build(folder, genome, [OUTSIDE, *rows], named, rules)
    for sequence in found.set.sequences:
        stored = found.set.windows[sequence.window]
        window = stored.window
        positions = reference_positions(
            stored.flank_start, len(stored.bases), window, sequence.edits
        )
        inside = positions[positions >= 0]
        for edit in sequence.edits:
            near = inside.min() - 1 <= edit.end and edit.start <= inside.max() + 1
            assert near or edit.start <= window.anchor < edit.end
            without = tuple(one for one in sequence.edits if one != edit)
            assert sorted_disjoint(without) == without


def test_different_edits_can_be_one_sequence(folder, genome):
    """A repeat shortened at its start or at its end."""
    start = SEQUENCE.index("AA", 150)
    before = SEQUENCE[start - 1]
    rows = [
        (start - 1, before + "A", [before], ["1|0", "0|0"]),
        (start, "AA", ["A"], ["0|1", "0|0"]),
    ]
    window = Window("toy", "c", start - 20, 10, LENGTH)
    found = build(folder, genome, rows, [("w", window)])
    assert [found.ids[0, h, "w"] for h in (0, 1)] == ["w.h1", "w.h1"]
    assert found.ids[1, 0, "w"] == "w.ref"
    assert len(found.set.sequences) == 2


@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.integers(0, 4), st.sampled_from(["", "A", "CCC"])).filter(
            lambda row: row[1] or row[2]
        ),
        max_size=9,
    )
)
def test_overlaps_are_those_that_sorted_disjoint_refuses(rows):
    edits = [Edit(start, start + width, word) for start, width, word in rows]
    found = overlapping_earlier(
        np.array([edit.start for edit in edits], dtype=np.int64),
        np.array([edit.end for edit in edits], dtype=np.int64),
    )
    for later, edit in enumerate(edits):
        expected = []
        for earlier in range(later):
            try:
                sorted_disjoint([edits[earlier], edit])
            except InputError:
                expected.append(earlier)
        assert sorted(found.get(later, np.zeros(0)).tolist()) == expected


@given(st.integers(0, 20), st.integers(0, 9), st.randoms(use_true_random=False))
def test_distinct_columns_are_numbered_by_first_appearance(rows, columns, random):
    carried = np.array(
        [[random.random() < 0.2 for _ in range(columns)] for _ in range(rows)], dtype=bool
    ).reshape(rows, columns)
    first, kinds = distinct_columns(carried)
    texts = [carried[:, column].tobytes() for column in range(columns)]
    order = list(dict.fromkeys(texts))
    assert kinds.tolist() == [order.index(text) for text in texts]
    assert first.tolist() == [texts.index(text) for text in order]


MANY = tuple(Edit(position, position + 1, "A") for position in range(155, 175, 2))


def stored_window():
    codes = bases.encode(SEQUENCE)[150:290]
    return StoredWindow("w", "toy", "c", ANCHOR, 30, LENGTH, "-", 150, codes)


def test_a_set_in_columns_is_the_set_of_its_rows(tmp_path):
    window, rows = stored_window(), [("w.ref", ()), ("w.h1", MANY), ("w.h2", MANY[3:5])]
    columns = edit_columns(rows)
    hashes = [sequence_hash(window.sequence(edits)) for _, edits in rows]
    known = replace(columns, hashes=hashes)
    tables = []
    for name, content in (("rows", rows), ("columns", columns), ("known", known)):
        assert write_sequence_set(tmp_path / name, [(window, content)], {}) == 3
        assert list(read_sequence_set(tmp_path / name).sequences) == [
            Sequence(sequence_id, 0, edits) for sequence_id, edits in rows
        ]
        tables.append(pq.read_table(tmp_path / name))
    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])


# --- rules -----------------------------------------------------------------------------------

ANCHOR = 200
WINDOW = Window("toy", "c", ANCHOR, 30, LENGTH)


def other(position, number=1):
    """A base that is not the reference's."""
    return "ACGT"[("ACGT".index(SEQUENCE[position]) + number) % 4]


def snv(position, *calls):
    return position, SEQUENCE[position], [other(position)], list(calls)


def letter(found, key, position):
    return bases.decode(found.codes[key])[position - WINDOW.start]


def one_window(folder, genome, rows, **rules):
    return build(folder, genome, rows, [("w", WINDOW)], HaplotypeRules(**rules))


@pytest.mark.parametrize(("kind", "call"), [("unphased", "0/1"), ("missing", "0|.")])
def test_unclear_calls_are_an_error_unless_the_rules_say_otherwise(folder, genome, kind, call):
    rows = [snv(190, "0|1", "1|1"), snv(210, "1|0", call)]
    with pytest.raises(InputError) as caught:
        one_window(folder, genome, rows)
    message = str(caught.value)
    for part in (
        f"record c:211 {SEQUENCE[210]}>{other(210)}, column 11: genotype {call} is {kind}",
        f"or set {kind} to 'reference' or 'skip_sample'",
    ):
        assert part in message
    assert "s1" not in message


def test_homozygous_calls_need_no_phase(folder, genome):
    found = one_window(folder, genome, [snv(190, "1/1", "0/0")])
    assert [letter(found, (0, h, "w"), 190) for h in (0, 1)] == [other(190)] * 2
    assert found.ids[1, 0, "w"] == found.ids[1, 1, "w"] == "w.ref"
    assert found.source.counts[0].unphased_calls == 0


@pytest.mark.parametrize("call", ["0/1", "1/0"])
def test_unphased_calls_can_be_reference(folder, genome, call):
    rows = [snv(190, call, "1|0"), snv(210, "1|1", "0|0")]
    found = one_window(folder, genome, rows, unphased="reference")
    assert [letter(found, (0, h, "w"), 190) for h in (0, 1)] == [SEQUENCE[190]] * 2
    assert letter(found, (0, 0, "w"), 210) == other(210)
    assert letter(found, (1, 0, "w"), 190) == other(190)
    assert found.source.counts[0].unphased_calls == 1
    assert [row.reason for row in found.source.skipped] == ["unphased calls: 1, set to REF"]


@pytest.mark.parametrize(("call", "bases_there"), [("1|.", "xr"), (".|1", "rx"), ("./.", "rr")])
def test_missing_alleles_can_be_reference(folder, genome, call, bases_there):
    found = one_window(folder, genome, [snv(190, call, "0|0")], missing="reference")
    expected = [{"x": other(190), "r": SEQUENCE[190]}[one] for one in bases_there]
    assert [letter(found, (0, h, "w"), 190) for h in (0, 1)] == expected
    assert found.source.counts[0].missing_calls == 1


def test_a_half_missing_call_without_phase_obeys_both_rules(folder, genome):
    with pytest.raises(InputError, match=r"genotype 1/\. is unphased"):
        one_window(folder, genome, [snv(190, "1/.", "0|0")], missing="reference")
    found = one_window(
        folder, genome, [snv(190, "1/.", "0|1")], missing="reference", unphased="reference"
    )
    assert found.ids[0, 0, "w"] == found.ids[0, 1, "w"] == "w.ref"


@pytest.mark.parametrize(("kind", "call"), [("unphased", "0/1"), ("missing", "./.")])
def test_samples_with_unclear_calls_can_be_left_out(folder, genome, kind, call):
    rows = [snv(190, "0|1", call), snv(210, "1|0", "1|1")]
    found = one_window(folder, genome, rows, **{kind: "skip_sample"})
    assert {key[0] for key in found.ids} == {0}
    counts = found.source.counts[0]
    assert (counts.samples, counts.skipped_samples, counts.haplotypes) == (1, 1, 2)
    (row,) = found.source.skipped
    assert (row.record, row.reason) == ("window w", f"{kind} calls: 1, samples left out")


def test_unclear_calls_of_unused_records_do_no_harm(folder, genome):
    """Outside of the window, not an SNV, symbolic or of another frequency."""
    rows = [
        snv(150, "0/1", "./."),
        (190, SEQUENCE[190], [SEQUENCE[190] + "A"], ["0/1", "0|0"]),
        (195, SEQUENCE[195], ["<DEL>"], ["0/1", "0|0"]),
        snv(200, "0|1", "1|1"),
    ]
    found = one_window(folder, genome, rows, variants="snvs")
    assert found.source.counts[0].not_snv == found.source.counts[0].symbolic == 1
    found = one_window(folder, genome, rows, variants="all", min_frequency=0.5)
    assert found.source.counts[0].frequency == 1


def test_haploid_samples_have_haplotype_0_only(folder, genome):
    rows = [snv(190, "1", "0|1", "."), snv(210, "0", "1|0", "1")]
    found = one_window(folder, genome, rows, missing="reference")
    assert sorted(key[:2] for key in found.ids) == [(0, 0), (1, 0), (1, 1), (2, 0)]
    assert letter(found, (0, 0, "w"), 190) == other(190)
    assert found.source.counts[0].haplotypes == 4


def test_a_sample_whose_ploidy_changes_is_left_out_and_counted(folder, genome):
    rows = [snv(190, "1|0", "0|1"), snv(210, "1", "1|0")]
    found = one_window(folder, genome, rows)
    assert {key[0] for key in found.ids} == {1}
    assert found.source.counts[0].mixed_ploidy == 1
    assert found.source.skipped[0].reason == f"{MIXED_PLOIDY}: 1 samples left out"


@pytest.mark.parametrize(("strand", "anchor_index"), [("+", 0), ("-", LENGTH - 1)])
def test_a_deletion_of_an_anchor_at_the_edge_of_its_window_is_written(
    folder, genome, strand, anchor_index
):
    """It moves the anchor, although none of its bases lies inside the window."""
    rows = [(198, SEQUENCE[198:205], [SEQUENCE[198]], ["1|0", "0|0"])]
    window = Window("toy", "c", ANCHOR, anchor_index, LENGTH, strand)
    found = build(folder, genome, rows, [("w", window)])
    edits, _, expected = slowly(rows, 0, 0, window, False)
    assert np.array_equal(found.codes[0, 0, "w"], expected)
    sequence = next(s for s in found.set.sequences if s.sequence_id == found.ids[0, 0, "w"])
    assert sequence.edits == edits
    assert found.source.counts[0].deleted_anchors == 1


def test_a_variant_pushed_out_of_the_window_makes_no_sequence(folder, genome):
    """Behind an insertion, the window's last bases belong to nobody any more."""
    last = WINDOW.end - 3
    inserted = (205, SEQUENCE[205], [SEQUENCE[205] + "ACGTACGT"], ["1|1", "0|1"])
    found = build(folder, genome, [inserted, snv(last, "1|0", "1|0")], [("w", WINDOW)])
    ids = [found.ids[s, h, "w"] for s in (0, 1) for h in (0, 1)]
    assert ids == ["w.h1", "w.h1", "w.h2", "w.h1"]
    assert found.set.sequences[1].edits == (Edit(206, 206, "ACGTACGT"),)


def test_the_first_of_overlapping_variants_wins(folder, genome):
    """On the haplotype that carries both; the later one stays on the others."""
    long = SEQUENCE[190:194]
    rows = [
        (190, long, [long[0]], ["1|1", "0|0"]),
        snv(192, "1|0", "1|0"),
        (192, SEQUENCE[192:194], [SEQUENCE[192]], ["0|0", "0|1"]),
    ]
    found = one_window(folder, genome, rows)
    edits = {s.sequence_id: s.edits for s in found.set.sequences}
    assert edits[found.ids[0, 0, "w"]] == (Edit(191, 194, ""),)
    assert edits[found.ids[1, 0, "w"]] == (Edit(192, 193, other(192)),)
    assert found.source.counts[0].overlaps == 1
    (row,) = found.source.skipped
    assert (row.line, row.reason) == (0, OVERLAPPING)
    assert row.record == f"c:193 {SEQUENCE[192]}>{other(192)}"


def test_a_lost_variant_blocks_nothing(folder, genome):
    """A chain that reaches in from the left: the first wins, so the third is kept."""
    pieces = [(150, 170), (165, 185), (180, 200)]
    rows = [
        (start, SEQUENCE[start:end], [SEQUENCE[start]], ["1|0", "0|0"]) for start, end in pieces
    ]
    window = Window("toy", "c", 250, 60, LENGTH)
    found = build(folder, genome, rows, [("w", window)])
    sequence = next(s for s in found.set.sequences if s.sequence_id == found.ids[0, 0, "w"])
    assert sequence.edits == (Edit(181, 200, ""),)


def test_symbolic_alleles_and_duplicates_are_counted(folder, genome):
    rows = [
        (190, SEQUENCE[190], ["<DEL>", other(190)], ["1|2", "0|0"]),
        snv(200, "1|0", "0|0"),
        snv(200, "1|1", "0|0"),
        (205, SEQUENCE[205], ["*", other(205)], ["1|2", "0|0"]),
        (210, SEQUENCE[210], [SEQUENCE[210]], ["1|1", "0|0"]),
    ]
    found = one_window(folder, genome, rows)
    counts = found.source.counts[0]
    assert (counts.symbolic, counts.duplicates, counts.no_change) == (1, 1, 1)
    reasons = {row.record: row.reason for row in found.source.skipped}
    assert reasons[f"c:191 {SEQUENCE[190]}><DEL>,{other(190)}"] == f"{SYMBOLIC}: <DEL>"
    assert DUPLICATE in [row.reason for row in found.source.skipped]
    texts = ["".join(letter(found, (0, h, "w"), p) for p in (190, 200, 205)) for h in (0, 1)]
    assert texts[0] == SEQUENCE[190] + other(200) + SEQUENCE[205]
    assert texts[1] == other(190) + other(200) + other(205)


def test_alleles_are_chosen_by_their_frequency_among_the_samples(folder, genome):
    rows = [
        snv(190, "0|1", "1|1", "1|1"),
        (200, SEQUENCE[200], [other(200), other(200, 2)], ["1|2", "0|.", "2|2"]),
        snv(210, "0|0", "0|0", "1|1"),
    ]
    wanted = {"missing": "reference", "min_frequency": 0.3, "max_frequency": 0.75}
    found = one_window(folder, genome, rows, **wanted)
    assert found.source.counts[0].frequency == 2
    assert letter(found, (0, 1, "w"), 190) == SEQUENCE[190]
    assert letter(found, (0, 0, "w"), 200) == SEQUENCE[200]
    assert letter(found, (0, 1, "w"), 200) == other(200, 2)
    assert letter(found, (2, 0, "w"), 210) == other(210)
    path = folder / "calls.vcf.gz"
    opened = GenotypeFile(path, f"{path}.elsewhere", ["s0", "s1"])
    found = written_sequences(folder, genome, opened, [("w", WINDOW)], HaplotypeRules(**wanted))
    assert letter(found, (0, 1, "w"), 190) == other(190)


def test_samples_keep_the_order_of_the_file_and_their_names_one_table(folder, genome, tmp_path):
    rows = [snv(190, "0|1", "1|1", "1|0")]
    found = build(folder, genome, rows, [("w", WINDOW)], samples=["s2", "s0"])
    assert letter(found, (0, 1, "w"), 190) == letter(found, (1, 0, "w"), 190) == other(190)
    write_samples(tmp_path / "samples.tsv", found.source.genotypes.names)
    assert (tmp_path / "samples.tsv").read_text() == "index\tname\n0\ts0\n1\ts2\n"
    table = read_table(folder / "haplotypes.parquet", HAPLOTYPES)
    assert not any("s0" in str(row) or "s2" in str(row) for row in table.to_pylist())


def test_a_window_without_variants_has_its_reference_alone(folder, genome):
    found = build(folder, genome, [OUTSIDE], [("w", WINDOW)])
    assert set(found.ids.values()) == {"w.ref"}
    assert len(found.ids) == 2 * SAMPLES
    assert found.contrasts == []
    assert [s.edits for s in found.set.sequences] == [()]


def test_contrasts_compare_haplotypes_with_the_reference(folder, genome):
    found = build(folder, genome, [snv(190, "0|1"), snv(210, "1|1")], [("w", WINDOW)])
    ids = [(row["reference_id"], row["alternative_id"]) for row in found.contrasts]
    assert ids == [("w.ref", "w.h1"), ("w.ref", "w.h2")]
    row = found.contrasts[0]
    assert (row["pair"], row["position"], row["distance"], row["locus"]) == ("only", 200, 0, "w")
    assert row["truth_effect"] is None
    assert row["ref"] == row["alt"] == row["context"] == ""


def test_the_table_of_windows_adds_up(folder, genome, tmp_path):
    rows = [
        (190, SEQUENCE[190], [SEQUENCE[190] + "AC"], ["1|0", "0|0"]),
        (200, SEQUENCE[200:204], [SEQUENCE[200]], ["0|1", "0|0"]),
    ]
    found = build(folder, genome, rows, [("w", WINDOW)])
    write_windows(tmp_path / "windows.tsv", found.source.counts)
    (row,) = pd.read_csv(tmp_path / "windows.tsv", sep="\t").to_dict("records")
    assert (row["variants"], row["distinct"], row["haplotypes"]) == (2, 3, 4)
    assert (row["min_growth"], row["max_growth"]) == (-3, 2)
    assert (row["start"], row["end"]) == (WINDOW.start, WINDOW.end + 3)


# --- ends of contigs, other builds, wrong files ------------------------------------------------


def near_the_end(**rules):
    rows = [(400, SEQUENCE[400:406], [SEQUENCE[400]], ["1|0", "0|0"])]
    return rows, [("w", Window("toy", "c", 380, 20, 60))], HaplotypeRules(**rules)


def test_flank_beyond_the_contig_is_an_error_by_default(folder, genome):
    with pytest.raises(InputError) as caught:
        build(folder, genome, *near_the_end())
    assert "window 'w' at c:360-420(+) (0-based): haplotypes with net deletions" in str(
        caught.value
    )
    assert "need the bases 360-425, over the end of contig 'c' (420 bp)" in str(caught.value)
    assert "set beyond_contig to 'skip' or 'pad'" in str(caught.value)


def test_flank_beyond_the_contig_can_be_padded_or_the_window_skipped(folder, genome):
    found = build(folder, genome, *near_the_end(beyond_contig="pad"))
    assert bases.decode(found.codes[0, 0, "w"]).endswith("NNNNN")
    rows, windows, rules = near_the_end(beyond_contig="skip")
    found = build(folder, genome, rows, [*windows, ("inside", WINDOW)], rules)
    assert {key[2] for key in found.ids} == {"inside"}
    (row,) = found.source.skipped
    assert row.reason == "flank beyond contig: c:360-420(+) needs 360-425, 420 bp"
    assert (row.file, row.record) == ("genes.bed", "w")


@pytest.mark.parametrize("rule", ["error", "skip"])
def test_windows_beyond_the_contig(folder, genome, rule):
    windows = [("over", Window("toy", "c", 10, 20, 60)), ("inside", WINDOW)]
    rules = HaplotypeRules(beyond_contig=rule)
    if rule == "error":
        with pytest.raises(InputError, match=r"genes.bed: window 'over' .* reaches over the end"):
            build(folder, genome, [snv(200, "0|1")], windows, rules)
        return
    found = build(folder, genome, [snv(200, "0|1")], windows, rules)
    assert [row.window for row in found.source.counts] == ["inside"]
    assert found.source.skipped[0].reason.startswith("window beyond contig")


def test_records_whose_ref_differs_are_counted_or_refused(folder, genome):
    wrong = (200, other(200), [SEQUENCE[200]], ["1|1", "0|0"])
    rows = [snv(190, "0|1", "1|0"), wrong, snv(210, "0|1", "1|0")]
    found = one_window(folder, genome, rows, max_ref_mismatch=0.5)
    assert found.source.counts[0].ref_differs == 1
    assert letter(found, (0, 0, "w"), 200) == SEQUENCE[200]
    (row,) = found.source.skipped
    assert row.reason == f"REF differs from the FASTA: {SEQUENCE[200]}"
    with pytest.raises(InputError) as caught:
        one_window(folder, genome, rows)
    assert "REF of 1 of 3 records differs from assembly 'toy'" in str(caught.value)
    assert "max_ref_mismatch=0.01. First: c:201" in str(caught.value)
    assert "Is the VCF of build 'toy1'?" in str(caught.value)


def test_a_contig_that_the_vcf_lacks_is_refused_with_both_spellings(folder, make_genome):
    genome = make_genome({"c": SEQUENCE, "7": SEQUENCE})
    windows = [("w", Window("toy", "7", ANCHOR, 30, LENGTH))]
    with pytest.raises(InputError, match=r"calls.vcf.gz has no contig '7' or 'chr7'; it has: c"):
        build(folder, genome, [snv(190, "0|1")], windows)


def test_contigs_may_be_spelt_otherwise(folder, make_genome):
    genome = make_genome({"chrc": SEQUENCE})
    window = Window("toy", "chrc", ANCHOR, 30, LENGTH)
    found = build(folder, genome, [snv(190, "0|1")], [("w", window)])
    assert letter(found, (0, 1, "w"), 190) == other(190)
    assert found.set.windows[0].contig == "chrc"


def test_two_windows_of_one_name_are_refused(folder, genome):
    with pytest.raises(InputError, match=r"'w\.' occurs twice"):
        build(folder, genome, [snv(190, "0|1")], [("w", WINDOW), ("w", WINDOW)])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"variants": "snv"}, "variants is 'snv'; expected one of all, snvs"),
        ({"missing": "drop"}, "missing is 'drop'; expected one of error, reference, skip_sample"),
        ({"beyond_contig": "no"}, "expected one of error, skip, pad"),
        ({"min_frequency": 0.5, "max_frequency": 0.1}, "expected 0 <= min_frequency <= max"),
    ],
)
def test_wrong_rules_are_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        HaplotypeRules(**wrong)


# --- scale -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_memory_is_flat_and_time_about_linear_in_windows(tmp_path, make_genome):
    """Eight times the windows may not take twice the memory, nor twenty times the time."""
    rng = np.random.default_rng(4)
    sequence = "".join(rng.choice(list("ACGT"), 400_000))
    genome = make_genome({"c": sequence})
    rows = [
        (
            int(position),
            sequence[position],
            ["ACGT"[("ACGT".index(sequence[position]) + 1) % 4]],
            ["|".join(map(str, pair)) for pair in rng.integers(0, 2, (400, 2))],
        )
        for position in range(100, 399_900, 100)
    ]
    vcf_of(tmp_path / "many.vcf.gz", rows)
    opened = GenotypeFile(tmp_path / "many.vcf.gz", tmp_path / "many.vcf.gz.elsewhere")

    def run(count):
        windows = [(f"w{k}", Window("toy", "c", 5000 + k * 4000, 2000, 4000)) for k in range(count)]
        source = HaplotypeSequences(genome, opened, windows, HaplotypeRules())
        tracemalloc.start()
        start = time.process_time()
        for _ in source.content(lambda rows: None, lambda rows: None):
            pass
        seconds = time.process_time() - start
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak, seconds

    run(2)
    few, many = run(10), run(80)
    assert many[0] < 2 * few[0]
    assert many[1] < 20 * few[1]
