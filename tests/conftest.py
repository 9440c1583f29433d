"""Inputs that several tests share: tiny assemblies, and the real data beside the project."""

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pysam
import pytest
import torch
from hypothesis import settings

from seqtrust.genome import Genome

# The time of one example depends on the machine and on what else runs there. All machines try the
# same examples; `--hypothesis-profile explore` draws new ones.
settings.register_profile("explore", deadline=None)
settings.register_profile("seqtrust", deadline=None, derandomize=True)
settings.load_profile("seqtrust")

MakeGenome = Callable[..., Genome]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that run workflows go first: they take longest, and processes should end together."""
    items.sort(key=lambda item: item.path.parent.name != "workflow")


@pytest.fixture(scope="session")
def make_genome(tmp_path_factory: pytest.TempPathFactory) -> MakeGenome:
    """A function that writes contigs as an indexed FASTA and opens it."""
    folder = tmp_path_factory.mktemp("assemblies")
    numbers = itertools.count()

    def make(contigs: Mapping[str, str], bgzip: bool = False, build: str = "toy1") -> Genome:
        plain = folder / f"assembly{next(numbers)}.fa"
        plain.write_text("".join(f">{name}\n{wrapped(text)}" for name, text in contigs.items()))
        path = Path(f"{plain}.gz") if bgzip else plain
        if bgzip:
            pysam.tabix_compress(str(plain), str(path))
        pysam.faidx(str(path))
        return Genome(path, "toy", build)

    return make


def wrapped(sequence: str, width: int = 60) -> str:
    """A sequence in lines of `width` bases."""
    return "".join(sequence[i : i + width] + "\n" for i in range(0, len(sequence), width))


@pytest.fixture(scope="session")
def tiny_contigs() -> dict[str, str]:
    """Random contigs, soft-masked in part, with some N and one ambiguity code."""
    rng = np.random.default_rng(20)
    contigs = {name: "".join(rng.choice(list("ACGTacgt"), size)) for name, size in SIZES.items()}
    contigs["chr1"] = contigs["chr1"][:100] + "NNNNR" + contigs["chr1"][105:]
    return contigs


SIZES = {"chr1": 1003, "chr2": 517, "20": 640, "MT": 61}


@pytest.fixture(scope="session")
def tiny_genome(make_genome: MakeGenome, tiny_contigs: dict[str, str]) -> Genome:
    """The tiny contigs as a plain FASTA."""
    return make_genome(tiny_contigs)


@pytest.fixture(scope="session")
def tiny_genome_bgzipped(make_genome: MakeGenome, tiny_contigs: dict[str, str]) -> Genome:
    """The tiny contigs as a bgzipped FASTA."""
    return make_genome(tiny_contigs, bgzip=True)


@pytest.fixture(
    scope="session",
    params=[
        "cpu",
        pytest.param(
            "cuda",
            marks=[
                pytest.mark.gpu,
                pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
            ],
        ),
    ],
)
def device(request: pytest.FixtureRequest) -> str:
    """The devices that inference is tested on."""
    return str(request.param)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real inputs beside the project."""
    folder = Path(__file__).parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no shared data beside the project")
    return folder
