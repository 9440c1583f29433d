"""What a config may say of motifs in attribution maps."""

import copy
from pathlib import Path

import pytest
import yaml

from seqtrust.attribution.populations import expand_populations
from seqtrust.config import checked_config, load_schema
from seqtrust.errors import InputError

REPOSITORY = Path(__file__).parents[2]
SCHEMA = load_schema(REPOSITORY / "config" / "schemas" / "config.schema.json")
TINY = yaml.safe_load((REPOSITORY / "tests" / "config" / "tiny_motifs.yaml").read_text())
POPULATION = yaml.safe_load((REPOSITORY / "tests" / "config" / "tiny_population.yaml").read_text())


def config_with(of=None, **motifs):
    config = copy.deepcopy(TINY)
    config["attributions"]["tiles"]["motifs"] = motifs
    if of is not None:
        config["attributions"]["tiles"]["methods"] = {method: {} for method in of}
    return config


def refusal(config):
    with pytest.raises(InputError) as error:
        checked_config(config, SCHEMA)
    return str(error.value)


def test_defaults_are_those_of_the_package():
    settings = checked_config(config_with(), SCHEMA)["attributions"]["tiles"]["motifs"]
    sizes = {"window": 21, "flank": 10, "width": 30, "least_seqlets": 20}
    assert {key: settings[key] for key in sizes} == sizes


def test_methods_must_have_maps_of_all_four_bases():
    both = ("saliency", "input_gradient")
    assert checked_config(config_with(both), SCHEMA)
    masked = refusal(config_with(both, methods=["input_gradient"]))
    assert "attributions/tiles/motifs/methods: there are no maps of all four bases by" in masked
    assert "did you mean 'saliency'" in refusal(config_with(methods=["salency"]))
    assert "'input_gradient'" in refusal(config_with(("input_gradient",)))


def test_planted_motifs_need_known_ones():
    assert "attributions/tiles/motifs/planted: give the MEME file" in refusal(
        config_with(planted=["TOY1"])
    )
    unknown = refusal(config_with(known={"grammar": "plain"}))
    assert "attributions/tiles/motifs/known/grammar: there is no 'plain'" in unknown


@pytest.mark.parametrize(("judged", "part"), [(True, "judging"), (False, "selection")])
def test_a_population_looks_for_motifs_where_it_is_judged(judged, part):
    config = copy.deepcopy(POPULATION)
    entry = config["populations"]["toy"]
    entry["motifs"] = {"known": {"grammar": "plain"}}
    if not judged:
        del entry["judging"], entry["controls"]
    filled = checked_config(config, SCHEMA)
    having = {name for name, one in filled["attributions"].items() if "motifs" in one}
    assert having == {f"{name}_{part}" for name in filled["ensembles"]}
    again = expand_populations(filled)
    assert again["attributions"].keys() == filled["attributions"].keys()
