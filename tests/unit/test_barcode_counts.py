"""Activities from counts of barcodes: by hand, thinned, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from seqtrust.barcode_counts import BarcodeCounts, BarcodeSettings, read_counts
from seqtrust.errors import InputError

ROWS = pd.DataFrame(
    {
        "label": ["a", "a", "b", "c", "other"],
        "DNA": [100, 50, 200, 9, 500],
        "RNA1": [30, 20, 400, 5, 1],
        "RNA2": [10, 0, 100, 0, 2],
    }
)


@pytest.fixture
def counts_of(tmp_path):
    """Reads tables of counts."""

    def read(*tables, ids=("a", "b", "c"), **settings):
        paths = [str(tmp_path / f"{number}.tsv") for number in range(len(tables))]
        for path, table in zip(paths, tables, strict=True):
            table.to_csv(path, sep="\t", index=False)
        return read_counts(
            BarcodeSettings(paths, "label", "DNA", ["RNA1", "RNA2"], **settings), ids
        )

    return read


def test_activities_by_hand(counts_of):
    found = counts_of(ROWS).activity()
    # c has one barcode with 9 DNA reads, and `other` is no sequence of the library
    dna = [151 / 352, 201 / 352]
    first = np.log2(np.array([51 / 452, 401 / 452]) / dna)
    second = np.log2(np.array([11 / 112, 101 / 112]) / dna)
    np.testing.assert_allclose(found.value, [*(first + second) / 2, np.nan])
    counting = np.array([1 / 51 + 1 / 11, 1 / 401 + 1 / 101]) / 4 / np.log(2) ** 2
    spread = np.maximum(((first - second) / 2) ** 2, counting)
    dna_noise = np.array([1 / 151, 1 / 201]) / np.log(2) ** 2
    np.testing.assert_allclose(found.sd, [*np.sqrt(spread + dna_noise), np.nan])
    np.testing.assert_array_equal(found.barcodes, [2, 1, np.nan])


def test_libraries_are_normalised_by_themselves(counts_of):
    other = ROWS.assign(label=["d", "d", "e", "e", "x"])
    deeper = other.assign(**{key: 10 * other[key] for key in ("DNA", "RNA1", "RNA2")})
    together = counts_of(ROWS, deeper, ids=("a", "b", "c", "d", "e")).activity()
    alone = counts_of(ROWS).activity()
    np.testing.assert_allclose(together.value[:3], alone.value)
    np.testing.assert_allclose(
        together.value[3:], counts_of(deeper, ids=("d", "e")).activity().value
    )


def test_thinned_counts_are_binomial():
    reads = np.array([3, 40, 500])
    counts = BarcodeCounts(np.arange(3), np.zeros(3, int), reads, np.stack([reads] * 2, 1), 3)
    draws = [counts.thinned(0.25, np.random.default_rng(seed)) for seed in range(4000)]
    drawn = np.array([[*one.dna, *one.rna.ravel()] for one in draws])
    expected = np.array([*reads, *np.stack([reads] * 2, 1).ravel()])
    np.testing.assert_allclose(drawn.mean(axis=0), 0.25 * expected, rtol=0.03)
    np.testing.assert_allclose(drawn.var(axis=0), 0.1875 * expected, rtol=0.12)
    assert np.abs(np.corrcoef(drawn.T) - np.eye(drawn.shape[1])).max() < 0.08


def test_fewer_reads_are_noisier():
    rng = np.random.default_rng(3)
    sequence = np.repeat(np.arange(200), 3)
    dna = rng.poisson(800, 600)
    rna = rng.poisson(np.repeat(np.exp(rng.normal(size=200)), 3)[:, None] * dna[:, None], (600, 3))
    counts = BarcodeCounts(sequence, np.zeros(600, int), dna, rna, 200)
    whole = counts.activity()
    errors = []
    for depth in (0.5, 0.25, 1 / 16, 1 / 256):
        thin = counts.thinned(depth, np.random.default_rng(7)).activity()
        errors.append(np.mean((thin.value - whole.value) ** 2))
        assert np.isfinite(thin.value).all()
    assert errors == sorted(errors)
    assert errors[-1] > 20 * errors[0]
    np.testing.assert_array_equal(
        counts.thinned(1, np.random.default_rng(1)).activity().value, whole.value
    )


def test_standard_errors_hold_counting_noise():
    """All noise is Poisson: stated variances are those of many runs of the assay."""
    rng = np.random.default_rng(5)
    dna, activity = np.repeat([30, 300, 3000], 100), np.tile([0.3, 3.0], 150)
    rows = np.arange(300)
    runs = [
        BarcodeCounts(
            rows, rows * 0, rng.poisson(dna), rng.poisson((dna * activity)[:, None], (300, 4)), 300
        ).activity()
        for _ in range(200)
    ]
    values = np.stack([run.value for run in runs])
    stated = np.stack([run.sd for run in runs]) ** 2
    for depth in (30, 300, 3000):
        for level in (0.3, 3.0):
            mine = (dna == depth) & (activity == level)
            ratio = stated[:, mine].mean() / values[:, mine].var(axis=0).mean()
            assert 0.9 < ratio < 1.5


@pytest.mark.parametrize("depth", [0, 1.5])
def test_impossible_depths_are_refused(depth, counts_of):
    with pytest.raises(InputError, match="thinned to a share above 0, at most 1"):
        counts_of(ROWS).thinned(depth, np.random.default_rng(1))


@pytest.mark.parametrize(
    ("table", "settings", "message"),
    [
        (ROWS.drop(columns="RNA2"), {}, r"no column 'RNA2'; it has label, DNA, RNA1"),
        (ROWS.assign(RNA1=[1, 2, -3, 4, 5]), {}, "row 3 has a count that is no whole number"),
        (ROWS.assign(DNA=[1.5, 2, 3, 4, 5]), {}, "row 1 has a count that is no whole number"),
        (ROWS, {"ids": ("z",)}, "no barcode of a sequence of the library has 10 or more DNA reads"),
        (ROWS, {"least_dna": 1000}, "has 1000 or more DNA reads: see column 'label'"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(counts_of, table, settings, message):
    with pytest.raises(InputError, match=message):
        counts_of(table, **settings)


def test_a_sequence_of_two_libraries_has_the_mean_of_both(counts_of):
    other = ROWS.assign(RNA1=[300, 200, 40, 5, 1], label=["a", "a", "d", "c", "other"])
    both = counts_of(ROWS, other, ids=("a", "b", "c", "d")).activity()
    one = counts_of(ROWS).activity()
    two = counts_of(other, ids=("a", "d")).activity()
    assert both.value[0] == pytest.approx((one.value[0] + two.value[0]) / 2)
    assert both.value[1] == pytest.approx(one.value[1])
    assert both.value[3] == pytest.approx(two.value[1])
    np.testing.assert_array_equal(both.barcodes, [4, 1, np.nan, 1])
