"""The config section `robustness`: faults as messages, and the plans that rules read."""

import copy

import pytest
import yaml

from seqtrust.config import checked_config, load_schema
from seqtrust.errors import InputError
from seqtrust.robustness.benchmark_plan import (
    TRAINING,
    job_limit,
    mask_count,
    model_plans,
    network_plan,
    shown_models,
    teachers,
    watched_models,
)

SCHEMA = load_schema("config/schemas/config.schema.json")
MODELS = {
    "cnn": {"architecture": "pooled_cnn", "parameters": {"channels": 8}, "replicates": 3},
    "ensemble": {"members_of": "cnn"},
    "dropout": {"masks_of": "cnn"},
    "student": {"students_of": "ensemble", "train": {"epochs": 5, "hours": 1}},
    "ridge": {"kmers": "ridge", "compare": "ensemble"},
}


def config(**changed):
    entry = {"label": "x", "worlds": {"seeds": [1, 2]}, "models": copy.deepcopy(MODELS)} | changed
    return {"run": "x", "title": "x", "toy": True, "seed": 1, "robustness": {"bench": entry}}


def entry_of(**changed):
    return checked_config(config(**changed), SCHEMA)["robustness"]["bench"]


def test_plans_say_what_every_model_is_made_of():
    entry = entry_of(train={"batch_size": 64})
    plans = model_plans(entry)
    assert [(plan.kind, plan.base, plan.replicates) for plan in plans.values()] == [
        ("network", "", 3), ("ensemble", "cnn", 1), ("masks", "cnn", 3),
        ("student", "ensemble", 1), ("kmers", "", 1), ("oracle", "", 1), ("ideal", "", 1),
    ]  # fmt: skip
    assert (plans["cnn"].compare, plans["dropout"].compare) == ("", "cnn")
    assert plans["ridge"].compare == "ensemble"
    assert teachers(entry) == {"ensemble", "cnn"}
    assert (mask_count(entry, "dropout"), mask_count(entry, "cnn")) == (20, 0)
    network, student = network_plan(entry, "cnn"), network_plan(entry, "student")
    assert network.training == {**TRAINING, "batch_size": 64}
    assert student.training == {**TRAINING, "batch_size": 64, "epochs": 5, "loss": "distillation"}
    assert student.architecture == "pooled_cnn"
    assert student.parameters == {"channels": 8, "head": "spread"}
    assert (job_limit(entry, "student", "hours"), job_limit(entry, "cnn", "hours")) == (1, 2)


def test_counts_have_no_ideal_model():
    worlds = {"seeds": [1], "assay": {"counts": {"replicates": 2}}}
    assert "ideal" not in model_plans(entry_of(worlds=worlds))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("models/cnn/architectur", "x", "unknown key 'architectur'; did you mean 'architecture'"),
        ("models/cnn/kmers", "ridge", "expected exactly one of architecture"),
        ("models/ensemble/members_of", "cn", "there is no model 'cn'; did you mean 'cnn'"),
        ("models/ensemble/members_of", "ridge", "'ridge' must be a model with architecture"),
        ("models/cnn/replicates", 1, "'cnn' has one replicate, and one has no spread"),
        ("models/student/students_of", "cnn", "'cnn' must be a model with members_of"),
        ("models/student/prior", {"kind": "gc"}, "a model with students_of has none"),
        ("models/ridge/compare", "x", "models/ridge/compare: there is no model 'x'"),
        ("models/oracle", {"kmers": "ridge"}, "belongs to a reference that is always there"),
        ("models/cnn/parameters/head", "point", "a point states no uncertainty"),
        ("models/cnn/parameters/prior", {}, "fitted on training data: give prior"),
        ("models/cnn/prior", {"kind": "motifs"}, "'motifs' is not one of"),
        ("models/cnn/train", {"epoch": 3}, "unknown key 'epoch'; did you mean 'epochs'"),
        ("shifts", {"GC": [5]}, "steps"),
        ("shifts", {"NOISE": "all"}, "expected `all`, or steps by the name of the ladder"),
        ("data", {"cells": [0, 3]}, "there is no cell 3: a world has cell types 0 to 2"),
        ("worlds/seeds", [1, 1], "non-unique"),
        ("calibrators", ["none"], "'variance_scaling' is not among calibrators"),
        ("tests", {"T9": {}}, "unknown key 'T9'"),
    ],
)
def test_faults_are_named(path, value, message):
    wrong = config()
    place = wrong["robustness"]["bench"]
    *folders, last = path.split("/")
    for folder in folders:
        place = place[folder]
    place[last] = value
    with pytest.raises(InputError, match=message):
        checked_config(wrong, SCHEMA)


def test_one_name_is_of_one_kind_in_all_benchmarks():
    both = config()
    other = copy.deepcopy(both["robustness"]["bench"])
    other["models"] = {"ridge": {"architecture": "pooled_cnn"}}
    both["robustness"]["other"] = other
    with pytest.raises(
        InputError, match="robustness/bench has a model of this name and of another"
    ):
        checked_config(both, SCHEMA)


def test_the_tiny_config_has_no_faults():
    with open("tests/config/tiny_robustness.yaml") as file:
        assert checked_config(yaml.safe_load(file), SCHEMA)["robustness"]


def test_the_first_model_is_watched_and_six_are_shown_unless_said_otherwise():
    entry = entry_of()
    assert watched_models(entry, "detection") == watched_models(entry, "repair") == ["cnn"]
    assert shown_models(entry) == list(MODELS)
    chosen = entry_of(detection={"models": ["ridge"]}, show=["ridge", "cnn"])
    assert watched_models(chosen, "detection") == ["ridge"]
    assert shown_models(chosen) == ["ridge", "cnn"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"show": ["cn"]}, r"robustness/bench/show: there is no model 'cn'; did you mean 'cnn'"),
        ({"repair": {"models": ["x"]}}, "robustness/bench/repair/models: there is no model 'x'"),
        ({"detection": {"models": ["x"]}}, "robustness/bench/detection/models: there is no model"),
    ],
)
def test_unknown_models_of_figures_and_tests_are_named(changed, message):
    with pytest.raises(InputError, match=message):
        entry_of(**changed)


def test_masks_may_be_drawn_of_fewer_replicates():
    models = copy.deepcopy(MODELS)
    models["dropout"] |= {"replicates": 1}
    assert model_plans(entry_of(models=models))["dropout"].replicates == 1
    models["dropout"] |= {"replicates": 9}
    assert model_plans(entry_of(models=models))["dropout"].replicates == 3
