"""Windows with a planted motif, small networks and streams that tests of training share."""

import numpy as np
import torch

from seqtrust import bases
from seqtrust.models.architectures import build_model
from seqtrust.models.facts import Facts, Track
from seqtrust.models.model import Model
from seqtrust.models.training import train
from seqtrust.models.training_data import data_digest
from seqtrust.models.window_source import Batch, share

MOTIF = bases.encode("TGACTCAGC")
WINDOWS, LENGTH, BIN = 60, 256, 16


def planted(seed=0):
    """Windows whose two tracks count a motif, on the forward and on the reverse strand."""
    random = np.random.default_rng(seed)
    codes = random.integers(0, 4, (WINDOWS, LENGTH)).astype(np.uint8)
    targets = np.full((WINDOWS, LENGTH // BIN, 2), 0.2, dtype=np.float32)
    for window in range(WINDOWS):
        for at in random.choice(LENGTH // BIN, 6, replace=False):
            strand = int(random.integers(2))
            motif = bases.reverse_complement(MOTIF) if strand else MOTIF
            codes[window, at * BIN + 3 : at * BIN + 3 + len(MOTIF)] = motif
            targets[window, at, strand] += 4
    splits = ["validation" if window % 5 == 0 else "train" for window in range(WINDOWS)]
    return codes, targets, splits


def network(dropout=0.1):
    tracks = (Track("forward", "CAGE", 1), Track("reverse", "CAGE", 0))
    parameters = {"channels": 8, "pool": [4, 4], "kernel": 11, "dropout": dropout}
    return build_model("cnn", parameters | {"dilations": [1]}, tracks, "toy")


def trained(seed=0, data=None, epochs=2, **settings):
    model = network()
    record = train(model, *(data or planted()), seed=seed, epochs=epochs, **settings)
    return model, record


def weights(model):
    return torch.cat([tensor.flatten().double() for tensor in model.module.state_dict().values()])


class Plain(torch.nn.Module):
    """A network without norms and dropout, which may read a control."""

    def __init__(self, control=0):
        super().__init__()
        self.motifs = torch.nn.Conv1d(4, 8, 11, padding=5)
        self.activation = torch.nn.ReLU()
        self.pool = torch.nn.MaxPool1d(BIN)
        self.read_out = torch.nn.Conv1d(8 + control, 2, 1)
        self.output = torch.nn.Softplus()
        self.control = control

    def forward(self, sequences, control=None):
        values = self.pool(self.activation(self.motifs(sequences)))
        if self.control:
            if control is None:
                control = values.new_zeros((len(values), values.shape[2], self.control))
            values = torch.cat([values, control.transpose(1, 2)], dim=1)
        return self.output(self.read_out(values)).transpose(1, 2)


def plain(control=0):
    tracks = (Track("forward", "CAGE", 1), Track("reverse", "CAGE", 0))
    facts = Facts(None, BIN, 0, tracks, 26, "toy", "counts")
    return Model(Plain(control), facts, "plain", {})


def with_holes():
    codes, targets, splits = planted()
    targets[np.random.default_rng(1).random(targets.shape) < 0.3] = np.nan
    targets[1:4] = np.nan
    return codes, targets, splits


class Streamed:
    """A source that gives its windows one by one from a list, for an epoch's drawn seed."""

    def __init__(self, codes, targets):
        self.codes, self.targets = torch.from_numpy(codes), torch.from_numpy(targets)

    def __len__(self):
        return len(self.codes)

    @property
    def shape(self):
        return self.codes.shape[1], self.targets.shape[1], self.targets.shape[2]

    def digest(self):
        return data_digest(self.codes.numpy(), self.targets.numpy(), [])

    def epoch_windows(self, processes):
        return len(self) // processes * processes

    def order(self, generator):
        return torch.tensor([int(generator.integers(2**31))])

    def batches(self, order, size, skip, part):
        rows = np.arange(len(self))
        if order is not None:
            rows = np.random.default_rng(int(order)).permutation(len(self))
            rows = rows[: self.epoch_windows(part[1])]
        for first in range(skip, len(rows), size):
            step = rows[first : first + size]
            mine = torch.from_numpy(step[share(len(step), part)])
            yield Batch(self.codes[mine], self.targets[mine], mine)


def streams():
    codes, targets, splits = planted()
    names = np.array(splits)
    splits = [names == name for name in ("train", "validation")]
    return [Streamed(codes[split], targets[split]) for split in splits]


def with_control(seed=0):
    """The motif tells where, the control how much; both of two strands."""
    codes, targets, splits = planted(seed)
    control = np.random.default_rng(seed + 1).gamma(1, 1, targets.shape).astype(np.float32)
    return codes, np.concatenate([targets + 3 * control, control], axis=2), splits
