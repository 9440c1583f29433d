"""The shipped toy: what its files say agrees with each other and with what was planted."""

import json
import math
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest
import statsmodels.api as sm

from seqtrust import bases
from seqtrust.simulation import Grammar, expected_rates
from seqtrust.sources import toy
from seqtrust.sources.toy_expression import draw_linked_alleles, left_align

TOY = Path(__file__).parents[2] / "resources" / "toy"


@pytest.fixture(scope="module")
def genome():
    with pysam.FastaFile(str(TOY / "genome.fa")) as fasta:
        return {contig: fasta.fetch(contig) for contig in fasta.references}


@pytest.fixture(scope="module")
def truth():
    return json.loads((TOY / "truth.json").read_text())


@pytest.fixture(scope="module")
def grammar(truth):
    return Grammar.from_dict(truth["grammar"])


@pytest.fixture(scope="module")
def genes():
    return pd.read_csv(TOY / "truth_genes.tsv", sep="\t")


@pytest.fixture(scope="module")
def variants():
    header = (TOY / "variants.vcf").read_text().split("\n#CHROM")[0].count("\n") + 1
    return pd.read_csv(TOY / "variants.vcf", sep="\t", skiprows=header, dtype=str).astype(
        {"POS": int}
    )


@pytest.fixture(scope="module")
def eqtls():
    return pd.read_csv(TOY / "susie.tsv", sep="\t")


@pytest.fixture(scope="module")
def expression():
    return pd.read_csv(TOY / "expression.tsv", sep="\t", index_col="gene")


@pytest.fixture(scope="module")
def people():
    return pd.read_csv(TOY / "people.tsv", sep="\t", index_col="person")


@pytest.fixture(scope="module")
def dosages(variants, people):
    calls = variants[people.index].to_numpy()
    table = {"0|0": 0, "0|1": 1, "1|0": 1, "1|1": 2}
    return pd.DataFrame(
        [[table[call] for call in row] for row in calls],
        index=variants["ID"],
        columns=people.index,
    )


def read_tracks():
    return pd.read_csv(TOY / "tracks.tsv", sep="\t")


def window(sequence, tss, variant=None):
    """The 2,048 bp around a TSS with one SNV's alternative allele."""
    text = sequence[tss - 1024 : tss + 1024]
    if variant is not None:
        _, position, ref, alt = variant.split("_")
        index = int(position) - 1 - (tss - 1024)
        assert text[index] == ref
        text = text[:index] + alt + text[index + 1 :]
    return bases.encode(text)


def log_effects(rows, genome, grammar, column):
    alt = np.stack([window(genome[r.contig], r.tss, getattr(r, column)) for r in rows])
    ref = np.stack([window(genome[r.contig], r.tss) for r in rows])
    rates = expected_rates(np.stack([alt, ref]), grammar, ["activity"])[:, :, 0].mean(axis=-1)
    return np.log(rates[0] / rates[1])


@pytest.mark.slow
def test_the_shipped_files_are_what_the_code_writes(tmp_path):
    toy.main([str(tmp_path)])
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == sorted(path.name for path in TOY.iterdir())
    for name in made:
        if name != "susie.tsv":
            assert (tmp_path / name).read_bytes() == (TOY / name).read_bytes(), name
    # regressions: the last printed digit depends on how the processor sums
    found, shipped = ((f / "susie.tsv").read_text().split() for f in (tmp_path, TOY))
    for one, other in zip(found, shipped, strict=True):
        unit = 10.0 ** -len(one.rpartition(".")[2])
        assert one == other or abs(float(one) - float(other)) < 1.5 * unit, (one, other)


def test_index_is_that_of_faidx(tmp_path):
    shutil.copy(TOY / "genome.fa", tmp_path)
    pysam.faidx(str(tmp_path / "genome.fa"))
    assert (tmp_path / "genome.fa.fai").read_text() == (TOY / "genome.fa.fai").read_text()


def test_records_agree_with_the_assembly(genome, variants):
    fields = variants[["#CHROM", "POS", "ID", "REF", "ALT"]]
    for contig, position, name, ref, alt in fields.itertuples(index=False):
        start = position - 1
        assert genome[contig][start : start + len(ref)] == ref, name
        assert f"{contig}_{position}_{ref}_{alt}" == name
        assert ref != alt


def test_records_are_sorted_disjoint_and_in_contigs(genome, variants):
    order = list(genome)
    spans = [
        (order.index(contig), position - 1, position - 1 + len(ref))
        for contig, position, ref in zip(
            variants["#CHROM"], variants["POS"], variants["REF"], strict=True
        )
    ]
    assert all(end < len(genome[order[contig]]) for contig, _, end in spans)
    assert all(first[0] < second[0] or first[2] < second[1] for first, second in pairwise(spans))


def test_pysam_reads_the_variants(genome, people):
    with pysam.VariantFile(str(TOY / "variants.vcf")) as file:
        assert list(file.header.samples) == list(people.index)
        assert {c: file.header.contigs[c].length for c in file.header.contigs} == {
            contig: len(sequence) for contig, sequence in genome.items()
        }
        for record in file:
            calls = list(record.samples.values())
            assert all(call.phased and None not in call["GT"] for call in calls)
            break


def test_indels_are_left_aligned_and_a_tenth(genome, variants):
    indels = variants[variants["REF"].str.len() != variants["ALT"].str.len()]
    assert 0.07 < len(indels) / len(variants) < 0.13
    for ref, alt in zip(indels["REF"], indels["ALT"], strict=True):
        assert min(len(ref), len(alt)) == 1
        assert ref[0] == alt[0]
        assert ref[-1] != alt[-1]


def test_left_align_finds_the_leftmost_of_all_spellings():
    rng = np.random.default_rng(0)
    for _ in range(200):
        text = "".join(rng.choice(list("AC"), size=30))
        start, size = int(rng.integers(8, 20)), int(rng.integers(1, 4))
        new = text[:start] + text[start + size :]
        found = left_align(
            bases.encode(text), start - 1, text[start - 1 : start + size], text[start - 1]
        )
        position, ref, alt = found
        assert text[:position] + alt + text[position + len(ref) :] == new
        same = [i for i in range(1, 31 - size) if text[:i] + text[i + size :] == new]
        assert position == min(same) - 1


def test_genes_lie_in_contigs_and_their_surroundings_in_one_block(genome, genes):
    blocks = pd.read_csv(TOY / "splits.bed", sep="\t", names=["contig", "start", "end", "split"])
    assert blocks.groupby("split").size().to_dict() == {"train": 14, "validation": 2, "test": 4}
    covered = blocks.assign(length=blocks["end"] - blocks["start"]).groupby("contig")["length"]
    assert covered.sum().to_dict() == {contig: len(s) for contig, s in genome.items()}
    annotation = pd.read_csv(TOY / "genes.gtf", sep="\t", header=None)
    assert len(annotation) == len(genes) == 200
    for line, gene in zip(annotation.itertuples(index=False), genes.itertuples(), strict=True):
        contig, _, feature, start, end, _, strand, _, attributes = line
        assert f'gene_id "{gene.gene}"; gene_name ' in attributes
        assert (contig, feature, strand) == (gene.contig, "gene", gene.strand)
        assert 1 <= start <= end <= len(genome[contig])
        assert (start if strand == "+" else end) - 1 == gene.tss
        home = blocks[
            (blocks["contig"] == contig)
            & (blocks["start"] <= gene.tss - 2000)
            & (blocks["end"] >= gene.tss + 2000)
        ]
        assert home["split"].tolist() == [gene.split]


def test_planted_sites_read_as_their_motif(genome, grammar, genes):
    sites = pd.read_csv(TOY / "truth_motifs.tsv", sep="\t")
    consensus = {motif.name: motif.consensus for motif in grammar.motifs}
    matches, expected = [], []
    best = {motif.name: motif.probabilities.max(axis=1).mean() for motif in grammar.motifs}
    for site in sites.itertuples():
        codes = bases.encode(genome[site.contig][site.start : site.end])
        forward = codes if site.strand == "+" else bases.reverse_complement(codes)
        matches.append(np.mean(forward == consensus[site.motif]))
        expected.append(best[site.motif])
    assert np.mean(matches) == pytest.approx(np.mean(expected), abs=0.01)
    near = sites.merge(genes, on="gene")
    assert (np.abs(near["start"] - near["tss"]) < 2000).all()
    confounded = set(sites.loc[sites["motif"] == "TOYC", "gene"])
    assert confounded == set(genes.loc[genes["confounded"] == 1, "gene"])
    assert 80 <= len(confounded) <= 120


def test_the_meme_file_holds_the_motifs_of_the_grammar(grammar):
    blocks = (TOY / "motifs.meme").read_text().split("MOTIF ")[1:]
    for motif, block in zip(grammar.motifs, blocks, strict=True):
        name, _, *columns = block.strip().split("\n")
        assert name == motif.name
        read = [[float(p) for p in column.split()] for column in columns]
        np.testing.assert_allclose(read, motif.probabilities, atol=1e-6)


def test_planted_effects_are_those_of_the_oracle(genome, grammar, genes):
    rows = list(genes.itertuples())
    effects = log_effects(rows, genome, grammar, "causal_variant")
    np.testing.assert_allclose(effects, genes["causal_log_effect"], atol=1e-5)
    assert np.abs(effects).min() > 0.15
    assert 0.35 < np.mean(effects > 0) < 0.65
    assert genes["causal_frequency"].between(0.1, 0.5).all()


def test_tags_are_linked_and_without_effect(genome, grammar, genes, dosages):
    rows = list(genes[genes["mechanism"] == "tag"].itertuples())
    effects = log_effects(rows, genome, grammar, "tag_variant")
    assert np.abs(effects).max() < 0.02
    for row in rows:
        assert row.tag_correlation**2 > 0.6
        people = np.corrcoef(dosages.loc[row.causal_variant], dosages.loc[row.tag_variant])[0, 1]
        assert people == pytest.approx(row.tag_correlation, abs=0.15)
    phases = np.sign([row.tag_correlation for row in rows])
    assert 10 <= np.sum(phases > 0) <= 40


def test_tag_alleles_are_linked_for_any_seed():
    for seed in range(3):
        causal, tag = draw_linked_alleles(np.random.default_rng(seed), with_tag=True)
        assert np.corrcoef(causal, tag)[0, 1] ** 2 > 0.6
        assert 0.1 <= causal.mean() <= 0.5


def test_mechanisms_have_exact_shares(truth, genes):
    counts = genes["mechanism"].value_counts().to_dict()
    assert counts == truth["mechanisms"] == {"modelled": 100, "reversed": 50, "tag": 50}
    assert (genes["direction"] == np.where(genes["mechanism"] == "reversed", -1, 1)).all()
    other = toy.draw_kinds(np.random.default_rng(0), 10, (1, 0, 4))
    assert sorted(other) == ["modelled"] * 2 + ["tag"] * 8


def test_expected_tracks_explain_the_counts_as_recorded(genome, grammar, truth):
    rates = np.concatenate(
        [expected_rates(bases.encode(sequence), grammar) for sequence in genome.values()], axis=1
    )
    names = list(grammar.track_names)
    tracks = read_tracks()
    assert tracks.columns.tolist() == ["contig", "start", "end", *names]
    assert (tracks["end"] - tracks["start"] == 64).all()
    counts = tracks[names].to_numpy().T
    for index, name in enumerate(names):
        found = np.corrcoef(rates[index], counts[index])[0, 1]
        assert found == pytest.approx(truth["noise_ceiling"][name]["all"], abs=1e-3)
    assert 0.90 < truth["noise_ceiling"]["activity"]["all"] < 0.96

    logs = dict(zip(names, np.log(rates) - grammar.background, strict=True))
    for name, theta in truth["thetas"].items():
        own = logs[name] - theta * logs["t1"]
        np.testing.assert_allclose(own, logs["t2_theta0"], atol=1e-9)


def test_the_negative_control_ignores_all_motifs_but_its_own(grammar):
    codes = np.random.default_rng(1).integers(0, 4, size=2048).astype(np.uint8)
    silenced = [m for m in grammar.motifs if m.name != "TOYD"]
    planted = codes.copy()
    for index, motif in enumerate(silenced):
        planted[900 + 12 * index : 910 + 12 * index] = motif.consensus
    before, after = expected_rates(np.stack([codes, planted]), grammar)
    assert np.abs(np.log(after[0] / before[0])).max() > 1
    control = grammar.track_names.index("t4")
    np.testing.assert_allclose(np.log(after[control] / before[control]), 0, atol=0.05)


def test_people_are_two_halves_of_two_populations(people):
    counts = people.groupby(["population", "role"]).size().to_dict()
    assert counts == {(p, role): 50 for p in ("p1", "p2") for role in ("eqtl", "evaluation")}


def test_variants_are_as_diverse_as_theta(variants, dosages, people):
    carriers = dosages.loc[:, people["population"] == "p1"].to_numpy().sum(axis=1)
    haplotypes = 200
    pairs = (2 * carriers * (haplotypes - carriers)).sum() / (haplotypes * (haplotypes - 1))
    # 400 trees of 1,500 bp; the planted common SNVs add a seventh.
    assert pairs / (200 * 3000) == pytest.approx(0.001 * 1.14, rel=0.15)
    singletons = np.mean(dosages.to_numpy().sum(axis=1) == 1)
    assert singletons > 0.15


def test_eqtl_rows_are_regressions_of_the_shipped_tables(eqtls, expression, dosages, people):
    chosen = people["role"] == "eqtl"
    population = (people.loc[chosen, "population"] == "p1").to_numpy(dtype=float)
    for gene in ("TOYG0001", "TOYG0100", "TOYG0200"):
        rows = eqtls[eqtls["gene"] == gene]
        factors = []
        for row in rows.itertuples():
            x = dosages.loc[row.variant, chosen].to_numpy(dtype=float)
            design = sm.add_constant(np.column_stack([x, population]))
            fit = sm.OLS(expression.loc[gene, chosen].to_numpy(), design).fit()
            assert row.beta_marginal == pytest.approx(fit.params[1], abs=1e-5)
            assert row.se_marginal == pytest.approx(fit.bse[1], abs=1e-5)
            assert row.z == pytest.approx(fit.tvalues[1], abs=1e-4)
            assert row.maf == pytest.approx(min(x.mean() / 2, 1 - x.mean() / 2), abs=1e-4)
            shrink = 0.25 / (0.25 + fit.bse[1] ** 2)
            factors.append(math.sqrt(1 - shrink) * math.exp(fit.tvalues[1] ** 2 * shrink / 2))
        np.testing.assert_allclose(rows["pip"], np.array(factors) / sum(factors), atol=1e-5)


def test_eqtl_table_has_the_published_columns_and_hides_what_is_off_the_panel(eqtls, genes):
    published = "variant gene allele1 allele2 minor_allele maf beta_marginal se_marginal z pip"
    assert eqtls.columns.tolist() == [
        *published.split(),
        "cs_id",
        "beta_posterior",
        "sd_posterior",
        "tissue",
    ]
    assert eqtls["maf"].between(0.05, 0.5).all()
    np.testing.assert_allclose(eqtls.groupby("gene")["pip"].sum(), 1, atol=1e-4)
    tested = eqtls.groupby("gene")["variant"].agg(set)
    for row in genes.itertuples():
        hidden = row.mechanism == "tag"
        assert (row.causal_variant in tested[row.gene]) != hidden
        assert (row.tag_variant in tested[row.gene]) == hidden


def test_fine_mapping_is_sharp_and_has_the_planted_sign(eqtls, genes):
    lead = eqtls.sort_values("pip").groupby("gene").tail(1).merge(genes, on="gene")
    sharp = lead[lead["pip"] > 0.9]
    assert len(sharp) >= 150
    planted = np.where(sharp["mechanism"] == "tag", sharp["tag_variant"], sharp["causal_variant"])
    hit = sharp[sharp["variant"] == planted]
    assert len(hit) / len(sharp) > 0.9
    phase = np.where(hit["mechanism"] == "tag", np.sign(hit["tag_correlation"]), 1)
    sign = np.sign(hit["causal_log_effect"]) * hit["direction"] * phase
    assert np.mean(np.sign(hit["beta_marginal"]) == sign) > 0.98


def haplotype(sequence, tss, rows, copy):
    """Edits applied from the right, so that no coordinate moves; the TSS keeps its index."""
    start = tss - 2000
    text, anchor = sequence[start : tss + 2000], 2000
    for position, ref, alt, call in reversed(rows):
        if call.split("|")[copy] == "1":
            index = position - 1 - start
            text = text[:index] + alt + text[index + len(ref) :]
            anchor += len(alt) - len(ref) if index < 2000 else 0
    return text[anchor - 1024 : anchor + 1024]


def test_expression_has_the_stated_heritability(
    genome, grammar, genes, variants, expression, people
):
    correlations = []
    for gene in genes[genes["mechanism"] != "tag"].head(8).itertuples():
        near = variants[
            (variants["#CHROM"] == gene.contig) & ((variants["POS"] - gene.tss).abs() < 2000)
        ]
        columns = [near["POS"].tolist(), near["REF"].tolist(), near["ALT"].tolist()]
        texts = [
            haplotype(genome[gene.contig], gene.tss, list(zip(*columns, near[p], strict=True)), c)
            for p in people.index
            for c in (0, 1)
        ]
        distinct = sorted(set(texts))
        codes = np.stack([bases.encode(text) for text in distinct])
        activity = expected_rates(codes, grammar, ["activity"]).mean(axis=(1, 2))
        known = dict(zip(distinct, activity, strict=True))
        personal = np.log(np.array([known[text] for text in texts]).reshape(-1, 2).mean(axis=1))
        found = np.corrcoef(personal, expression.loc[gene.gene, people.index])[0, 1]
        correlations.append(gene.direction * found)
    # One gene's correlation in 200 people has a standard error of .05.
    assert np.mean(correlations) == pytest.approx(math.sqrt(0.3), abs=0.06)


def test_conservation_is_high_in_planted_sites_and_covers_the_genome(genome):
    names = ["contig", "start", "end", "score"]
    signal = pd.read_csv(TOY / "conservation.bedgraph", sep="\t", names=names)
    for contig, rows in signal.groupby("contig"):
        assert rows["start"].tolist() == [0, *rows["end"].tolist()[:-1]]
        assert rows["end"].iloc[-1] == len(genome[contig])
    sites = pd.read_csv(TOY / "truth_motifs.tsv", sep="\t")
    planted = set(zip(sites["contig"], sites["start"], sites["end"], strict=True))
    runs = zip(signal["contig"], signal["start"], signal["end"], strict=True)
    inside = np.array([run in planted for run in runs])
    assert inside.sum() == len(sites)
    assert signal["score"][inside].mean() > 2.9
    assert abs(signal["score"][~inside].mean()) < 0.05


def test_chromatin_states_are_those_of_the_planted_sites(genome):
    names = ["contig", "start", "end", "state"]
    rows = pd.read_csv(TOY / "chromatin_states.bed", sep="\t", names=names)
    states = {contig: np.full(len(text), "", dtype="U9") for contig, text in genome.items()}
    for contig, start, end, state in rows.itertuples(index=False):
        assert (states[contig][start:end] == "").all()
        states[contig][start:end] = state
    assert all((of != "").all() for of in states.values())
    for site in pd.read_csv(TOY / "truth_motifs.tsv", sep="\t").itertuples():
        found = set(states[site.contig][site.start : site.end])
        assert found <= {site.element, "promoter"}
    quiet = np.concatenate([of == "quiescent" for of in states.values()]).mean()
    assert 0.5 < quiet < 0.8


def test_peaks_are_the_highest_tenth_of_the_tracks(genome):
    peaks = pd.read_csv(TOY / "peaks.tsv", sep="\t")
    tracks = pd.read_csv(TOY / "tracks.tsv", sep="\t")
    assert peaks.columns.tolist() == ["contig", "start", "end", "activity", "t1", "t3"]
    assert (peaks["end"] - peaks["start"] == 200).all()
    assert {c: rows["end"].iloc[-1] for c, rows in peaks.groupby("contig")} == {
        contig: len(sequence) for contig, sequence in genome.items()
    }
    names = ["activity", "t1", "t3"]
    counts = {contig: rows[names].to_numpy() for contig, rows in tracks.groupby("contig")}
    means = []
    for row in peaks.itertuples():
        bins = np.arange(row.start // 64, min(-(-row.end // 64), len(counts[row.contig])))
        shared = np.minimum(64 * bins + 64, row.end) - np.maximum(64 * bins, row.start)
        means.append(np.average(counts[row.contig][bins], axis=0, weights=shared))
    for name, mean in pd.DataFrame(means, columns=names).items():
        assert set(peaks[name]) == {0, 1}
        assert peaks[name].sum() == len(peaks) // 10
        assert mean[peaks[name] == 1].min() >= mean[peaks[name] == 0].max() - 1e-9


def test_log_tracks_are_standardised_over_training_blocks():
    found = pd.read_csv(TOY / "log_tracks.tsv", sep="\t")
    counts = pd.read_csv(TOY / "tracks.tsv", sep="\t")
    splits = pd.read_csv(TOY / "splits.bed", sep="\t", names=["contig", "start", "end", "split"])
    assert (found["end"] - found["start"] == 512).all()
    # blocks that follow each other are one stretch, so a place is of its first and last block
    split_at = {
        (row.contig, block): row.split
        for row in splits.itertuples()
        for block in range(row.start // 50_000, row.end // 50_000)
    }
    training = [
        {split_at[row.contig, row.start // 50_000], split_at[row.contig, (row.end - 1) // 50_000]}
        == {"train"}
        for row in found.itertuples()
    ]
    for name in ("activity", "t3"):
        logs = np.log1p(
            [
                counts.loc[
                    (counts["contig"] == row.contig)
                    & (counts["start"] >= row.start)
                    & (counts["end"] <= row.end),
                    name,
                ].sum()
                for row in found.itertuples()
            ]
        )
        expected = (logs - logs[training].mean()) / logs[training].std()
        np.testing.assert_allclose(found[name], expected, atol=1e-4)
