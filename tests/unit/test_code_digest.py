"""The digest of a rule's code follows its imports, and nothing else."""

import ast
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqtrust.code_digest import code_digest, reached_modules

SCRIPTS = Path(__file__).parents[2] / "scripts"

PACKAGE = {
    "script.py": "import numpy\nfrom seqtrust.a import f\nfrom seqtrust.sub import b\n",
    "seqtrust/__init__.py": '"""Package."""\n',
    "seqtrust/a.py": "def f():\n    import seqtrust.deep.c as c\n",
    "seqtrust/sub/__init__.py": "",
    "seqtrust/sub/b.py": "from seqtrust.a import f\nfrom seqtrust.loop import g\n",
    "seqtrust/sub/unreached.py": "x = 1\n",
    "seqtrust/deep/__init__.py": "",
    "seqtrust/deep/c.py": "",
    "seqtrust/loop.py": "from seqtrust.sub import b\ng = 1\n",
    "seqtrust/aa.py": "",
    "seqtrust/alone.py": "from seqtrust import a\n",
    "other.py": "",
}
UNREACHED = {"seqtrust/sub/unreached.py", "seqtrust/aa.py", "seqtrust/alone.py", "other.py"}


def written(folder, files=PACKAGE):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_reached_modules_follow_every_form_of_import(tmp_path):
    """Also inside functions, as `from package import module`, packages, and in circles."""
    found = reached_modules(written(tmp_path) / "script.py", tmp_path)
    assert found == sorted(set(PACKAGE) - UNREACHED - {"script.py"})


@pytest.mark.parametrize("name", sorted(PACKAGE))
def test_the_digest_changes_with_one_byte_of_what_is_reached(tmp_path, name):
    script = written(tmp_path) / "script.py"
    before = code_digest(script, tmp_path)
    (tmp_path / name).write_text(PACKAGE[name] + "#")
    assert (code_digest(script, tmp_path) == before) == (name in UNREACHED)


def test_the_digest_depends_on_neither_time_nor_place(tmp_path):
    one, other = written(tmp_path / "one"), written(tmp_path / "other")
    digest = code_digest(one / "script.py", one)
    assert digest == code_digest(other / "script.py", other)
    assert len(digest) == 16
    assert int(digest, 16) >= 0


def test_a_new_import_is_followed(tmp_path):
    script = written(tmp_path) / "script.py"
    before = code_digest(script, tmp_path)
    (tmp_path / "seqtrust/deep/c.py").write_text("import seqtrust.aa\n")
    linked = code_digest(script, tmp_path)
    (tmp_path / "seqtrust/aa.py").write_text("x = 2\n")
    assert len({before, linked, code_digest(script, tmp_path)}) == 3


@given(st.sets(st.sampled_from("abcdef")), st.data())
@settings(max_examples=25)
def test_reached_modules_are_those_of_the_graph(tmp_path_factory, first, data):
    folder = tmp_path_factory.mktemp("graph")
    graph = {name: data.draw(st.sets(st.sampled_from("abcdef")), label=name) for name in "abcdef"}
    files = {"seqtrust/__init__.py": ""}
    for name, targets in {**graph, "script": first}.items():
        lines = [f"from seqtrust import {target}\n" for target in sorted(targets)]
        files["script.py" if name == "script" else f"seqtrust/{name}.py"] = "".join(lines)
    reached, waiting = set(), list(first)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += graph[name]
    expected = [f"seqtrust/{name}.py" for name in sorted(reached)]
    found = reached_modules(written(folder, files) / "script.py", folder)
    assert found == (["seqtrust/__init__.py", *expected] if expected else [])


def test_inference_does_not_depend_on_what_comes_after_it():
    """Editing the verdicts must not predict anything again (design.md, rules of the house)."""
    found = reached_modules(SCRIPTS / "predict.py", SCRIPTS)
    assert "seqtrust/inference/predict.py" in found
    assert "seqtrust/bases.py" in found
    later = ("consistency", "verdicts", "effects", "reference_levels", "statistics", "simulation")
    assert not {f"seqtrust/{name}.py" for name in later} & set(found)
    assert not [name for name in found if name.startswith(("seqtrust/figures", "seqtrust/sources"))]


def test_the_library_has_no_relative_import_which_the_digest_would_miss():
    for module in (SCRIPTS / "seqtrust").rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_bytes())):
            assert not (isinstance(node, ast.ImportFrom) and node.level), module


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.py")), ids=lambda path: path.name)
def test_every_script_reaches_its_library(script):
    assert "seqtrust/__init__.py" in reached_modules(script, SCRIPTS)
