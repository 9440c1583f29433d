"""Hostile inputs: none of them runs code, names a file, or shows what a log must not hold.

Archives, redirections and signed addresses are in test_downloads.py, programs and damaged
weights in test_own_model.py, test_checkpoint.py and test_keras_weights.py.
"""

import ast
import os
import pickle
import re
from pathlib import Path

import pysam
import pytest
import torch
import yaml
from snakemake.exceptions import WorkflowError

from seqtrust.config import checked_config, load_schema
from seqtrust.errors import InputError
from seqtrust.genotypes import GenotypeFile
from seqtrust.models.imports import read_state
from seqtrust.variant_files import compress, index

REPOSITORY = Path(__file__).parents[2]
SOURCES = sorted((REPOSITORY / "scripts").rglob("*.py")) + sorted(
    (REPOSITORY / "rules").glob("common*.smk")
)
SCHEMA = load_schema(REPOSITORY / "config/schemas/config.schema.json")
HOSTILE_NAMES = ("../evil", "/tmp/evil", "a b", "a;touch evil", "$(touch evil)", "a\nb", "", "Ä")


class Trap:
    """An object whose pickle makes a folder when it is read."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (os.environ["SEQTRUST_TEST_TRAP"],)


@pytest.fixture(autouse=True)
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SEQTRUST_TEST_TRAP", str(tmp_path / "trap"))
    yield
    assert not (tmp_path / "trap").exists(), "code of an input has run"


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth", "w.pt", "w.bin", "w"])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_disguised_as_weights_is_refused(tmp_path: Path, name: str, zipped: bool) -> None:
    path = tmp_path / name
    torch.save({"weight": Trap()}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError):
        read_state(path)
    path.write_bytes(pickle.dumps({"weight": Trap()}))
    with pytest.raises(InputError):
        read_state(path)


def test_a_config_with_objects_of_python_is_not_read(tmp_path: Path) -> None:
    """Configs are read by Snakemake, which must use the safe part of YAML."""
    from snakemake.common.configfile import load_configfile

    path = tmp_path / "config.yaml"
    path.write_text(f"run: !!python/object/apply:os.mkdir ['{tmp_path / 'trap'}']\n")
    with pytest.raises((yaml.YAMLError, WorkflowError)):
        load_configfile(str(path))


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_names_of_a_config_cannot_be_paths_or_commands(name: str) -> None:
    """They become parts of file names: of every section, and of the run itself."""
    sections = [key for key, entry in SCHEMA["properties"].items() if "propertyNames" in entry]
    assert len(sections) > 15
    given = {"run": "x", "seed": 1, "assemblies": {}, "sequence_sets": {}, "ensembles": {}}
    for section in sections:
        with pytest.raises(InputError, match="is no valid name"):
            checked_config(given | {section: {name: {}}}, SCHEMA)
    with pytest.raises(InputError, match="run:"):
        checked_config(given | {"run": name}, SCHEMA)


PEOPLE = ("../../evil", "$(touch evil)", "<script>alert(1)</script>", "P 1")
CONTIGS = ("../contig", "chr1;touch evil")


def hostile_vcf(folder: Path) -> Path:
    path = folder / "hostile.vcf"
    contigs = "".join(f"##contig=<ID={name},length=1000>\n" for name in CONTIGS)
    rows = "".join(
        f"{name}\t5\t../../id\tA\tC\t.\t.\t.\tGT\t" + "\t".join(["0|1"] * len(PEOPLE)) + "\n"
        for name in CONTIGS
    )
    path.write_text(
        f"##fileformat=VCFv4.2\n{contigs}"
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t" + "\t".join(PEOPLE) + "\n" + rows
    )
    return path


def test_headers_of_a_vcf_never_name_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "deeper"
    folder.mkdir(parents=True)
    source = hostile_vcf(folder)
    compress(source, folder / "v.vcf.gz")
    index(folder / "v.vcf.gz", folder / "v.tbi")
    opened = GenotypeFile(folder / "v.vcf.gz", folder / "v.tbi")
    assert tuple(opened.names) == PEOPLE
    assert sorted(opened.contigs) == sorted(CONTIGS)
    assert opened.fetch(CONTIGS[0], 0, 1000) is not None
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert found == {
        "deep", "deep/deeper", "deep/deeper/hostile.vcf", "deep/deeper/v.vcf.gz",
        "deep/deeper/v.tbi",
    }  # fmt: skip


def test_people_are_named_in_no_message(tmp_path: Path) -> None:
    """Messages go to logs: they name the line of a list, never the person on it."""
    source = hostile_vcf(tmp_path)
    pysam.tabix_compress(str(source), str(tmp_path / "v.vcf.gz"))
    index(tmp_path / "v.vcf.gz", tmp_path / "v.tbi")
    for listed in (["P 1", "P 2"], ["P 1", "P 1"], ["../../evi"]):
        (tmp_path / "list.txt").write_text("\n".join(listed) + "\n")
        with pytest.raises(InputError) as caught:
            GenotypeFile(tmp_path / "v.vcf.gz", tmp_path / "v.tbi", tmp_path / "list.txt")
        assert "list.txt" in str(caught.value)
        assert not [name for name in (*PEOPLE, *listed) if name in str(caught.value)]


def calls() -> list[tuple[str, ast.Call, str]]:
    """Every call in the library, the scripts and the rules, with the dotted name called."""
    return [
        (f"{path.name}:{node.lineno}", node, ast.unparse(node.func))
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    ]


def test_nothing_evaluates_text_or_unpickles() -> None:
    """`weights_only` is the one way that PyTorch's files are read; numpy's are without objects."""
    forbidden = {
        "eval", "exec", "compile", "__import__", "os.system", "os.popen", "pickle.load",
        "pickle.loads", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "joblib.load",
        "pd.eval", "pd.read_pickle", "torch.export.load", "torch.jit.load", "cloudpickle.load",
        "cloudpickle.loads", "dill.load", "marshal.loads", "shelve.open",
    }  # fmt: skip
    allowed = {"program.py"}
    seen = 0
    for where, node, name in calls():
        seen += 1
        options = {word.arg: ast.unparse(word.value) for word in node.keywords}
        if name not in ("re.compile", "torch.compile") and where.split(":")[0] not in allowed:
            assert name not in forbidden, f"{where}: {name}"
        assert name.rsplit(".", 1)[-1] not in ("extractall", "read_pickle"), f"{where}: {name}"
        if name == "torch.load":
            assert options.get("weights_only") == "True", where
        assert options.get("allow_pickle", "False") == "False", where
        assert options.get("shell", "False") == "False", where
        if name.endswith((".eval", ".query")):
            fixed = all(isinstance(argument, ast.Constant) for argument in node.args)
            assert fixed, f"{where}: {name} of a text that is made"
    assert seen > 5000


def test_reports_hold_no_table_of_people() -> None:
    """Names of people stand in `samples.tsv` alone, which no report takes in."""
    shown = [
        place
        for path in (REPOSITORY / "rules").glob("*.smk")
        for place in re.findall(r"report\(\s*f?\"([^\"]+)\"", path.read_text())
    ]
    assert len(shown) > 40
    tops = {place.split("/")[1].split(".")[0] for place in shown}
    assert tops <= {"figures", "headlines", "robustness", "tables"}
    outputs = [
        path.name
        for path in (REPOSITORY / "rules").glob("*.smk")
        if re.search(r"output:[^:]*\.samples\.tsv", path.read_text())
    ]
    assert outputs == ["sequences.smk"]
