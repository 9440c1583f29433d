"""What of Enformer and Borzoi can be tested without their packages; see tests/adapters."""

import importlib

import pytest
import torch

from seqtrust.errors import InputError
from seqtrust.models.adapters import ADAPTERS
from seqtrust.models.architectures import ARCHITECTURES, build_model
from seqtrust.models.borzoi import BorzoiParameters, unsquash_of
from seqtrust.models.enformer import rename_state
from seqtrust.models.facts import Facts, Track
from seqtrust.models.whole_sequence import whole_field


@pytest.mark.parametrize("architecture", ADAPTERS)
def test_a_package_that_is_not_there_is_named_with_its_environment(monkeypatch, architecture):
    def refuse(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(InputError) as caught:
        build_model(architecture, {}, (), "GRCh38")
    assert f"needs the package {architecture}_pytorch" in str(caught.value)
    assert f"envs/{architecture}.yaml" in str(caught.value)
    assert f"requirements-{architecture}.txt" in str(caught.value)


def test_every_adapter_is_an_architecture():
    assert set(ADAPTERS) <= ARCHITECTURES.keys()


@pytest.mark.parametrize(("length", "crop", "width"), [(196_608, 40_960, 128), (64, 0, 8)])
def test_every_bin_reaches_both_ends(length, crop, width):
    field = whole_field(length, crop, width)
    facts = Facts(length, width, crop, (Track("a"),), field, "", "counts")
    last = facts.bins(length) - 1
    assert facts.reach(0, 0)[1] == length
    assert facts.reach(last, last)[0] == 0


def test_coverage_of_borzoi_is_unsquashed_and_sizes_are_whole():
    assert BorzoiParameters().unsquash
    for parameters, message in (
        ({"depth": 0}, "borzoi: depth is 0, but must be at least 1"),
        ({"heads": 2.5}, "borzoi: heads is 2.5, but must be a whole number"),
        ({"predicted_bins": 16_386}, "borzoi: predicted_bins is 16386, but must leave out"),
    ):
        with pytest.raises(InputError, match=message):
            BorzoiParameters(**parameters)


@pytest.mark.parametrize("coverage", [0.0, 0.4, 90.0, 2_800.0, 40_000.0])
def test_unsquashing_undoes_the_published_steps(tmp_path, coverage):
    rows = [(0.01, 384, "sum_sqrt"), (1.0, 384, "sum"), (2.0, 32, "mean")]
    table = tmp_path / "targets.txt"
    table.write_text(
        "identifier\tscale\tclip_soft\tsum_stat\n"
        + "".join(f"x\t{scale}\t{limit}\t{stat}\n" for scale, limit, stat in rows)
    )
    squashed = []
    for scale, limit, stat in rows:
        value = coverage**0.75 if stat == "sum_sqrt" else coverage
        squashed.append(scale * (limit + (value - limit) ** 0.5 if value > limit else value))
    values = torch.tensor(squashed, dtype=torch.float64).expand(2, 4, 3)
    undone = unsquash_of(table).double()(values)
    torch.testing.assert_close(undone, torch.full_like(undone, coverage), rtol=1e-5, atol=1e-9)


def test_both_names_of_a_part_become_one_and_other_heads_go():
    weight = torch.zeros(1)
    published = {
        "_trunk.2.0.0.0.bias": weight,
        "transformer.0.0.fn.0.weight": weight,
        "_heads.human.0.weight": weight,
        "_heads.mouse.0.weight": weight,
    }
    own = {"network._heads.mouse.0.weight": weight, "network._heads.mouse.0.bias": weight}
    assert rename_state(published, own).keys() == {
        "network.conv_tower.0.0.0.bias",
        "network.transformer.0.0.fn.0.weight",
        "network._heads.mouse.0.weight",
    }
