"""The tiny ensemble entered again as the user's own model: the verdicts are equal."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
import yaml

from seqtrust.models.card import read_card
from seqtrust.models.checkpoint import load_replicate
from seqtrust.predictions import read_predictions

from .conftest import REPOSITORY, Project

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

OWN = ("--configfile", "tests/config/own.yaml")
REPLICATES = ("r1", "r2")
SETS = ("tiles", "eqtl")
# predicted from the network and from a table, and analysed
MORE_SETS = ("motifs", "personal")
KINDS = ("code", "program", "tabled")
ANALYSED = ("code", "tabled")
CODE = """
from seqtrust.models.cnn import Cnn, CnnParameters

def build(tracks, **parameters):
    return Cnn(CnnParameters(**parameters), tracks)
"""


@pytest.fixture(scope="module")
def own(tiny: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the tiny run with a config that enters its replicates in three other ways."""
    import shutil

    folder = tmp_path_factory.mktemp("own") / "project"
    shutil.copytree(tiny.folder, folder, symlinks=True)
    results = folder / "results/tiny"
    (folder / "tests/config/more.yaml").write_text(yaml.safe_dump(every_kind(), sort_keys=False))
    shards = [
        f"results/tiny/predictions/cnn/{name}/{replicate}/{shard}-of-2.parquet"
        for name in MORE_SETS
        for replicate in REPLICATES
        for shard in (1, 2)
    ]
    more = ("--configfile", "tests/config/more.yaml")
    Project(folder).snakemake("--cores", 2, *more, "--", *shards)
    facts = read_card(results / "ensembles/cnn/r1.safetensors").facts
    for replicate in REPLICATES:
        model = load_replicate(results / f"ensembles/cnn/{replicate}.safetensors")
        torch.save(model.module.state_dict(), folder / f"{replicate}.pt")
        sizes = {0: torch.export.Dim.DYNAMIC}
        example = torch.zeros(2, 4, 1024)
        program = torch.export.export(model.module, (example,), dynamic_shapes=(sizes,))
        torch.export.save(program, folder / f"{replicate}.pt2")
        table_of_predictions(results / "predictions/cnn", replicate, folder / f"{replicate}.tsv.gz")
    (folder / "code").mkdir()
    (folder / "code/my_network.py").write_text(CODE)
    floors = [
        max(json.loads(pq.read_schema(path).metadata[b"noise_floor"]).values())
        for name in SETS
        for path in results.glob(f"predictions/cnn/{name}/*/*.parquet")
    ]
    (folder / "tests/config/own.yaml").write_text(
        yaml.safe_dump(config(facts, max(floors)), sort_keys=False)
    )
    project = Project(folder)
    project.snakemake("--cores", 2, *OWN)
    return project


def every_kind() -> dict:
    """The tiny config with all four kinds of sequence."""
    tiny = yaml.safe_load((REPOSITORY / "tests/config/tiny.yaml").read_text())
    tiny["variant_files"] = {"people": {"path": "resources/toy/variants.vcf", "assembly": "toy"}}
    genes = {"path": "resources/toy/genes.gtf", "assembly": "toy", "region": "toy1:1-60000"}
    tiny["point_sets"] = {"tss": {"file": genes}}
    promoters = {"assembly": "toy", "length": 1024, "beyond_contig": "skip"}
    planted = {
        "motifs": {"path": "resources/toy/motifs.meme", "names": ["TOY1", "TOY5"]},
        "backgrounds": {"points": {"points": "tss"}},
        "truth": "resources/toy/truth_motif_effects.tsv",
        "gap": 100,
    }
    people = {
        "variant_file": "people",
        "windows": {"points": {"points": "tss"}},
        "samples": "resources/toy/evaluation_people.txt",
    }
    tiny["sequence_sets"]["motifs"] = {**promoters, "source": {"insertions": planted}}
    tiny["sequence_sets"]["personal"] = {**promoters, "source": {"haplotypes": people}}
    return tiny


def config(facts: dict, noise_floor: float) -> dict:
    """That config with three ensembles, their verdicts and analyses, in place of one."""
    tiny = every_kind()
    cnn = tiny["ensembles"]["cnn"]
    stated = {name: facts[name] for name in ("bin_width", "output_scale")}
    stated["tracks"] = [track["name"] for track in facts["tracks"]]
    known = {"regions": cnn["model"]["train"]["splits"]}
    arguments = {"tracks": len(stated["tracks"]), **cnn["model"]["train"]["parameters"]}
    code = {"entrypoint": "my_network:build", "folder": "code", "arguments": arguments}
    sized = {**stated, "receptive_field": facts["receptive_field"], "input_length": 1024}
    models = {
        "code": {"own": {**code, **known, "files": ["r1.pt", "r2.pt"], "facts": stated}},
        "program": {"own": {"programs": ["r1.pt2", "r2.pt2"], **known, "facts": sized}},
        "tabled": {
            "table": {
                "files": ["r1.tsv.gz", "r2.tsv.gz"],
                "facts": sized,
                "noise_floor": noise_floor,
                **known,
            }
        },
    }
    tiny["run"] = "own"
    # most of a job's time is its start
    tiny["shards"] = 1
    tiny["ensembles"] = {kind: {**cnn, "model": model} for kind, model in models.items()}
    for part in ("verdicts", "accuracy", "calibration"):
        tiny[part] = {
            f"{name}_{kind}": {**entry, "ensemble": kind}
            for name, entry in tiny[part].items()
            for kind in KINDS
        }
    tiny["sign_calibration"] = {
        f"{name}_{kind}": {**entry, "verdict": f"{entry['verdict']}_{kind}"}
        for name, entry in tiny["sign_calibration"].items()
        for kind in KINDS
    }
    tiny["reference_analyses"] = {
        kind: {
            "ensemble": kind,
            "set": "tiles",
            "output": "profile",
            "targets": "resources/toy/tracks.tsv",
            "label": "Tracks",
            "tracks": ["activity"],
            "least_peaks": 5,
        }
        for kind in ANALYSED
    }
    tiny["eqtl_analyses"] = {
        kind: {
            "label": "eQTLs",
            "scores": {"activity": {"label": "activity", "positives": f"eqtl_{kind}"}},
        }
        for kind in ANALYSED
    }
    tiny["motif_analyses"] = {
        kind: {
            "ensemble": kind,
            "set": "motifs",
            "output": "profile",
            "label": "Motifs",
            "truth_tracks": ["activity"],
        }
        for kind in ANALYSED
    }
    tiny["people_analyses"] = {
        kind: {
            "ensemble": kind,
            "set": "personal",
            "output": "activity",
            "label": "Personal genomes",
            "expression": "resources/toy/expression.tsv",
            "populations": "resources/toy/people.tsv",
            "eqtls": "resources/toy/susie.tsv",
            "variants": {"flank": 500},
        }
        for kind in ANALYSED
    }
    # a table of predictions has no network to mutate
    tiny["ism"] = {
        f"{name}_{kind}": {**entry, "ensemble": kind}
        for name, entry in tiny["ism"].items()
        for kind in ("code", "program")
    }
    return tiny


def table_of_predictions(folder, replicate, path) -> None:
    """All predictions of one replicate as the rows that a user would write."""
    parts = []
    for name in (*SETS, *MORE_SETS):
        shards = sorted((folder / name / replicate).iterdir())
        predictions = read_predictions(shards)
        for output in predictions.outputs:
            values = predictions.values[output.name]
            row, track, bin_ = np.indices(values.shape).reshape(3, -1)
            several = output.reduction == "none"
            parts.append(
                pd.DataFrame(
                    {
                        "set": name,
                        "sequence_id": np.array(predictions.sequence_ids)[row],
                        "output": output.name,
                        "track": np.array(output.track_names)[track],
                        "bin": np.array(output.bins)[bin_].astype(str) if several else "",
                        "value": values.ravel(),
                    }
                )
            )
    table = pd.concat(parts).sample(frac=1, random_state=0)
    table.to_csv(path, sep="\t", index=False, float_format="%.9g")


# a program is not looked into: its full passes sum in another order
TOLERANCES = {"code": 0, "program": 1e-5, "tabled": 0}


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_and_verdicts_are_those_of_the_trained_ensemble(
    own: Project, tiny: Project, kind: str
) -> None:
    ours, theirs = own.folder / "results/own", tiny.folder / "results/tiny"
    for name in SETS:
        for replicate in REPLICATES:
            part = f"{name}/{replicate}"
            found, expected = (
                read_predictions(sorted((folder / part).iterdir()))
                for folder in (ours / "predictions" / kind, theirs / "predictions/cnn")
            )
            assert found.sequence_ids == expected.sequence_ids
            assert found.outputs == expected.outputs
            for output, values in expected.values.items():
                np.testing.assert_allclose(found.values[output], values, rtol=TOLERANCES[kind])
    for name in ("peaks", "eqtl"):
        found = pq.read_table(ours / f"verdicts/{name}_{kind}.parquet").to_pandas()
        expected = pq.read_table(theirs / f"verdicts/{name}.parquet").to_pandas()
        if TOLERANCES[kind]:
            # another order of summation is another noise floor: a call at its edge may be a tie
            calls = [np.stack(verdicts.pop("calls")) for verdicts in (found, expected)]
            both = (calls[0] != 0) & (calls[1] != 0)
            assert (calls[0] == calls[1])[both].all()
            assert ((calls[0] == 0) == (calls[1] == 0)).mean() > 0.98
            scores = [np.stack(verdicts.pop("scores")) for verdicts in (found, expected)]
            largest = np.abs(scores[1]).max()
            np.testing.assert_allclose(*scores, rtol=0, atol=TOLERANCES[kind] * largest)
            derived = ["n_positive", "n_negative", "n_tie", "n_correct", "class"]
            found, expected = (one.drop(columns=derived) for one in (found, expected))
        pd.testing.assert_frame_equal(found, expected, check_exact=not TOLERANCES[kind])
    accuracy = ours / f"accuracy/tracks_{kind}.tsv", theirs / "accuracy/tracks.tsv"
    if not TOLERANCES[kind]:
        assert accuracy[0].read_bytes() == accuracy[1].read_bytes()
    found, expected = (pd.read_csv(path, sep="\t") for path in accuracy)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-4)


def test_analyses_need_predictions_alone(own: Project) -> None:
    """A table of predictions gives what the network itself does, in every table."""
    results = own.folder / "results/own"
    for folder in ("reference", "eqtls"):
        names = sorted(path.name for path in (results / folder).glob("code.*"))
        assert len(names) > 5
        for name in names:
            twin = name.replace("code.", "tabled.")
            found, expected = (results / folder / one for one in (twin, name))
            assert found.read_bytes() == expected.read_bytes(), name
    for name in ("calibration/tracks", "sign_calibration/eqtl"):
        found, expected = (
            pq.read_table(results / f"{name}_{kind}.parquet").to_pandas() for kind in ANALYSED
        )
        pd.testing.assert_frame_equal(found, expected, check_exact=True)


@pytest.mark.parametrize(
    ("folder", "table", "columns"),
    [
        ("motifs", "effects.parquet", ("effect", "se")),
        ("people", "genes.parquet", ("pearson", "linear_r", "heritability")),
        ("people", "predictions.parquet", ("values", "reference")),
    ],
)
def test_motifs_and_people_need_predictions_alone(
    own: Project, folder: str, table: str, columns: tuple[str, ...]
) -> None:
    """Equal but for ties, and so ranks: a table states one noise floor for all of its sets."""
    results = own.folder / "results/own" / folder
    of_code, tabled = (
        sorted(path.name.partition(".")[2] for path in results.glob(f"{kind}.*"))
        for kind in ANALYSED
    )
    assert of_code == tabled
    assert table in tabled
    found, expected = (
        pq.read_table(results / f"{kind}.{table}").to_pandas() for kind in reversed(ANALYSED)
    )
    assert len(found) == len(expected) > 5
    for name in columns:
        values = (np.stack(one[name].to_list()).astype(float) for one in (found, expected))
        np.testing.assert_allclose(*values, rtol=1e-3, atol=1e-3)


def test_the_receptive_field_was_measured(own: Project, tiny: Project) -> None:
    cards = [
        read_card(project.folder / "results" / part)
        for project, part in (
            (own, "own/ensembles/code/r1.safetensors"),
            (own, "own/ensembles/code/r2.safetensors"),
            (tiny, "tiny/ensembles/cnn/r1.safetensors"),
        )
    ]
    assert len({card.facts["receptive_field"] for card in cards}) == 1


def test_an_edited_module_runs_again_and_nothing_else(own: Project) -> None:
    assert own.jobs(*OWN) == {}
    source = own.folder / "code/my_network.py"
    text = source.read_text()
    source.write_text(text + "# edited\n")
    jobs = own.jobs(*OWN)
    assert (jobs["import_own"], jobs["predict"]) == (2, 8)
    assert "tabled_predictions" not in jobs
    source.write_text(text)
    assert own.jobs(*OWN) == {}


def test_the_sequences_are_a_target(own: Project) -> None:
    target = "results/own/sequences/eqtl.fa.gz"
    assert own.jobs(*OWN, "--", target) == {"sequences_fasta": 1}


def test_a_fault_of_a_table_is_named_on_the_terminal(own: Project) -> None:
    table = own.folder / "r2.tsv.gz"
    content = table.read_bytes()
    rows = pd.read_csv(table, sep="\t")
    rows.drop(rows.index[rows["set"] == "eqtl"][-1]).to_csv(table, sep="\t", index=False)
    target = "results/own/headlines.tsv"
    finished = own.snakemake("--cores", 1, *OWN, "--", target, check=False)
    table.write_bytes(content)
    assert finished.returncode != 0
    assert "has no value for 1 of" in finished.stdout
