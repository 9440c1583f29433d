"""Entries of `attributions`: defaults, and faults with their cures."""

import copy
from pathlib import Path

import pytest
import yaml

from seqtrust.config import checked_config, load_schema
from seqtrust.errors import InputError

FOLDER = Path(__file__).parents[2] / "config"
SCHEMA = load_schema(FOLDER / "schemas" / "config.schema.json")
TOY = yaml.safe_load((FOLDER / "config.yaml").read_text())
ENTRY = {"ensemble": "cnn", "set": "promoters", "output": "activity", "label": "x"}


def with_entry(**changes):
    config = copy.deepcopy(TOY)
    config.setdefault("attributions", {})["own"] = ENTRY | changes
    return config


def fault(config):
    with pytest.raises(InputError) as refusal:
        checked_config(config, SCHEMA)
    return str(refusal.value)


def test_defaults_are_filled_in_for_every_method_that_is_named():
    entry = checked_config(with_entry(), SCHEMA)["attributions"]["own"]
    assert entry["methods"] == {"saliency": {}}
    assert entry["least_converged"] == 0.95
    assert entry["reverse_complement"] is False
    assert "region" not in entry
    methods = {"smoothgrad": {"samples": 9}, "integrated_gradients": {}, "ism": {}}
    filled = checked_config(with_entry(methods=methods), SCHEMA)["attributions"]["own"]["methods"]
    assert filled["smoothgrad"] == {"samples": 9, "sd": 0.1}
    assert filled["integrated_gradients"]["most_steps"] == 800
    assert list(filled) == list(methods)


def test_an_unknown_method_names_the_nearest():
    message = fault(with_entry(methods={"saliencey": {}}))
    assert "attributions/own/methods: unknown key 'saliencey'" in message
    assert "saliency" in message


def test_no_method_at_all_is_refused():
    assert "attributions/own/methods" in fault(with_entry(methods={}))


def test_an_unknown_output_names_the_nearest():
    message = fault(with_entry(output="activty"))
    assert "attributions/own/output: ensemble 'cnn' has no output 'activty'" in message
    assert "'activity'" in message


def test_an_output_of_several_bins_says_what_to_choose():
    config = with_entry(output="some")
    config["ensembles"]["cnn"]["outputs"]["some"] = {"tracks": "all", "bins": [2, 5]}
    message = fault(config)
    assert "attributions/own/output: 'some' has several bins per track" in message
    assert "choose an output with reduction sum or mean, or with one bin" in message
    for change in ({"bins": [2, 3]}, {"reduction": "sum"}, {"bins": "centre"}):
        config["ensembles"]["cnn"]["outputs"]["some"] = {"bins": [2, 5]} | change
        checked_config(config, SCHEMA)


def test_a_region_without_positions_is_refused():
    assert "attributions/own/region: [9, 9) is empty" in fault(with_entry(region=[9, 9]))


def test_a_table_of_predictions_has_no_network_to_explain():
    config = with_entry(ensemble="tabled", output="activity")
    config["ensembles"]["tabled"] = {
        "assembly": "toy",
        "model": {
            "table": {
                "files": ["x.parquet"],
                "facts": {
                    "bin_width": 64,
                    "tracks": [{"name": "activity"}],
                    "receptive_field": 64,
                    "output_scale": "counts",
                },
            }
        },
        "outputs": {"activity": {"reduction": "sum"}},
    }
    message = fault(config)
    assert "attributions/own/ensemble: 'tabled' is a table of predictions" in message
    assert "name an ensemble with a network" in message
