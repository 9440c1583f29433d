"""Dosages, drivers and eQTL evidence against loops, planted truth and scikit-learn."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pysam
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression

from seqtrust.errors import InputError
from seqtrust.genotypes import GenotypeFile
from seqtrust.tables import read_table, streamed_table
from seqtrust.uncertainty.people_dosages import (
    DOSAGES,
    CisVariants,
    cis_variants,
    covariate_table,
    filled,
    gram,
    principal_components,
    read_covariates,
    rows_of,
    variants_by_gene,
)
from seqtrust.uncertainty.people_drivers import (
    adjusted_r2,
    decompose,
    driver_rows,
    driver_table,
    patterns,
    read_eqtls,
    span_of,
)
from seqtrust.uncertainty.people_tables import DRIVERS, People
from seqtrust.variant_files import compress, index

RECORDS = """c 10 . A C 0|1 1|1 .|. 0|0
c 12 . A C,G 0|1 1|2 2|2 0|0
c 14 . AT A 0|1 1|1 0|1 0|0
c 16 . A <DEL> 0|1 1|1 0|1 0|0
c 18 . A C 0|0 0|0 0|0 0|0
c 20 . A C 1 0 0/1 .
c 40 . A C 0|1 1|1 0|1 0|0
"""


@pytest.fixture
def genotypes(tmp_path):
    head = "##fileformat=VCFv4.2\n##contig=<ID=c,length=100>\n" + "\t".join(
        ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *"wxyz"]
    )
    lines = []
    for row in RECORDS.splitlines():
        fields = row.split()
        lines.append("\t".join([*fields[:5], ".", ".", ".", "GT", *fields[5:]]))
    plain, path = tmp_path / "v.vcf", tmp_path / "v.vcf.gz"
    plain.write_text("\n".join([head, *lines]) + "\n")
    compress(plain, path)
    index(path, tmp_path / "v.tbi")
    return GenotypeFile(path, tmp_path / "v.tbi")


def test_dosages_are_those_that_pysam_counts(genotypes):
    found = cis_variants(genotypes, "c", 8, 25, 0, False)
    expected = {}
    with pysam.VariantFile(str(genotypes.path)) as file:
        for record in file:
            for number, alt in enumerate(record.alts, start=1):
                counts = []
                for sample in record.samples.values():
                    alleles = sample["GT"]
                    counts.append(-1 if None in alleles else alleles.count(number))
                expected[f"c_{record.pos}_{record.ref}_{alt}"] = counts
    assert found.names == ["c_10_A_C", "c_12_A_C", "c_12_A_G", "c_14_AT_A", "c_20_A_C"]
    for name, dosages in zip(found.names, found.dosages.tolist(), strict=True):
        assert dosages == expected[name], name
    assert found.frequency.tolist() == pytest.approx([3 / 6, 2 / 8, 3 / 8, 4 / 8, 2 / 4])
    assert found.in_window.all()


def test_flanks_and_snvs(genotypes):
    wide = cis_variants(genotypes, "c", 12, 25, 20, True)
    assert wide.names == ["c_10_A_C", "c_12_A_C", "c_12_A_G", "c_20_A_C", "c_40_A_C"]
    assert wide.in_window.tolist() == [False, False, False, True, False]
    assert wide.common(0.3).names == ["c_10_A_C", "c_12_A_G", "c_20_A_C", "c_40_A_C"]
    assert cis_variants(genotypes, "c", 60, 70, 0, True).names == []


def test_dosages_are_read_back_gene_by_gene(genotypes, tmp_path):
    path = tmp_path / "d.parquet"
    found = cis_variants(genotypes, "c", 8, 25, 0, False)
    later = cis_variants(genotypes, "c", 30, 45, 0, False)
    empty = cis_variants(genotypes, "c", 60, 70, 0, False)
    with streamed_table(path, DOSAGES, {}) as write:
        for gene, part in {"g1": found, "g2": empty, "g3": later}.items():
            write(rows_of(gene, part))
    back = dict(variants_by_gene(read_table(path, DOSAGES), ["g3", "g2", "g1"]))
    for gene, part in {"g1": found, "g2": empty, "g3": later}.items():
        assert back[gene].names == part.names
        np.testing.assert_array_equal(back[gene].dosages.ravel(), part.dosages.ravel())
        np.testing.assert_array_equal(back[gene].in_window, part.in_window)
    assert "w" not in read_table(path, DOSAGES).to_pandas().to_string().split()


def test_a_missing_call_is_filled_with_the_mean():
    dosages = np.array([[0, 2, -1, 1], [-1, -1, -1, 2]], dtype=np.int8)
    np.testing.assert_allclose(filled(dosages), [[0, 2, 1, 1], [2, 2, 2, 2]])


def test_principal_components_are_scikit_learns_over_blocks():
    rng = np.random.default_rng(1)
    group = np.repeat([0, 1], 20)
    chance = np.where(group == 0, 0.2, 0.6)
    dosages = rng.binomial(2, chance, (50, 40)).astype(np.int8)
    found = principal_components([gram(dosages[:20])[0], gram(dosages[20:])[0]], 2)
    scaled = (dosages - dosages.mean(axis=1, keepdims=True)) / dosages.std(axis=1, keepdims=True)
    expected = PCA(2, svd_solver="full").fit_transform(scaled.T)
    for column in range(2):
        r = np.corrcoef(found[:, column], expected[:, column])[0, 1]
        assert abs(r) == pytest.approx(1)
    assert abs(np.corrcoef(found[:, 0], group)[0, 1]) > 0.9
    assert gram(dosages[:20])[1] == 20
    with pytest.raises(InputError, match="of 40 people span 39 principal components, not 45"):
        principal_components([gram(dosages)[0]], 45)


def test_covariates_of_people_are_read_without_their_names(tmp_path):
    path = tmp_path / "c.tsv"
    path.write_text("person\tage\tsex\nb\t2\t1\na\t3\t0\nother\t4\t1\n")
    values = read_covariates(path, ["a", "b"])
    assert values.tolist() == [[3, 0], [2, 1]]
    assert list(covariate_table(values)) == ["index", "covariate_1", "covariate_2"]
    with pytest.raises(InputError, match=r"lacks covariates of sample 1 \(and 0 more\)") as error:
        read_covariates(path, ["a", "secret"])
    assert "secret" not in str(error.value)
    path.write_text("person\tage\na\tx\n")
    with pytest.raises(InputError, match="lacks covariates of sample 0"):
        read_covariates(path, ["a"])
    path.write_text("person\tage\na\t1\na\t2\n")
    with pytest.raises(InputError, match="line 3: the person is there a second time"):
        read_covariates(path, ["a"])
    path.write_text("name\tage\na\t1\n")
    with pytest.raises(InputError, match="expected the column person and at least one covariate"):
        read_covariates(path, ["a"])


def made(dosages, names=None):
    places = 10 * np.arange(1, len(dosages) + 1)
    names = names or [f"c_{place}_A_C" for place in places]
    inside = np.ones(len(dosages), dtype=bool)
    frequency = np.asarray(dosages).mean(axis=1) / 2
    return CisVariants(names, places, inside, frequency, np.asarray(dosages, dtype=np.int8))


def test_variants_that_cannot_be_told_apart_are_one():
    dosages = [[0, 1, 2, 0], [2, 1, 0, 2], [0, 1, 1, 0], [0, 1, 2, 0]]
    variants = made(dosages)
    near = patterns(variants, 39, {})
    assert near.members == [[0, 1, 3], [2]]
    assert near.chosen == [3, 2]
    known = patterns(variants, 39, {"c_20_A_C": 0.4})
    assert known.chosen == [1, 2]
    np.testing.assert_array_equal(known.dosages[0], dosages[1])


def naive_forward(y, dosages, explained, most):
    """Refit all models from scratch at each step."""
    chosen, r2 = [], 0.0
    while len(chosen) < most and r2 < explained:
        scores = {}
        for row in range(len(dosages)):
            if row not in chosen:
                x = dosages[[*chosen, row]].T
                scores[row] = LinearRegression().fit(x, y).score(x, y)
        best = max(scores, key=scores.get)
        if scores[best] - r2 < 0.01:
            break
        chosen.append(best)
        r2 = scores[best]
    return chosen, r2


@pytest.mark.parametrize("seed", range(8))
def test_drivers_are_those_of_refitting_every_model(seed):
    rng = np.random.default_rng(seed)
    dosages = rng.binomial(2, rng.uniform(0.1, 0.5, (7, 1)), (7, 40)).astype(float)
    y = dosages.T @ rng.normal(size=7) ** 3 + 0.3 * rng.normal(size=40)
    found = decompose(y, dosages, 0.95, 4)
    chosen, r2 = naive_forward(y, dosages, 0.95, 4)
    assert found.steps == chosen
    assert found.gains.sum() == pytest.approx(r2)
    model = LinearRegression().fit(dosages[chosen].T, y)
    np.testing.assert_allclose(found.slopes, model.coef_)
    r2_all = LinearRegression().fit(dosages.T, y).score(dosages.T, y)
    assert found.r2_all == pytest.approx(1 - (1 - r2_all) * 39 / 32)


def test_what_has_no_driver():
    rng = np.random.default_rng(9)
    dosages = rng.binomial(2, 0.4, (3, 30)).astype(float)
    assert decompose(np.ones(30), dosages, 0.9, 5) is None
    assert decompose(rng.normal(size=30), np.empty((0, 30)), 0.9, 5) is None
    assert decompose(rng.normal(size=30), dosages, 0.9, 5, least_gain=0.99) is None
    centred = rng.normal(size=(29, 30))
    centred -= centred.mean(axis=1, keepdims=True)
    y = rng.normal(size=30)
    assert np.isnan(adjusted_r2(y - y.mean(), span_of(centred)))


def people_of(values):
    genes = pd.DataFrame(
        {"gene": ["g1", "g2"], "contig": "c", "start": 0, "end": 100, "anchor": 35,
         "split": ["train", "test"]}
    )  # fmt: skip
    return People(genes, ["r1", "r2"], values, np.zeros((2, 2)))


def test_planted_drivers_their_support_and_ties():
    rng = np.random.default_rng(10)
    dosages = rng.binomial(2, 0.4, (4, 60))
    values = np.empty((2, 2, 60))
    values[0, 0] = 1 + 2.0 * dosages[2] + 0.5 * dosages[0]
    values[1, 0] = 1 - 3.0 * dosages[1]
    values[:, 1] = [[1.0] * 60, [2.0] * 60]
    effects = {"g1": {"c_30_A_C": 0.7, "c_20_A_C": 0.1}}
    variants = [("g1", made(dosages)), ("g2", made(dosages))]
    table = pd.DataFrame(driver_table(people_of(values), variants, effects, 0.999, 5))
    first = table[table["step"] == 1].set_index("replicate")
    assert first["variant"].to_dict() == {"r1": "c_30_A_C", "r2": "c_20_A_C"}
    assert first["supported"].tolist() == [True, False]
    assert first["slope"].tolist() == pytest.approx([2.0, -3.0])
    assert first["distance"].tolist() == [-5, -15]
    last = table[(table["replicate"] == "r1") & (table["step"] == 2)].iloc[0]
    assert (last["variant"], last["slope"], last["r2"]) == (
        "c_10_A_C", pytest.approx(0.5), pytest.approx(1.0),
    )  # fmt: skip
    assert last["supported"] is None or pd.isna(last["supported"])
    assert set(table["gene"]) == {"g1"}
    assert list(table) == [column.name for column in DRIVERS.columns]


def test_drivers_are_of_the_window_and_of_known_people():
    rng = np.random.default_rng(11)
    dosages = rng.binomial(2, 0.4, (2, 40))
    values = np.tile(dosages[1].astype(float), (2, 2, 1))
    values[:, 0, :5] = np.nan
    outside = made(dosages)
    outside.in_window[1] = False
    table = pd.DataFrame(
        driver_table(people_of(values), [("g1", outside), ("g2", made(dosages))], {}, 0.9, 5)
    )
    assert "c_20_A_C" not in set(table[table["gene"] == "g1"]["variant"])
    assert set(table[table["gene"] == "g2"]["variant"]) == {"c_20_A_C"}
    assert table["eqtl_beta"].isna().all()
    gene = {"gene": "g", "split": "test", "anchor": 1}
    nobody = np.full((2, 40), np.nan)
    assert driver_rows(gene, nobody, ["r1", "r2"], made(dosages), {}, 0.9, 5) == []


def test_eqtls_of_other_people(tmp_path):
    path = tmp_path / "e.tsv"
    path.write_text(
        "gene\tvariant\tbeta_marginal\tse_marginal\n"
        "g1\tc_10_A_C_b38\t0.5\t0.25\ng1\tc_20_A_C\t-1\t0.25\ng2\tc_30_A_C\t0.1\t1\n"
    )
    found = read_eqtls(path)
    assert found.effects["g1"] == {"c_10_A_C": 0.5, "c_20_A_C": -1.0}
    assert found.p_values["g1"] == pytest.approx(2 * 6.334248e-5, rel=1e-4)
    assert found.p_values["g2"] == pytest.approx(0.920344, rel=1e-4)
    path.write_text("gene\tvariant\tbeta_marginal\ng1\tc_10_A_C\t0.5\n")
    with pytest.raises(InputError, match=r"e\.tsv lacks the column se_marginal; it has: gene"):
        read_eqtls(path)
    path.write_text("gene\tvariant\tbeta_marginal\tse_marginal\ng1\tc_10_A_C\t0.5\t0\n")
    with pytest.raises(InputError, match=r"e\.tsv, line 2: se_marginal is"):
        read_eqtls(path)


def test_a_table_of_dosages_without_rows_has_genes_without_variants():
    table = pa.table({c.name: pa.array([], type=c.type) for c in DOSAGES.columns})
    ((gene, found),) = variants_by_gene(table, ["g"])
    assert (gene, found.names, found.dosages.shape) == ("g", [], (0, 0))
