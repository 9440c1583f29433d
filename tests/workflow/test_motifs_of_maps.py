"""Motifs in attribution maps through the workflow, and those of a population."""

import pandas as pd
import pytest

from seqtrust.motifs import read_meme

from .conftest import Project

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


def test_replicates_share_planted_motifs(project: Project) -> None:
    wanted = ["attributions/tiles.motifs.tsv", "figures/attribution_motifs.png"]
    project.snakemake(
        *("--cores", 2, "--configfile", "tests/config/tiny_motifs.yaml", "--"),
        *(f"results/tiny_motifs/{name}" for name in wanted),
    )
    folder = project.folder / "results/tiny_motifs/attributions"
    motifs = pd.read_csv(folder / "tiles.motifs.tsv", sep="\t")
    assert [one.name for one in read_meme(folder / "tiles.motifs.meme")] == [
        f"saliency_{name}" for name in motifs["motif"]
    ]
    shared = motifs[motifs["replicates"] == 2]
    assert {"TOY1", "TOY2"} <= set(shared.loc[shared["matched"], "known"])
    sharing = pd.read_csv(folder / "tiles.motif_sharing.tsv", sep="\t")
    assert sharing["motifs_of"].tolist() == ["replicate"] * 2 + ["at least"] * 2 + ["mean map"]
    assert sharing.loc[3, "motifs"] == len(shared)
    assert sharing.loc[3, "motifs_by_chance"] < 0.5
    assert (sharing["maps"].dropna() == 30).all()
