"""Products in bfloat16 keep the signs of effects; float16 outputs do what float16 does."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_local_inference import LENGTH, TABLE, haplotypes, intervals, networks
from test_together import attention, network, sequence_set

from seqtrust.errors import InputError
from seqtrust.inference.augment import make_passes
from seqtrust.inference.engine import Engine
from seqtrust.inference.local_graph import LocalGraph
from seqtrust.inference.precision import as_float16, changes_in_bfloat16, in_bfloat16
from seqtrust.inference.precision_check import SignCheck, check_signs, sampled
from seqtrust.inference.predict import predict, predict_in_parts, predict_together
from seqtrust.inference.products import product_of
from seqtrust.inference.shared import SharedGraph
from seqtrust.inference.tracing import local_graph
from seqtrust.models.architectures import build_model
from seqtrust.models.facts import Track
from seqtrust.models.model import one_hot
from seqtrust.models.training import initialise
from seqtrust.outputs import resolve_outputs
from seqtrust.predictions import joined

OUTPUTS = {"profile": {}, "total": {"tracks": ["b"], "reduction": "sum"}}


def greatest_within(net, sequences):
    """The largest absolute value that any layer of a network gives; inf if one is not finite."""
    found = []
    hooks = [
        module.register_forward_hook(lambda module, given, result: found.append(result.abs().max()))
        for module in net.modules()
    ]
    net(sequences)
    for hook in hooks:
        hook.remove()
    return float(torch.nan_to_num(torch.stack(found), nan=torch.inf, posinf=torch.inf).max())


@settings(max_examples=100, deadline=None)
@given(networks(), st.integers(0, 99), st.data())
def test_from_exact_changes_comes_what_full_passes_give(net, seed, data):
    codes = haplotypes(seed, data.draw(st.integers(1, 5)))
    with torch.inference_mode():
        greatest = greatest_within(net, one_hot(codes, padding=0.25).double())
        assume(np.isfinite(greatest))
        full = net(one_hot(codes, padding=0.25).double()).transpose(1, 2)
        graph = local_graph(net)
        products = [product_of(step) for step in graph.steps]
        changing = LocalGraph(
            tuple(
                step if product is None else replace(step, change=replace(product, bias=None))
                for step, product in zip(graph.steps, products, strict=True)
            )
        )
        wanted = intervals(data, graph.lengths(LENGTH)[-1])
        budget = data.draw(st.sampled_from([1, 10**8]))
        shared = SharedGraph(graph, after=changing, budget=budget)
        found = shared.predict(codes, TABLE.double(), wanted)
    # a difference is as exact as the largest number that it is taken of
    exact = max(1e-12, 1e-15 * greatest)
    torch.testing.assert_close(found, full[..., slice(*wanted)], rtol=1e-9, atol=exact)


def flat_network(seed):
    """A network whose effects are some thousandths of its outputs."""
    parameters = {
        "channels": 32, "pool": [4, 4], "dilations": [1, 2, 4, 8], "activation": "relu",
        "output": "identity",
    }  # fmt: skip
    model = build_model("cnn", parameters, (Track("a"), Track("b")), "toy")
    initialise(model.module, seed)
    random = torch.Generator().manual_seed(seed)
    for layer in model.module.modules():
        if isinstance(layer, torch.nn.BatchNorm1d):
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5, generator=random)
            torch.nn.init.normal_(layer.bias, std=0.1, generator=random)
    model.module.eval()
    return model


def substitutions(length, count):
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 4, (1, length)).astype(np.uint8).repeat(count + 1, 0)
    for row in codes[1:]:
        place = rng.integers(length // 4, 3 * length // 4)
        row[place] = (row[place] + 1 + rng.integers(3)) % 4
    return torch.from_numpy(codes)


def test_changes_in_bfloat16_keep_signs_that_values_in_bfloat16_lose(device):
    length, kept = 1024, {"changes": [], "values": []}
    codes, table = substitutions(length, 150).to(device), TABLE.to(device)
    # of other seeds a track may sum to about nothing, so that its effects are not small beside it
    for seed in (0, 1, 3):
        model = flat_network(seed).to(device)
        graph = local_graph(model.module)
        bins = 0, graph.lengths(length)[-1]
        with torch.inference_mode():
            ways = {
                "exact": SharedGraph(graph),
                "changes": SharedGraph(in_bfloat16(graph), after=changes_in_bfloat16(graph)),
                "values": SharedGraph(in_bfloat16(graph)),
            }
            sums = {name: way.predict(codes, table, bins).double() for name, way in ways.items()}
        effects = {name: (one.sum(-1)[1:] - one.sum(-1)[:1]) for name, one in sums.items()}
        exact = effects.pop("exact")
        sizes = exact.abs().median(dim=0).values / sums["exact"].sum(-1).abs().median(dim=0).values
        assert float(sizes.max()) < 5e-3
        for name, found in effects.items():
            kept[name].append(float((found.sign() == exact.sign()).double().mean()))
    assert np.mean(kept["changes"]) >= 0.98
    assert np.mean(kept["values"]) < np.mean(kept["changes"])


def test_the_last_product_of_every_head_is_in_float32():
    graph = local_graph(network(0).module)
    products = [number for number, step in enumerate(graph.steps) if product_of(step)]
    for changed in (in_bfloat16(graph), changes_in_bfloat16(graph)):
        pairs = zip(graph.steps, changed.steps, strict=True)
        found = [number for number, (one, other) in enumerate(pairs) if one != other]
        assert found == products[:-1]
    with torch.inference_mode():
        values = one_hot(haplotypes(1, 0), padding=0.25)
        assert in_bfloat16(graph).steps[1].apply(values).dtype == torch.float32


@pytest.mark.parametrize("make", [network, attention])
@pytest.mark.parametrize("savings", [True, False])
def test_predictions_in_bfloat16_are_near_and_say_how_near(device, make, savings):
    outputs = {"profile": {}}
    sequences = sequence_set()
    given = {"device": device, "savings": savings}
    exact = predict(make(0), sequences, outputs, **given)
    check = {"sample": 9, "share": 1.0}
    found = predict(make(0), sequences, outputs, precision="bf16", bf16_check=check, **given)
    difference = np.abs(found.values["profile"] - exact.values["profile"]).max()
    assert 0 < difference < 0.03 * np.abs(exact.values["profile"]).max()
    # the savings are checked in float32
    assert found.noise_floor["profile"] < 1e-5
    assert "precision_check" not in exact.metadata
    assert (exact.metadata["precision"], found.metadata["precision"]) == ("float32", "bf16")
    result = json.loads(found.metadata["precision_check"])
    tracks = exact.values["profile"].shape[1]
    # three windows of four sequences, three of each are drawn
    assert result["compared"] == 6 * tracks
    assert result["largest_relative_error"] > 0
    assert result["share"] == result["changed"] / result["compared"]


def test_every_replicate_is_checked():
    found = predict_together(
        [network(seed) for seed in range(2)],
        sequence_set(),
        OUTPUTS,
        precision="bf16",
        bf16_check={"sample": 64, "share": 1.0},
    )
    results = [json.loads(one.metadata["precision_check"]) for one in found]
    assert all(one["compared"] == 9 * 3 for one in results)
    assert results[0]["largest_relative_error"] != results[1]["largest_relative_error"]


def test_the_check_is_in_the_first_part_and_in_what_parts_are_joined_to():
    given = {"precision": "bf16", "bf16_check": {"sample": 64, "share": 1.0}, "part_macs": 1}
    parts = [
        part for _, (part,) in predict_in_parts([network(0)], sequence_set(), OUTPUTS, **given)
    ]
    assert len(parts) == 3
    assert [("precision_check" in part.metadata) for part in parts] == [True, False, False]
    assert json.loads(joined(parts).metadata["precision_check"])["compared"] == 27


def test_without_a_pair_there_is_nothing_to_compare():
    found = predict(network(0), sequence_set(edits=0), OUTPUTS, precision="bf16")
    assert json.loads(found.metadata["precision_check"]) == {
        "compared": 0,
        "changed": 0,
        "share": None,
        "largest_relative_error": None,
    }


def test_changed_signs_stop_the_run(monkeypatch):
    right = Engine._values

    def backwards(engine, view, codes, alike, precision):
        values = right(engine, view, codes, alike, precision)
        return values if precision == "float32" else -values

    monkeypatch.setattr(Engine, "_values", backwards)
    message = (
        r"precision bf16: 27 of 27 effects of replicate 1 have another sign than in float32 "
        r"\(100\.0%, more than 2\.0%; largest relative error [\d.]+\): set precision to float32 .*"
        "share under bf16_check"
    )
    with pytest.raises(InputError, match=message):
        predict(network(0), sequence_set(), OUTPUTS, precision="bf16")


def test_ties_have_no_sign_to_lose(monkeypatch):
    monkeypatch.setattr(Engine, "exact", lambda *given: negated(Engine.__call__(*given)))
    model = network(0)
    specs = resolve_outputs(OUTPUTS, model.facts, LENGTH)
    passes = make_passes(False, (0,), LENGTH)
    with torch.inference_mode():
        engine = Engine([model], specs, passes, LENGTH, precision="bf16")
        for floor, changed in ((0.0, 27), (100.0, 0)):
            floors = [dict.fromkeys(OUTPUTS, floor)]
            (found,) = check_signs(engine, sequence_set(), SignCheck(64, 1.0), floors)
            assert found["changed"] == changed
            assert (found["largest_relative_error"] is None) == (not changed)


def negated(parts):
    return {name: -values for name, values in parts.items()}


@given(st.lists(st.integers(1, 30), max_size=40), st.integers(2, 80))
def test_the_sample_is_of_whole_pairs_and_evenly_drawn(sizes, sample):
    windows = np.repeat(np.arange(len(sizes)), sizes)
    found = sampled(windows, sample)
    several = [number for number, size in enumerate(sizes) if size > 1]
    assert len(found) == min(len(several), sample // 2)
    assert sum(map(len, found)) <= sample
    for rows in found:
        assert len(set(windows[rows])) == 1
        assert rows[0] == np.searchsorted(windows, windows[rows[0]])
        assert len(rows) > 1
        assert rows == sorted(set(rows))
    if len(found) > 1:
        chosen = [several.index(windows[rows[0]]) for rows in found]
        assert (chosen[0], chosen[-1]) == (0, len(several) - 1)
        assert max(np.diff(chosen)) - min(np.diff(chosen)) <= 1


def test_outputs_as_float16_lose_small_effects():
    given = {"outputs": {"total": {"tracks": ["b"], "reduction": "sum"}}}
    sequences = sequence_set(windows=4, edits=3)
    exact = predict(network(0), sequences, **given)
    rounded = predict(network(0), sequences, **given, published="float16")
    values = rounded.values["total"]
    assert values.dtype == np.float32
    assert np.array_equal(values, exact.values["total"].astype(np.float16).astype(np.float32))
    assert rounded.metadata["published"] == "float16"
    assert rounded.metadata["clipped"] == "0"
    assert "published" not in exact.metadata


@given(st.floats(1, 60_000), st.lists(st.floats(-2e-3, 2e-3), min_size=1, max_size=20))
def test_effects_of_float16_are_multiples_of_a_power_of_two(size, relative):
    outputs = (size * (1 + np.array([0.0, *relative]))).astype(np.float32)
    values, clipped = as_float16(outputs)
    assert clipped == 0
    effects = (values[1:] - values[0]).astype(np.float64)
    step = 2.0 ** (np.floor(np.log2(values.min())) - 10)
    assert np.array_equal(effects / step, np.round(effects / step))
    small = np.abs(np.diff(outputs)).max(initial=0) < step / 100
    assert not small or len(set(values)) <= 2


def test_effects_below_the_step_of_float16_are_ties():
    # 1/1024 of 1000 is rounded to halves
    outputs = np.float32([1000.1, 1000.2, 999.9, 1000.4])
    values, _ = as_float16(outputs)
    assert values.tolist() == [1000.0, 1000.0, 1000.0, 1000.5]
    values, clipped = as_float16(np.float32([70_000, -1e9, 3]))
    assert values.tolist() == [65504.0, -65504.0, 3.0]
    assert clipped == 2


def test_clipped_values_are_counted_over_parts():
    model = network(0)
    with torch.no_grad():
        model.module.read_out.bias += 1e6
    outputs = {"profile": {"tracks": ["a"]}}
    given = {"published": "float16", "part_macs": 1}
    found = predict(model, sequence_set(edits=0), outputs, **given)
    assert found.metadata["clipped"] == str(found.values["profile"].size)
