"""Tables of attribution maps: written, read and counted; agreement beside slow twins."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from seqtrust.attribution.agreement import (
    Compared,
    agreement_per_sequence,
    agreement_table,
    counts_table,
)
from seqtrust.attribution.attribution_maps import contributions
from seqtrust.attribution.map_tables import (
    AttributionMaps,
    MapRows,
    mean_maps,
    read_attributions,
    read_quality,
    scorable,
    write_attributions,
)
from seqtrust.bases import UNKNOWN
from seqtrust.errors import InputError

COUNT, POSITIONS = 12, 30
METADATA = {"method": "saliency", "settings": {}, "output": {}, "region": [0, POSITIONS]}


def some_rows(seed=0, tracks=("a", "b"), tolerance=None, errors=None):
    rng = np.random.default_rng(seed)
    bases = np.random.default_rng(99).integers(0, 4, (COUNT, POSITIONS)).astype(np.uint8)
    maps = rng.normal(size=(COUNT, len(tracks), POSITIONS, 4)).astype(np.float32)
    return MapRows(
        [f"s{row}" for row in range(COUNT)],
        tracks,
        bases,
        rng.normal(size=(COUNT, len(tracks))),
        maps,
        errors=errors,
        tolerance=tolerance,
    )


def written(path, rows, **metadata):
    write_attributions(path, rows, METADATA | metadata)
    return str(path)


def as_read(maps, bases=None, ids=None):
    """Maps without a file, all of them converged."""
    bases = np.zeros(maps.shape[:2], dtype=np.uint8) if bases is None else bases
    names = ids or [f"s{row}" for row in range(len(maps))]
    kept = scorable(maps, bases)
    return AttributionMaps(
        names, "t", bases, np.zeros(len(maps)), maps, np.ones(len(maps), bool), kept
    )


def test_what_is_written_is_read(tmp_path):
    rows = some_rows()
    path = written(tmp_path / "1.parquet", rows)
    for number, track in enumerate(rows.tracks):
        found = read_attributions([path], track, corrected=False)
        assert (found.track, found.sequence_ids) == (track, rows.sequence_ids)
        np.testing.assert_array_equal(found.maps, rows.maps[:, number])
        np.testing.assert_array_equal(found.predictions, rows.predictions[:, number])
        np.testing.assert_array_equal(found.bases, rows.bases)
        assert found.converged.all()
        assert found.usable.all()
    with pytest.raises(InputError, match=r"of 2 tracks, 'a', 'b': name the one"):
        read_attributions([path])
    with pytest.raises(InputError, match="no track 'c'"):
        read_attributions([path], "c")


def test_blocks_and_shards_are_one_table(tmp_path):
    rows = some_rows(tracks=("a",))
    parts = [
        MapRows(
            rows.sequence_ids[part],
            rows.tracks,
            rows.bases[part],
            rows.predictions[part],
            rows.maps[part],
        )
        for part in (slice(0, 5), slice(5, 5), slice(5, 12))
    ]
    whole = read_attributions([written(tmp_path / "whole.parquet", rows)])
    blocks = read_attributions([written(tmp_path / "blocks.parquet", iter(parts))])
    shards = read_attributions(
        [written(tmp_path / f"{number}.parquet", part) for number, part in enumerate(parts)]
    )
    for found in (blocks, shards):
        assert found.sequence_ids == whole.sequence_ids
        np.testing.assert_array_equal(found.maps, whole.maps)


def test_shards_of_other_settings_are_refused(tmp_path):
    rows = some_rows()
    paths = [
        written(tmp_path / f"{number}.parquet", rows, settings={"sd": number}) for number in (1, 2)
    ]
    with pytest.raises(InputError, match="differ in settings: remove them"):
        read_attributions(paths, "a")


def test_every_kind_of_map_is_counted_once(tmp_path):
    errors = np.full((COUNT, 1), 0.001)
    errors[3:5] = 0.5
    rows = some_rows(tracks=("a",), tolerance=0.01, errors=errors)
    rows.maps[0] = 0
    rows.maps[1] = rows.maps[1, :, :, :1]  # constant over bases
    rows.maps[2, 0, 7, 1] = np.nan
    rows.maps[3] = 0  # zero and not converged: zero
    path = written(tmp_path / "1.parquet", rows)
    (counts,) = counts_table({"saliency": {"r1": [path]}}).to_dict("records")
    assert counts["maps"] == COUNT
    assert (counts["zero"], counts["not_finite"], counts["not_converged"]) == (3, 1, 1)
    assert counts["kept"] == COUNT - 5
    assert counts["largest_error"] == 0.5
    assert counts["median_error"] == 0.001
    found = read_attributions([path])
    np.testing.assert_array_equal(np.flatnonzero(~found.usable), [0, 1, 2, 3, 4])
    np.testing.assert_array_equal(np.flatnonzero(~found.converged), [3, 4])
    assert np.isnan(read_quality([path]).to_pandas()["mc_se"].astype(float)).all()


def test_mean_maps_are_plain_means_of_what_all_have():
    first, second = (as_read(some_rows(seed).maps[:, 0].astype(float)) for seed in (1, 2))
    second.usable[4] = False
    mean = mean_maps([first, second])
    np.testing.assert_allclose(mean.maps, (first.maps + second.maps) / 2)
    np.testing.assert_array_equal(np.flatnonzero(~mean.usable), [4])
    other = as_read(first.maps, ids=[f"x{row}" for row in range(COUNT)])
    with pytest.raises(InputError, match="different sequences or tracks"):
        mean_maps([first, other])


def twin_measures(first, second, bases):
    """Pearson, Spearman and overlap of one pair of maps, by scipy and sets."""
    known = np.flatnonzero(bases != UNKNOWN)
    scores = [np.array([one[at, bases[at]] for at in known]) for one in (first, second)]
    size = int(np.ceil(0.1 * len(known)))
    tops = [set(sorted(range(len(known)), key=lambda at: -abs(one[at]))[:size]) for one in scores]
    return [
        stats.pearsonr(first.ravel(), second.ravel()).statistic,
        stats.spearmanr(*scores).statistic,
        len(tops[0] & tops[1]) / size,
    ]


def test_measures_are_those_of_scipy():
    rows = [some_rows(seed) for seed in (1, 2)]
    bases = rows[0].bases.copy()
    bases[5, 3:9] = UNKNOWN
    maps = [row.maps[:, 0].astype(float) for row in rows]
    for one in maps:
        one -= one.mean(axis=2, keepdims=True)
        one[bases == UNKNOWN] = 0
    maps[1] += maps[0]
    kept, found = Compared.of(as_read(maps[0], bases)).measures(
        Compared.of(as_read(maps[1], bases))
    )
    assert kept.all()
    expected = [twin_measures(maps[0][row], maps[1][row], bases[row]) for row in range(COUNT)]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_maps_that_cannot_be_compared_are_left_out():
    first, second = (some_rows(seed).maps[:, 0].astype(float) for seed in (1, 2))
    first[2] = 0
    second[7, 0] = np.nan
    kept, found = Compared.of(as_read(first)).measures(Compared.of(as_read(second)))
    np.testing.assert_array_equal(np.flatnonzero(~kept), [2, 7])
    assert np.isfinite(found).all()


def test_agreement_per_sequence_is_the_mean_over_pairs():
    maps = [some_rows(seed).maps[:, 0].astype(float) for seed in (1, 2, 3, 4)]
    maps = [one + maps[0] - (one + maps[0]).mean(axis=2, keepdims=True) for one in maps]
    maps[3][0] = 0
    for number in (1, 2, 3):
        maps[number][1] = 0
    found = agreement_per_sequence([as_read(one) for one in maps], region=(4, 20))
    for row in range(COUNT):
        kept = [one[row, 4:20].ravel() for one in maps if np.any(one[row])]
        pairs = [stats.pearsonr(one, other).statistic for one, other in combinations(kept, 2)]
        expected = np.mean(pairs) if pairs else np.nan
        np.testing.assert_allclose(found[row], expected, atol=1e-5)
    assert np.isnan(found[1])


def test_contributions_are_the_entries_of_the_bases_that_are_there():
    maps = np.arange(24.0).reshape(1, 6, 4)
    bases = np.array([[0, 3, 1, UNKNOWN, 2, 0]], dtype=np.uint8)
    np.testing.assert_array_equal(contributions(maps, bases), [[0, 7, 9, 0, 18, 20]])


@pytest.fixture
def shards(tmp_path):
    """Three replicates of one method with growing noise, and the same maps by another method."""
    signal, found = some_rows(0).maps, {}
    for method, scale in (("saliency", 1.0), ("ism", 3.0)):
        for number, noise in enumerate((0.1, 0.5, 2.0), start=1):
            rows = some_rows(number)
            rows.maps[...] = scale * (signal + noise * rows.maps)
            path = written(tmp_path / f"{method}.r{number}.parquet", rows, method=method)
            found.setdefault(method, {})[f"r{number}"] = [path]
    return found


def test_the_table_has_every_comparison_with_an_interval(shards):
    table = agreement_table(shards, seed=1)
    counts = table.groupby("comparison").size()
    assert dict(counts) == {
        "replicates": 2 * 2 * 3,  # tracks, methods, pairs
        "single": 2 * 2 * 3,
        "methods": 2 * 4,  # three replicates and the mean map
    }
    assert (table["sequences"] == COUNT).all()
    assert (table["left_out"] == 0).all()
    for measure in ("pearson", "spearman", "overlap"):
        inside = table[measure].between(table[f"{measure}_low"], table[f"{measure}_high"])
        assert inside.all()


def test_agreement_falls_with_noise_and_methods_that_differ_by_a_factor_agree(shards):
    table = agreement_table(shards, seed=1)
    pairs = table[(table.comparison == "replicates") & (table.method == "saliency")]
    of_pair = pairs.groupby(["replicate", "other_replicate"])["pearson"].mean()
    assert of_pair["r1", "r2"] > of_pair["r1", "r3"] > of_pair["r2", "r3"]
    methods = table[table.comparison == "methods"]
    np.testing.assert_allclose(methods["pearson"], 1, atol=1e-5)
    assert set(methods["replicate"]) == {"r1", "r2", "r3", "ensemble"}
    single = table[(table.comparison == "single") & (table.track == "a")]
    others = mean_maps([read_attributions(shards["ism"][name], "a") for name in ("r1", "r2")])
    own = Compared.of(read_attributions(shards["ism"]["r3"], "a"))
    expected = own.measures(Compared.of(others))[1].mean(axis=0)
    row = single[(single.method == "ism") & (single.replicate == "r3")]
    np.testing.assert_allclose(row[["pearson", "spearman", "overlap"]].to_numpy()[0], expected)


def test_one_replicate_is_compared_between_methods_alone(shards):
    one = {method: {"r1": paths["r1"]} for method, paths in shards.items()}
    table = agreement_table(one, seed=1)
    assert list(table["comparison"]) == ["methods", "methods"]
    alone = agreement_table({"ism": one["ism"]}, seed=1)
    assert alone.empty
    assert list(alone.columns) == list(table.columns)


def test_the_interval_is_that_of_sequences_drawn_again(shards):
    """Its width is near that of the normal interval of the mean."""
    table = agreement_table(shards, seed=1)
    row = table[(table.comparison == "replicates") & (table.track == "a")].iloc[1]
    first, second = (
        Compared.of(read_attributions(shards[row.method][name], "a"))
        for name in (row.replicate, row.other_replicate)
    )
    values = first.measures(second)[1][:, 0]
    expected = 2 * 1.96 * values.std(ddof=1) / np.sqrt(COUNT)
    assert 0.6 < (row.pearson_high - row.pearson_low) / expected < 1.4
