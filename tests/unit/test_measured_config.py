"""What a config may say of measured windows and of training on a folder of Basenji."""

import copy
from pathlib import Path

import pytest
import yaml

from seqtrust.config import checked_config, load_schema
from seqtrust.errors import InputError

FOLDER = Path(__file__).parents[2] / "config"
SCHEMA = load_schema(FOLDER / "schemas" / "config.schema.json")
TOY = yaml.safe_load((FOLDER / "config.yaml").read_text())
SIGNALS = {"bigwigs": {"table": "t.tsv", "set": "tiles", "bin_width": 64}}
PREDICTED = {"ensemble": "cnn", "set": "tiles", "output": "profile"}
SPLIT = {"basenji": {"path": "data", "split": "test"}}


def config_with(measured, train=None, **accuracy):
    config = copy.deepcopy(TOY)
    config["measured"] |= measured
    config["accuracy"]["tracks"] |= accuracy
    if train is not None:
        config["ensembles"]["cnn"]["model"]["train"] = train
    return config


def refusal(config):
    with pytest.raises(InputError) as error:
        checked_config(config, SCHEMA)
    return str(error.value)


def streamed(**more):
    return {"replicates": 2, "architecture": "cnn", "basenji": {"path": "data"}} | more


def test_measured_windows_are_named_where_a_table_is():
    config = config_with({"t": SIGNALS, "s": SPLIT}, targets={"measured": "t"})
    config["ensembles"]["cnn"]["model"]["train"]["targets"] = {"measured": "t"}
    config["sequence_sets"]["tiles"]["source"] = {"reference": {"bed": {"measured": "s"}}}
    filled = checked_config(config, SCHEMA)
    assert filled["measured"]["t"]["bigwigs"]["missing"] == "zero"
    assert filled["measured"]["t"]["bigwigs"]["crop"] == 0


def test_a_stream_takes_the_place_of_set_targets_and_splits():
    filled = checked_config(config_with({}, streamed()), SCHEMA)
    assert filled["ensembles"]["cnn"]["model"]["train"]["basenji"] == {
        "path": "data",
        "buffer": 256,
    }


@pytest.mark.parametrize(
    ("measured", "accuracy", "message"),
    [
        ({}, {"targets": {"measured": "t"}}, "there is no 't' under measured"),
        ({"t": {}}, {}, "expected exactly one of bigwigs, basenji, predictions; found none"),
        ({"t": SIGNALS | SPLIT}, {}, "measured/t: expected exactly one of bigwigs, basenji, pred"),
        ({"t": {"bigwigs": {"set": "tiles", "bin_width": 1}}}, {}, "'table' is a required"),
        (
            {"t": {"bigwigs": SIGNALS["bigwigs"] | {"set": "eqtl"}}},
            {},
            "measured/t/bigwigs/set: 'eqtl' is a set of kind variants: name one of kind reference",
        ),
        (
            {"t": {"bigwigs": SIGNALS["bigwigs"] | {"set": "none"}}},
            {},
            "measured/t/bigwigs/set: there is no 'none' under sequence_sets",
        ),
        ({"t": {"bigwigs": SIGNALS["bigwigs"] | {"missing": "one"}}}, {}, "'one' is not one of"),
        (
            {"t": {"predictions": PREDICTED | {"set": "eqtl"}}},
            {},
            "measured/t/predictions/set: 'eqtl' is a set of kind variants: name one of kind",
        ),
        (
            {"t": {"predictions": PREDICTED | {"output": "profil"}}},
            {},
            "measured/t/predictions/output: ensemble 'cnn' has no output 'profil'; did you mean",
        ),
    ],
)
def test_refused_measured_windows(measured, accuracy, message):
    assert message in refusal(config_with(measured, **accuracy))


def test_windows_of_signal_files_are_no_bed():
    config = config_with({"t": SIGNALS})
    config["sequence_sets"]["tiles"]["source"] = {"reference": {"bed": {"measured": "t"}}}
    assert "'t' is made of bigwigs, whose windows are those of its own set" in refusal(config)
    config["sequence_sets"]["tiles"]["source"] = {"reference": {"bed": {}}}
    assert "bed: expected exactly one of path, measured; found none" in refusal(config)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (streamed(set="tiles"), "train/set: leave it out, basenji has its own windows"),
        (streamed(bootstrap=True), "train/bootstrap: windows and tracks of a folder of Basenji"),
        (streamed(training_fraction=0.5), "train/training_fraction: windows and tracks"),
        (streamed(control=["a"]), "train/control: windows and tracks of a folder of Basenji"),
        (
            {"replicates": 2, "architecture": "cnn", "set": "tiles", "targets": "t.tsv"},
            "train: 'splits' is missing: give set, targets and splits, or basenji",
        ),
    ],
)
def test_refused_training(train, message):
    assert message in refusal(config_with({}, train))
