"""Attribution maps: what is explained, and every method beside a slow twin or a known answer."""

from copy import deepcopy
from itertools import pairwise

import numpy as np
import pytest
import torch
from attribution_zoo import SUM, ZOO, mapped, network, one_number, sequence_set, shaken, some_codes
from hypothesis import given, settings
from hypothesis import strategies as st

from seqtrust import bases
from seqtrust.attribution.attribute import Request, attribute
from seqtrust.attribution.deep_lift import deep_lift_shap, own_rules
from seqtrust.attribution.explained import explained_model, views
from seqtrust.attribution.gradients import smoothgrad
from seqtrust.attribution.path_gradients import (
    PathSettings,
    expected_gradients,
    integrated_gradients,
    shuffles,
)
from seqtrust.errors import InputError
from seqtrust.models.activations import Exponential
from seqtrust.models.architectures import build_model
from seqtrust.models.checkpoint import load_replicate, mask_replicate, save_replicate
from seqtrust.models.facts import Facts, Track
from seqtrust.models.model import Model, one_hot
from seqtrust.outputs import resolve_outputs
from seqtrust.sources.seeds import named_generator
from seqtrust.sources.shuffled import dinucleotide_shuffle

LENGTH = 24


def own_model(module, tracks=1, length=LENGTH, scale="log_expression", alphabet="ACGT"):
    """A network (N, 4, L) to (N, 1, tracks) as a model of one bin."""
    facts = Facts(
        input_length=length,
        bin_width=length,
        crop=0,
        tracks=tuple(Track(f"t{index}") for index in range(tracks)),
        receptive_field=length,
        build="toy",
        output_scale=scale,
        alphabet=alphabet,
    )
    return Model(module.eval(), facts, "entrypoint", {})


class Linear(torch.nn.Module):
    def __init__(self, weights):
        super().__init__()
        self.weights = torch.nn.Parameter(torch.as_tensor(weights, dtype=torch.float32))

    def forward(self, inputs):
        return (inputs * self.weights).sum(dim=(1, 2))[:, None, None]


class Squared(torch.nn.Module):
    """The square of a linear function, whose integrated gradient is known."""

    def __init__(self, weights):
        super().__init__()
        self.linear = Linear(weights)

    def forward(self, inputs):
        return self.linear(inputs) ** 2


class Rectified(torch.nn.Module):
    """Two layers with ReLU on all of the sequence."""

    def __init__(self, units=5, seed=1, activation=None):
        super().__init__()
        random = torch.Generator().manual_seed(seed)
        self.first = torch.nn.Linear(4 * LENGTH, units)
        self.activation = activation or torch.nn.ReLU()
        self.second = torch.nn.Linear(units, 1)
        with torch.no_grad():
            for weights in self.parameters():
                weights.copy_(torch.randn(weights.shape, generator=random) / 4)

    def forward(self, inputs):
        return self.second(self.activation(self.first(inputs.flatten(1))))[:, None]


def view_of(model, length=LENGTH):
    (output,) = resolve_outputs({"o": SUM}, model.facts, length)
    return views(model, output, length, (0, length), False)[0]


def weights_of(seed=0):
    return np.random.default_rng(seed).normal(size=(4, LENGTH))


def test_saliency_is_the_change_by_finite_differences():
    model = network("cnn_gelu")
    model.module.double()
    codes = some_codes(2, LENGTH)
    view = view_of(model)
    inputs = view.encode(codes).double()
    gradients = view.gradients(inputs)[1]
    step = 1e-5
    for place, channel in ((0, 0), (7, 2), (LENGTH - 1, 3)):
        bump = torch.zeros_like(inputs)
        bump[:, channel, place] = step
        with torch.no_grad():
            slope = (view.values(inputs + bump) - view.values(inputs - bump)) / (2 * step)
        torch.testing.assert_close(gradients[:, :, channel, place], slope, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("alphabet", ["ACGT", "AGCT", "TGCA"])
def test_maps_are_in_the_order_of_the_bases_whatever_the_channels_are(tmp_path, alphabet):
    weights = weights_of()
    channels = ["ACGT".index(letter) for letter in alphabet]
    model = own_model(Linear(weights[channels]), alphabet=alphabet)
    codes = some_codes(2, LENGTH)
    stored = mapped(tmp_path, model, codes, "saliency").stored()
    np.testing.assert_allclose(stored[1, 0], weights.T, rtol=1e-6)


def test_an_unknown_base_has_a_map_of_zeros_for_every_method(tmp_path):
    model = network("cnn_exponential")
    codes = some_codes(3, 64)
    codes[0, 5:9] = bases.UNKNOWN
    for method in (
        "saliency", "input_gradient", "smoothgrad", "integrated_gradients",
        "expected_gradients", "deep_lift_shap", "ism",
    ):  # fmt: skip
        found = mapped(tmp_path, model, codes, method, least_converged=0.0)
        assert (found.stored()[0, :, 5:9] == 0).all()
        assert (np.abs(found.stored()).sum(axis=(2, 3)) > 0).all()
        assert (found.read().maps[0, 5:9] == 0).all()


def test_correction_makes_sums_over_bases_zero_and_leaves_zero_sums_alone(tmp_path):
    model, codes = network("cnn_exponential"), some_codes(3, 64)
    for method, changed in (("saliency", True), ("ism", False), ("deep_lift_shap", True)):
        found = mapped(tmp_path, model, codes, method)
        stored, corrected = found.read(corrected=False).maps, found.read().maps
        np.testing.assert_allclose(corrected.sum(axis=2), 0, atol=1e-12)
        largest = np.abs(stored).max()
        assert (np.abs(stored - corrected).max() > 1e-2 * largest) == changed


def test_input_gradient_is_the_corrected_gradient_of_the_base_that_is_there(tmp_path):
    model, codes = network("cnn_exponential"), some_codes(3, 64)
    gradient = mapped(tmp_path, model, codes, "saliency").read().maps
    own = codes[..., None] == np.arange(4)
    for corrected in (True, False):
        found = mapped(tmp_path, model, codes, "input_gradient").read(corrected=corrected)
        np.testing.assert_allclose(found.maps, gradient * own, atol=1e-7)


def test_the_other_strand_is_averaged_in_the_orientation_of_the_sequence(tmp_path):
    model, codes = network("cnn_exponential"), some_codes(3, 64)
    plus = mapped(tmp_path, model, codes, "saliency").stored()
    minus = mapped(tmp_path, model, bases.reverse_complement(codes), "saliency").stored()
    expected = (plus + minus[:, ::-1, ::-1, ::-1]) / 2
    both = mapped(tmp_path, model, codes, "saliency", reverse_complement=True)
    np.testing.assert_allclose(both.stored(), expected, rtol=1e-5, atol=1e-8)
    forward, backward = one_number(model, codes), one_number(model, bases.reverse_complement(codes))
    np.testing.assert_allclose(both.predictions(), (forward + backward[:, ::-1]) / 2, rtol=1e-6)


def test_a_region_is_a_part_of_the_map_on_both_strands(tmp_path):
    model, codes = network("cnn_exponential"), some_codes(2, 64)
    for method in ("saliency", "integrated_gradients", "ism"):
        settings = {"least_converged": 0.0, "reverse_complement": True}
        whole = mapped(tmp_path, model, codes, method, **settings)
        expected, codes_kept = whole.stored()[:, :, 10:31], codes[:, 10:31]
        part = mapped(tmp_path, model, codes, method, region=(10, 31), **settings)
        np.testing.assert_allclose(part.stored(), expected, rtol=1e-4, atol=1e-7)
        np.testing.assert_array_equal(part.read().bases, codes_kept)


def test_bins_and_tracks_are_those_of_the_output(tmp_path):
    model, codes = network("cnn_exponential"), some_codes(2, 64)
    output = {"tracks": ["minus"], "bins": [2, 5], "reduction": "mean"}
    found = mapped(tmp_path, model, codes, "ism", output)
    assert found.tracks == ["minus"]
    expected = model.predict(codes)[:, 2:5, 1].double().mean(dim=1).numpy()
    np.testing.assert_allclose(found.predictions()[:, 0], expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["cnn_exponential", "cnn_dist"])
def test_ism_is_the_effect_of_every_base_minus_their_mean(tmp_path, name):
    model = network(name)
    length = 64 if name == "cnn_exponential" else 200
    codes = some_codes(1, length)
    found = mapped(tmp_path, model, codes, "ism", region=(20, 26)).stored()[0]
    explained, _ = explained_model(model, length)
    for row, place in enumerate(range(20, 26)):
        mutants = np.repeat(codes, 4, axis=0)
        mutants[:, place] = np.arange(4)
        effects = one_number(explained, mutants) - one_number(explained, codes)
        np.testing.assert_allclose(found[:, row], (effects - effects.mean(0)).T, atol=2e-6)


def test_smoothgrad_is_the_mean_over_noisy_copies_one_by_one():
    model, codes = network("cnn_exponential"), some_codes(1, 64)[0]
    view = view_of(model, 64)
    made = smoothgrad(view, codes, np.random.default_rng(5), samples=7, sd=0.2)
    noise = np.random.default_rng(5).normal(0, 0.2, (7, 4, 64)).astype(np.float32)
    shown = one_hot(torch.from_numpy(codes[None]))
    each = np.stack([
        view.gradients(shown + torch.from_numpy(one))[1][0].numpy() for one in noise
    ]).transpose(0, 1, 3, 2)  # fmt: skip
    np.testing.assert_allclose(made.maps[0], each.mean(0), rtol=1e-4, atol=1e-7)
    centred = each - each.mean(-1, keepdims=True)
    variance = centred.var(axis=0, ddof=1).sum(axis=(1, 2))
    np.testing.assert_allclose(made.se[0], np.sqrt(variance / 7), rtol=1e-3)


def test_the_standard_error_of_the_noise_falls_with_the_root_of_the_samples(tmp_path):
    model, codes = network("cnn_exponential"), some_codes(2, 64)
    few, many = (
        mapped(tmp_path, model, codes, "smoothgrad", settings={"samples": samples})
        for samples in (20, 320)
    )
    ratio = few.quality["mc_se"].mean() / many.quality["mc_se"].mean()
    assert 3 < ratio < 5


def test_integrated_gradients_of_a_square_have_the_known_value():
    """The mean gradient of (w.x)^2 from x0 to x is w (w.x + w.x0), and it is complete."""
    weights = weights_of()
    model = own_model(Squared(weights))
    codes, rng = some_codes(1, LENGTH)[0], np.random.default_rng(2)
    made = integrated_gradients(view_of(model), codes, rng, PathSettings(steps=2, baselines=3))
    starts = shuffles(codes, np.random.default_rng(2), 3)
    at = [(weights * (one == np.arange(4)[:, None])).sum() for one in (codes, *starts)]
    expected = np.mean([weights.T * (at[0] + one) for one in at[1:]], axis=0)
    np.testing.assert_allclose(made.maps[0, 0], expected, rtol=1e-5)
    assert made.errors.max() < 1e-5
    assert (made.steps == 2).all()


def exact_mean_gradient(module, start, stop):
    """Of a network of two layers with ReLU: exact between the kinks on the line."""
    first, second = module.first, module.second
    weights, offset = (one.detach().double() for one in (first.weight, first.bias))
    low, high = (weights @ one.flatten().double() + offset for one in (start, stop))
    kinks = (low / (low - high)).clamp(0, 1)
    places = torch.cat([torch.zeros(1), torch.ones(1), kinks]).double().sort().values
    total = torch.zeros_like(weights[0])
    for one, other in pairwise(places):
        middle = low + (one + other) / 2 * (high - low)
        total += (other - one) * (second.weight[0].double() * (middle > 0)) @ weights
    return total.reshape(4, -1).detach().numpy()


@pytest.mark.parametrize("seed", range(4))
def test_integrated_gradients_of_a_relu_network_approach_the_exact_integral(seed):
    module = Rectified(seed=seed)
    view, codes = view_of(own_model(module)), some_codes(1, LENGTH, seed)[0]
    start = shuffles(codes, np.random.default_rng(seed), 1)
    expected = exact_mean_gradient(
        module, *(view.encode(one[None])[0] for one in (start[0], codes))
    )
    distances = []
    for steps in (10, 1000):
        chosen = PathSettings(steps=steps, most_steps=steps)
        made = integrated_gradients(view, codes, np.random.default_rng(seed), chosen)
        distances.append(np.abs(made.maps[0, 0].T - expected).max())
    assert distances[1] < 1e-3 * np.abs(expected).max()
    assert distances[1] <= distances[0]


def test_steps_are_doubled_until_completeness_holds():
    view = view_of(own_model(Rectified(units=12, seed=3)))
    codes = some_codes(1, LENGTH, 3)[0]
    for tolerance in (0.5, 1e-2, 1e-4):
        chosen = PathSettings(steps=3, most_steps=3 * 2**12, tolerance=tolerance)
        made = integrated_gradients(view, codes, np.random.default_rng(0), chosen)
        assert made.errors.max() <= tolerance
        steps = int(made.steps.max())
        again = PathSettings(steps=steps, most_steps=steps, tolerance=tolerance)
        same = integrated_gradients(view, codes, np.random.default_rng(0), again)
        np.testing.assert_allclose(made.maps, same.maps, rtol=1e-5, atol=1e-7)
        if steps > 3:
            half = PathSettings(steps=steps // 2, most_steps=steps // 2, tolerance=tolerance)
            worse = integrated_gradients(view, codes, np.random.default_rng(0), half)
            assert worse.errors.max() > tolerance
    assert steps > 3


@pytest.mark.parametrize("baseline", ["zero", "uniform"])
def test_baselines_without_a_draw(baseline):
    weights = weights_of()
    made = integrated_gradients(
        view_of(own_model(Squared(weights))),
        some_codes(1, LENGTH)[0],
        np.random.default_rng(0),
        PathSettings(baseline=baseline),
    )
    shown = (weights * (some_codes(1, LENGTH)[0] == np.arange(4)[:, None])).sum()
    start = 0.0 if baseline == "zero" else weights.sum() / 4
    np.testing.assert_allclose(made.maps[0, 0], weights.T * (shown + start), rtol=1e-4)


def test_expected_gradients_approach_the_mean_of_integrated_ones():
    view, codes = view_of(own_model(Rectified(seed=2))), some_codes(1, LENGTH, 2)[0]
    starts = shuffles(codes, np.random.default_rng(4), 5)
    module, stop = view.model.module, view.encode(codes[None])[0]
    exact = [exact_mean_gradient(module, view.encode(one[None])[0], stop) for one in starts]
    expected = np.mean(exact, axis=0).T
    errors = []
    for samples in (50, 5000):
        made = expected_gradients(view, codes, np.random.default_rng(4), 5, samples)
        centred = made.maps[0, 0] - expected
        centred = centred - centred.mean(axis=-1, keepdims=True)
        error = np.sqrt((centred**2).sum())
        errors.append(error)
        assert 0.2 * made.se[0, 0] < error < 4 * made.se[0, 0]
    assert errors[1] < errors[0]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.integers(0, 99))
def test_shuffles_keep_bases_and_the_places_of_unknown_ones(row, seed):
    codes = np.array(row, dtype=np.uint8)
    made = shuffles(codes, np.random.default_rng(seed), 3)
    assert made.shape == (3, len(row))
    for one in made:
        np.testing.assert_array_equal(
            np.bincount(one, minlength=5), np.bincount(codes, minlength=5)
        )
        np.testing.assert_array_equal(one == bases.UNKNOWN, codes == bases.UNKNOWN)


def test_deep_lift_of_a_linear_network_is_its_weights_less_those_of_the_reference():
    weights = weights_of()
    codes = some_codes(1, LENGTH)[0]
    made = deep_lift_shap(
        view_of(own_model(Linear(weights))), codes, np.random.default_rng(1), 4, own_rules()
    )
    rng = np.random.default_rng(1)
    references = [dinucleotide_shuffle(codes, rng) for _ in range(4)]
    there = np.mean([weights[one, np.arange(LENGTH)] for one in references], axis=0)
    np.testing.assert_allclose(made.maps[0, 0], weights.T - there[:, None], rtol=1e-5, atol=1e-6)
    assert made.errors.max() < 1e-5


@pytest.mark.parametrize("name", ["cnn_exponential", "pooled_cnn", "keras_sigmoid"])
def test_contributions_add_up_to_the_change_of_the_prediction(tmp_path, name):
    """Exponential, maxima over positions, and pooling windows that overlap."""
    model = network(name)
    length = {"cnn_exponential": 64, "pooled_cnn": 42, "keras_sigmoid": 40}[name]
    codes = some_codes(4, length)
    found = mapped(tmp_path, model, codes, "deep_lift_shap", settings={"references": 6})
    explained, _ = explained_model(model, length)
    own = np.take_along_axis(found.stored(), codes[:, None, :, None].astype(int), axis=3)
    contributed = own[..., 0].sum(axis=2)
    predicted = one_number(explained, codes)
    for row, sequence in enumerate(codes):
        rng = named_generator(1, f"s{row}", "")
        references = np.stack([dinucleotide_shuffle(sequence, rng) for _ in range(6)])
        change = predicted[row] - one_number(explained, references).mean(axis=0)
        np.testing.assert_allclose(contributed[row], change, rtol=2e-3, atol=1e-5)
    assert found.quality["error"].max() < 1e-3
    assert found.quality["converged"].all()


def test_an_exponential_without_its_rule_misses_completeness():
    model, codes = network("cnn_exponential"), some_codes(2, 64)
    view = view_of(model, 64)
    rules = own_rules()
    for sequence in codes:
        known = deep_lift_shap(view, sequence, np.random.default_rng(0), 3, rules)
        without = {layer: rule for layer, rule in rules.items() if layer is not Exponential}
        missed = deep_lift_shap(view, sequence, np.random.default_rng(0), 3, without)
        assert known.errors.max() < 1e-4
        assert missed.errors.max() > 1e-2


class FunctionalExponential(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv1d(4, 3, 5)
        self.second = torch.nn.Linear(3 * (LENGTH - 4), 1)

    def forward(self, inputs):
        return self.second(torch.exp(3 * self.first(inputs)).flatten(1))[:, None]


def test_a_function_without_a_rule_stops_the_job(tmp_path):
    model = own_model(FunctionalExponential())
    with pytest.raises(InputError, match="functional exponential, has no rule") as error:
        mapped(tmp_path, model, some_codes(5, LENGTH), "deep_lift_shap")
    assert "deep_lift_shap: 5 of 5 maps miss completeness by more than 0.001" in str(error.value)
    assert "sequence 's" in str(error.value)
    assert "least_converged is 0.95" in str(error.value)
    assert not (tmp_path / "deep_lift_shap.parquet").exists()


class Recurrent(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.states = torch.nn.LSTM(4, 3, batch_first=True)
        self.last = torch.nn.Linear(3, 1)

    def forward(self, inputs):
        return self.last(self.states(inputs.transpose(1, 2))[0][:, -1])[:, None]


def test_a_layer_without_a_rule_is_named(tmp_path):
    with pytest.raises(InputError, match=r"'entrypoint' has the layer 'states' \(LSTM\)") as error:
        mapped(tmp_path, own_model(Recurrent()), some_codes(1, LENGTH), "deep_lift_shap")
    assert "use integrated_gradients, expected_gradients or ism" in str(error.value)


def test_too_few_steps_stop_the_job_and_some_may_be_allowed(tmp_path):
    model, codes = own_model(Rectified(units=12, seed=3)), some_codes(6, LENGTH)
    settings = {"steps": 2, "most_steps": 2, "tolerance": 1e-4}
    with pytest.raises(InputError, match="raise its most_steps") as error:
        mapped(tmp_path, model, codes, "integrated_gradients", settings=settings)
    found = mapped(
        tmp_path, model, codes, "integrated_gradients", settings=settings, least_converged=0.0
    )
    missed = found.quality["error"] > 1e-4
    assert f"{missed.sum()} of 6 maps miss completeness by more than 0.0001" in str(error.value)
    assert missed.any()
    np.testing.assert_array_equal(found.read().converged, ~missed)
    np.testing.assert_array_equal(found.read().usable, ~missed)


class Sure(torch.nn.Module):
    """A classifier that is sure of everything: its probabilities round to 1."""

    def __init__(self, named=True):
        super().__init__()
        self.network = Rectified(units=8, seed=5)
        setattr(self, "output" if named else "last", torch.nn.Sigmoid())
        self.named = named

    def forward(self, inputs):
        last = self.output if self.named else self.last
        return last(60 + self.network(inputs))


def test_a_logit_does_not_vanish_where_the_probability_does(tmp_path):
    codes = some_codes(3, LENGTH)
    explained = mapped(tmp_path, own_model(Sure(), scale="probability"), codes, "saliency")
    assert explained.metadata["explained"] == "logit, from before the last activation"
    assert explained.read().usable.all()
    np.testing.assert_allclose(explained.predictions(), 60, atol=10)
    plain = mapped(tmp_path, own_model(Sure(), scale="log_expression"), codes, "saliency")
    assert not plain.read().usable.any()
    assert plain.quality["zero"].all()


def test_without_a_last_layer_the_logit_is_that_of_the_probability(tmp_path):
    module = Sure(named=False)
    model, codes = own_model(module, scale="probability"), some_codes(3, LENGTH)
    found = mapped(tmp_path, model, codes, "saliency")
    assert found.metadata["explained"] == "logit of the predicted probability"
    assert not found.quality["finite"].any()
    assert not found.read().usable.any()


class Misnamed(torch.nn.Module):
    """A layer named `output` that is not the last one."""

    def __init__(self):
        super().__init__()
        self.network = Rectified()
        self.output = torch.nn.Sigmoid()

    def forward(self, inputs):
        return self.output(self.network(inputs)) / 2


def test_a_layer_that_is_not_the_last_one_is_not_left_out(tmp_path):
    model, codes = own_model(Misnamed(), scale="probability"), some_codes(2, LENGTH)
    found = mapped(tmp_path, model, codes, "saliency")
    assert found.metadata["explained"] == "logit of the predicted probability"
    given = one_number(model, codes)
    np.testing.assert_allclose(found.predictions(), np.log(given / (1 - given)), rtol=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        "cnn_sigmoid",
        "cnn_dist",
        "keras_sigmoid",
        "keras_softmax",
        pytest.param("pangolin", marks=pytest.mark.slow),
    ],
)
def test_logits_are_those_of_the_probabilities(name):
    model, length = network(name), ZOO[name][3]
    codes = some_codes(2, length)
    explained, how = explained_model(model, length)
    assert how == "logit, from before the last activation"
    given = model.predict(codes).double()
    torch.testing.assert_close(
        explained.predict(codes).double(), torch.logit(given), rtol=1e-3, atol=1e-3
    )


def test_counts_are_explained_as_they_are():
    model = network("cnn_exponential")
    assert explained_model(model, 64) == (model, "output")


@pytest.mark.parametrize(
    "method", ["saliency", "smoothgrad", "integrated_gradients", "deep_lift_shap"]
)
def test_shards_and_threads_of_one_job_do_not_change_maps(tmp_path, method):
    model, codes = network("cnn_exponential"), some_codes(5, 64)
    chosen = {"least_converged": 0.0, "reverse_complement": True}
    whole = mapped(tmp_path, model, codes, method, **chosen)
    again = whole.stored()
    parts = [
        mapped(tmp_path, model, codes[first:stop], method, ids_from=first, **chosen).stored()
        for first, stop in ((0, 2), (2, 5))
    ]
    np.testing.assert_allclose(np.concatenate(parts), again, rtol=1e-4, atol=1e-7)
    twice = mapped(tmp_path, model, codes, method, **chosen)
    np.testing.assert_array_equal(twice.stored(), again)
    if method in ("smoothgrad", "integrated_gradients"):
        other = mapped(tmp_path, model, codes, method, seed=2, **chosen)
        assert np.abs(other.stored() - again).max() > 1e-3 * np.abs(again).max()


def test_fixed_masks_are_placed_where_a_sequence_lies(tmp_path):
    """Maps of MC dropout are those of the network whose masks begin where the window does."""
    model = network("cnn_exponential", {"dropout": 0.5})
    save_replicate(tmp_path / "r1.safetensors", model)
    mask_replicate(tmp_path / "r1.safetensors", tmp_path / "m1.safetensors", 7)
    masked = load_replicate(tmp_path / "m1.safetensors")
    codes = np.repeat(some_codes(1, 64), 3, axis=0)
    gradients = mapped(tmp_path, masked, codes, "saliency").stored()
    assert np.abs(gradients[0] - gradients[1]).max() > 1e-3 * np.abs(gradients).max()
    effects = mapped(tmp_path, masked, codes, "ism").predictions()
    for method in ("saliency", "smoothgrad", "deep_lift_shap"):
        found = mapped(tmp_path, masked, codes, method, reverse_complement=False)
        np.testing.assert_allclose(found.predictions(), effects, rtol=1e-5)


def test_what_cannot_be_explained_is_refused(tmp_path):
    model, codes = network("cnn_exponential"), some_codes(1, 64)
    with pytest.raises(InputError, match=r"has 8 bins per track.*reduction sum or mean"):
        mapped(tmp_path, model, codes, "saliency", {"reduction": "none"})
    for region in ((5, 5), (0, 65)):
        with pytest.raises(InputError, match=rf"region \[{region[0]}, {region[1]}\) does not lie"):
            mapped(tmp_path, model, codes, "saliency", region=region)
    pangolin = build_model("pangolin", {}, [], "")
    with pytest.raises(InputError, match=r"reads the transcribed strand.*reverse_complement"):
        mapped(tmp_path, pangolin, some_codes(1, 10_001), "saliency", reverse_complement=True)


def test_a_model_is_left_as_it_was(tmp_path):
    model = network("cnn_exponential")
    before = deepcopy(model.module.state_dict())
    mapped(tmp_path, model, some_codes(2, 64), "deep_lift_shap")
    assert all(not one._forward_hooks and not one._backward_hooks for one in model.module.modules())
    for name, tensor in model.module.state_dict().items():
        assert torch.equal(tensor, before[name])
        assert tensor.grad is None


def test_no_sequence_gives_an_empty_table(tmp_path):
    model = network("cnn_exponential")
    sequences = sequence_set(np.empty((0, 64), dtype=np.uint8))
    for method, chosen in (("saliency", {}), ("ism", {"savings": True})):
        path = tmp_path / f"{method}.parquet"
        attribute(path, model, sequences, {"o": SUM}, Request(method, chosen))
        assert path.exists()


def test_shaken_networks_differ():
    """The twins above would agree on maps of zeros, too."""
    assert not torch.equal(
        shaken(network("cnn_gelu"), 1).predict(some_codes(1, 64)),
        shaken(network("cnn_gelu"), 2).predict(some_codes(1, 64)),
    )
