"""Predictions from tables: the shards that inference writes, and faults by file and line."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqtrust import bases
from seqtrust.edits import Edit
from seqtrust.errors import InputError
from seqtrust.genome import SplitRegions, Window
from seqtrust.models.card import read_card
from seqtrust.models.facts import Facts, Track
from seqtrust.prediction_tables import tabled_predictions, write_table_card
from seqtrust.predictions import read_predictions, write_predictions
from seqtrust.sequence_fasta import write_sequences
from seqtrust.sequence_set import (
    Sequence,
    SequenceSet,
    StoredWindow,
    read_ids,
    read_sequence_set,
    read_shard,
    store_window,
    write_sequence_set,
)
from seqtrust.verdicts import regions_of

FACTS = Facts(
    input_length=None,
    bin_width=8,
    crop=8,
    tracks=(Track("open", "DNase"), Track("same"), Track("same")),
    receptive_field=20,
    build="toy1",
    output_scale="counts",
)
LENGTH = 48
OUTPUTS = {
    "profile": {"tracks": [2, "open"], "bins": [1, 3], "reduction": "none"},
    "activity": {"tracks": ["open"], "bins": "all", "reduction": "sum"},
    "middle": {"tracks": ["open"], "bins": "centre"},
}
INFERENCE = {"reverse_complement": False, "shifts": [0], "batch_bases": 1}
IDS = ["w.ref", "w.alt", "v.ref"]
SHAPES = {"profile": (2, 2), "activity": (1, 1), "middle": (1, 1)}


def sequences(ids=IDS, length=LENGTH):
    """Sequences of one window; their bases do not matter."""
    codes = np.zeros(length, dtype=np.uint8)
    window = StoredWindow("w", "toy", "chr1", 0, 0, length, "+", 0, codes)
    return SequenceSet([window], [Sequence(one, 0) for one in ids], {"length": str(length)})


def rows(values, set_name="eqtl", ids=IDS):
    """The rows of a table with these values, shuffled."""
    profile = [
        (set_name, ids[i], "profile", track, bin_, values["profile"][i, t, b])
        for i in range(len(ids))
        for t, track in enumerate(["2", "open"])
        for b, bin_ in enumerate([1, 2])
    ]
    single = [
        (set_name, ids[i], name, None, None, values[name][i, 0, 0])
        for i in range(len(ids))
        for name in ("activity", "middle")
    ]
    columns = ["set", "sequence_id", "output", "track", "bin", "value"]
    return pd.DataFrame(profile + single, columns=columns).sample(frac=1, random_state=1)


def random_values(seed=0):
    random = np.random.default_rng(seed)
    return {
        name: random.normal(size=(len(IDS), *shape)).astype(np.float32)
        for name, shape in SHAPES.items()
    }


def written(path, table):
    if path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, sep="\t", index=False)
    return path


def taken(path, **changes):
    given = {
        "sequences": sequences(),
        "known_ids": IDS,
        "set_name": "eqtl",
        "outputs": OUTPUTS,
        "facts": FACTS,
        "noise_floor": 0.0,
        "inference": INFERENCE,
    }
    return tabled_predictions(path, **(given | changes))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), suffix=st.sampled_from([".tsv", ".tsv.gz", ".parquet"]))
def test_what_is_in_a_table_comes_back_exactly(tmp_path_factory, seed, suffix):
    values = random_values(seed)
    path = tmp_path_factory.mktemp("tables") / f"r1{suffix}"
    predictions = taken(written(path, rows(values)))
    assert predictions.sequence_ids == IDS
    for name, expected in values.items():
        assert np.array_equal(predictions.values[name], expected), name


def test_shards_are_read_as_those_of_inference(tmp_path):
    values = random_values()
    predictions = taken(written(tmp_path / "r1.tsv", rows(values)), noise_floor=0.25)
    write_predictions(tmp_path / "shard.parquet", predictions)
    read = read_predictions([tmp_path / "shard.parquet"])
    assert np.array_equal(read.values["profile"], values["profile"])
    assert read.output("profile").track_names == ("same [2]", "open")
    assert read.output("middle").bins == (2,)
    assert read.noise_floor == {"profile": 0.25, "activity": 0.25, "middle": 0.25}
    assert Facts.from_dict(json.loads(read.metadata["facts"])) == FACTS
    # bins 1 and 2 begin at 16 and 24 bp and see 6 bp beyond themselves
    assert json.loads(read.metadata["reach"])["profile"] == [10, 38]
    assert json.loads(read.metadata["shifts"]) == [0]


def test_a_shard_takes_its_rows_and_a_set_its_own(tmp_path):
    mine, other = random_values(1), random_values(2)
    both = pd.concat([rows(mine), rows(other, "tiles"), rows(other, "more", ["x", "y", "z"])])
    path = written(tmp_path / "r1.parquet", both)
    part = taken(path, sequences=sequences(IDS[1:2]))
    assert np.array_equal(part.values["profile"], mine["profile"][1:2])
    assert np.array_equal(taken(path, set_name="tiles").values["profile"], other["profile"])
    nothing = taken(path, sequences=SequenceSet([], [], {"length": str(LENGTH)}))
    assert nothing.values["profile"].shape == (0, 2, 2)


def test_columns_that_say_nothing_new_may_be_left_out(tmp_path):
    values = random_values()
    table = rows(values)
    only = table[table["output"] == "activity"][["sequence_id", "output", "value"]]
    predictions = taken(
        written(tmp_path / "r1.tsv", only), outputs={"activity": OUTPUTS["activity"]}
    )
    assert np.array_equal(predictions.values["activity"], values["activity"])


def edited(change):
    """The table of `rows` after a change, in a fixed order."""
    table = rows(random_values()).sort_values(["output", "sequence_id", "track", "bin"])
    return change(table.reset_index(drop=True).copy())


def setting(row, **values):
    def change(table):
        for name, value in values.items():
            table[name] = table[name].astype(object)
            table.loc[row, name] = value
        return table

    return edited(change)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (setting(2, value="NaN"), r"r1\.tsv, line 4: the value of sequence '.*' is not a finite"),
        (setting(0, value="inf"), r"line 2: the value .* is not a finite number \(1 such rows\)"),
        (setting(1, value="high"), "line 3: the value .* is not a finite number"),
        (setting(3, sequence_id="w.rex"), r"line 5: set 'eqtl' has no sequence 'w\.rex' .*mean 'w"),
        (setting(0, output="activty"), "line 2: output 'activty' is not known; did you mean 'act"),
        (setting(8, track="opn"), "line 10: track 'opn' is not known; did you mean 'open'"),
        (setting(8, track="1"), "line 10: track '1' is not known"),
        (setting(8, track=None), "line 10: output 'profile' has several .* in a column `track`"),
        (setting(8, bin=None), "line 10: output 'profile' has several values .* column `bin`"),
        (setting(8, bin=7), r"line 10: output 'profile' has no bin 7.*keeps bins 1 to 2"),
        (setting(0, bin=0), "line 2: output 'activity' is the sum over its bins"),
        (edited(lambda t: t.drop(index=4)), "output 'middle' has no value for 1 of 3 .* 1 seq"),
        (
            edited(lambda t: pd.concat([t, t.iloc[[9]]])),
            "line 20: output .* second value",
        ),
        (
            edited(lambda t: t.assign(set="tiles")),
            r"no row of set 'eqtl': .*eqtl\.fa\.gz",
        ),
        (edited(lambda t: t.drop(columns="value")), r"r1\.tsv: there is no column 'value'"),
        (
            edited(lambda t: t.rename(columns={"bin": "bins"})),
            "column 'bins'; did you mean",
        ),
    ],
)
def test_faults_are_named_with_their_line(tmp_path, table, message):
    with pytest.raises(InputError, match=message):
        taken(written(tmp_path / "r1.tsv", table))


def test_unknown_ids_of_a_table_without_sets_point_to_the_column(tmp_path):
    table = setting(3, sequence_id="z").drop(columns="set")
    with pytest.raises(InputError, match=r"\(1 unknown ids\).*several sets, add a column `set`"):
        taken(written(tmp_path / "r1.tsv", table))


def test_faults_of_the_file_and_the_settings_are_named(tmp_path):
    path = written(tmp_path / "r1.tsv", rows(random_values()))
    for inference in ({"reverse_complement": True}, {"shifts": [0, 1]}):
        with pytest.raises(InputError, match=r"r1\.tsv: .* leave `inference` of the ensemble out"):
            taken(path, inference=INFERENCE | inference)
    (tmp_path / "r1.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"r1\.parquet cannot be read as a Parquet table"):
        taken(tmp_path / "r1.parquet")
    with pytest.raises(InputError, match=r"absent\.tsv cannot be read"):
        taken(tmp_path / "absent.tsv")
    two = SequenceSet([*sequences().windows, *sequences(length=56).windows], [], {})
    with pytest.raises(InputError, match="one length; found"):
        taken(path, sequences=two)


def test_a_card_without_weights_holds_facts_and_splits(tmp_path):
    table = written(tmp_path / "r1.tsv", rows(random_values()))
    regions = SplitRegions.from_rows([("train", "chr1", 0, 90), ("test", "chr2", 5, 7)])
    for target in ("a", "b"):
        write_table_card(tmp_path / target, table, FACTS, regions)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    card = read_card(tmp_path / "a")
    assert (card.architecture, Facts.from_dict(card.facts)) == ("table", FACTS)
    assert regions_of(card) == regions
    assert len(card.record["source_sha256"]) == 64
    write_table_card(tmp_path / "a", table, FACTS, None)
    assert regions_of(read_card(tmp_path / "a")) == SplitRegions({})
    with pytest.raises(InputError, match=r"no table of predictions at .*absent\.tsv"):
        write_table_card(tmp_path / "a", tmp_path / "absent.tsv", FACTS, None)


def test_a_fasta_holds_every_sequence_as_the_model_sees_it(tmp_path, tiny_genome):
    """Against the codes that inference reads: edits, strands and all shards."""
    content = []
    for index, strand in enumerate("+-+"):
        window = Window("toy", "chr1", 300 + 100 * index, 60, 120, strand)
        stored = store_window(tiny_genome, window, f"w{index}", (10, 10))
        edit = Edit(window.anchor + 5, window.anchor + 6, "GATTACA")
        content.append((stored, [(f"w{index}.ref", ()), (f"w{index}.alt", (edit,))]))
    write_sequence_set(tmp_path / "set.parquet", content, {"length": "120"})
    assert write_sequences(tmp_path / "set.fa.gz", tmp_path / "set.parquet") == 6
    with gzip.open(tmp_path / "set.fa.gz", "rt") as file:
        records = [record.split("\n") for record in file.read().split(">")[1:]]
    whole = read_sequence_set(tmp_path / "set.parquet")
    assert [record[0] for record in records] == whole.ids() == read_ids(tmp_path / "set.parquet")
    assert ["".join(lines) for _, *lines in records] == [bases.decode(row) for row in whole.codes()]
    assert max(len(line) for record in records for line in record[1:]) == 80
    shards = [read_shard(tmp_path / "set.parquet", f"{i}-of-2").ids() for i in (1, 2)]
    assert [*shards[0], *shards[1]] == whole.ids()


def test_a_fasta_refuses_ids_with_white_space(tmp_path, tiny_genome):
    stored = store_window(tiny_genome, Window("toy", "chr1", 300, 60, 120, "+"), "a gene")
    write_sequence_set(tmp_path / "set.parquet", [(stored, [("a gene", ())])], {})
    with pytest.raises(InputError, match=r"set\.parquet: sequence id 'a gene' has white space"):
        write_sequences(tmp_path / "set.fa.gz", tmp_path / "set.parquet")
    assert not (tmp_path / "set.fa.gz").exists()
