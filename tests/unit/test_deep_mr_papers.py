"""What the configs of the Deep MR paper's networks need: loci, tasks and published values."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from deep_mr_cases import instruments, planted, write_case
from hypothesis import given
from hypothesis import strategies as st

from seqtrust.config import checked_config, load_schema
from seqtrust.errors import InputError
from seqtrust.figures.deep_mr import effects_figure, spacing_figure
from seqtrust.genome import SplitRegions, Window
from seqtrust.mendelian import ivw
from seqtrust.mendelian.analysis import (
    DIAGNOSTICS,
    DIRECT,
    LOCAL,
    Pairs,
    chosen_pairs,
    diagnostics,
    local_effects,
)
from seqtrust.mendelian.control_effects import local_q
from seqtrust.mendelian.effect_statistics import STATISTICS, effect_statistics, read_statistics
from seqtrust.mendelian.global_effects import global_effects, main_effects, read_published
from seqtrust.mendelian.instrument_tables import joined, read_instruments, write_instruments
from seqtrust.mendelian.loci_of_pairs import (
    at_own_loci,
    exposed_loci,
    located,
    refuse_without_loci,
)
from seqtrust.mendelian.mutation_effects import mutation_effects
from seqtrust.mendelian.named_estimators import MainEstimator, named_estimators
from seqtrust.mendelian.recalibrated_tasks import fitted
from seqtrust.mendelian.spacing import read_published_spacing, spacing_effects
from seqtrust.mendelian.stage import within_replicates
from seqtrust.mendelian.task_scales import task_means
from seqtrust.models.track_table import read_tracks
from seqtrust.sources.chosen_rows import chosen_windows
from seqtrust.tables import write_table

REPOSITORY = Path(__file__).parents[2]
MAIN = MainEstimator("per_replicate", ivw, True)
PUBLISHED = REPOSITORY / "resources" / "published"


@pytest.fixture
def rng():
    return np.random.default_rng(3)


# rows of a BED

ROWS = {"per": "all", "regions": [], "seed": 5}


def bed(names, contigs=("chr2",)):
    """A window of 10 bp per name, 15 bp apart, contigs in turns."""
    return [
        (name, Window("toy", contigs[at % len(contigs)], 15 * at + 5, 5, 10))
        for at, name in enumerate(names)
    ]


@given(st.integers(1, 30), st.integers(0, 9), st.data())
def test_a_draw_is_part_of_the_rows_in_their_order(tiny_genome, number, seed, data):
    windows = bed([f"w{at}" for at in range(30)])
    settings = ROWS | {"number": number, "seed": seed}
    found = chosen_windows(tiny_genome, windows, settings, "b.bed")
    assert len(found) == number
    assert [row for row in windows if row in found] == found
    assert chosen_windows(tiny_genome, windows, settings, "b.bed") == found
    low = data.draw(st.integers(1, 200))
    region = ROWS | {"regions": [f"chr2:{low}-{low + 100}"]}
    inside = chosen_windows(tiny_genome, windows, region, "b.bed")
    wanted = [row for row in windows if row[1].start >= low - 1 and row[1].end <= low + 100]
    assert inside == wanted


def test_other_seeds_draw_other_rows(tiny_genome):
    windows = bed([f"w{at}" for at in range(30)])
    draws = [
        tuple(chosen_windows(tiny_genome, windows, ROWS | {"number": 5, "seed": seed}, "b.bed"))
        for seed in range(5)
    ]
    assert len(set(draws)) == 5


def test_so_many_rows_of_every_name_are_drawn(tiny_genome):
    windows = bed(["a", "b", "b"] * 10)
    settings = ROWS | {"number": 4, "per": "name"}
    found = chosen_windows(tiny_genome, windows, settings, "b.bed")
    assert [name.split(".")[0] for name, _ in found].count("a") == 4
    assert len(found) == 8
    assert all(name.endswith(f".chr2_{window.start}") for name, window in found)
    assert len({name for name, _ in found}) == 8
    contigs = bed(["x"] * 20, ("chr2", "20"))
    each = ROWS | {"number": 3, "per": "contig", "regions": ["chr2", "20"]}
    of = [window.contig for _, window in chosen_windows(tiny_genome, contigs, each, "b.bed")]
    assert (of.count("chr2"), of.count("20")) == (3, 3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"number": 31}, "31 rows are to be drawn, and there are 30: lower rows/number"),
        ({"number": 11, "per": "name"}, "11 rows of name 'a' are to be drawn, and there are 10"),
        (
            {"number": 1, "per": "name", "regions": ["chr2:15-30"]},
            "1 rows of name 'a' are to be drawn, and there are 0 in chr2:15-30",
        ),
        ({"number": 1, "per": "contig", "regions": ["20"]}, "of contig '20' are to be drawn"),
        ({"regions": ["chr9"]}, "no contig '9' or 'chr9'"),
    ],
)
def test_too_few_rows_are_an_error(tiny_genome, settings, message):
    with pytest.raises(InputError, match=message):
        chosen_windows(tiny_genome, bed(["a", "b", "b"] * 10), ROWS | settings, "b.bed")


# tasks of several tracks


def test_tasks_are_means_of_tracks(rng):
    values = rng.normal(size=(3, 5, 4))
    values[0, 0, 3] = np.nan
    tasks, found = task_means(values, "abcd", {"x": ["a", "c"], "y": ["b"]}, "here")
    assert tasks == ("x", "y")
    np.testing.assert_allclose(found[..., 0], (values[..., 0] + values[..., 2]) / 2)
    # a track that no task is of does not matter
    np.testing.assert_array_equal(found[..., 1], values[..., 1])
    assert task_means(values, "abcd", None, "here")[0] == tuple("abcd")
    with pytest.raises(InputError, match="here: task 'x' is of track 'aa', which the output has"):
        task_means(values, ["ab", "b"], {"x": ["aa"]}, "here")


def test_effects_of_two_strands_are_means_of_logs(tmp_path, rng):
    effects, references, bases = planted(rng)
    paths = write_case(tmp_path, effects, references, bases)
    alone = mutation_effects(paths, "log2p1")
    both = mutation_effects(paths, "log2p1", tracks_of={"xy": ["x", "y"], "z": ["z"]})
    assert both.tasks == ("xy", "z")
    np.testing.assert_allclose(both.effects[:, 0], alone.effects[:, :2].mean(axis=1), atol=1e-12)
    np.testing.assert_allclose(both.references[..., 1], alone.references[..., 2])


# loci of their own

LOCI_OF = {"x": "locus[0-5]", "y": "locus[4-9]"}


def test_a_pair_is_estimated_at_the_loci_of_its_exposure_alone(rng):
    made = instruments(rng, loci=12, spread=0.2)
    pairs = chosen_pairs(made, pairs=[["x", "z"], ["y", "z"]])
    own = at_own_loci(made, pairs, LOCI_OF)
    estimators = named_estimators({"ivw": {}})
    local = local_q(local_effects(own, pairs, estimators, MAIN))
    table = global_effects(own, pairs, local, MAIN)
    assert DIRECT not in set(local["estimator"])
    for x, kept in (("x", range(6)), ("y", range(4, 10))):
        mine = local[(local["exposure"] == x) & (local["estimator"] == "ivw")]
        assert list(mine["locus"]) == [f"locus{at}" for at in kept]
        alone = made.of_loci(np.isin(np.arange(12), kept))
        pair = chosen_pairs(alone, pairs=[[x, "z"]])
        wanted = main_effects(alone, pair, MAIN).iloc[0]
        row = table[(table["exposure"] == x) & table["main"] & (table["split"] == "all")].iloc[0]
        assert row["estimate"] == pytest.approx(wanted["estimate"])
        assert row["se"] == pytest.approx(wanted["se"])
        assert row["loci"] == len(kept)
        found = diagnostics(own, pairs)
        wanted = diagnostics(alone, pair).reset_index(drop=True)
        part = found[found["exposure"] == x].reset_index(drop=True)
        pd.testing.assert_frame_equal(part, wanted)


def test_what_no_pair_needs_is_left_out_of_the_table(tmp_path, rng):
    made = instruments(rng, loci=12)
    pairs = chosen_pairs(made, pairs=[["x", "z"], ["y", "z"]])
    own = at_own_loci(made, pairs, LOCI_OF)
    # 10 instruments of each of 10 loci; two loci are of no exposure
    assert len(own.names) == 100
    at = own.row_locus < 4
    assert np.isnan(own.beta[at][:, 1]).all()
    assert np.isfinite(own.beta[at][:, [0, 2]]).all()
    assert not own.chosen[:, 2].any()
    halves = [own.of_loci(np.arange(12) < 7), own.of_loci(np.arange(12) >= 7)]
    files = [tmp_path / f"{number}.parquet" for number in range(2)]
    for file, half in zip(files, halves, strict=True):
        write_instruments(file, half)
    back = read_instruments(files)
    np.testing.assert_array_equal(back.exposures, own.exposures)
    np.testing.assert_array_equal(back.replicates, own.replicates)
    assert joined(halves).names == own.names
    lean = read_instruments(files, replicates=False)
    assert lean.replicates is None
    np.testing.assert_array_equal(lean.beta, own.beta)
    assert within_replicates({"main": "per_replicate", "instruments": {"cross_fitted": False}})
    assert not within_replicates({"main": "ivw", "instruments": {"cross_fitted": False}})


def test_a_shard_may_have_loci_of_no_exposure(tmp_path, rng):
    made = instruments(rng, loci=12)
    pairs = chosen_pairs(made, pairs=[["x", "z"], ["y", "z"]])
    last = at_own_loci(made, pairs, LOCI_OF).of_loci(np.arange(12) >= 10)
    local = local_effects(last, pairs, named_estimators({"ivw": {}}), MAIN)
    found = diagnostics(last, pairs)
    assert local.empty
    assert found.empty
    write_table(tmp_path / "local.parquet", LOCAL, local.assign(q=float("nan")))
    write_table(tmp_path / "diagnostics.parquet", DIAGNOSTICS, found)
    with pytest.raises(InputError, match=r"no locus is one of exposure 'x'; the first locus is"):
        refuse_without_loci(last, pairs)


def test_patterns_of_loci(rng):
    loci = ["a.1", "b.1", "a[1].2"]
    found = exposed_loci(loci, ["a", "b", "a[1]"], "{task}.*")
    np.testing.assert_array_equal(found.T, [[True, False, False], [False, True, False],
                                            [False, False, True]])  # fmt: skip
    some = exposed_loci(loci, ["a", "b"], {"b": "b.*"})
    np.testing.assert_array_equal(some.T, [[True] * 3, [False, True, False]])
    with pytest.raises(InputError, match=r"loci_of is 'a\.\*', the same loci for every exposure"):
        exposed_loci(loci, ["a"], "a.*")
    with pytest.raises(InputError, match="loci_of has 'aa': no such task; did you mean 'ab'"):
        exposed_loci(loci, ["ab"], {"aa": "*"})
    made = instruments(rng)
    assert located(made, {}) is made
    refuse_without_loci(made, chosen_pairs(made))


# statistics and published values


def test_statistics_are_those_of_numpy(rng):
    made = instruments(rng, loci=15, spread=0.4)
    pairs = chosen_pairs(made, pairs=[["x", "y"], ["x", "z"]])
    local = local_q(local_effects(made, pairs, named_estimators({"egger": {}}), MAIN))
    table = global_effects(made, pairs, local, MAIN)
    given_ones = pd.DataFrame({"statistic": ["local_median"], "exposure": ["x"],
                               "outcome": ["y"], "published_value": [0.7]})  # fmt: skip
    found = effect_statistics(table, local, given_ones)
    mine = found[found["estimator"] == "egger"].set_index(["statistic", "exposure", "outcome"])
    effects = local[local["estimator"] == "egger"]["estimate"]
    whole = table[(table["estimator"] == "egger") & (table["split"] == "all")]
    wanted = {
        "pairs": 2,
        "pairs_positive": (whole["estimate"] > 0).sum(),
        "pairs_surely_positive": (whole["low"] > 0).sum(),
        "loci": 30,
        "loci_negative": (effects < 0).sum(),
        "local_q25": np.quantile(effects, 0.25),
        "local_median": np.median(effects),
        "local_q75": np.quantile(effects, 0.75),
    }
    assert wanted.keys() == STATISTICS.keys()
    for name, value in wanted.items():
        assert mine.loc[(name, "", ""), "value"] == pytest.approx(value)
    pair = local[(local["estimator"] == "egger") & (local["outcome"] == "y")]["estimate"]
    row = mine.loc[("local_median", "x", "y")]
    assert row["value"] == pytest.approx(pair.median())
    assert row["published_value"] == 0.7
    assert found["published_value"].notna().sum() == found["estimator"].nunique()
    # the interval of the headline counts too
    main = found[(found["estimator"] == "per_replicate") & (found["statistic"] == "pairs")]
    assert (main["value"] >= 1).all()


def test_published_statistics_are_read(tmp_path):
    file = tmp_path / "p.tsv"
    file.write_text("statistic\texposure\toutcome\tvalue\nloci\t\t\t9\nlocal_median\tx\ty\t.5\n")
    table = read_statistics(str(file))
    assert table["exposure"].tolist() == ["", "x"]
    assert table["published_value"].tolist() == [9, 0.5]
    for text, message in (
        ("statistic\tvalue\nloci\t9\n", "there is no column 'exposure'"),
        ("statistic\texposure\toutcome\tvalue\nlocy\t\t\t9\n", "line 2: no statistic is called"),
        (
            "statistic\texposure\toutcome\tvalue\nloci\t\t\t9\nloci\t\t\t8\n",
            "line 3: the statistic stands twice",
        ),
    ):
        file.write_text(text)
        with pytest.raises(InputError, match=message):
            read_statistics(str(file))


def test_published_distances_stand_beside_theirs(tmp_path, rng):
    made = instruments(rng, loci=6)
    ends = [20, 30, 35, 50, 60, 2000]
    spans = {"x": [np.array([[0, 10]])] * 6, "y": [np.array([[at, at + 10]]) for at in ends]}
    file = tmp_path / "p.tsv"
    head = "exposure\toutcome\tnearest\tfarthest\testimate\tloci\n"
    file.write_text(head + "x\ty\t0\t35\t.5\t83\nx\ty\t0\t1000\t.4\t\n")
    beside = read_published_spacing(str(file))
    pair = chosen_pairs(made, pairs=[["x", "y"]])
    rows = spacing_effects(made, pair, MAIN, spans, whole=True, published=beside)
    assert rows["loci_in_bin"].tolist() == [3, 2, 0, 0, 5]
    assert rows["published_estimate"].iloc[[0, 4]].tolist() == [0.5, 0.4]
    assert rows["published_estimate"].notna().sum() == 2
    assert rows["published_loci"].iloc[0] == 83
    kept = made.of_loci(np.arange(6) < 5)
    assert rows["estimate"].iloc[4] == pytest.approx(main_effects(kept, pair, MAIN)["estimate"][0])
    own = at_own_loci(made, pair, {"x": "locus[0-1]"})
    few = spacing_effects(own, pair, MAIN, spans)
    assert few["loci_in_bin"].tolist() == [2, 0, 0, 0]
    file.write_text(head + "x\ty\t0\t35\t.5\t1\nx\ty\t0\t35\t.4\t1\n")
    with pytest.raises(InputError, match="line 3: the bin of the pair stands twice"):
        read_published_spacing(str(file))
    file.write_text("exposure\toutcome\n")
    with pytest.raises(InputError, match="there is no column 'nearest'"):
        read_published_spacing(str(file))


def test_platt_scaling_needs_both_labels(rng):
    members = rng.uniform(0.1, 0.9, (3, 40, 2))
    labels = rng.integers(0, 2, (40, 2)).astype(float)
    assert fitted("platt", ("x", "y"), members, labels).lines.shape == (2, 2)
    labels[:, 1] = 0
    with pytest.raises(InputError, match="task 'y': all 40 windows have the label 0, and it needs"):
        fitted("platt", ("x", "y"), members, labels)


# what is shipped


def shipped(name):
    schema = load_schema(REPOSITORY / "config" / "schemas" / "config.schema.json")
    text = (REPOSITORY / "config" / f"{name}.yaml").read_text()
    return checked_config(yaml.safe_load(text), schema)


def test_published_values_are_of_tasks_of_the_configs():
    for name, number in (("malina2022_bpnet", 12), ("malina2022_deepsea", 23)):
        config = shipped(name)
        for entry in config["deep_mr"].values():
            tasks = set(entry["task_tracks"])
            table = read_published(str(REPOSITORY / entry["published"]))
            assert len(table) == number
            assert set(table["exposure"]) | set(table["outcome"]) <= tasks
            if "published_statistics" in entry:
                rows = read_statistics(str(REPOSITORY / entry["published_statistics"]))
                assert set(rows["exposure"]) | set(rows["outcome"]) - {""} <= tasks | {""}
    table = read_published_spacing(str(PUBLISHED / "malina2022_bpnet_spacing.tsv"))
    assert len(table) == 12 + 4 * 4
    whole = table[table["farthest"] - table["nearest"] == 1000].set_index(["exposure", "outcome"])
    beside = read_published(str(PUBLISHED / "malina2022_bpnet.tsv"))
    beside = beside.set_index(["exposure", "outcome"])["published_estimate"]
    pd.testing.assert_series_equal(whole["published_estimate"], beside, check_like=True)


def test_the_pairs_of_deepsea_are_36_factors_on_accessibility():
    entry = shipped("malina2022_deepsea")["deep_mr"]["recalibrated"]
    exposures = [first for first, _ in entry["pairs"]]
    assert {second for _, second in entry["pairs"]} == {"DNase"}
    assert len(exposures) == len(set(exposures)) == 36
    assert set(entry["task_tracks"]) == {*exposures, "DNase"}


def test_the_signal_files_of_bpnet_are_its_tracks():
    config = shipped("malina2022_bpnet")
    tracks = read_tracks(REPOSITORY / "config" / "malina2022_bpnet_tracks.tsv")
    names = [track.name for track in tracks]
    train = config["ensembles"]["bpnet"]["model"]["train"]
    predicted = [name for name in names if name not in train["control"]]
    assert config["ensembles"]["bpnet"]["outputs"]["totals"]["tracks"] == predicted
    for at, track in enumerate(tracks):
        other = names[track.reverse_complement_index]
        assert {names[at][-4:], other[-4:]} == {"plus", "inus"}
        assert names[at].split("_")[0] == other.split("_")[0]
    pairs = config["deep_mr"]["bpnet"]["task_tracks"].values()
    assert [name for pair in pairs for name in pair] == predicted


@pytest.mark.parametrize("name", ["bpnet", "deepsea"])
def test_no_base_is_in_two_data_splits(name):
    lines = (REPOSITORY / f"config/malina2022_{name}_splits.bed").read_text().splitlines()
    rows = [line.split("\t") for line in lines]
    regions = SplitRegions.from_rows((row[3], row[0], int(row[1]), int(row[2])) for row in rows)
    held = 0
    for contig in {row[0] for row in rows}:
        mine = sorted((int(r[1]), int(r[2])) for r in rows if r[0] == contig)
        assert mine[0][0] == 0
        assert all(end == start for (_, end), (start, _) in pairwise(mine))
        held += regions.split_of(contig, mine[-1][0], mine[-1][1]) == "test"
    assert held >= 2


def test_loci_of_one_pair_do_not_need_others():
    pairs = Pairs({0: (1,)})
    made = instruments(np.random.default_rng(1), loci=4)
    own = at_own_loci(replace(made, recalibrated=made.replicates), pairs, {"x": "locus[01]"})
    assert own.recalibrated is not None
    assert own.recalibrated.shape == own.replicates.shape
    assert own.exposures[:, 1:].sum() == 0


def test_a_table_has_no_tracks_to_average():
    schema = load_schema(REPOSITORY / "config" / "schemas" / "config.schema.json")
    config = yaml.safe_load((REPOSITORY / "config" / "summary_statistics.yaml").read_text())
    config["deep_mr"]["lipids"]["task_tracks"] = {"a": ["ldl"], "b": ["hdl"]}
    with pytest.raises(InputError, match="deep_mr/lipids/task_tracks: a table has no sequences"):
        checked_config(config, schema)


# figures


def many_exposures(entry):
    rows = [(f"tf{at}", at / 10, at % 3 == 0) for at in range(15)]
    table = pd.DataFrame(rows, columns=["exposure", "estimate", "applicable"])
    return table.assign(entry=entry, label=entry, outcome="DNase", low=0.0, high=2.0, q=0.01,
                        published_estimate=1.5)  # fmt: skip


def test_tall_columns_of_effects_stand_side_by_side():
    both = pd.concat([many_exposures("a"), many_exposures("b")])
    figure = effects_figure(both)
    maps = [axis for axis in figure.axes if axis.images]
    assert [axis.get_title(loc="left") for axis in maps] == ["a", "b"]
    assert [axis.get_subplotspec().colspan.start for axis in maps] == [0, 1]
    assert "(1.50)" in maps[0].texts[0].get_text()
    few = effects_figure(both.groupby("entry").head(3))
    assert {axis.get_subplotspec().colspan.start for axis in few.axes if axis.images} == {0}


def test_published_distances_are_drawn():
    rows = pd.DataFrame({"nearest": [0, 35], "farthest": [35, 70], "loci_in_bin": [9, 1],
                         "estimate": [0.5, np.nan], "low": [0.4, np.nan], "high": [0.6, np.nan],
                         "published_estimate": [0.432, 0.315]})  # fmt: skip
    table = rows.assign(entry="a", label="A", exposure="x", outcome="y")
    drawn = {tuple(line.get_ydata()) for line in spacing_figure(table).axes[0].lines}
    assert (0.432, 0.315) in drawn
    plain = spacing_figure(table.assign(published_estimate=np.nan))
    assert all("published" not in str(line.get_label()) for line in plain.axes[0].lines)
