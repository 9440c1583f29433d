"""A user's own model: what is imported predicts as the user's network does; faults are named."""

import json
import os
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file

from seqtrust import bases
from seqtrust.config import checked_config, load_schema
from seqtrust.errors import InputError
from seqtrust.genome import Window
from seqtrust.models.architectures import build_model
from seqtrust.models.card import read_card
from seqtrust.models.checkpoint import load_replicate, save_replicate
from seqtrust.models.facts import Facts
from seqtrust.models.own import import_entrypoint, import_program
from seqtrust.models.own_facts import stated_facts
from seqtrust.models.program import checked_program
from seqtrust.models.source_files import source_files
from seqtrust.prediction_tables import tabled_predictions, write_table_card
from seqtrust.sequence_fasta import write_sequences
from seqtrust.sequence_set import read_ids, read_sequence_set, store_window, write_sequence_set

REPOSITORY = Path(__file__).parents[2]
SCHEMA = load_schema(REPOSITORY / "config/schemas/config.schema.json")
CODE = """
import torch
from helpers.layers import Scaled

class Network(torch.nn.Module):
    def __init__(self, channels, scale):
        super().__init__()
        self.motifs = torch.nn.Conv1d(4, channels, 7, padding=3)
        self.tracks = torch.nn.Conv1d(channels, 2, 1)
        self.scaled = Scaled(scale)
    def forward(self, sequences):
        bins = torch.nn.functional.avg_pool1d(torch.relu(self.motifs(sequences)), 8)
        return self.scaled(torch.nn.functional.softplus(self.tracks(bins)).transpose(1, 2))

def build(channels, scale=1.0):
    return Network(channels, scale)

def fails(channels):
    raise RuntimeError("no luck")

def number(channels):
    return channels

constant = 3
"""
LAYERS = """
import torch

class Scaled(torch.nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.scale = scale
    def forward(self, values):
        return values * self.scale
"""
FACTS = {
    "bin_width": 8,
    "crop": 0,
    "tracks": ["open", {"name": "active", "assay": "CAGE"}],
    "output_scale": "counts",
}
CODES = np.random.default_rng(4).integers(0, 5, (3, 64)).astype(np.uint8)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def folder(tmp_path):
    """A folder with the user's code, and two replicates of it beside."""
    code = tmp_path / "code"
    (code / "helpers").mkdir(parents=True)
    (code / "my_network.py").write_text(CODE)
    (code / "helpers/__init__.py").write_text("")
    (code / "helpers/layers.py").write_text(LAYERS)
    (code / "unrelated.py").write_text("raise RuntimeError")
    for seed in (1, 2):
        torch.save(network(seed).state_dict(), tmp_path / f"r{seed}.pt")
    return code


def network(seed, scale=1.0):
    """The user's network, by the same code under another name."""
    names: dict = {}
    exec(LAYERS + CODE.replace("from helpers.layers import Scaled", ""), names)
    torch.manual_seed(seed)
    return names["build"](4, scale).eval()


def imported(code, seed=1, entrypoint="my_network:build", **changes):
    source = changes.pop("source", code.parent / f"r{seed}.pt")
    settings = {
        "measured_on": code.parent / "r1.pt",
        "folder": code,
        "arguments": {"channels": 4},
        "facts": FACTS,
        "build": "toy1",
    }
    return import_entrypoint(source, entrypoint=entrypoint, **(settings | changes))


def exported(path, module, dynamic=True, length=64):
    sizes = {0: torch.export.Dim.DYNAMIC} | ({2: torch.export.Dim.AUTO} if dynamic else {})
    example = torch.zeros(2, 4, length)
    torch.export.save(torch.export.export(module, (example,), dynamic_shapes=(sizes,)), path)
    return path


def import_exported(path, **changes):
    settings = {"measured_on": path, "facts": FACTS | {"input_length": 64}, "build": "toy1"}
    return import_program(path, **(settings | changes))


def directly(module, codes=CODES):
    with torch.inference_mode():
        return module(torch.from_numpy(bases.one_hot(codes)))


@pytest.mark.parametrize("seed", [1, 2])
def test_an_entrypoint_predicts_as_the_users_network_before_and_after_the_file(folder, seed):
    model = imported(folder, seed, arguments={"channels": 4, "scale": 2.0})
    save_replicate(folder.parent / "r.safetensors", model)
    loaded = load_replicate(folder.parent / "r.safetensors")
    expected = directly(network(seed, scale=2.0))
    assert torch.equal(model.predict(CODES), expected)
    assert torch.equal(loaded.predict(CODES), expected)
    assert (loaded.facts, loaded.record) == (model.facts, model.record)
    assert loaded.facts.receptive_field == 7 + 8 - 1
    assert loaded.facts.tracks[1].assay == "CAGE"


def test_a_state_dict_may_be_safetensors(folder):
    source = folder.parent / "r1.safetensors"
    save_file(network(1).state_dict(), source)
    assert torch.equal(imported(folder, source=source).predict(CODES), directly(network(1)))


def test_all_replicates_have_the_facts_that_were_measured_on_the_first(folder):
    blind = network(2)
    blind.motifs.weight.data[..., :2] = 0
    torch.save(blind.state_dict(), folder.parent / "r2.pt")
    assert imported(folder, 2).facts == imported(folder, 1).facts
    own = imported(folder, 2, measured_on=folder.parent / "r2.pt").facts
    assert own.receptive_field == 7 + 8 - 1  # the reach is symmetric: the right end counts


def test_source_files_are_those_that_are_imported(folder):
    (folder / "helpers/layers.py").write_text("from . import more\nfrom .. import top\n" + LAYERS)
    (folder / "helpers/more.py").write_text("import helpers.deep.est\n")
    (folder / "helpers/deep").mkdir()
    (folder / "helpers/deep/est.py").write_text("")
    (folder / "top.py").write_text("import torch, my_network\n")
    found = [path.relative_to(folder).as_posix() for path in source_files("my_network:x", folder)]
    assert found == [
        "helpers/__init__.py",
        "helpers/deep/est.py",
        "helpers/layers.py",
        "helpers/more.py",
        "my_network.py",
        "top.py",
    ]


@pytest.mark.parametrize("edited", ["my_network.py", "helpers/layers.py"])
def test_weights_are_not_put_into_other_code(folder, edited):
    path = folder.parent / "r.safetensors"
    save_replicate(path, imported(folder))
    (folder / "unrelated.py").write_text("")
    load_replicate(path)
    (folder / edited).write_text((folder / edited).read_text() + "# edited\n")
    with pytest.raises(InputError, match=rf"r\.safetensors: .*{edited} in .* import the replicate"):
        load_replicate(path)


def test_two_models_may_have_modules_of_one_name(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "my_network.py").write_text(
        LAYERS
        + CODE.replace("from helpers.layers", "#")
        .replace("* self.scale", "* 3")
        .replace("self.scaled(", "3 * self.scaled(")
    )
    first, second = imported(folder), imported(other)
    assert torch.equal(3 * first.predict(CODES), second.predict(CODES))


def test_importing_draws_nothing_and_leaves_the_process_as_it_was(folder):
    import sys

    path, modules, state = list(sys.path), set(sys.modules), torch.random.get_rng_state()
    imported(folder)
    assert sys.path == path
    assert not {"my_network", "helpers", "helpers.layers"} & (set(sys.modules) - modules)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"entrypoint": "my_network"}, "'my_network' is not of the form module:function"),
        ({"entrypoint": "my_netwrk:build"}, r"no my_netwrk\.py in .*code: set `folder`"),
        ({"entrypoint": "my_network:bild"}, r"'bild' is missing in .*my_network\.py"),
        ({"entrypoint": "my_network:constant"}, "'constant' is not a function in"),
        ({"entrypoint": "my_network:number"}, "returns a int, expected a torch.nn.Module"),
        ({"entrypoint": "my_network:fails"}, r"RuntimeError: no luck \(.*my_network\.py, line"),
        ({"entrypoint": "unrelated:build"}, r"'unrelated:build' fails when imported: RuntimeError"),
        ({"entrypoint": "json:loads"}, "'json' belongs to another module .* another name"),
        ({"folder": "/no/such/folder"}, "there is no folder /no/such/folder: set `folder`"),
        ({"arguments": {"chanels": 4}}, "unexpected keyword argument 'chanels' .*`arguments`"),
        ({"arguments": {"channels": 5}}, r"r1\.pt does not fit .* motifs\.weight is 4x4x7, exp"),
        ({"facts": FACTS | {"bin_width": 4}}, r"r1\.pt: the network gives .* mend `bin_width`"),
        ({"facts": FACTS | {"scale": 4}}, "facts: 'scale' is no fact; did you mean 'output_scale'"),
        ({"facts": FACTS | {"receptive_field": 9}}, r"r1\.pt: bin .* is too small: state a larger"),
    ],
)
def test_faults_of_the_config_are_named(folder, changes, message):
    (folder / "json.py").write_text("def loads(channels): ...")
    with pytest.raises(InputError, match=message):
        imported(folder, **changes)


class RunsCode:
    def __reduce__(self):
        return os.mkdir, (os.environ["SEQTRUST_TEST_TRAP"],)


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """A folder that exists once code from a file has run."""
    monkeypatch.setenv("SEQTRUST_TEST_TRAP", str(tmp_path / "trap"))
    yield tmp_path / "trap"
    assert not (tmp_path / "trap").exists()


def test_faults_of_the_weights_are_named(folder, trap):
    source = folder.parent / "r1.pt"
    state = network(1).state_dict()
    torch.save(state | {"tracks.bias": torch.tensor([0.0, float("nan")])}, source)
    with pytest.raises(InputError, match=r"r1\.pt: NaN or infinite weights in tracks\.bias"):
        imported(folder)
    torch.save({"weight": RunsCode()}, source)
    with pytest.raises(InputError, match=r"r1\.pt is not a PyTorch state dict of tensors alone"):
        imported(folder)
    renamed = folder.parent / "r1.safetensors"
    source.rename(renamed)
    with pytest.raises(InputError, match=r"r1\.safetensors is not a whole safetensors file"):
        imported(folder, source=renamed, measured_on=renamed)
    save_file(state, renamed)
    renamed.write_bytes(renamed.read_bytes()[:-4])
    with pytest.raises(InputError, match=r"r1\.safetensors is not a whole safetensors file"):
        imported(folder, source=renamed, measured_on=renamed)
    for name in ("absent.pt", "absent.safetensors"):
        with pytest.raises(InputError, match=rf"{name} cannot be read"):
            imported(folder, source=folder / name, measured_on=folder / name)


@pytest.mark.parametrize("dynamic", [False, True])
def test_a_program_predicts_as_the_network_before_and_after_the_file(tmp_path, dynamic):
    module = network(1)
    model = import_exported(exported(tmp_path / "r1.pt2", module, dynamic))
    save_replicate(tmp_path / "r.safetensors", model)
    loaded = load_replicate(tmp_path / "r.safetensors")
    assert torch.equal(model.predict(CODES), directly(module))
    assert torch.equal(loaded.predict(CODES), directly(module))
    assert loaded.facts.receptive_field == 7 + 8 - 1
    assert read_card(tmp_path / "r.safetensors").record["source_name"] == "r1.pt2"


def test_a_stored_program_is_plain_and_the_same_for_equal_programs(tmp_path):
    """No pickle, input, stack trace or path survives; storing twice changes nothing."""
    contents = []
    for name in ("a.pt2", "b.pt2"):
        stored = checked_program(exported(tmp_path / name, network(1)).read_bytes(), name)
        assert checked_program(stored, name) == stored
        contents.append(stored)
    assert contents[0] == contents[1]
    for trace in (b"stack_trace", b"_rebuild_tensor", b"<string>", str(tmp_path).encode()):
        assert trace not in contents[0]


def repacked(path, edit):
    """The archive with its records, by name without the first folder, changed by `edit`."""
    with zipfile.ZipFile(path) as archive:
        records = {name.split("/", 1)[1]: archive.read(name) for name in archive.namelist()}
    edit(records)
    with zipfile.ZipFile(path, "w") as archive:
        for name, record in records.items():
            archive.writestr(f"program/{name}", record)
    return path


def edited_graph(change):
    def edit(records):
        graph = json.loads(records["models/model.json"])
        change(graph["graph_module"])
        records["models/model.json"] = json.dumps(graph).encode()

    return edit


def with_node(**changes):
    return edited_graph(lambda module: module["graph"]["nodes"][0].update(changes))


def pickled_weight(records):
    name = "data/weights/model_weights_config.json"
    table = json.loads(records[name])
    next(iter(table["config"].values()))["use_pickle"] = True
    records[name] = json.dumps(table).encode()


def other_weight_file(records):
    name = "data/weights/model_weights_config.json"
    records[name] = records[name].replace(b'"weight_0"', b'"../sample_inputs/model.pt"')


def evil_size(module):
    code = "__import__('os').mkdir('x')"
    module["graph"]["sym_int_values"]["s0"] = {"as_expr": {"expr_str": code, "hint": None}}


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (pickled_weight, r"r1\.pt2: .* is pickled, and pickles can run code"),
        (other_weight_file, "is pickled, and pickles can run code"),
        (lambda records: records.update({"data/aotinductor/x.so": b""}), "record .* hold code"),
        (lambda records: records.update({"data/constants/opaque_obj_0": b""}), "might hold code"),
        (with_node(target="torch.os.mkdir"), r"operator 'torch\.os\.mkdir' is not one of"),
        (with_node(target="torch.ops.aten.from_file.default"), "operator .* is not one of"),
        (with_node(target="torch.ops.higher_order.wrap.default"), "operator .* no_grad blocks"),
        (with_node(name="x\nimport os"), "name .* might run code"),
        (with_node(inputs=[{"name": "f", "arg": {"as_operator": "os.mkdir"}}]), "as_operator"),
        (edited_graph(evil_size), "expr_str .* might run code"),
        (edited_graph(lambda module: module.pop("graph")), "no program .* export the model again"),
        (lambda records: records.pop("models/model.json"), "no program by torch.export.save"),
    ],
)
def test_programs_that_might_run_code_are_refused(tmp_path, trap, edit, message):
    path = repacked(exported(tmp_path / "r1.pt2", network(1)), edit)
    with pytest.raises(InputError, match=message):
        import_exported(path)


def test_pickled_inputs_of_a_program_are_left_unread(tmp_path, trap):
    """torch.export.load would unpickle them, and fall back to running what they ask for."""
    pickle_file = tmp_path / "pickle.pt"
    torch.save(((RunsCode(),), {}), pickle_file)
    path = repacked(
        exported(tmp_path / "r1.pt2", network(1)),
        lambda records: records.update({"data/sample_inputs/model.pt": pickle_file.read_bytes()}),
    )
    assert torch.equal(import_exported(path).predict(CODES), directly(network(1)))


def test_guards_of_a_program_are_not_compiled(tmp_path, trap):
    def edit(records):
        graph = json.loads(records["models/model.json"])
        graph["guards_code"] = [
            "__import__('os').mkdir(__import__('os').environ['SEQTRUST_TEST_TRAP'])"
        ]
        records["models/model.json"] = json.dumps(graph).encode()

    import_exported(repacked(exported(tmp_path / "r1.pt2", network(1)), edit)).predict(CODES)


class TwoOutputs(torch.nn.Module):
    def forward(self, sequences):
        return sequences, sequences


def test_other_files_than_programs_are_named(tmp_path, trap):
    pickled = tmp_path / "r1.pt2"
    torch.save({"weight": RunsCode()}, pickled)
    with pytest.raises(InputError, match=r"r1\.pt2 is no program by torch\.export\.save"):
        import_exported(pickled)
    pickled.write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"r1\.pt2 is no program by torch\.export\.save"):
        import_exported(pickled)
    with pytest.raises(InputError, match=r"absent\.pt2 cannot be read"):
        import_exported(tmp_path / "absent.pt2")
    with pytest.raises(InputError, match="does not map one tensor to one tensor"):
        import_exported(exported(tmp_path / "two.pt2", TwoOutputs()))


def test_a_program_of_another_length_is_refused(tmp_path):
    path = exported(tmp_path / "r1.pt2", network(1), dynamic=False)
    with pytest.raises(InputError, match=r"r1\.pt2: the network fails on .*`input_length`"):
        import_exported(path, facts=FACTS | {"input_length": 72})


class CountsAlong(torch.nn.Module):
    def forward(self, sequences):
        along = torch.arange(sequences.shape[2], device=sequences.device)
        return (sequences.sum(1) + along)[..., None]


def test_a_program_takes_what_it_makes_to_the_device(tmp_path):
    """An exported `device=` is that of the export; on the meta device a mixture is an error."""
    path = exported(tmp_path / "r1.pt2", CountsAlong())
    facts = FACTS | {"bin_width": 1, "tracks": ["a"], "input_length": 64}
    model = import_exported(path, facts=facts).to("meta")
    assert model.device.type == "meta"
    assert model(torch.zeros(3, 64, dtype=torch.uint8, device="meta")).shape == (3, 64, 1)


def test_a_table_has_no_network():
    with pytest.raises(InputError, match="is a table of predictions and has no network to run"):
        build_model("table", {}, [], "toy")


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"entrypoint": "a:b", "programs": ["x"]}, "expected exactly one of entrypoint, programs"),
        ({"files": ["x"]}, "expected exactly one of entrypoint, programs"),
        ({"entrypoint": "a:b", "files": ["x"]}, "'folder' is a dependency of 'entrypoint'"),
        ({"programs": ["x"], "folder": "x"}, "'entrypoint' is a dependency of 'folder'"),
        ({"programs": ["x"], "facts": {"tracks": ["a"]}}, "facts: 'bin_width' is a required"),
    ],
)
def test_the_config_says_what_an_own_model_needs(own, message):
    with pytest.raises(InputError, match=message):
        checked_config(config_with({"own": {"facts": FACTS, **own}}), SCHEMA)


def test_the_config_says_that_a_table_needs_a_receptive_field():
    with pytest.raises(InputError, match="table/facts: 'receptive_field' is a required property"):
        checked_config(config_with({"table": {"files": ["x"], "facts": FACTS}}), SCHEMA)


def test_arguments_are_the_users_words_and_name_nothing_of_the_config():
    own = {"programs": ["x"], "facts": FACTS, "arguments": {"set": "of weights"}}
    filled = checked_config(config_with({"own": own}), SCHEMA)["ensembles"]["mine"]
    assert filled["model"]["own"]["arguments"] == {"set": "of weights"}
    assert filled["model"]["own"]["facts"]["alphabet"] == "ACGT"


def config_with(model, ensemble=None):
    config = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())
    mine = ensemble or {"assembly": "toy", "model": model, "outputs": {"open": {}}}
    config["ensembles"]["mine"] = mine
    return config


PAGE = (REPOSITORY / "docs/own-model.md").read_text()


def blocks(kind):
    """(what follows the language, text) of the page's code blocks."""
    return re.findall(rf"```{kind} ([^\n]*)\n(.*?)```", PAGE, re.DOTALL)


def ensemble_of_page(name):
    (text,) = [text for title, text in blocks("yaml") if title == f"ensemble={name}"]
    entry = yaml.safe_load(text)[name]
    return checked_config(config_with(None, entry), SCHEMA)["ensembles"]["mine"]


def test_the_examples_of_the_page_run(tmp_path, tiny_genome, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", __import__("sys").path[:])
    set_file = Path("eqtl.parquet")
    window = store_window(tiny_genome, Window("toy", "chr1", 400, 128, 256, "+"), "w")
    write_sequence_set(set_file, [(window, [("w.ref", ())])], {"length": "256"})
    write_sequences("eqtl.fa.gz", set_file)
    for title, text in blocks("python"):
        if title.startswith("file="):
            Path(title[5:]).parent.mkdir(exist_ok=True)
            Path(title[5:]).write_text(text)
    names: dict = {}
    for title, text in blocks("python"):
        if title == "run":
            exec(text, names)

    codes = read_sequence_set(set_file).codes()
    own = ensemble_of_page("mine")["model"]["own"]
    common = {"measured_on": own["files"][0], "build": "toy1", "facts": own["facts"]}
    network_of_page = {name: own[name] for name in ("entrypoint", "folder", "arguments")}
    models = [import_entrypoint(file, **network_of_page, **common) for file in own["files"]]
    assert models[0].facts.receptive_field == 11 - 1 + 3 * 32
    exported_own = ensemble_of_page("exported")["model"]["own"]
    for file, model in zip(exported_own["programs"], models, strict=True):
        program = import_program(file, measured_on=file, facts=exported_own["facts"], build="toy1")
        assert torch.equal(program.predict(codes), model.predict(codes))

    elsewhere = ensemble_of_page("elsewhere")
    facts = stated_facts(elsewhere["model"]["table"]["facts"], "toy1")
    sequence = bases.decode(codes[0])
    for replicate, file in enumerate(elsewhere["model"]["table"]["files"], start=1):
        write_table_card("card.safetensors", file, facts, None)
        assert Facts.from_dict(read_card("card.safetensors").facts) == facts
        predictions = tabled_predictions(
            file,
            read_sequence_set(set_file),
            read_ids(set_file),
            "eqtl",
            elsewhere["outputs"],
            facts,
            noise_floor=0.0,
            inference=elsewhere["inference"],
        )
        expected = np.float32(names["my_model"](sequence, replicate))
        assert predictions.values["activity"].tolist() == [[[expected]]]
