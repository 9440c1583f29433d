"""Mean and spread of replicates as measured tracks, against a loop over bins."""

from statistics import mean, stdev

import numpy as np
import pytest

from seqtrust.errors import InputError
from seqtrust.measured_predictions import measure_predictions
from seqtrust.models.facts import Facts, Track
from seqtrust.predictions import OutputSpec, Predictions
from seqtrust.sequence_set import Sequence, SequenceSet, StoredWindow
from seqtrust.tables import dump
from seqtrust.targets import open_targets

BINS, WIDTH, CROP = 3, 10, 5
LENGTH = BINS * WIDTH + 2 * CROP
TRACKS = (Track("plus", "", 1), Track("minus", "", 0), Track("both"))
FACTS = Facts(None, WIDTH, CROP, TRACKS, 19, "toy1", "counts")
NAMES = ("plus", "minus", "both")


def windows():
    return [
        StoredWindow(f"w{i}", "toy", "c", 100 * i + LENGTH // 2, LENGTH // 2, LENGTH, strand,
                     100 * i, np.zeros(LENGTH, dtype=np.uint8))
        for i, strand in enumerate("+-+")
    ]  # fmt: skip


def replicates(spec, count=4, low=0.0):
    rng = np.random.default_rng(3)
    order = rng.permutation(3)
    made = {}
    for name in range(count):
        values = (low + rng.random((3, *spec.shape))).astype(np.float32)
        made[f"r{name}"] = Predictions(
            [f"w{i}" for i in order],
            {"profile": values},
            [spec],
            {"profile": 0.0},
            {"facts": dump(FACTS.to_dict())},
        )
    return made


def spec_of(tracks=(0, 1, 2), bins=(0, 1, 2), reduction="none"):
    return OutputSpec("profile", tracks, bins, reduction, tuple(NAMES[t] for t in tracks))


@pytest.mark.parametrize("scale", ["identity", "log2p1"])
def test_mean_and_sd_of_every_bin(tmp_path, scale):
    path, made = tmp_path / "spread.arrow", replicates(spec_of())
    sequences = SequenceSet(windows(), [Sequence(f"w{i}", i) for i in range(3)])
    assert measure_predictions(path, made, sequences, "profile", scale) == 3
    measured = open_targets(path)
    assert measured.tracks == (*NAMES, *(f"{name}_sd" for name in NAMES))
    assert measured.partners == (1, 0, None, 4, 3, None)
    assert measured.bin_width == WIDTH
    for window in windows():
        # read in the window's orientation, in which it was predicted
        found = measured.of_window(window, CROP)
        for track in range(3):
            for place in range(BINS):
                values = [
                    float(one.values["profile"][one.sequence_ids.index(window.name), track, place])
                    for one in made.values()
                ]
                if scale == "log2p1":
                    values = [float(np.log2(1 + value)) for value in values]
                assert found[place, track] == pytest.approx(mean(values), abs=1e-6)
                assert found[place, track + 3] == pytest.approx(stdev(values), abs=1e-6)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (replicates(spec_of(), count=1), "one replicate has no spread"),
        (replicates(spec_of(bins=(1, 2))), "keeps bins 1 to 2 with reduction none"),
        (replicates(spec_of(reduction="sum")), "keeps bins 0 to 2 with reduction sum"),
        (replicates(spec_of(tracks=(0, 2))), "has track 'plus' without its other strand, 'minus'"),
        (replicates(spec_of(), low=-3), "scale 'log2p1' needs predictions above -1"),
    ],
)
def test_what_cannot_be_learned_is_refused(tmp_path, made, message):
    sequences = SequenceSet(windows(), [Sequence(f"w{i}", i) for i in range(3)])
    with pytest.raises(InputError, match=message):
        measure_predictions(tmp_path / "spread.arrow", made, sequences, "profile", "log2p1")
    assert not (tmp_path / "spread.arrow").exists()
