"""Inference and mutagenesis run with torch, numpy and pyarrow alone."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
ALLOWED = ("torch", "numpy", "pyarrow")

BLOCKER = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            return None
        return self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
"""

PREDICT = """
import numpy as np
from seqtrust.inference.ism import saturation
from seqtrust.inference.predict import predict
from seqtrust.models.architectures import build_model
from seqtrust.models.facts import Track
from seqtrust.sequence_set import Sequence, SequenceSet, StoredWindow

model = build_model("cnn", {"channels": 4, "pool": [4, 2], "kernel": 7}, (Track("one"),), "toy")
codes = np.random.default_rng(1).integers(0, 4, (3, 64)).astype(np.uint8)
codes[2] = codes[0]
windows = [StoredWindow("w", "toy", "c", 0, 0, 64, "+", 0, row) for row in codes]
ids = [Sequence(f"s{index}", index) for index in range(3)]
made = predict(model, SequenceSet(windows, ids), {"all": {}})
assert made.metadata["n_distinct"] == "2", made.metadata
maps = saturation(model, codes[:1], {"all": {}})
assert maps.effects["all"].shape == (1, 64, 4, 1, 8)
"""

INFERENCE = """
import runpy
bench = runpy.run_path("{folder}/inference.py")
assert bench["basenji2"]("cpu").facts.bins(bench["LENGTH"]) == 896
"""

ISM = """
import runpy
bench = runpy.run_path("{folder}/ism.py")
module, codes = bench["build"]("Basset-like", "cpu")
assert bench["whole_map"](module, codes).shape == (1000, 4, 164)
"""


def modules_of(distribution, seen):
    """Top-level modules of a distribution and of all that it requires."""
    seen.add(distribution)
    for text in requires(distribution) or ():
        if "extra ==" in text:
            continue
        name = text.split(";")[0].strip().partition("[")[0]
        name = "".join(letter for letter in name.split(" ")[0] if letter not in "()")
        for sign in "<>=!~":
            name = name.partition(sign)[0]
        if name not in seen:
            try:
                modules_of(name, seen)
            except PackageNotFoundError:
                continue
    return seen


def allowed_modules():
    wanted = set()
    for distribution in ALLOWED:
        modules_of(distribution, wanted)
    spelled = {name.lower().replace("_", "-") for name in wanted}
    return {
        module
        for module, owners in packages_distributions().items()
        if any(owner.lower().replace("_", "-") in spelled for owner in owners)
    }


def run(program):
    blocked = sorted(set(packages_distributions()) - allowed_modules() - {"seqtrust"})
    head = f"blocked = {blocked!r}\n{BLOCKER}sys.path.insert(0, {str(REPOSITORY / 'scripts')!r})\n"
    return subprocess.run(
        [sys.executable, "-c", head + program], capture_output=True, text=True, check=False
    )


def test_the_blocker_blocks():
    finished = run("import pandas")
    assert finished.returncode
    assert "No module named 'pandas'" in finished.stderr
    assert {"torch", "numpy", "pyarrow"} <= allowed_modules()
    assert not {"pandas", "pysam", "xxhash", "scipy"} & allowed_modules()


@pytest.mark.slow
def test_predictions_and_maps():
    finished = run(PREDICT)
    assert finished.returncode == 0, finished.stderr


@pytest.mark.slow
@pytest.mark.parametrize("program", [INFERENCE, ISM])
def test_benchmarks(program):
    finished = run(program.format(folder=str(REPOSITORY / "tests/benchmark")))
    assert finished.returncode == 0, finished.stderr
