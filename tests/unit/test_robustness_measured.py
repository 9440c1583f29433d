"""Assays in the robustness benchmark: what splits, conditions and priors must hold."""

import copy

import numpy as np
import pandas as pd
import pytest
from measured_assay import CONFIG, SCHEMA, TABLE, assay, data_of, tables_of, written_split

from seqtrust import bases
from seqtrust.config import checked_config
from seqtrust.errors import InputError
from seqtrust.robustness.benchmark_plan import model_plans, world_seeds
from seqtrust.robustness.groups import group_columns
from seqtrust.robustness.measured_conditions import conditions_table
from seqtrust.robustness.measured_data import assigned_parts, gc_edges, read_columns
from seqtrust.robustness.measured_priors import prior_of
from seqtrust.robustness.sequences import gc_content

PARTS = ("train", "validation", "calibration", "ID")
# enough sequences in half of the GC contents
EVEN = {"seeds": [1], "validation": 0.2, "calibration": 0.2, "test": 0.3}
ONE_SOURCE = "exactly one of worlds (simulated) and tables"


@pytest.fixture(scope="module")
def library():
    return assay()


@pytest.fixture(scope="module")
def data(library):
    return data_of(library, tables_of())


@pytest.fixture(scope="module")
def world(library, tmp_path_factory):
    return written_split(tmp_path_factory.mktemp("split") / "1.parquet", library, tables_of())


@pytest.mark.parametrize("split", [1, 2, 3])
def test_no_group_is_in_two_parts(library, split):
    found = data_of(library, tables_of(), split)
    groups = [set(found[name].groups.tolist()) for name in PARTS]
    for index, one in enumerate(groups):
        assert not any(one & other for other in groups[index + 1 :])
    tested = set().union(*(set(found[name].groups.tolist()) for name in found if name not in PARTS))
    assert not tested & (groups[0] | groups[1] | groups[2])


def test_splits_differ_and_are_the_same_again(library):
    first, again, second = (data_of(library, tables_of(), split)["ID"] for split in (1, 1, 2))
    assert np.array_equal(first.sequences, again.sequences)
    assert set(first.groups.tolist()) != set(second.groups.tolist())


def test_other_measurements_are_of_the_same_sequences(data, library):
    for name in ("mutant", "tenth"):
        assert np.array_equal(data[name].sequences, data["ID"].sequences)
        assert np.array_equal(data[name].groups, data["ID"].groups)
        assert not np.array_equal(data[name].observed, data["ID"].observed)
    # one sequence of the table has no measurement of the other track
    assert np.isnan(library.activities[:, 1]).sum() == 1
    assert all(np.isfinite(found.observed).all() for found in data.values())
    order = list(data)
    assert order[3] == "ID"
    assert set(order[4:6]) == {"mutant", "tenth"}


def test_types_and_steps_are_those_of_the_config(data):
    assert {name: (one.shift.name, one.shift.severity, one.shift.type, one.shift.label)
            for name, one in data.items() if name not in PARTS} == {
        "mutant": ("FACTOR", 1, "concept", "mutant"), "tenth": ("DEPTH", 1, "technical", "tenth"),
        "mutated": ("SITES", 1, "covariate", "mutated"),
        "GC_high": ("GC", 1, "covariate", "GC_high"),
    }  # fmt: skip
    assert {data[name].shift.type for name in PARTS} == {"none"}


def test_values_are_those_of_the_table(library):
    found = data_of(library, tables_of(track="other", shifts={}))["ID"]
    mine = pd.read_csv(TABLE, sep="\t")[np.isin(library.groups, found.groups)]
    mine = mine[mine["other"].notna()]
    assert [bases.decode(row) for row in found.sequences] == mine["sequence"].tolist()
    np.testing.assert_array_equal(found.observed, mine["other"])
    np.testing.assert_array_equal(found.sd, mine["spread"])
    np.testing.assert_array_equal(found.columns[:, 0], mine["strength"])


def test_standard_errors_of_observations_become_those_of_activities():
    tracks = {"plain": {"value": "activity", "sd": "spread", "where": {}},
              "many": {"value": "activity", "observation_sd": "spread",
                       "observations": "barcodes", "where": {}}}  # fmt: skip
    library = assay(tracks=tracks)
    rows = pd.read_csv(TABLE, sep="\t")
    np.testing.assert_allclose(library.sds[:, 0], rows["spread"])
    np.testing.assert_allclose(library.sds[:, 1], rows["spread"] / 2)
    assert (library.observations[:, 1] == 4).all()
    assert np.isnan(library.observations[:, 0]).all()


@pytest.mark.parametrize(("low", "high"), [((0, 0.25), (0.25, 0.75)), ((0.25, 0.75), (0.75, 1))])
def test_ranges_of_gc_content_share_an_edge_and_no_sequence(library, low, high):
    shifts = {"GC": {"step": {"gc": list(high)}}}
    found = data_of(library, tables_of(gc=list(low), shifts=shifts, splits=EVEN, least=10))
    first, second = found["ID"], found["step"]
    assert first.gc.max() < second.gc.min() or np.isclose(first.gc.max(), second.gc.min())
    assert not set(map(bytes, first.sequences)) & set(map(bytes, second.sequences))
    assert found["train"].gc.max() == pytest.approx(
        max(found[name].gc.max() for name in PARTS), abs=0.05
    )
    edge = gc_edges(gc_content(library.sequences), low)[1]
    assert first.gc.max() < edge <= second.gc.min()


def test_a_published_split_is_kept_and_groups_that_it_cuts_stay_on_one_side(library):
    groups = np.array(library.groups)
    splits = {"column": "fold", "values": {"test": [1], "validation": [2]}, "calibration": 0.2,
              "test": 0.3, "validation": 0.1}  # fmt: skip
    parts = assigned_parts(library, splits, seed=1)
    folds = library.table["fold"].to_numpy()
    assert (parts[folds == 1] == "test").all()
    assert (parts[folds == 2] == "validation").all()
    assert set(parts[folds > 2]) == {"train", "calibration"}
    assert (parts == "calibration").mean() == pytest.approx(0.2, abs=0.03)
    moved = library.table["fold"].to_numpy().copy()
    moved[1] = 1 if moved[0] != 1 else 3
    cut = copy.copy(library)
    object.__setattr__(cut, "table", library.table.assign(fold=moved))
    parts = assigned_parts(cut, splits, seed=1)
    mine = parts[groups == groups[0]]
    assert sorted(mine) == ["", "test"]


def test_a_split_comes_back_from_disk(world, data):
    assert not world.known
    assert list(world.shifts) == list(data)
    for name, expected in data.items():
        found = world.condition(name)
        assert found.shift == expected.shift
        for key in ("sequences", "observed", "sd", "groups", "columns", "depth"):
            np.testing.assert_array_equal(getattr(found, key), getattr(expected, key))
        assert not found.known
        np.testing.assert_allclose(found.gc, gc_content(found.sequences))
    assert set(world.groups("ID")) == {"gc_decile"} == set(group_columns(data["ID"]))
    with pytest.raises(InputError, match="holds an assay: no world is known of it"):
        _ = world.world


def test_priors_of_an_assay(world):
    training, test = world.condition("train"), world.condition("ID")
    for kind, names in (("gc", ("gc",)), ("columns", ("strength", "gc"))):
        prior = prior_of(world, training, 1, {"kind": kind})
        assert prior.names == names
        features = prior.features(training)
        np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-9)
        np.testing.assert_allclose(features.std(axis=0), 1)
        assert prior.features(test).shape == (len(test.observed), len(names))
    with pytest.raises(InputError, match="name a MEME file under motifs"):
        prior_of(world, training, 1, {"kind": "scans"})


def test_the_table_of_conditions_says_how_measurements_differ(world):
    table = conditions_table([world]).set_index("data_set")
    before, after = world.condition("ID"), world.condition("mutant")
    row = table.loc["mutant"]
    slope, start = np.polyfit(before.observed, after.observed, 1)
    assert row["gain"] == pytest.approx(slope)
    rest = after.observed - start - slope * before.observed
    assert row["unexplained"] == pytest.approx(rest.var() / after.observed.var())
    assert row["offset"] == pytest.approx(after.observed.mean() - before.observed.mean())
    assert table.loc["ID", "correlation"] == pytest.approx(1)
    assert np.isnan(table.loc["GC_high", "correlation"])
    assert table.loc["tenth", "correlation"] > table.loc["mutant", "correlation"]
    assert table.loc["tenth", "noise"] > table.loc["ID", "noise"]


def test_plans_of_an_assay_have_no_reference():
    entry = checked_config(CONFIG, SCHEMA)["robustness"]["assay"]
    assert set(model_plans(entry)) == {"ridge", "ridge_columns", "measured"}
    assert world_seeds(entry) == [1, 2]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"where": {"kind": ["wold"]}}, r"no sequence of the library has \{'kind': \['wold'\]\}"),
        ({"where": {"kin": ["wild"]}}, r"has no column 'kin'; did you mean 'kind'"),
        ({"least": 200}, r"data set 'train' has \d+ sequences, fewer than 200: give its part"),
        ({"splits": {"seeds": [1], "column": "fold", "values": {"test": [9]}}},
         r"no sequence has fold in \[9\] \(test\); its values are: 1, 2, 3, 4, 5"),
    ],
)  # fmt: skip
def test_data_that_cannot_be_made_are_refused(library, changed, message):
    with pytest.raises(InputError, match=message):
        data_of(library, tables_of(**changed))


def test_features_must_be_numbers_of_every_sequence(tmp_path):
    path = tmp_path / "f.tsv"
    settings = {"id": "id", "columns": ["x", "y"]}
    pd.DataFrame({"id": ["a", "b"], "x": [1, 2], "y": [1, "?"]}).to_csv(path, sep="\t", index=False)
    with pytest.raises(InputError, match="sequence 'b' has no number in column 'y'"):
        read_columns(settings, path, ["a", "b"])
    with pytest.raises(InputError, match="sequence 'c' has no number in column 'x'"):
        read_columns(settings, path, ["c"])
    np.testing.assert_array_equal(read_columns(settings | {"columns": ["x"]}, path, ["b", "a"]),
                                  [[2], [1]])  # fmt: skip


def faults_of(change):
    config = copy.deepcopy(CONFIG)
    change(config["robustness"]["assay"], config["libraries"]["assay"])
    with pytest.raises(InputError) as refusal:
        checked_config(config, SCHEMA)
    return str(refusal.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e, _: e.update(worlds={"seeds": [1]}), ONE_SOURCE),
        (lambda e, _: e.pop("tables"), ONE_SOURCE),
        (lambda e, _: e["tables"].update(library="assy"), "no library 'assy'; did you mean"),
        (lambda e, _: e["tables"].update(track="count"), "no track 'count'; did you mean"),
        (lambda e, _: e.update(shifts={"GC": [1]}), "those of an assay stand under tables/shifts"),
        (lambda e, _: e["tables"]["splits"].update(test=0.7), "leave nothing for training"),
        (lambda e, _: e["tables"].update(gc=[0.5, 0.5]), "the second quantile must be larger"),
        (lambda e, _: e["tables"]["shifts"]["FACTOR"]["mutant"].pop("type"),
         "track and type (concept or technical) belong together"),
        (lambda e, _: e["tables"]["shifts"]["GC"].update(tenth={"gc": [0, 1]}),
         "this name is taken by another data set"),
        (lambda e, _: e["tables"]["shifts"]["DEPTH"]["tenth"].update(track="other", type="concept"),
         "track 'other' is not made of counts of barcodes"),
        (lambda e, _: e["models"]["ridge"].update(prior={"kind": "scans"}), "name a MEME file"),
        (lambda e, _: e["models"]["ridge"].update(prior={"kind": "upper_bound"}),
         "nobody knows the features of an assay"),
        (lambda e, _: e["tables"].pop("features"), "name a table of numbers under"),
        (lambda e, _: e["models"]["measured"].update(groups="cell"), "has gc_decile alone"),
        (lambda _, one: one["tracks"]["other"].pop("sd"),
         "models/measured/known_noise: track 'other' has no column sd"),
        (lambda _, one: one["tracks"]["other"].update(observation_sd="spread"),
         "it needs observations beside it, and no sd"),
        (lambda _, one: one["tracks"]["counted"].update(value="x"), "one of value and barcodes"),
        (lambda _, one: one.pop("activities"), "there is no table of activities"),
        (lambda _, one: one["sequences"].pop("id"), "name a column id, unless"),
    ],
)  # fmt: skip
def test_faults_of_the_config_are_named(change, message):
    assert message in faults_of(change)
