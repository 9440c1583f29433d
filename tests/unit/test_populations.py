"""Populations: what they become in a config, and how faults of theirs are named."""

import copy
from itertools import product
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from seqtrust.attribution.populations import (
    JUDGING,
    SELECTION,
    cells_of_population,
    maps_of,
    merged,
)
from seqtrust.config import checked_config, load_schema
from seqtrust.errors import InputError

ROOT = Path(__file__).parents[2]
SCHEMA = load_schema(ROOT / "config/schemas/config.schema.json")
TINY = yaml.safe_load((ROOT / "tests/config/tiny_population.yaml").read_text())
FILLED = checked_config(TINY, SCHEMA)
POPULATION = FILLED["populations"]["toy"]


def changed(**changes):
    """The config with values at paths below its population replaced; None takes them out."""
    config = copy.deepcopy(TINY)
    for path, value in changes.items():
        *parents, last = path.split("/")
        place = config["populations"]["toy"]
        for parent in parents:
            place = place[parent]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return config


def faults(config):
    with pytest.raises(InputError) as refusal:
        checked_config(config, SCHEMA)
    return [line.removeprefix("  - ") for line in str(refusal.value).splitlines()[1:]]


def test_every_combination_of_levels_is_an_ensemble():
    models = [cell for cell in cells_of_population("toy", POPULATION) if cell.kind == "model"]
    assert [cell.ensemble for cell in models] == [
        f"toy_{architecture}_{activation}"
        for architecture, activation in product(("local", "dist"), ("relu", "exponential"))
    ]
    for cell in models:
        entry = FILLED["ensembles"][cell.ensemble]
        train = entry["model"]["train"]
        assert train["architecture"] == f"cnn_{cell.levels['architecture']}"
        assert train["parameters"] == {
            "input_length": 120,
            "dense": 16,
            "activation": cell.levels["activation"],
        }
        assert (train["replicates"], train["epochs"], train["shuffled_targets"]) == (1, 2, False)
        assert entry["inference"]["together"] is True
        assert entry["outputs"] == {"attributed": POPULATION["output"]}


def test_controls_are_made_of_one_combination():
    ensembles = FILLED["ensembles"]
    dist = ensembles["toy_dist_relu"]
    assert ensembles["toy_randomised"]["model"] == {"randomised": {"ensemble": "toy_dist_relu"}}
    shuffled = dist["model"]["train"] | {"shuffled_targets": True}
    assert ensembles["toy_shuffled"]["model"] == {"train": shuffled}
    other = {"grammar": "artefact"}
    artefact = dist["model"]["train"] | {"set": "artefact_all", "targets": other, "splits": other}
    assert ensembles["toy_artefact"]["model"] == {"train": artefact}
    assert ensembles["toy_artefact"]["assembly"] == "artefact"
    assert len(ensembles) == 4 + 3


def test_every_ensemble_is_attributed_on_sequences_of_selection_and_of_judging():
    for cell in cells_of_population("toy", POPULATION):
        own = "artefact_" if cell.control == "artefact" else ""
        for part, name in ((SELECTION, "positives_even"), (JUDGING, "positives_odd")):
            entry = FILLED["attributions"][f"{cell.ensemble}_{part}"]
            assert (entry["ensemble"], entry["set"]) == (cell.ensemble, own + name)
            assert (entry["methods"], entry["population"]) == ({"saliency": {}}, "toy")
            assert entry["consistency"] == POPULATION["consistency"]
            assert maps_of(cell, part, POPULATION)["maps"] == own + name
    assert len(FILLED["attributions"]) == 2 * 7


def test_without_a_truth_nothing_is_judged():
    config = changed(judging=None, controls=None)
    filled = checked_config(config, SCHEMA)
    assert set(filled["attributions"]) == {f"{name}_selection" for name in filled["ensembles"]}
    entry = filled["populations"]["toy"]
    assert maps_of(cells_of_population("toy", entry)[0], JUDGING, entry) is None


def test_a_config_may_be_expanded_again():
    assert checked_config(FILLED, SCHEMA) == FILLED


def test_other_parts_of_a_config_stay():
    config = TINY | {"ensembles": {"own": copy.deepcopy(FILLED["ensembles"]["toy_local_relu"])}}
    del config["ensembles"]["own"]["population"]
    filled = checked_config(config, SCHEMA)
    assert filled["ensembles"]["own"] == config["ensembles"]["own"]
    assert filled["ensembles"].keys() == FILLED["ensembles"].keys() | {"own"}


plain = st.dictionaries(st.sampled_from("abc"), st.integers(0, 3), max_size=3)
nested = st.dictionaries(st.sampled_from("abcde"), st.integers(0, 3) | plain, max_size=4)


@given(nested, nested)
def test_merging_takes_the_later_value_of_every_path(first, second):
    def leaves(value, path=()):
        if isinstance(value, dict) and value:
            return {k: v for key in value for k, v in leaves(value[key], (*path, key)).items()}
        return {path: value} if path else {}

    before = copy.deepcopy((first, second))
    found = merged(first, second)
    assert (first, second) == before
    for path, value in leaves(second).items():
        place = found
        for key in path:
            place = place[key]
        assert place == value or (value == {} and isinstance(place, dict))
    assert found.keys() == first.keys() | second.keys()
    for key in first.keys() - second.keys():
        assert found[key] == first[key]


def test_the_later_factor_wins_and_mappings_are_joined():
    config = changed()
    factors = config["populations"]["toy"]["factors"]
    factors["activation"]["relu"] |= {"epochs": 5, "regularisation": {"l2": 0.1}}
    factors["scheme"] = {
        "standard": {},
        "noise": {"epochs": 7, "regularisation": {"gaussian_noise": 0.1}},
    }
    config["populations"]["toy"]["controls"]["cell"]["scheme"] = "noise"
    ensembles = checked_config(config, SCHEMA)["ensembles"]
    trains = {name: entry["model"].get("train") for name, entry in ensembles.items()}
    assert trains["toy_local_relu_standard"]["epochs"] == 5
    assert trains["toy_local_relu_noise"]["epochs"] == 7
    noise = trains["toy_local_relu_noise"]["regularisation"]
    assert noise == {"l2": 0.1, "gaussian_noise": 0.1}
    assert trains["toy_shuffled"]["regularisation"] == noise
    assert trains["toy_local_exponential_standard"]["regularisation"] == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"class": "activaton"},
            "populations/toy/class: there is no factor 'activaton'; did you mean 'activation'?",
        ),
        (
            {"controls/cell": {"architecture": "dist", "activation": "rely"}},
            "populations/toy/controls/cell/activation: there is no level 'rely'; did you mean "
            "'relu'?",
        ),
        (
            {"output": {"tracks": ["a", "b"]}},
            "populations/toy/output/tracks: models are scored by the maps of one track, but 2 are "
            "named: choose one, or make a population of each",
        ),
        (
            {"controls/cell": {"architecture": "dist"}},
            "populations/toy/controls/cell: the level of factor 'activation' is missing",
        ),
        (
            {"controls/cell": {"architecture": "dist", "activation": "relu", "scheme": "a"}},
            "populations/toy/controls/cell: there is no factor 'scheme'; known: activation, "
            "architecture",
        ),
        (
            {"without": [{"activation": "relu"}]},
            "populations/toy/controls/cell: this combination is left out by "
            "populations/toy/without",
        ),
        (
            {"without": [{"activation": "rely"}]},
            "populations/toy/without/0/activation: there is no level 'rely'; did you mean 'relu'?",
        ),
        (
            {"without": [{"activatio": "relu"}]},
            "populations/toy/without/0: there is no factor 'activatio'; did you mean 'activation'?",
        ),
        (
            {"judging": None},
            "populations/toy/controls/artefact: it needs judging, which the population does not "
            "have",
        ),
        (
            {"factors/activation": {}},
            "populations/toy/factors/activation: {} should be non-empty",
        ),
        (
            {"selection/maps": "positives_evn"},
            "populations/toy, ensemble toy_local_relu and 5 more: selection: set: there is no "
            "'positives_evn' under sequence_sets; did you mean 'positives_even'?",
        ),
        (
            {"train/epoch": 3},
            "populations/toy, ensemble toy_local_relu and 5 more: model/train: unknown key "
            "'epoch'; did you mean 'epochs'?",
        ),
        (
            {"factors/activation/relu": {"regularisation": {"noise": 0.1}}},
            "populations/toy, ensemble toy_local_relu and 3 more: model/train/regularisation: "
            "unknown key 'noise'; did you mean 'manifold_noise'?",
        ),
        (
            {"train/targets": {"grammar": "plan"}},
            "populations/toy/train/targets/grammar: there is no 'plan' under grammars; did you "
            "mean 'plain'?",
        ),
        (
            {"train/replicates": None},
            "populations/toy, ensemble toy_local_relu and 5 more: model/train: 'replicates' is a "
            "required property",
        ),
    ],
)
def test_a_fault_is_named_once_with_its_population(changes, message):
    assert message in faults(changed(**changes))


def test_combinations_are_left_out():
    left_out = [{"architecture": "local", "activation": "exponential"}]
    one = checked_config(changed(without=left_out), SCHEMA)["ensembles"]
    assert FILLED["ensembles"].keys() - one.keys() == {"toy_local_exponential"}
    level = checked_config(changed(without=[{"activation": "exponential"}]), SCHEMA)["ensembles"]
    assert FILLED["ensembles"].keys() - level.keys() == {
        "toy_local_exponential",
        "toy_dist_exponential",
    }


def test_names_that_exist_already_are_refused():
    config = changed()
    own = copy.deepcopy(FILLED["ensembles"]["toy_local_relu"])
    del own["population"]
    config["ensembles"] = {"toy_dist_relu": own}
    (fault,) = faults(config)
    assert fault == (
        "populations/toy: 'dist relu' would be ensembles/toy_dist_relu, which the config has "
        "already: give the population, a level or the other entry another name"
    )


def test_two_combinations_of_one_name_are_refused():
    factors = {"one": {"a": {}, "a_b": {}}, "two": {"c": {}, "b_c": {}}}
    config = changed(factors=factors, controls=None)
    del config["populations"]["toy"]["class"]
    assert faults(config)[0] == (
        "populations/toy: 'a_b c' would be ensembles/toy_a_b_c, which 'a b_c' of populations/toy "
        "makes already: give the population, a level or the other entry another name"
    )


def test_a_level_named_as_a_control_is_refused():
    config = changed(factors={"one": {"shuffled": {}, "b": {}}}, **{"controls/cell": {"one": "b"}})
    del config["populations"]["toy"]["class"]
    assert "toy_shuffled, which 'shuffled' of populations/toy makes" in faults(config)[0]


@pytest.mark.parametrize("kind", ["table", "dropout", "same", "randomised"])
def test_networks_of_their_own_are_randomised(kind):
    """The message names what there is instead."""
    config = changed()
    made = {
        "table": {
            "files": ["a.tsv"],
            "facts": {
                "bin_width": 120,
                "tracks": [{"name": "label"}],
                "output_scale": "probability",
                "receptive_field": 120,
            },
        },
        "dropout": {"ensemble": "toy_dist_relu", "masks": 2},
        "same": {"ensemble": "toy_dist_relu"},
        "randomised": {"ensemble": "toy_dist_relu"},
    }
    entry = {"assembly": "plain", "outputs": {"all": {}}}
    config["ensembles"] = {
        "first": entry | {"model": {kind: made[kind]}},
        "second": entry | {"model": {"randomised": {"ensemble": "first"}}},
    }
    filled = {
        **FILLED,
        "ensembles": FILLED["ensembles"] | config["ensembles"],
    }
    found = [fault for fault in faults(filled) if fault.startswith("ensembles/second/model")]
    assert found == [
        f"ensembles/second/model/randomised/ensemble: 'first' is of kind {kind}, which has no "
        "network of its own: name the ensemble whose replicates are trained, imported or own"
    ]
