"""Networks of the robustness benchmark: what they learn from, and what they state."""

import numpy as np
import pytest
from robustness_benchmark import written_world

from seqtrust.models.checkpoint import load_replicate, save_replicate
from seqtrust.robustness.benchmark_kmers import predict_kmers
from seqtrust.robustness.benchmark_plan import NetworkPlan
from seqtrust.robustness.benchmark_predictions import predict_world, stated
from seqtrust.robustness.benchmark_training import train_network
from seqtrust.robustness.stated_tables import mixed
from seqtrust.robustness.structural_priors import fit_prior

SMALL = {"channels": 6, "kernel": 7, "dense": 12}
TRAINING = {"epochs": 2, "batch_size": 50, "learning_rate": 5e-3, "loss": "gaussian_nll",
            "validation_metric": "loss"}  # fmt: skip
CPU = {"threads": 1, "device": "cpu"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    shifts = {"GC": [2], "PWM": [3], "REW": [3], "NOISE-A": [3]}
    path = tmp_path_factory.mktemp("world") / "1.parquet"
    return written_world(path, shifts=shifts, sizes=(300, 100, 100, 80))


def trained(world, seed=1, teacher=None, parameters=(), training=(), **plan):
    parameters, training = SMALL | dict(parameters), TRAINING | dict(training)
    made = NetworkPlan("pooled_cnn", parameters, training, **plan)
    return train_network(
        world, made, seed=seed, prior_seed=5, teacher=teacher, progress=lambda line: None, **CPU
    )


def predicted(model, world, **settings):
    return dict(predict_world(model, world, world.names(taught=True), **CPU, **settings))


@pytest.fixture(scope="module")
def plain(world):
    return trained(world)


def test_predictions_are_in_units_of_the_measurements(world, plain):
    training = world.condition("train")
    centre, scale = training.observed.mean(), training.observed.std()
    raw = plain.predict(training.sequences).numpy()[:, 0].astype(np.float64)
    found = predicted(plain, world)["train"]
    assert found.mean == pytest.approx(centre + scale * raw[:, 0])
    assert found.aleatoric == pytest.approx(scale**2 * np.exp(raw[:, 1]))
    assert not found.epistemic.any()


def test_training_is_repeatable_and_a_replicate_is_whole(world, plain, tmp_path):
    again = trained(world)
    other = trained(world, seed=2)
    first, second, third = (predicted(model, world)["ID"] for model in (plain, again, other))
    assert np.array_equal(first.mean, second.mean)
    assert not np.array_equal(first.mean, third.mean)
    save_replicate(tmp_path / "1.safetensors", plain)
    read = predicted(load_replicate(tmp_path / "1.safetensors"), world)["ID"]
    assert np.array_equal(read.mean, first.mean)
    assert np.array_equal(read.sd, first.sd)


def test_equal_sequences_are_stated_equally(world, plain):
    found = predicted(plain, world)
    for name in ("REW-3", "NOISE-A-3"):
        assert np.array_equal(found[name].mean, found["ID"].mean)
        assert np.array_equal(found[name].sd, found["ID"].sd)
    assert not np.array_equal(found["GC-2"].mean, found["ID"].mean)
    shifted = world.condition("GC-2")
    assert np.array_equal(found["GC-2"].mean, stated(plain, shifted.sequences).mean)


@pytest.mark.parametrize("kind", ["scans", "shuffled", "gc"])
def test_priors_are_inside_the_network(world, kind):
    known = {} if kind == "gc" else {"known": 2}
    model = trained(world, prior={"kind": kind, **known})
    prior = fit_prior(world.world, world.condition("train"), kind, seed=5, **known)
    inside = model.parameters["prior"]
    assert inside["centre"] == pytest.approx(prior.centre.tolist())
    assert len(inside["motifs"]) == len(prior.motifs)
    assert np.isfinite(predicted(model, world)["PWM-3"].mean).all()


def test_the_upper_bound_reads_features_that_follow_a_drift(world, tmp_path):
    model = trained(world, prior={"kind": "upper_bound"})
    save_replicate(tmp_path / "1.safetensors", model)
    read = load_replicate(tmp_path / "1.safetensors")
    condition = world.condition("PWM-3")
    prior = fit_prior(world.world, world.condition("train"), "upper_bound")
    found = predicted(read, world)["PWM-3"]
    expected = stated(model, condition.sequences, prior.features(condition))
    assert found.mean == pytest.approx(expected.mean)
    assert found.mean != pytest.approx(stated(model, condition.sequences).mean)


def test_an_ensemble_teaches_a_student(world, plain):
    members = [predicted(model, world) for model in (plain, trained(world, seed=2))]
    teacher = mixed(members)
    scale = world.condition("train").observed.std()
    for what in ("total", "epistemic"):
        student = trained(
            world,
            teacher=teacher,
            parameters={"head": "spread"},
            training={"loss": "distillation", "epochs": 6},
            variance=what,
        )
        found = predicted(student, world)["train"]
        if what == "total":
            assert abs(found.mean.mean() - teacher["train"].mean.mean()) < 0.5 * scale
        assert found.aleatoric.any() == (what == "total")
        assert found.epistemic.any() == (what == "epistemic")
    # members agree far better than measurements: the spread is learned, not the noise
    assert np.log(found.epistemic).mean() < np.log(scale**2) - 0.5


def test_dropout_masks_are_networks_of_a_mixture(world, plain):
    found = predicted(plain, world, masks=3, seed=1)
    again = predicted(plain, world, masks=3, seed=1)
    assert np.array_equal(found["ID"].mean, again["ID"].mean)
    assert (found["ID"].epistemic > 0).mean() > 0.9
    assert np.array_equal(found["REW-3"].sd, found["ID"].sd)


def test_evidential_networks_state_two_variances(world):
    model = trained(world, parameters={"head": "evidential"}, training={"loss": "evidential"})
    found = predicted(model, world)["ID"]
    assert (found.aleatoric > 0).all()
    assert (found.epistemic > 0).all()


def test_known_noise_is_stated_as_it_is_known(world):
    model = trained(world, known_noise=True)
    found = predicted(model, world)
    for name in ("ID", "NOISE-A-3"):
        assert np.array_equal(found[name].aleatoric, world.condition(name).sd ** 2)
    assert np.array_equal(found["ID"].epistemic, found["NOISE-A-3"].epistemic)
    assert found["NOISE-A-3"].sd.mean() > 2 * found["ID"].sd.mean()


def test_groups_and_weights_change_what_is_learned(world, plain):
    expected = predicted(plain, world)["ID"].mean
    grouped = trained(world, groups="activity_tertile")
    assert set(grouped.record["group_weights"]) == {"low", "middle", "high"}
    weighted = trained(world, weights={"gc": {"bins": 10}})
    for model in (grouped, weighted):
        assert not np.array_equal(predicted(model, world)["ID"].mean, expected)


@pytest.mark.parametrize("kind", ["ridge", "boosting"])
def test_kmer_models_state_a_variance(world, kind):
    names = world.names(taught=False)
    settings = {"kind": kind, "k": 3} | ({"trees": 8} if kind == "boosting" else {})
    found = dict(predict_kmers(world, names, settings, seed=1))
    assert tuple(found) == names
    assert np.array_equal(found["REW-3"].mean, found["ID"].mean)
    assert (found["GC-2"].aleatoric > 0).all()
