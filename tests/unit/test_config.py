"""The config: faults are named with their cure, and schema, defaults and shipped configs agree."""

import copy
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from seqtrust.config import checked_config, load_schema
from seqtrust.errors import InputError
from seqtrust.faults.references import REFERENCES

FOLDER = Path(__file__).parents[2] / "config"
SCHEMA = load_schema(FOLDER / "schemas" / "config.schema.json")
SHIPPED = sorted(FOLDER.glob("*.yaml"))
TOY = yaml.safe_load((FOLDER / "config.yaml").read_text())
FILLED = checked_config(TOY, SCHEMA)


def subschemas(schema, path="top level"):
    """(path, schema) of the schema and of everything below it that describes a value."""
    yield path, schema
    for part in ("properties", "$defs"):
        for key, inner in schema.get(part, {}).items():
            yield from subschemas(inner, f"{path}/{key}")
    for part in ("items", "additionalProperties"):
        if isinstance(schema.get(part), dict):
            yield from subschemas(schema[part], f"{path}/{part}")


EVERY = list(subschemas(SCHEMA))


def changed(**changes):
    """The toy's config with values at paths such as `ensembles/cnn/threads` replaced."""
    config = copy.deepcopy(TOY)
    for path, value in changes.items():
        *parents, last = path.split("/")
        place = config
        for parent in parents:
            place = place[parent]
        place[last] = value
    return config


def faults(config):
    with pytest.raises(InputError) as refusal:
        checked_config(config, SCHEMA)
    head, *lines = str(refusal.value).splitlines()
    assert head == "the config has faults:"
    return [line.removeprefix("  - ") for line in lines]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_configs_are_valid_and_filled_once(path):
    """Also with every default written out: the defaults are valid."""
    filled = checked_config(yaml.safe_load(path.read_text()), SCHEMA)
    assert checked_config(filled, SCHEMA) == filled


def test_the_schema_is_a_schema():
    Draft202012Validator.check_schema(SCHEMA)


def test_every_key_has_a_description():
    for path, schema in EVERY:
        for key, inner in schema.get("properties", {}).items():
            assert inner.get("description"), f"{path}/{key}"


def test_every_list_of_keys_is_closed():
    for path, schema in EVERY:
        if "properties" in schema:
            assert schema.get("additionalProperties") is False, path


def test_every_default_is_valid_and_of_a_key_that_may_be_absent():
    found = 0
    for path, schema in EVERY:
        for key, inner in schema.get("properties", {}).items():
            if "default" in inner:
                part = {**inner, "$defs": SCHEMA["$defs"]}
                assert list(Draft202012Validator(part).iter_errors(inner["default"])) == []
                assert key not in schema.get("required", []), f"{path}/{key}"
                found += 1
    assert found > 10


def test_defaults_are_filled_in_and_the_config_is_left_alone():
    before = json.dumps(TOY, sort_keys=True)
    checked_config(TOY, SCHEMA)
    assert json.dumps(TOY, sort_keys=True) == before
    assert FILLED["ensembles"]["cnn"]["inference"]["shifts"] == [0]
    assert FILLED["ensembles"]["cnn"]["inference"]["reverse_complement"] is True
    assert FILLED["sequence_sets"]["tiles"]["source"]["reference"]["tiles"]["strand"] == "+"
    assert FILLED["external"] == {}


def defaults_in(value, schema):
    """(holder, key) of every value that its schema has a default for."""
    while "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        properties = schema.get("properties", {})
        other = schema.get("additionalProperties")
        part = properties.get(key, other if isinstance(other, dict) else {})
        if part.get("default") == inner:
            yield value, key
        yield from defaults_in(inner, part)


@given(st.data())
@settings(max_examples=30)
def test_a_default_may_be_written_or_left_out(data):
    config = copy.deepcopy(FILLED)
    for holder, key in list(defaults_in(config, SCHEMA)):
        if data.draw(st.booleans(), label=key):
            del holder[key]
    assert checked_config(config, SCHEMA) == FILLED


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("sede", "top level: unknown key 'sede'; did you mean 'seed'?"),
        ("ensembles/cnn/thread", "ensembles/cnn: unknown key 'thread'; did you mean 'threads'?"),
        (
            "verdicts/peaks/calls/peaks/targest",
            "verdicts/peaks/calls/peaks: unknown key 'targest'; did you mean 'targets'?",
        ),
    ],
)
def test_an_unknown_key_names_the_nearest(path, message):
    assert faults(changed(**{path: 1})) == [message]


def test_an_unknown_key_that_is_near_to_none_lists_the_known_ones():
    (fault,) = faults(changed(**{"accuracy/tracks/zzz": 1}))
    assert fault == ("accuracy/tracks: unknown key 'zzz'; known: ensemble, output, set, targets")


def test_all_faults_are_listed_at_once():
    found = faults(changed(**{"shards": 0, "seed": "one", "ensembles/cnn/thread": 2, "toyy": True}))
    assert len(found) == 4
    for part in ("shards: 0", "seed: 'one'", "'threads'", "'toy'"):
        assert any(part in fault for fault in found), part


@pytest.mark.parametrize("key", SCHEMA["required"])
def test_a_missing_key_is_named(key):
    config = copy.deepcopy(TOY)
    del config[key]
    assert faults(config) == [f"top level: '{key}' is a required property"]


@pytest.mark.parametrize("name", ["My-Set", "a.b", "ä", ""])
def test_a_name_that_no_path_can_hold_is_refused(name):
    (fault,) = faults(changed(**{f"sequence_sets/{name}": TOY["sequence_sets"]["tiles"]}))
    assert fault == f"sequence_sets: {name!r} is no valid name: use a-z, 0-9 and _"


@pytest.mark.parametrize(
    ("kinds", "found"), [({}, "none"), ({"signs": {}, "threshold": {"at_least": 1}}, None)]
)
def test_exactly_one_kind(kinds, found):
    (fault,) = faults(changed(**{"verdicts/eqtl/calls": kinds}))
    known = ", ".join(SCHEMA["$defs"]["verdict"]["properties"]["calls"]["properties"])
    expected = found or ", ".join(kinds)
    assert fault == f"verdicts/eqtl/calls: expected exactly one of {known}; found {expected}"


@pytest.mark.parametrize(
    ("path", "section"),
    [
        ("sequence_sets/eqtl/assembly", "assemblies"),
        ("ensembles/cnn/model/train/set", "sequence_sets"),
        ("verdicts/eqtl/set", "sequence_sets"),
        ("verdicts/eqtl/ensemble", "ensembles"),
        ("point_sets/tss/file/assembly", "assemblies"),
        ("planted/accuracy", "accuracy"),
        ("planted/verdict", "verdicts"),
    ],
)
def test_a_dangling_name_is_refused(path, section):
    assert REFERENCES[path.rsplit("/", 1)[1]] == section
    (fault,) = faults(changed(**{path: "zzzz"}))
    assert fault.startswith(f"{path}: there is no 'zzzz' under {section}; known: ")


def test_a_dangling_name_names_the_nearest():
    assert faults(changed(**{"verdicts/eqtl/set": "eqtls"})) == [
        "verdicts/eqtl/set: there is no 'eqtls' under sequence_sets; did you mean 'eqtl'?"
    ]


def test_a_dangling_point_set_is_found_below_a_key_of_its_name():
    source = {"reference": {"points": {"points": "nowhere"}}}
    (fault,) = faults(changed(**{"sequence_sets/tiles/source": source}))
    assert fault.startswith("sequence_sets/tiles/source/reference/points/points: there is no")


def test_every_reference_is_a_key_of_the_schema():
    keys = {key for _, schema in EVERY for key in schema.get("properties", {})}
    assert set(REFERENCES) <= keys
    assert set(REFERENCES.values()) <= set(SCHEMA["properties"])


def test_an_output_that_the_ensemble_lacks_is_refused():
    config = json.loads(json.dumps(TOY))
    config["verdicts"]["eqtl"]["output"] = "activty"
    with pytest.raises(InputError) as error:
        checked_config(config, SCHEMA)
    message = (
        "verdicts/eqtl/output: ensemble 'cnn' has no output 'activty'; did you mean 'activity'?"
    )
    assert message in str(error.value)


def test_a_value_of_no_allowed_kind_says_what_is_expected():
    config = json.loads(json.dumps(TOY))
    config["ensembles"]["cnn"]["outputs"]["activity"]["bins"] = "middle"
    with pytest.raises(
        InputError, match="outputs/activity/bins: 'middle'; expected `all`, `centre`"
    ):
        checked_config(config, SCHEMA)


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        (
            {"ensemble": "mc", "replicate": 1},
            "ensembles/mc/model/dropout/ensemble: 'mc' is of kind dropout, which has no network of "
            "its own: name the ensemble whose replicates are trained, imported or own",
        ),
        (
            {"ensemble": "cnn", "replicate": 6},
            "ensembles/mc/model/dropout/replicate: there is no replicate 6 of 'cnn', which has 5",
        ),
    ],
)
def test_masks_need_a_replicate_with_dropout(settings, fault):
    config = changed(**{"ensembles/mc/model/dropout": {"masks": 2} | settings})
    assert faults(config) == [fault]


def test_variants_of_several_files_need_sets_of_their_own():
    config = changed(**{"variant_files/people/path": ["a.vcf", "b.vcf"]})
    assert checked_config(config, SCHEMA)["variant_files"]["people"]["path"] == ["a.vcf", "b.vcf"]
    config["sequence_sets"]["eqtl"]["source"]["variants"]["of"] = {
        "vcf": {"variant_file": "people"}
    }
    (fault,) = faults(config)
    assert fault.startswith(
        "sequence_sets/eqtl/source/variants/of/vcf/variant_file: 'people' lists"
    )


STATED = {"bin_width": 1, "tracks": ["a"], "output_scale": "counts", "receptive_field": 9}


@pytest.mark.parametrize(
    ("key", "value"), [("together", True), ("precision", "bf16"), ("published", "float16")]
)
def test_tables_of_predictions_are_taken_as_they_are(key, value):
    table = {"files": ["r1.tsv"], "facts": STATED, "noise_floor": 0.0}
    config = changed(**{"ensembles/mc/model": {"table": table}, "ensembles/mc/inference": {}})
    assert checked_config(config, SCHEMA)["ensembles"]["mc"]["inference"]["together"] is False
    config["ensembles"]["mc"]["inference"] = {key: value}
    assert faults(config) == [
        f"ensembles/mc/inference/{key}: 'mc' is a table of predictions, which are taken as they "
        f"are: leave {key} out"
    ]


def test_replicates_of_own_models_are_not_stacked():
    own = {"programs": ["r1.pt2"], "facts": STATED}
    config = changed(**{"ensembles/mc/model": {"own": own}, "ensembles/mc/inference/stack": True})
    (fault,) = faults(config)
    assert fault.startswith(
        "ensembles/mc/inference/stack: replicates of a model of your own go in turn"
    )
    config["ensembles"]["mc"]["inference"]["stack"] = False
    assert checked_config(config, SCHEMA)["ensembles"]["mc"]["inference"]["stack"] is False


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("reference_analyses/tracks/set", "eqtl",
         "reference_analyses/tracks/set: 'eqtl' is a set of kind variants: name one of kind "
         "reference"),
        ("motif_analyses/motifs/set", "tiles",
         "motif_analyses/motifs/set: 'tiles' is a set of kind reference: name one of kind "
         "insertions"),
        ("reference_analyses/tracks/output", "profil",
         "reference_analyses/tracks/output: ensemble 'cnn' has no output 'profil'; did you mean "
         "'profile'?"),
        ("point_sets/agreed_tss/agreed/analysis", "track",
         "point_sets/agreed_tss/agreed/analysis: there is no 'track' under reference_analyses; "
         "did you mean 'tracks'?"),
    ],
)  # fmt: skip
def test_analyses_of_other_sets_and_outputs(path, value, fault):
    assert faults(changed(**{path: value})) == [fault]


def test_agreed_points_need_a_reference_analysis_with_points():
    config = changed()
    del config["reference_analyses"]["tracks"]["points"]
    (fault,) = faults(config)
    assert fault.startswith("point_sets/agreed_tss/agreed/analysis: 'tracks' has no points")


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({"verdict": "peaks"}, "verdict: 'peaks' is of kind peaks: name a verdict of kind signs"),
        ({"people": "persnal"}, "there is no 'persnal' under people_analyses; did you mean"),
    ],
)
def test_trust_needs_a_truth_that_it_does_not_know(entry, fault):
    (found,) = faults(changed(**{"trust/eqtl": {"label": "x"} | entry}))
    assert fault in found


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("trust/eqtl/maps/attribution", "eqtls", "there is no 'eqtls' under attributions; did you"),
        ("trust/eqtl/maps/method", "salency", "maps/method: no 'salency'; did you mean 'saliency'"),
        ("attributions/eqtl/set", "eqtl_negatives",
         "its set is 'eqtl_negatives', that of 'eqtl' is 'eqtl': the maps must be of what is"),
        ("attributions/eqtl/ensemble", "mc", "maps/attribution: its ensemble is 'mc', that of"),
        ("trust/eqtl/distilled/output", "spred",
         "trust/eqtl/distilled: 'distilled' has no output 'spred'; did you mean 'spread'?"),
    ],
)  # fmt: skip
def test_trust_is_made_of_maps_and_networks_that_are_there(path, value, fault):
    (found,) = faults(changed(**{path: value}))
    assert fault in found


def test_scores_of_eqtls_are_verdicts_on_variants_and_exist():
    scores = "eqtl_analyses/toy/scores/activity"
    assert faults(changed(**{f"{scores}/positives": "personal"})) == [
        f"{scores}/positives: 'personal' is no verdict on the signs of variants: name one of kind "
        "signs on a set made of variants"
    ]
    assert faults(changed(**{f"{scores}/negatives": "eqtl_accessibility"})) == [
        f"{scores}/negatives: judged on output 'assays' of 'cnn', the positives on "
        "'activity' of 'cnn': their replicates cannot be compared"
    ]
    (fault,) = faults(changed(**{f"{scores}/positives": "eqtll"}))
    assert fault.startswith(f"{scores}/positives: there is no 'eqtll' under verdicts")
    (fault,) = faults(changed(**{"eqtl_analyses/toy/compare": [["activity", "accesibility"]]}))
    assert fault == (
        "eqtl_analyses/toy/compare: there is no score 'accesibility'; did you mean 'accessibility'?"
    )
