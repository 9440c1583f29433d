"""What the config says of calibrations: faults are named with their cure."""

import copy
from pathlib import Path

import pytest
import yaml

from seqtrust.calibration.methods import METHODS
from seqtrust.calibration.sign_fits import METHODS as SIGN_METHODS
from seqtrust.config import checked_config, load_schema
from seqtrust.errors import InputError

FOLDER = Path(__file__).parents[2] / "config"
SCHEMA = load_schema(FOLDER / "schemas" / "config.schema.json")
TOY = yaml.safe_load((FOLDER / "config.yaml").read_text())


def changed(key, value):
    config = copy.deepcopy(TOY)
    config["calibration"]["tracks"][key] = value
    return config


def test_all_methods_are_the_default_and_the_schema_knows_no_other():
    filled = checked_config(TOY, SCHEMA)["calibration"]["tracks"]
    assert filled["methods"] == list(METHODS)
    known = SCHEMA["$defs"]["calibration"]["properties"]["methods"]["items"]["enum"]
    assert known == list(METHODS)
    del (config := copy.deepcopy(TOY))["calibration"]
    assert checked_config(config, SCHEMA)["calibration"] == {}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("output", "profil", "calibration/tracks/output: ensemble 'cnn' has no output 'profil'; "
                             "did you mean 'profile'?"),
        ("set", "tile", "calibration/tracks/set: there is no 'tile' under sequence_sets; did you"),
        ("ensemble", "cnm", "there is no 'cnm' under ensembles; did you mean 'cnn'?"),
        ("targets", {"library": "crx"}, "targets/library: there is no 'crx' under libraries"),
        ("group", {"blok": 5}, "tracks/group: .*; expected `{block: bp}` of the genome"),
        ("group", {"library": "crx"}, "group/library: there is no 'crx' under libraries"),
        ("methods", ["splitt"], "'splitt' is not one of"),
    ],
)  # fmt: skip
def test_faults_of_a_calibration_are_named(key, value, message):
    with pytest.raises(InputError, match=message):
        checked_config(changed(key, value), SCHEMA)


def test_sign_calibration_has_its_defaults_and_reads_verdicts_of_signs_only():
    filled = checked_config(TOY, SCHEMA)["sign_calibration"]["eqtl"]
    assert filled["methods"] == list(SIGN_METHODS)
    assert (filled["fit"], filled["folds"]) == ("folds", 5)
    properties = SCHEMA["$defs"]["sign_calibration"]["properties"]
    assert properties["fit"]["default"] == "validation"
    config = copy.deepcopy(TOY)
    for verdict, message in (
        ("peaks", "sign_calibration/eqtl/verdict: 'peaks' calls peaks, which have no sign"),
        ("eqtk", "sign_calibration/eqtl/verdict: there is no 'eqtk' under verdicts; did you mean"),
    ):
        config["sign_calibration"]["eqtl"]["verdict"] = verdict
        with pytest.raises(InputError, match=message):
            checked_config(config, SCHEMA)
