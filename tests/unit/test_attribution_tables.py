"""Tables of consistency of an entry: planted answers, maps left out, and reasons for gaps."""

import numpy as np
import pandas as pd
import pytest
from attribution_entry import LOGOS, SETTINGS, attribution_maps, entry, sequence_set
from attribution_twins import planted

from seqtrust.accuracy import ENSEMBLE
from seqtrust.attribution.attribution_maps import contributions
from seqtrust.attribution.consistency import embedding_consistency, kmer_consistency
from seqtrust.attribution.consistency_intervals import compare
from seqtrust.attribution.consistency_nulls import pairing_null, position_null
from seqtrust.attribution.consistency_tables import (
    DIFFERENCES,
    METHODS,
    NULLS,
    REPLICATES,
    SCORES,
    entry_tables,
    grid_rows,
    shards_by_model,
    track_tables,
)
from seqtrust.attribution.drawn_maps import (
    LOGOS as LOGO_TABLE,
)
from seqtrust.attribution.drawn_maps import (
    SPECTRA,
    SPHERES,
    strongest_stretches,
)
from seqtrust.attribution.embedding_measure import EmbeddingMeasure
from seqtrust.attribution.kmer_measure import KmerMeasure
from seqtrust.attribution.map_tables import MapRows, mean_maps, write_attributions
from seqtrust.attribution.overlapping import jackknife_groups, kept_stretch, overlapping_units
from seqtrust.attribution.scored_maps import EMBEDDING, KMER, PAIRING, POSITION
from seqtrust.attribution.sensitivity import embedding_grid, kmer_grid, sensitivity
from seqtrust.errors import InputError
from seqtrust.genome import Window


def tables(models, units=None, settings=SETTINGS, seed=1):
    count = len(next(iter(models.values())).sequence_ids)
    units = np.arange(count) if units is None else units
    return track_tables(models, units, settings, LOGOS, 0, seed)


def row_of(table, **wanted):
    chosen = table
    for column, value in wanted.items():
        chosen = chosen[chosen[column] == value]
    assert len(chosen) == 1
    return chosen.iloc[0]


@pytest.fixture(scope="module")
def models():
    return entry()


@pytest.fixture(scope="module")
def found(models):
    return tables(models)


@pytest.mark.slow
def test_rows_are_the_library_s_numbers(models, found):
    # naive twin: every number by the function that defines it, on the same maps
    maps, codes = models["ism", "r3"].maps, models["ism", "r3"].bases
    assert tuple(found.scores.columns) == SCORES
    assert tuple(found.nulls.columns) == NULLS
    groups = jackknife_groups(np.arange(60), 10, 1)
    for score, mode, null in [
        (KMER, "corrected", PAIRING),
        (KMER, "published", POSITION),
        (EMBEDDING, "corrected", POSITION),
        (EMBEDDING, "published", POSITION),
    ]:
        if score == KMER:
            measure = KmerMeasure(3, 0.9, mode)
            result = kmer_consistency(maps, codes, 3, 0.9, mode)
            observations = result.kmers
        else:
            measure = EmbeddingMeasure(3, 0.1, 0.2, mode=mode)
            result = embedding_consistency(maps, 3, 0.1, 0.2, mode=mode)
            observations = result.vectors
        permute = pairing_null if null == PAIRING else position_null
        against = permute(measure, maps, codes, 4, 1)
        interval = compare(measure, {"m": maps}, codes, groups).scores["m"]
        named = {"method": "ism", "replicate": "r3", "score": score, "mode": mode, "null": null}
        row = row_of(found.scores, **named)
        expected = {
            "value": result.score, "se": interval.se, "low": interval.low, "high": interval.high,
            "extrapolated": interval.extrapolated, "groups": 10, "null_mean": against.mean,
            "null_sd": against.sd, "excess": against.excess, "z": against.z, "p": against.p,
            "maps": 60, "dropped": 0, "observations": observations,
        }  # fmt: skip
        for column, value in expected.items():
            assert row[column] == pytest.approx(value, abs=1e-12), column
        draws = found.nulls
        for column, value in named.items():
            draws = draws[draws[column] == value]
        np.testing.assert_allclose(draws["value"].astype(float), against.null, atol=1e-12)
        assert draws["round"].tolist() == [1, 2, 3, 4]


@pytest.mark.slow
def test_the_replicate_of_noise_is_the_least_consistent(found):
    fits = found.scores[found.scores["mode"] == "corrected"]
    for score, null in ((KMER, PAIRING), (EMBEDDING, POSITION)):
        mine = fits[(fits["score"] == score) & (fits["null"] == null)]
        single = mine[mine["replicate"] != ENSEMBLE]
        noise = (single["method"] == "saliency") & (single["replicate"] == "r3")
        assert single.loc[single["excess"].astype(float).idxmin(), "replicate"] == "r3"
        assert abs(float(single.loc[noise, "excess"].iloc[0])) < 0.2
        assert (single.loc[~noise, "z"].astype(float) > 3).all()
        assert float(single.loc[~noise, "excess"].astype(float).min()) > 0.1


@pytest.mark.slow
def test_differences_are_paired_and_of_the_same_maps(models, found):
    assert tuple(found.differences.columns) == DIFFERENCES
    groups = jackknife_groups(np.arange(60), 10, 1)
    three = {name: models["ism", name].maps for name in ("r1", "r2", "r3")}
    measure = EmbeddingMeasure(3, 0.1, 0.2)
    expected = compare(measure, three, groups=groups).differences["r1", "r3"]
    named = {"score": EMBEDDING, "mode": "corrected"}
    row = row_of(
        found.differences, kind=REPLICATES, first_method="ism", first_replicate="r1",
        second_replicate="r3", **named,
    )  # fmt: skip
    for column in ("value", "se", "low", "high"):
        assert row[column] == pytest.approx(getattr(expected, column), abs=1e-12)
    across = {method: models[method, "r2"].maps for method in ("saliency", "ism")}
    expected = compare(measure, across, groups=groups).differences["saliency", "ism"]
    row = row_of(found.differences, kind=METHODS, first_replicate="r2", **named)
    assert (row["first_method"], row["second_method"]) == ("saliency", "ism")
    assert row["value"] == pytest.approx(expected.value, abs=1e-12)
    assert row["low"] < row["value"] < row["high"] < 0
    # every pair of three replicates and their mean, and the methods of these four
    assert len(found.differences) == 4 * (2 * 6 + 4)


@pytest.mark.slow
def test_the_mean_map_is_scored_beside_its_replicates(models, found):
    mean = mean_maps([models["ism", name] for name in ("r1", "r2", "r3")])
    named = {"score": EMBEDDING, "mode": "corrected", "replicate": ENSEMBLE, "method": "ism"}
    expected = embedding_consistency(mean.maps, 3, 0.1, 0.2).score
    assert row_of(found.scores, **named)["value"] == pytest.approx(expected, abs=1e-12)
    alone = {("ism", "r1"): models["ism", "r1"]}
    assert set(tables(alone).scores["replicate"]) == {"r1"}


@pytest.mark.slow
def test_a_map_that_one_replicate_lacks_is_left_out_of_all_of_its_method():
    models = entry(30)
    broken = models["saliency", "r2"]
    maps = broken.maps.copy()
    maps[4], maps[7, 3, 1] = 0, np.nan
    late = np.ones(30, dtype=bool)
    late[9] = False
    models["saliency", "r2"] = attribution_maps(maps, broken.bases, converged=late)
    scores = tables(models).scores
    counted = scores.groupby("method")[["maps", "dropped"]].agg(["min", "max"])
    assert counted.loc["saliency"].tolist() == [27, 27, 3, 3]
    assert counted.loc["ism"].tolist() == [30, 30, 0, 0]
    kept = np.delete(np.arange(30), [4, 7, 9])
    good = models["saliency", "r1"]
    row = scores[(scores["replicate"] == "r1") & (scores["score"] == EMBEDDING)].iloc[0]
    expected = embedding_consistency(good.maps[kept], 3, 0.1, 0.2, mode=row["mode"]).score
    assert row["value"] == pytest.approx(expected, abs=1e-12)
    # what the published code makes of the maps of r2: two fall out of its list
    notes = scores[(scores["replicate"] == "r2") & (scores["mode"] == "published")]["note"]
    shifted = kmer_consistency(models["saliency", "r2"].maps, broken.bases, 3, 0.9, "published")
    assert shifted.mispaired > 0
    said = f"2 zero or NaN maps in the published list give {shifted.score:.3f}"
    assert notes.str.contains(said, regex=False).any()


@pytest.mark.slow
def test_a_replicate_without_any_map_says_so_and_leaves_the_others_alone():
    models = entry(30)
    dead = models["saliency", "r3"]
    models["saliency", "r3"] = attribution_maps(np.zeros_like(dead.maps), dead.bases)
    scores = tables(models).scores
    mine = scores[(scores["method"] == "saliency") & (scores["replicate"] == "r3")]
    assert mine["value"].isna().all()
    assert (mine["note"] == "no usable map: all are zero, not finite or not converged").all()
    assert (mine["dropped"] == 30).all()
    others = scores[(scores["method"] == "saliency") & (scores["replicate"] != "r3")]
    assert (others["maps"] == 30).all()
    assert others["value"].notna().all()
    # the mean is that of the two that are left
    mean = mean_maps([models["saliency", "r1"], models["saliency", "r2"]])
    named = {"method": "saliency", "replicate": ENSEMBLE, "score": EMBEDDING, "mode": "corrected"}
    expected = embedding_consistency(mean.maps, 3, 0.1, 0.2).score
    assert row_of(scores, **named)["value"] == pytest.approx(expected, abs=1e-12)


def few_models(count, length, unknown=False):
    clean, codes = planted(count, 0.05, 3, length)
    if unknown:
        codes[:, ::5] = 4
    return {("saliency", "r1"): attribution_maps(clean, codes)}


@pytest.mark.parametrize(
    ("models", "units", "k", "score", "message"),
    [
        (few_models(4, 40, unknown=True), None, 6, KMER, "no k-mers: no run of strong positions"),
        (few_models(4, 40), None, 6, KMER, "read the excess, not the value"),
        (few_models(4, 40), [0, 0, 0, 0], 3, EMBEDDING, "no interval: all windows overlap"),
        (few_models(1, 40), None, 3, KMER, "one map cannot be read with another's sequence"),
    ],
)
def test_what_cannot_be_computed_has_a_reason(models, units, k, score, message):
    settings = SETTINGS | {"kmer": {"k": k, "quantile": 0.9}}
    scores = tables(models, None if units is None else np.array(units), settings).scores
    mine = scores[(scores["score"] == score) & (scores["mode"] == "corrected")]
    assert mine["note"].str.contains(message, regex=False).any()


def test_maps_shorter_than_a_kmer_or_a_window_give_rows_with_reasons():
    clean, codes = planted(6, 0.05, 1, 40)
    models = {("ism", "r1"): attribution_maps(clean[:, :2], codes[:, :2])}
    found = tables(models)
    assert found.scores["value"].isna().all()
    by = dict(zip(found.scores["score"], found.scores["note"], strict=True))
    assert "maps of 2 positions are shorter than k = 3" in by[KMER]
    assert "shorter than the window of 3" in by[EMBEDDING]
    assert found.drawn[SPECTRA] == []
    assert found.drawn[SPHERES] == []


def test_no_number_is_missing_without_a_reason():
    # few short sequences, some N: every gap of every row is explained
    settings = SETTINGS | {"kmer": {"k": 5, "quantile": 0.9}}
    found = tables(few_models(3, 36, unknown=True), settings=settings).scores
    gaps = found[["value", "low", "null_mean", "z"]].isna().any(axis=1)
    assert gaps.any()
    assert (found.loc[gaps, "note"] != "").all()


def test_overlapping_windows_are_one_unit():
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 4, (6, 100)).astype(np.uint8)
    assert overlapping_units(sequence_set(codes, 100)).tolist() == [0, 1, 2, 3, 4, 5]
    assert overlapping_units(sequence_set(codes, 99)).tolist() == [0] * 6
    # what is kept of the maps counts
    assert overlapping_units(sequence_set(codes, 50), (30, 70)).tolist() == [0, 1, 2, 3, 4, 5]
    minus = Window("toy", "c", 1000, 0, 100, "-")
    assert kept_stretch(minus, (0, 10)) == (1090, 1100)
    assert kept_stretch(Window("toy", "c", 1000, 0, 100), (0, 10)) == (1000, 1010)


def test_units_stay_whole_in_groups_of_equal_size():
    units = np.repeat(np.arange(25), 3)
    groups = jackknife_groups(units, 10, 4)
    assert all(len(set(groups[units == unit])) == 1 for unit in range(25))
    assert set(np.bincount(groups) // 3) == {2, 3}
    assert len(np.unique(jackknife_groups(units[:9], 10, 4))) == 3


def test_the_strongest_stretches_by_a_loop(models):
    maps = models["ism", "r3"]
    found = strongest_stretches(maps, np.arange(60), sequences=3, width=20)
    own = np.abs(contributions(maps.maps, maps.bases))
    best = {}
    for row in range(60):
        sums = [own[row, start : start + 20].sum() for start in range(120 - 20 + 1)]
        best[row] = (max(sums), int(np.argmax(sums)))
    order = sorted(best, key=lambda row: -best[row][0])[:3]
    assert found == [(row, best[row][1]) for row in order]
    # one of each unit first, then the others
    units = np.arange(60)
    units[order[1]] = units[order[0]]
    again = [row for row, _ in strongest_stretches(maps, units, sequences=60, width=20)]
    assert again[:2] == [order[0], order[2]]
    assert again[-1] == order[1]


def test_contributions_are_those_of_the_base_that_is_there():
    maps = np.arange(12.0).reshape(1, 3, 4)
    assert contributions(maps, np.array([[2, 4, 0]], dtype=np.uint8)).tolist() == [[2, 0, 8]]


@pytest.mark.slow
def test_the_grid_is_that_of_the_library(models, found):
    three = {name: models["ism", name].maps for name in ("r1", "r2", "r3")}
    codes = models["ism", "r1"].bases
    measures = [kmer_grid((3,), (0.9,))[0], embedding_grid((3,), (0.1,), (0.1,))[0]]
    expected = sensitivity(measures, three, codes).scores
    mine = found.sensitivity[found.sensitivity["method"] == "ism"]
    for measure in measures:
        rows = mine[mine["setting"] == measure.label].set_index("replicate")["value"]
        assert rows.to_dict() == pytest.approx(expected.loc[measure.label].to_dict())
    two = {model: maps for model, maps in models.items() if model[0] == "ism" and model[1] < "r3"}
    assert grid_rows(two) == []


def write_shards(folder, models, tracks):
    paths = []
    for (method, replicate), maps in models.items():
        for number, part in enumerate((slice(0, 12), slice(12, None)), start=1):
            path = folder / method / replicate / f"{number}-of-2.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            stored = np.stack([maps.maps[part] * (1 + track) for track in range(tracks)], axis=1)
            rows = MapRows(
                maps.sequence_ids[part],
                tuple(f"t{track}" for track in range(tracks)),
                maps.bases[part],
                np.zeros((len(stored), tracks)),
                stored.astype(np.float32),
            )
            about = {"method": method, "settings": {}, "output": "o", "region": [0, 120]}
            write_attributions(path, rows, about)
            paths.append(path)
    return paths


@pytest.mark.slow
def test_an_entry_is_read_from_its_shards_track_by_track(tmp_path):
    noise = {("saliency", "r1"): 0.1, ("saliency", "r2"): 0.3}
    models = entry(30, noise=noise)
    paths = write_shards(tmp_path, models, tracks=2)
    shards = shards_by_model(paths, ["saliency"], ["r1", "r2"])
    sequences = sequence_set(models["saliency", "r1"].bases, 200)
    found = entry_tables(shards, sequences, None, SETTINGS, LOGOS, 1)
    assert found.scores["track"].unique().tolist() == ["t0", "t1"]
    by_track = [part.drop(columns="track") for _, part in found.scores.groupby("track")]
    numbers = ["value", "low", "null_mean", "observations"]
    # twice the map, the same score
    np.testing.assert_allclose(
        *(part[numbers].to_numpy(dtype=float) for part in by_track), atol=1e-9
    )
    assert len(found.drawn[LOGO_TABLE]) == 2 * 2 * 3
    row = found.drawn[LOGO_TABLE][0]
    place = row["start"]
    index = models["saliency", "r1"].sequence_ids.index(row["sequence_id"])
    shown = models["saliency", "r1"].bases[index, place : place + LOGOS["width"]]
    assert row["bases"] == shown.tobytes()
    again = entry_tables(shards, sequences, None, SETTINGS, LOGOS, 1)
    pd.testing.assert_frame_equal(found.scores, again.scores)
    other = sequence_set(models["saliency", "r1"].bases[:29], 200)
    with pytest.raises(InputError, match="maps of saliency, r1 are not those of the sequences"):
        entry_tables(shards, other, None, SETTINGS, LOGOS, 1)
