"""Variants: normal form against a search, files with a rule for every record, string surgery."""

import numpy as np
import pysam
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from seqtrust import bases, variant_files
from seqtrust.contrasts import CONTRASTS, write_contrasts
from seqtrust.edits import apply_edits
from seqtrust.errors import InputError
from seqtrust.genes import Point
from seqtrust.genome import Genome
from seqtrust.sequence_set import read_sequence_set, write_sequence_set
from seqtrust.sources.filter_counts import FilterCounts
from seqtrust.sources.fine_mapped import Selection, nearest_genes, read_effect_tables
from seqtrust.sources.skipped import Skipped
from seqtrust.sources.variant_inputs import read_variants, selection_of
from seqtrust.sources.variant_records import (
    Variant,
    check_reference,
    left_normalise,
    read_vcf,
    with_lines,
)
from seqtrust.sources.variants import VariantSequences, nearest_point
from seqtrust.tables import read_table

COMPLEMENT = str.maketrans("ACGTN", "TGCAN")
STRANDS = st.sampled_from("+-")


def turned(sequence, strand):
    return sequence if strand == "+" else sequence.translate(COMPLEMENT)[::-1]


# ---------------------------------------------------------------- the normal form

REPEATS = 80


@pytest.fixture(scope="module")
def repeats(make_genome):
    """Short contigs of few letters, in which an indel has many representations."""
    rng = np.random.default_rng(4)
    return make_genome(
        {f"r{n}": "".join(rng.choice(list("ACG"[: 1 + n % 3]), 12)) for n in range(REPEATS)}
    )


def sequence_of(genome, contig):
    return bases.decode(genome.fetch(contig, 0, genome.contigs[contig]))


def representations(whole, haplotype):
    """All (position, ref, alt) with bases in both alleles that turn `whole` into `haplotype`."""
    growth = len(haplotype) - len(whole)
    for size in range(1, len(whole) + 1):
        for position in range(len(whole) - size + 1):
            if size + growth >= 1:
                alt = haplotype[position : position + size + growth]
                if whole[:position] + alt + whole[position + size :] == haplotype:
                    yield position, whole[position : position + size], alt


@st.composite
def alleles(draw, length=12):
    position = draw(st.integers(0, length - 1))
    size = draw(st.integers(1, min(4, length - position)))
    return f"r{draw(st.integers(0, REPEATS - 1))}", position, size, draw(st.text("ACG", max_size=5))


@given(alleles())
@settings(max_examples=300)
def test_left_normalised_is_the_leftmost_of_the_shortest_representations(repeats, drawn):
    contig, position, size, alt = drawn
    whole = sequence_of(repeats, contig)
    ref = whole[position : position + size]
    assume(alt and alt != ref)
    haplotype = whole[:position] + alt + whole[position + size :]
    every = list(representations(whole, haplotype))
    shortest = min(len(one[1]) for one in every)
    expected = min(one for one in every if len(one[1]) == shortest)
    for one in every:
        found = left_normalise(Variant(contig, *one), repeats)
        assert (found.position, found.ref, found.alt) == expected


@given(alleles())
def test_the_edit_of_a_variant_makes_its_haplotype(repeats, drawn):
    contig, position, size, alt = drawn
    whole = sequence_of(repeats, contig)
    ref = whole[position : position + size]
    assume(alt and alt != ref)
    variant = Variant(contig, position, ref, alt)
    for form in (variant, left_normalise(variant, repeats)):
        edited = bases.decode(apply_edits(bases.encode(whole), 0, [form.edit]))
        assert edited == whole[:position] + alt + whole[position + size :]
        assert form.edit.growth == len(alt) - len(ref)


def test_a_published_normal_form(make_genome):
    # Tan et al. 2015, figure 1: one deletion of CA in GGGCACACACAGGG, five ways to write it
    genome = make_genome({"c": "GGGCACACACAGGG"})
    for position, ref, alt in [
        (5, "CAC", "C"),
        (2, "GCACA", "GCA"),
        (2, "GCA", "G"),
        (6, "ACA", "A"),
    ]:
        found = left_normalise(Variant("c", position, ref, alt), genome)
        assert (found.position, found.ref, found.alt) == (2, "GCA", "G")


def test_what_a_table_says_survives_the_normal_form(make_genome):
    genome = make_genome({"c": "GCACAG"})
    variant = Variant("c", 3, "CAG", "G", "f", 3, "id", "gene", "liver", -0.5)
    found = left_normalise(variant, genome)
    assert (found.position, found.ref, found.alt) == (0, "GCA", "G")
    about = found.file, found.line, found.record, found.gene, found.context, found.truth_effect
    assert about == ("f", 3, "id", "gene", "liver", -0.5)


# ---------------------------------------------------------------- VCF

#             123456789012345678901234567890
CONTIG_20 = "ACGTACGTACGGGGTTTTACGTNNACGTAC"


@pytest.fixture(scope="module")
def genome20(make_genome) -> Genome:
    return make_genome({"20": CONTIG_20, "chr2": "ACGT" * 5}, build="GRCh37")


ROWS = [
    "chr20\t1\trs1\tA\tC",
    "chr20\t4\t.\tt\tG,<DEL>,*,TAA",
    "chr20\t5\t.\tA\t.",
    "chr20\t6\t.\tC\tc",
    "chr20\t8\t.\tTAC\tT",
    "chr20\t10\t.\tC\tT",
    "chr20\t12\t.\tG\tA",
]


def write_vcf(path, rows):
    header = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    path.write_text(header + "".join(f"{row}\t.\t.\t.\n" for row in rows))
    return path


@pytest.fixture
def vcf(tmp_path):
    return write_vcf(tmp_path / "v.vcf", ROWS)


@pytest.fixture
def indexed(tmp_path, vcf):
    packed, index = tmp_path / "v.vcf.gz", tmp_path / "indices" / "v.tbi"
    variant_files.compress(vcf, packed)
    variant_files.index(packed, index)
    return packed, index


def test_every_record_of_a_vcf_is_read_or_counted(vcf, genome20):
    variants, skipped = read_vcf(vcf, None, None, genome20, snvs_only=False)
    assert [(v.contig, v.position, v.ref, v.alt, v.line) for v in variants] == [
        ("20", 0, "A", "C", 3),
        ("20", 3, "T", "G", 4),
        ("20", 3, "T", "TAA", 4),
        ("20", 7, "TAC", "T", 7),
        ("20", 9, "C", "T", 8),
        ("20", 11, "G", "A", 9),
    ]
    assert skipped == [
        Skipped(str(vcf), 4, "chr20:4 t>G,<DEL>,*,TAA", f"ALT is symbolic, * or missing: {alt}")
        for alt in ("<DEL>", "*")
    ] + [
        Skipped(str(vcf), 5, "chr20:5 A>.", "ALT is symbolic, * or missing: ."),
        Skipped(str(vcf), 6, "chr20:6 C>c", "ALT equals REF"),
    ]


def test_other_than_snvs_are_counted_if_only_snvs_are_wanted(vcf, genome20):
    variants, skipped = read_vcf(vcf, None, None, genome20, snvs_only=True)
    assert all(variant.is_snv for variant in variants)
    assert len(variants) == 4
    assert [row.line for row in skipped if row.reason == "not an SNV"] == [4, 7]


@given(st.integers(1, 30), st.integers(1, 30))
@settings(max_examples=30)
def test_an_indexed_region_holds_the_records_that_start_in_it(
    tmp_path_factory, genome20, start, end
):
    assume(start <= end)
    folder = tmp_path_factory.getbasetemp() / "indexed"
    packed, index = folder / "v.vcf.gz", folder / "v.tbi"
    if not index.exists():
        folder.mkdir()
        variant_files.compress(write_vcf(folder / "v.vcf", ROWS), packed)
        variant_files.index(packed, index)
    every, _ = read_vcf(packed, None, None, genome20, snvs_only=False)
    found, _ = read_vcf(packed, index, f"20:{start}-{end}", genome20, snvs_only=False)
    assert found == [variant for variant in every if start <= variant.position + 1 <= end]


def test_lines_of_an_index_are_filled_in(indexed, genome20):
    packed, index = indexed
    _, with_index = read_vcf(packed, index, "20:1-30", genome20, snvs_only=True)
    _, expected = read_vcf(packed, None, None, genome20, snvs_only=True)
    assert {row.line for row in with_index} == {0}
    assert with_lines(with_index) == expected
    assert with_lines(expected) == expected
    assert with_lines([Skipped("", 0, "x", "no file")]) == [Skipped("", 0, "x", "no file")]


def test_the_index_leaves_its_vcf_alone(indexed):
    packed, index = indexed
    assert sorted(path.name for path in packed.parent.iterdir()) == [
        "indices", "v.vcf", "v.vcf.gz"
    ]  # fmt: skip
    assert list(index.parent.iterdir()) == [index]


def test_a_region_outside_of_the_vcf_names_the_contig(indexed, genome20):
    with pytest.raises(InputError, match=r"v\.vcf\.gz has no contig '2' or 'chr2'"):
        read_vcf(*indexed, "chr2:1-5", genome20, snvs_only=False)


# ---------------------------------------------------------------- tables of effects

COLUMNS = "variant\tgene\tallele1\tallele2\tbeta_marginal\tpip\ttissue\n"


def write_susie(path, rows, columns=COLUMNS):
    path.write_text(columns + "".join("\t".join(map(str, row)) + "\n" for row in rows))
    return path


def test_a_table_of_effects(tmp_path, genome20):
    rows = [
        ("chr20_1_A_C_b38", "g1", "A", "C", 0.5, 0.95, "liver"),
        ("20_4_t_g", "g2", "t", "g", -0.5, 0.99, "lung"),
        ("20_5_A_C", "g3", "A", "C", 1, 0.9, "lung"),
        ("20_5_A_C", "g3", "C", "T", 1, 0.91, "lung"),
        ("20_5_A_<DEL>", "g3", "A", "<DEL>", 1, 0.91, "lung"),
        ("20_5_A_C", "g4", "A", "C", 0, 0.91, "lung"),
        ("20_5_A_C", "g5", "A", "C", "", 0.91, "lung"),
    ]
    path = write_susie(tmp_path / "s.tsv", rows)
    variants, skipped, _ = read_effect_tables([path], genome20, Selection())
    assert [(v.name, v.gene, v.context, v.truth_effect, v.line) for v in variants] == [
        ("20_1_A_C", "g1", "liver", 0.5, 2),
        ("20_4_T_G", "g2", "lung", -0.5, 3),
    ]
    assert [(row.line, row.reason) for row in skipped] == [
        (5, "alleles differ from the id: C, T"),
        (6, "ALT is symbolic, * or missing"),
        (7, "beta_marginal has no sign: 0.0"),
        (8, "beta_marginal has no sign: nan"),
    ]
    assert {row.file for row in skipped} == {str(path)}


def test_alleles_and_tissue_may_be_absent(tmp_path, genome20):
    columns = "variant\tgene\tbeta_marginal\tpip\n"
    path = write_susie(tmp_path / "s.tsv", [("20_1_A_C", "g", 1, 1)], columns)
    (variant,), skipped, _ = read_effect_tables([path], genome20, Selection(), "thyroid")
    assert (variant.context, skipped) == ("thyroid", [])


def test_a_missing_column_is_named_with_those_found(tmp_path, genome20):
    columns = COLUMNS.replace("pip", "PIP").replace("gene", "Gene")
    path = write_susie(tmp_path / "s.tsv", [("x",) * 7], columns)
    with pytest.raises(InputError) as refusal:
        read_effect_tables([path], genome20, Selection())
    message = str(refusal.value)
    assert f"{path} lacks the column gene, pip" in message
    assert "it has: variant, Gene, allele1, allele2, beta_marginal, PIP, tissue" in message


def test_an_empty_selection_says_what_is_there(tmp_path, genome20):
    rows = [("20_1_A_C", "g", "A", "C", 1, 0.4, "x")]
    path = write_susie(tmp_path / "s.tsv", rows)
    with pytest.raises(InputError, match=r"s\.tsv: no row has pip > 0\.9 \(largest: 0\.4\)"):
        read_effect_tables([path], genome20, Selection())


def test_an_id_that_cannot_be_read_is_named(tmp_path, genome20):
    path = write_susie(tmp_path / "s.tsv", [("rs123", "g", "A", "C", 1, 1, "x")])
    with pytest.raises(InputError, match=r"s\.tsv, line 2: variant 'rs123' is not contig_"):
        read_effect_tables([path], genome20, Selection())


FULL = "variant\tgene\tallele1\tallele2\tbeta_marginal\tz\tmaf\tpip\ttissue\n"
# gene, sign and alleles by hand: a flip, a sign that differs between genes, two genes, a far one
FILTERED = [
    ("20_1_A_C", "g1", "C", "A", 0.5, 5, 0.1, 0.95, "liver"),
    ("20_3_G_C", "g1", "G", "C", 0.5, 5, 0.1, 0.95, "liver"),
    ("20_3_G_C", "g2", "G", "C", -0.5, -5, 0.1, 0.01, "liver"),
    ("20_3_G_C", "g2", "G", "C", -0.5, -5, 0.1, 0.99, "lung"),
    ("20_4_T_G", "g1", "T", "G", 0.5, 5, 0.1, 0.95, "lung"),
    ("20_4_T_G", "g2", "T", "G", 0.5, 5, 0.1, 0.95, "lung"),
    ("20_9_A_C", "g1", "A", "C", 0.5, 5, "", 0.5, "lung"),
    ("20_9_A_C", "g2", "A", "C", 0.5, 5, "", 0.95, "lung"),
    ("20_9_A_C", "g9", "A", "C", 0.5, 5, "", 0.95, "lung"),
]
GENES = {"g1": Point("g1", "20", 2, "-"), "g2": Point("g2", "20", 4, "+")}


def test_filters_are_applied_and_counted_in_order(tmp_path, genome20):
    path = write_susie(tmp_path / "s.tsv", FILTERED, FULL)
    selection = Selection(sign_conflicts="drop", points=GENES, within=4)
    variants, skipped, counts = read_effect_tables([path], genome20, selection)
    found = [(v.name, v.gene, v.context, v.truth_effect, v.z, v.flipped, v.distance, v.maf)
             for v in variants]  # fmt: skip
    assert found == [
        ("20_1_A_C", "g1", "liver", -0.5, -5.0, True, 2, 0.1),
        # in lung the sign of 20_3 differs from no other gene's; in liver it does
        ("20_3_G_C", "g2", "lung", -0.5, -5.0, False, -2, 0.1),
        ("20_4_T_G", "g1", "lung", 0.5, 5.0, False, -1, 0.1),
    ]
    table = counts.table()
    every = table[table["tissue"] == "all"]
    assert every[["step", "before", "after", "changed"]].to_numpy().tolist() == [
        ["alleles swapped against the id: beta negated", 9, 9, 1],
        ["sign of beta is that of the variant's other genes", 9, 7, 0],
        ["pip > 0.9", 7, 6, 0],
        ["alleles and the sign of beta can be read", 6, 6, 0],
        ["gene has a position", 6, 5, 0],
        ["gene is the nearest of the variant's", 5, 4, 0],
        ["TSS is nearer than 4 bp", 4, 3, 0],
    ]
    lung = table[table["tissue"] == "lung"].set_index("step")
    assert lung.loc["pip > 0.9", ["before", "after"]].tolist() == [6, 5]
    assert [(row.line, row.reason) for row in skipped] == [
        (10, "not kept: gene has a position"),
        (7, "not kept: gene is the nearest of the variant's"),
        (9, "not kept: TSS is nearer than 4 bp"),
    ]


def test_of_two_genes_equally_near_the_first_by_name_and_the_sign_of_distance():
    points = {"b": Point("b", "20", 4, "-"), "a": Point("a", "20", 8, "+")}
    rows = [Variant("20", 6, "A", "C", gene=gene) for gene in ("b", "a")]
    (kept,), _ = nearest_genes(rows, points, 10, FilterCounts())
    assert (kept.gene, kept.distance) == ("a", -2)
    (kept,), _ = nearest_genes(rows[:1], points, 10, FilterCounts())
    assert (kept.gene, kept.distance) == ("b", -2)


def test_genes_without_any_position_are_refused(genome20):
    rows = [Variant("20", 6, "A", "C", "s.tsv", gene="ENSG1.4")]
    with pytest.raises(InputError, match=r"s\.tsv: none of its genes, such as 'ENSG1\.4'.*'g1'"):
        nearest_genes(rows, GENES, 10, FilterCounts())


def test_negatives_have_a_small_pip_and_may_need_a_large_z(tmp_path, genome20):
    path = write_susie(tmp_path / "s.tsv", FILTERED, FULL)
    variants, _, counts = read_effect_tables(
        [path], genome20, Selection(pip_below=0.02, abs_z_above=4)
    )
    assert [(v.name, v.pip) for v in variants] == [("20_3_G_C", 0.01)]
    assert "pip < 0.02 and |z| > 4" in set(counts.table()["step"])
    with pytest.raises(
        InputError, match=r"no row has pip < 0\.02 and \|z\| > 6 \(largest: 0\.99\)"
    ):
        read_effect_tables([path], genome20, Selection(pip_below=0.02, abs_z_above=6))


def test_z_is_made_of_beta_and_its_error_where_there_is_none(tmp_path, genome20):
    columns = "variant\tgene\tbeta_marginal\tse_marginal\tpip\n"
    path = write_susie(tmp_path / "s.tsv", [("20_1_A_C", "g", -1, 0.25, 1)], columns)
    (variant,), _, _ = read_effect_tables([path], genome20, Selection(abs_z_above=3))
    assert variant.z == -4
    path = write_susie(
        tmp_path / "t.tsv", [("20_1_A_C", "g", -1, 1)], columns.replace("se_marginal\t", "")
    )
    with pytest.raises(
        InputError, match=r"t\.tsv has neither z nor se_marginal, but abs_z_above is 3"
    ):
        read_effect_tables([path], genome20, Selection(abs_z_above=3))


def test_tissues_of_several_tables_are_their_file_names(tmp_path, genome20):
    columns = "variant\tgene\tbeta_marginal\tpip\n"
    paths = [write_susie(tmp_path / f"{name}.susie.tsv", [("20_1_A_C", "g", 1, 1)], columns)
             for name in ("Liver", "Lung")]  # fmt: skip
    variants, _, counts = read_effect_tables(paths, genome20, Selection())
    assert [variant.context for variant in variants] == ["Liver", "Lung"]
    assert set(counts.table()["tissue"]) == {"all", "Liver", "Lung"}


def test_the_settings_of_the_config_are_a_selection():
    settings = {"sign_conflicts": "drop", "pip_above": 0.8, "nearest_gene": {"within": 9}}
    assert selection_of(settings, GENES) == Selection("drop", 0.8, points=GENES, within=9)
    assert selection_of(settings | {"nearest_gene": {}}, GENES).points is None


# ---------------------------------------------------------------- REF beside the FASTA


COMPLEMENT_OF = dict(zip("ACGT", "TGCA", strict=True))


def twenty(*wrong):
    """Twenty SNVs, of which those at `wrong` have another REF."""
    for position in range(20):
        ref = (
            CONTIG_20[position]
            if position not in wrong
            else "ACGT"["CGTA".index(CONTIG_20[position])]
        )
        yield Variant("20", position, ref, "N", "v.vcf", position + 5, f"record{position}")


def test_a_few_refs_that_differ_are_skipped_and_counted(genome20):
    good, skipped = check_reference(list(twenty(7)), genome20, 0.05)
    assert [variant.position for variant in good] == [p for p in range(20) if p != 7]
    assert skipped == [Skipped("v.vcf", 12, "record7", "REF differs from the FASTA: FASTA has T")]


def test_many_refs_that_differ_say_that_the_build_is_wrong(genome20):
    with pytest.raises(InputError) as refusal:
        check_reference(list(twenty(3, 7)), genome20, 0.05)
    message = str(refusal.value)
    for part in ("v.vcf: REF of 2 of 20", "line 8", "record3", "allowed: 5.0%", "'GRCh37'"):
        assert part in message
    assert str(genome20.path) in message


def test_the_line_of_an_indexed_record_is_named_too(tmp_path, genome20):
    packed, index = tmp_path / "v.vcf.gz", tmp_path / "v.tbi"
    variant_files.compress(
        write_vcf(tmp_path / "v.vcf", ["20\t1\t.\tA\tC", "20\t2\t.\tT\tC"]), packed
    )
    variant_files.index(packed, index)
    chosen = {"vcf": {"region": "20:1-9", "snvs_only": False}}
    with pytest.raises(InputError, match="first on line 4: 20:2 T>C"):
        read_variants(genome20, [str(packed)], str(index), chosen, 0.01)
    variants, skipped, _ = read_variants(genome20, [str(packed)], str(index), chosen, 0.5)
    assert [variant.name for variant in variants] == ["20_1_A_C"]
    assert [row.record for row in skipped] == ["20:2 T>C"]


def test_a_ref_past_the_end_differs(genome20):
    _, skipped = check_reference([Variant("20", 40, "A", "C")], genome20, 1)
    assert skipped[0].reason == "REF differs from the FASTA: FASTA has nothing"
    _, skipped = check_reference([Variant("20", 29, "CA", "C")], genome20, 1)
    assert skipped[0].reason == "REF differs from the FASTA: FASTA has C"


def test_nothing_left_is_refused_with_the_counts(vcf, genome20):
    write_vcf(vcf, ["20\t8\t.\tTAC\tT", "20\t4\t.\tT\t<DEL>"])
    with pytest.raises(InputError, match=r"no variant is left; skipped: .*not an SNV: 1"):
        read_variants(genome20, [str(vcf)], None, {"vcf": {"snvs_only": True}}, 0.01)


def test_variants_are_read_in_their_normal_form(vcf, genome20):
    # GGGG at 11-14, 1-based: the deletion of the last G is that of the first
    write_vcf(vcf, ["20\t13\t.\tGG\tG"])
    variants, skipped, _ = read_variants(
        genome20, [str(vcf)], None, {"vcf": {"snvs_only": False}}, 0
    )
    assert [variant.name for variant in variants] == ["20_10_CG_C"]
    assert skipped == []


# ---------------------------------------------------------------- points


POINTS = st.lists(
    st.builds(
        Point,
        st.text("abc", min_size=1, max_size=2),
        st.sampled_from(["20", "chr2"]),
        st.integers(0, 12),
        STRANDS,
        st.sampled_from([0.0, 0.5]),
    ),
    max_size=6,
    unique_by=lambda point: point.name,
)


@given(POINTS, st.integers(0, 12), st.integers(0, 8))
def test_the_nearest_point_and_the_higher_score_of_two(points, position, within):
    found = nearest_point(Variant("20", position, "A", "C"), points, within)
    near = [p for p in points if p.contig == "20" and abs(p.position - position) <= within]
    if not near:
        assert found is None
        return
    distance = abs(found.position - position)
    assert distance == min(abs(p.position - position) for p in near)
    equal = [p for p in near if abs(p.position - position) == distance]
    assert found.score == max(p.score for p in equal)
    assert found.name == min(p.name for p in equal if p.score == found.score)


def test_points_are_chosen_by_gene_or_by_distance(genome20):
    points = [Point("g1", "20", 5, "+"), Point("g2", "20", 9, "+"), Point("g1b", "chr2", 1, "-")]
    near = Variant("20", 8, "A", "C", "f", 3, "near", gene="g1")
    far = Variant("20", 25, "A", "C", "f", 4, "far", gene="g2")
    lost = Variant("20", 8, "A", "G", "f", 5, "lost", gene="g9")
    for by, expected, reasons in (
        ("nearest", [(near, "g2"), (lost, "g2")], {"no point within 4 bp": ["far"]}),
        (
            "gene",
            [(near, "g1")],
            {"no gene within 4 bp: g2": ["far"], "no gene within 4 bp: g9": ["lost"]},
        ),
    ):
        collection = VariantSequences(genome20, 10)
        pairs = collection.choose_points([near, far, lost], points, by, 4)
        assert [(variant, point.name) for variant, point in pairs] == expected
        found = {}
        for row in collection.skipped:
            found.setdefault(row.reason, []).append(row.record)
        assert found == reasons
    with pytest.raises(InputError, match="no variant has a point within 0 bp"):
        collection.choose_points([far], points, "nearest", 0)


# ---------------------------------------------------------------- sequences


@st.composite
def variants_of(draw, contig, whole, low, high):
    position = draw(st.integers(low, high))
    ref = whole[position : position + draw(st.integers(1, 4))]
    alt = draw(st.text("ACGT", min_size=1, max_size=4).filter(lambda text: text != ref))
    return Variant(contig, position, ref, alt, "f", 9, "r")


@given(st.data(), st.integers(20, 40), STRANDS)
def test_pairs_around_a_variant_are_string_surgery(tiny_genome, tiny_contigs, data, length, strand):
    whole = bases.decode(bases.encode(tiny_contigs["chr2"]))
    variant = left_normalise(data.draw(variants_of("chr2", whole, 100, 110)), tiny_genome)
    collection = VariantSequences(tiny_genome, length)
    found = {}
    for stored, sequences in collection.around_variants([variant], strand):
        for sequence_id, edits in sequences:
            found[sequence_id] = turned(bases.decode(stored.sequence(edits)), strand)

    start = variant.position - length // 2
    end = start + length
    before, after = whole[: variant.position], whole[variant.position + len(variant.ref) :]
    name, edited = variant.name, before + variant.alt + after
    if variant.edit.growth == 0:
        assert [row["pair"] for row in collection.contrasts] == ["only"]
        assert found == {f"{name}.ref": whole[start:end], f"{name}.alt": edited[start:end]}
        return
    assert [row["pair"] for row in collection.contrasts] == ["left", "right"]
    growth = len(variant.alt) - len(variant.ref)
    assert found == {
        f"{name}.ref.left": whole[start:end],
        f"{name}.ref.right": whole[start:end],
        f"{name}.alt.left": edited[start:end],
        f"{name}.alt.right": edited[start + growth : end + growth],
    }
    assert {row["contrast_id"] for row in collection.contrasts} == {name}


@given(st.integers(100, 300), st.sampled_from("ACGT"), st.integers(1, 40), STRANDS)
def test_an_snv_changes_the_middle_base_alone(tiny_genome, position, alt, length, strand):
    ref = bases.decode(tiny_genome.fetch("chr2", position, position + 1))
    assume(ref != alt)
    collection = VariantSequences(tiny_genome, length)
    ((stored, ((_, none), (_, edits))),) = collection.around_variants(
        [Variant("chr2", position, ref, alt)], strand
    )
    different = np.flatnonzero(stored.sequence(none) != stored.sequence(edits))
    assert different.tolist() == [length // 2 if strand == "+" else length - 1 - length // 2]


@given(st.data(), st.integers(20, 60), STRANDS)
def test_variants_of_a_point_share_its_window(tiny_genome, tiny_contigs, data, length, strand):
    whole = bases.decode(bases.encode(tiny_contigs["chr2"]))
    index = data.draw(st.integers(0, length - 1))
    point = Point("gene", "chr2", 200, strand)
    variants = data.draw(st.lists(variants_of("chr2", whole, 140, 260), min_size=1, max_size=4))
    collection = VariantSequences(tiny_genome, length)
    content = list(collection.around_points([(v, point) for v in variants], index))

    # forward coordinates of the window
    start = 200 - (index if strand == "+" else length - 1 - index)
    inside = [v for v in variants if start <= v.edit.start and v.edit.end <= start + length]
    assert len(collection.skipped) == len(variants) - len(inside)
    assert all(row.reason.startswith("outside the window of gene") for row in collection.skipped)
    assert [row["position"] for row in collection.contrasts] == [v.position for v in inside]
    if not inside:
        assert content == []
        return
    ((stored, sequences),) = content
    edits_of = dict(sequences)
    reference = bases.decode(stored.sequence(edits_of["gene.ref"]))
    assert reference == turned(whole[start : start + length], strand)
    assert reference[index] == turned(whole[200], strand)
    for variant, row in zip(inside, collection.contrasts, strict=True):
        assert row["reference_id"] == "gene.ref"
        alternative = bases.decode(stored.sequence(edits_of[row["alternative_id"]]))
        assert len(alternative) == length
        edit = variant.edit
        if edit.end <= 200 or edit.start > 200:
            edited = whole[: edit.start] + edit.replacement + whole[edit.end :]
            first = start + (edit.growth if edit.end <= 200 else 0)
            assert alternative == turned(edited[first : first + length], strand)
        downstream = variant.position - 200
        assert row["distance"] == (downstream if strand == "+" else -downstream)
        assert row["anchor"] == row["locus"] == "gene"


def test_one_variant_in_two_tissues_is_two_contrasts_of_one_pair(genome20):
    rows = [
        Variant("20", 14, "T", "C", gene="g", context=tissue, truth_effect=effect)
        for tissue, effect in (("liver", 0.5), ("lung", -0.5))
    ]
    collection = VariantSequences(genome20, 8)
    content = list(collection.around_variants(rows))
    assert len(content) == 1
    assert len({row["contrast_id"] for row in collection.contrasts}) == 2
    assert [row["truth_effect"] for row in collection.contrasts] == [0.5, -0.5]
    assert [row["context"] for row in collection.contrasts] == ["liver", "lung"]
    assert {row["locus"] for row in collection.contrasts} == {"g"}
    assert len({row["alternative_id"] for row in collection.contrasts}) == 1


def test_the_tables_of_a_set_belong_together(tmp_path, genome20):
    variants = [Variant("20", 14, "T", "C"), Variant("20", 9, "CG", "C")]
    collection = VariantSequences(genome20, 8)
    content = collection.around_variants(variants)
    write_sequence_set(tmp_path / "set.parquet", content, genome20.provenance(8))
    write_contrasts(tmp_path / "contrasts.parquet", collection.contrasts)
    contrasts = read_table(tmp_path / "contrasts.parquet", CONTRASTS).to_pylist()
    ids = set(read_sequence_set(tmp_path / "set.parquet").ids())
    used = {row[key] for row in contrasts for key in ("reference_id", "alternative_id")}
    assert used == ids
    assert [row["pair"] for row in contrasts] == ["only", "left", "right"]
    assert [row["truth_effect"] for row in contrasts] == [None] * 3


# ---------------------------------------------------------------- ends of contigs


def collect(collection, variants):
    content = list(collection.around_variants(variants))
    return [bases.decode(stored.sequence(edits)) for stored, rows in content for _, edits in rows]


NEAR_END = Variant("20", 27, "T", "G", "f", 3, "r")


def test_a_window_beyond_its_contig_follows_the_rule(genome20):
    with pytest.raises(InputError, match=r"f: window '20_28_T_G' at 20:23-31\(\+\)"):
        collect(VariantSequences(genome20, 8), [NEAR_END])
    skipping = VariantSequences(genome20, 8, "skip")
    assert collect(skipping, [NEAR_END]) == []
    assert skipping.skipped == [Skipped("f", 3, "r", "window beyond contig: 20:23-31(+), 30 bp")]
    assert skipping.contrasts == []
    padded = collect(VariantSequences(genome20, 8, "pad"), [NEAR_END])
    assert padded == ["NACGTACN", "NACGGACN"]


DELETION = Variant("20", 25, "CGT", "C", "f", 3, "r")


def test_a_deletion_that_the_contig_cannot_fill_up_follows_the_rule(genome20):
    """Its window lies inside the contig, but not with the bases that the deletion pulls in."""
    with pytest.raises(InputError, match=r"f: window beyond contig: .* after 20_26_CGT_C, 30 bp"):
        collect(VariantSequences(genome20, 8), [DELETION])
    skipping = VariantSequences(genome20, 8, "skip")
    assert len(collect(skipping, [DELETION, Variant("20", 14, "T", "C")])) == 2
    assert [row.record for row in skipping.skipped] == ["r"]
    assert [row["position"] for row in skipping.contrasts] == [14]
    # the left neighbour held in place, then the right one
    padded = collect(VariantSequences(genome20, 8, "pad"), [DELETION])
    assert padded == ["TNNACGTA", "TNNACACN", "TNNACGTA", "CGTNNACA"]


def test_points_near_the_end_keep_what_can_be_filled_up(genome20):
    point = Point("gene", "20", 25, "+")
    snv = Variant("20", 27, "T", "G", "f", 4, "snv")
    collection = VariantSequences(genome20, 8, "skip")
    content = list(collection.around_points([(DELETION, point), (snv, point)], 4))
    assert [row.record for row in collection.skipped] == ["r"]
    assert [sequence_id for sequence_id, _ in content[0][1]] == ["gene.ref", "gene.20_28_T_G"]


def test_a_variant_longer_than_its_window_is_skipped(genome20):
    long = Variant("20", 9, "CGGGGTTTT", "C", "f", 3, "long")
    collection = VariantSequences(genome20, 8)
    assert collect(collection, [long]) == []
    assert [row.reason for row in collection.skipped] == ["longer than the window: 20:5-13(+)"]


# ---------------------------------------------------------------- real data


@pytest.fixture(scope="module")
def locus(shared_data):
    folder = shared_data / "locus_chr20_grch37"
    genome = Genome(folder / "GRCh37.20_1-2Mb.fa.gz", "grch37", "GRCh37")
    path = folder / "shapeit4_reference_1kg300.vcf.gz"
    variants, skipped = read_vcf(path, None, None, genome, snvs_only=False)
    return genome, [v for v in variants if v.position < 2_000_000], skipped


@pytest.mark.shared_data
def test_ref_equals_the_fasta_at_every_record_of_the_real_locus(locus):
    genome, variants, skipped = locus
    # the README beside the data
    assert len({variant.line for variant in variants}) == 7568
    assert sum(variant.is_snv for variant in variants) == 7252
    good, differing = check_reference(variants, genome, 0)
    assert (len(good), differing, skipped) == (len(variants), [], [])


@pytest.mark.shared_data
def test_normal_forms_of_real_indels_make_the_same_haplotype(locus):
    genome, variants, _ = locus
    indels = [variant for variant in variants if not variant.is_snv]
    assert len(indels) == 316
    for variant in indels:
        normal = left_normalise(variant, genome)
        assert normal.position <= variant.position
        start, end = normal.position - 10, variant.position + len(variant.ref) + 10
        codes = genome.fetch("20", start, end)
        one, other = (apply_edits(codes, start, [form.edit]) for form in (variant, normal))
        assert np.array_equal(one, other)


@pytest.mark.shared_data
def test_both_spellings_of_the_real_contig_resolve(shared_data):
    path = shared_data / "locus_chr20_grch37" / "GRCh37.20_1-2Mb.fa.gz"
    genome = Genome(path, "grch37", "GRCh37")
    assert genome.resolve("chr20") == genome.resolve("20") == "20"
    with pysam.FastaFile(str(path)) as fasta:
        expected = fasta.fetch("20", 1_000_000, 1_000_050).upper()
    assert bases.decode(genome.fetch("20", 1_000_000, 1_000_050)) == expected
