"""Structural priors inside networks: the library's scans, and what users of a network may do."""

import json

import numpy as np
import pytest
import torch
from pooled_networks import FAMILIES, LENGTH, network
from robustness_worlds import small_world
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from seqtrust.errors import InputError
from seqtrust.inference.ism import saturation
from seqtrust.models.checkpoint import load_replicate, mask_replicate, save_replicate
from seqtrust.models.model import one_hot
from seqtrust.models.prior_scans import Prior, PriorScans, fitted_prior
from seqtrust.models.training import train
from seqtrust.models.training_data import NO_CONTROL, Control
from seqtrust.motifs import Motif
from seqtrust.robustness.conditions import sample
from seqtrust.robustness.sequences import gc_content
from seqtrust.robustness.shifts import IN_DISTRIBUTION, named_shift
from seqtrust.robustness.structural_priors import fit_prior, prior_parameters, scan_features


def some_codes(count=5, seed=1, unknown=0.05):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (count, LENGTH)).astype(np.uint8)
    codes[rng.random(codes.shape) < unknown] = 4
    return codes


def some_motifs(widths=(5, 3, 5, 8), seed=0):
    rng = np.random.default_rng(seed)
    return tuple(
        Motif(f"m{place}", tuple(map(tuple, rng.dirichlet(np.full(4, 0.5), width).tolist())))
        for place, width in enumerate(widths)
    )


def a_prior(motifs=None, codes=None):
    given = some_motifs() if motifs is None else motifs
    return fitted_prior(given, True, some_codes(50) if codes is None else codes)


def test_scans_are_those_of_the_library():
    """Motifs of several widths in any order, both strands, sites with N."""
    codes, motifs = some_codes(30), some_motifs()
    prior = a_prior(motifs)
    found = PriorScans(prior, LENGTH)(one_hot(torch.from_numpy(codes))).numpy()
    raw = np.hstack([scan_features(codes, motifs), gc_content(codes)[:, None]])
    np.testing.assert_allclose(found, (raw - prior.centre) / prior.scale, atol=1e-5)
    mine = fitted_prior(motifs, True, codes)
    np.testing.assert_allclose(mine.centre, raw.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(mine.scale, raw.std(axis=0), atol=1e-5)


def test_sequences_without_a_known_base_have_finite_scans():
    codes = np.full((1, LENGTH), 4, dtype=np.uint8)
    inputs = one_hot(torch.from_numpy(codes)).requires_grad_()
    prior = a_prior()
    found = PriorScans(prior, LENGTH)(inputs)
    raw = np.hstack([scan_features(codes, some_motifs()), [[0.0]]])
    np.testing.assert_allclose(found.detach(), (raw - prior.centre) / prior.scale, atol=1e-5)
    found.sum().backward()
    assert bool(torch.isfinite(inputs.grad).all())


@pytest.mark.parametrize("kind", ["scans", "shuffled", "gc"])
def test_a_network_computes_the_features_of_the_simulator(kind):
    """Also of data under shift, with the motifs and moments of training."""
    world = small_world()
    length = world.settings.sequences.length
    prior = fit_prior(world, sample(world, IN_DISTRIBUTION, 300, 1), kind, known=2)
    scans = PriorScans(Prior.of(prior_parameters(prior)), length)
    for shift in (IN_DISTRIBUTION, named_shift("PWM", 4), named_shift("ART", 3)):
        condition = sample(world, shift, 40, 2)
        found = scans(one_hot(torch.from_numpy(condition.sequences))).numpy()
        np.testing.assert_allclose(found, prior.features(condition), atol=1e-5)


def test_the_upper_bound_is_given_not_computed():
    world = small_world()
    bound = fit_prior(world, sample(world, IN_DISTRIBUTION, 100, 1), "upper_bound")
    with pytest.raises(InputError, match=r"give prior\.features.* as control tracks"):
        prior_parameters(bound)


@pytest.mark.parametrize("family", FAMILIES)
def test_features_stand_beside_what_is_pooled(family):
    """Hidden layers and head by hand on the body's vector, the scans and the control."""
    prior = a_prior()
    model = network(family, prior=prior.plain(), control=2, head="point")
    codes = some_codes(4)
    control = np.random.default_rng(0).normal(size=(4, 1, 2)).astype(np.float32)
    inputs = one_hot(torch.from_numpy(codes))
    module = model.module
    for given in (control, None):
        read = torch.zeros(4, 2) if given is None else torch.from_numpy(given[:, 0])
        with torch.inference_mode():
            parts = [module.body(inputs), PriorScans(prior, LENGTH)(inputs), read]
            expected = module.read_out(module.hidden(torch.cat(parts, dim=1)))
        found = model.predict(codes, given)
        np.testing.assert_allclose(found[:, 0], expected, atol=1e-6)
    assert not torch.equal(model.predict(codes, control), model.predict(codes))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_replicate_holds_its_prior(family, tmp_path):
    model = network(family, prior=a_prior().plain())
    save_replicate(tmp_path / "r", model)
    loaded = load_replicate(tmp_path / "r")
    codes = some_codes()
    assert torch.equal(loaded.predict(codes), model.predict(codes))
    assert Prior.of(loaded.parameters["prior"]) == a_prior()
    mask_replicate(tmp_path / "r", tmp_path / "masked", 1)
    assert not torch.equal(load_replicate(tmp_path / "masked").predict(codes), model.predict(codes))


def test_replicates_of_before_there_were_priors_load(tmp_path):
    """Their cards name neither prior nor control."""
    model = network()
    save_replicate(tmp_path / "r", model)
    with safe_open(tmp_path / "r", framework="pt") as file:
        card = json.loads(file.metadata()["card"])
    for name in ("prior", "control"):
        del card["parameters"][name]
    save_file(load_file(tmp_path / "r"), tmp_path / "old", {"card": json.dumps(card)})
    codes = some_codes()
    assert torch.equal(load_replicate(tmp_path / "old").predict(codes), model.predict(codes))


def test_networks_without_a_prior_have_the_tensors_they_had():
    names = set(network().module.state_dict())
    assert names == set(network(prior=a_prior().plain()).module.state_dict())
    assert {name.split(".")[0] for name in names} == {"body", "hidden", "read_out"}


@pytest.mark.parametrize("family", FAMILIES)
def test_mutagenesis_sees_the_prior(family):
    model = network(family, prior=a_prior().plain(), head="point")
    codes = some_codes(1, unknown=0)
    made = saturation(model, codes, {"value": {}}, reverse_complement=False)
    reference = model.predict(codes)[0, 0, 0].item()
    for position in (0, 20, LENGTH - 1):
        mutants = np.repeat(codes, 4, axis=0)
        mutants[:, position] = range(4)
        effects = model.predict(mutants)[:, 0, 0].numpy() - reference
        np.testing.assert_allclose(
            made.effects["value"][0, :, :, 0, 0][position], effects, atol=2e-5
        )


def test_gradients_of_scans_are_those_of_finite_differences():
    """Of motifs so wide that no two sites are equally good: there a maximum has no gradient."""
    prior = a_prior(some_motifs((8, 9, 8)))
    scans = PriorScans(prior, LENGTH).double()
    inputs = one_hot(torch.from_numpy(some_codes(3, unknown=0))).double().requires_grad_()
    (gradient,) = torch.autograd.grad(scans(inputs).sum(), inputs)
    for seed in range(5):
        way = torch.from_numpy(np.random.default_rng(seed).normal(size=inputs.shape))
        with torch.no_grad():
            ends = [scans(inputs + sign * 1e-5 * way).sum().item() for sign in (1, -1)]
        assert (ends[0] - ends[1]) / 2e-5 == pytest.approx((gradient * way).sum().item(), rel=1e-5)


def learned(parameters, targets, control=NO_CONTROL, **settings):
    codes = some_codes(120, seed=5, unknown=0)
    model = network(head="point", dropout=0.0, **parameters)
    record = train(
        model, codes, targets(codes), ["train"] * 90 + ["validation"] * 30, seed=1, loss="mse",
        control=control, epochs=25, batch_size=30, learning_rate=0.02, **settings,
    )  # fmt: skip
    return model, max(record.validation_r)


def test_known_motifs_help_to_learn_and_shuffled_strengths_of_other_motifs_do_not():
    motifs = some_motifs((8,), seed=4)

    def targets(codes):
        best = scan_features(codes, motifs)[:, 0]
        return ((best - best.mean()) / best.std())[:, None, None].astype(np.float32)

    codes = some_codes(120, seed=5, unknown=0)
    _, known = learned({"prior": fitted_prior(motifs, True, codes).plain()}, targets)
    others = some_motifs((8,), seed=9)
    _, other = learned({"prior": fitted_prior(others, True, codes).plain()}, targets)
    assert known > 0.9
    assert other < known - 0.1


def test_a_control_is_learned_from_and_zero_at_inference():
    drawn = np.random.default_rng(2).normal(size=(120, 1, 1)).astype(np.float32)

    def targets(codes):
        return np.concatenate([2 * drawn, drawn], axis=2)

    model, r = learned({"control": 1}, targets, Control(("depth",), (0,)))
    assert r > 0.8
    codes = some_codes(3)
    zeros = np.zeros((3, 1, 1), dtype=np.float32)
    assert torch.equal(model.predict(codes), model.predict(codes, zeros))


FINE = {"centre": [0.0], "scale": [1.0]}
ONE = {"name": "m", "columns": [[0.7, 0.1, 0.1, 0.1]] * 3}

LONG = {"name": "m", "columns": [[0.7, 0.1, 0.1, 0.1]] * 60}


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        ({"motives": [], **FINE}, "prior has no 'motives'; did you mean 'motifs'"),
        ({"scale": [1.0]}, "prior: 'centre' is missing"),
        ({"gc": False, **FINE}, "prior: it has no feature: give motifs, or gc: true"),
        ({"motifs": [ONE], **FINE}, "centre must be 3 finite numbers, two per motif and one of GC"),
        ({"centre": [0.0], "scale": [0.0]}, "scale must be 1 finite positive numbers"),
        ({"motifs": [{"name": "m"}], **FINE}, "prior: a motif needs name and columns"),
        (
            {"motifs": [ONE | {"columns": [[1, 0, 0, 0]]}], "centre": [0] * 3, "scale": [1] * 3},
            "motif 'm' has a probability of 0, whose log odds are not finite",
        ),
        (
            {"motifs": [LONG], "centre": [0] * 3, "scale": [1] * 3},
            "a motif of 60 bp does not fit into 42 bp",
        ),
    ],
)  # fmt: skip
def test_priors_that_cannot_be_are_refused(prior, message):
    with pytest.raises(InputError, match=message):
        network(prior=prior)


def test_a_control_of_another_size_is_refused():
    codes = some_codes(2)
    with pytest.raises(InputError, match="a control of 1 tracks and 1 bins, but parameter control"):
        network(control=2).predict(codes, np.zeros((2, 1, 1), dtype=np.float32))
    with pytest.raises(InputError, match="no training window to standardise on"):
        fitted_prior((), True, codes[:0])
