"""Small networks with one value per sequence, for tests of their families."""

from seqtrust.models.architectures import build_model
from seqtrust.models.facts import Track
from seqtrust.models.training import initialise

LENGTH = 42
SMALL = {
    "pooled_cnn": {"channels": 6, "kernel": 5, "second_kernel": 3, "dense": 7},
    "bilstm": {"channels": 6, "kernel": 5, "units": 5, "dense": 7},
    "transformer": {"channels": 8, "kernel": 5, "heads": 2, "feed_forward": 10},
}
FAMILIES = tuple(SMALL)


def network(family="pooled_cnn", seed=3, tracks=("a",), **parameters):
    small = {"input_length": LENGTH, **SMALL[family]}
    model = build_model(family, small | parameters, [Track(name) for name in tracks], "toy")
    initialise(model.module, seed)
    return model
