"""Architecture "program": a network that `torch.export.save` wrote.

`torch.export.load` unpickles parts of such an archive, evaluates its shape expressions as
Python and looks its operators up by name, so it must never see a file that others made. This
module reads the archive itself and writes a new one of what is harmless: raw tensors, and a
graph of plain tensor operators. All else is refused, and torch loads the new archive alone.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from seqtrust.errors import InputError
from seqtrust.models.facts import Facts, Track
from seqtrust.models.model import Model

MODEL = "models/model.json"
TABLES = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
KEPT = ("archive_format", "archive_version", "byteorder")
DROPPED = (".data/version", ".data/serialization_id", "data/sample_inputs/model.pt")
_TENSOR = re.compile(r"data/(weights/weight|constants/tensor)_\d+")
_OPERATOR = re.compile(r"torch\.ops\.aten\.(?!from_file\b)\w+\.\w+")
_SIZE_OPERATOR = re.compile(
    r"_operator\.(getitem|add|sub|mul|floordiv|mod|truediv|neg|eq|ne|lt|le|gt|ge)|torch\.sym_\w+"
)
_EXPRESSION = re.compile(r"('?[su]\d+'?|\d+|[a-z_]+=(?=True|False)|[A-Z][A-Za-z]+|[-+*/%(), ])+")
_NAME = re.compile(r"[\w.]*")
_FREE_TEXTS = ("torch_version", "in_spec", "out_spec")
_REFUSED_KEYS = ("as_operator", "as_graph", "as_custom_obj")
_ONE_TENSOR_OUT = [1, {"type": None, "context": None, "children_spec": []}]
_ONE_TENSOR_IN = [
    1,
    {
        "type": "builtins.tuple",
        "context": "null",
        "children_spec": [
            {"type": "builtins.tuple", "context": "null", "children_spec": [_ONE_TENSOR_OUT[1]]},
            {"type": "builtins.dict", "context": "[]", "children_spec": []},
        ],
    },
]
_STATE = "program"


@dataclass(frozen=True)
class ProgramParameters:
    """Parameters of architecture "program".

    Attributes:
        size: bytes of the program.
        facts: `Facts.to_dict()`, as the user states them.
    """

    size: int
    facts: Mapping[str, Any]


class Program(torch.nn.Module):
    """One-hot (N, 4, L) to (N, bins, tracks), by an exported program.

    Its whole state is the program's bytes; the network is made of them when they are loaded.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer(_STATE, torch.zeros(size, dtype=torch.uint8))
        self._loaded: torch.export.ExportedProgram | None = None
        self._run: Any = None

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Take the bytes and make the network of them."""
        result = super().load_state_dict(state_dict, *args, **kwargs)
        content = self.get_buffer(_STATE).cpu().numpy().tobytes()
        self._loaded = torch.export.load(io.BytesIO(checked_program(content, "the program")))
        self._place(torch.device("cpu"))
        return result

    def to(self, device: Any) -> "Program":  # type: ignore[override]
        """Move the program, also the tensors that it makes while it runs."""
        super().to(device)
        self._place(torch.device(device))
        return self

    def named_parameters(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, Any]]:
        """The weights of the network, which are not part of the state."""
        if self._run is not None:
            yield from self._run.__self__.named_parameters(*args, **kwargs)

    def named_buffers(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, Any]]:
        """The program's bytes and the buffers of the network."""
        yield from super().named_buffers(*args, **kwargs)
        if self._run is not None:
            yield from self._run.__self__.named_buffers(*args, **kwargs)

    def train(self, mode: bool = True) -> "Program":
        """Note the mode: a program was exported in one and stays in it."""
        self.training = mode
        return self

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """One-hot (N, 4, L) to (N, bins, tracks)."""
        return self._run(sequences)

    def _place(self, device: torch.device) -> None:
        from torch.export.passes import move_to_device_pass

        if self._loaded is None:
            return
        # a bound method, because a submodule's weights would be a second copy in the state
        self._run = move_to_device_pass(self._loaded, device).module(check_guards=False).__call__


def build(parameters: ProgramParameters, tracks: tuple[Track, ...], genome_build: str) -> Model:
    """A model whose program is still to be loaded.

    Args:
        parameters: size of the program, and the facts.
        tracks: unused: the facts name them.
        genome_build: unused: the facts name it.
    """
    facts = Facts.from_dict(dict(parameters.facts))
    plain = {"size": parameters.size, "facts": dict(parameters.facts)}
    return Model(Program(parameters.size), facts, "program", plain)


def checked_program(content: bytes, where: str) -> bytes:
    """The same program as an archive without pickles, Python code, inputs and stack traces.

    Args:
        content: an archive by `torch.export.save`, or by this function; equal programs give
            equal bytes.
        where: the file, for messages.

    Raises:
        InputError: the archive is damaged or of another version, holds pickled objects, or
            has another operator, expression or argument than those of plain tensor programs.
    """
    try:
        records = _records(content)
        graph = _stripped(json.loads(records[MODEL]))
        tables = {name: json.loads(records[name]) for name in TABLES}
        _refuse_unknown_records(records, where)
        for name, table in tables.items():
            _refuse_pickles(table, name, where)
        _refuse_code(graph, where)
        return _archive(records | {MODEL: json.dumps(graph, sort_keys=True).encode()})
    except (zipfile.BadZipFile, KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(
            f"{where} is no program by torch.export.save of torch {torch.__version__} "
            f"({type(error).__name__}: {error}): export the model again with this version"
        ) from error


def _records(content: bytes) -> dict[str, bytes]:
    """The archive's records, without the folder that is named after its file."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name.split("/", 1)[1]: archive.read(name) for name in sorted(archive.namelist())}


def _archive(records: Mapping[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, record in sorted(records.items()):
            if name not in DROPPED:
                archive.writestr(zipfile.ZipInfo(f"program/{name}"), record)
        for name, record in ((".data/version", b"6\n"), ("data/sample_inputs/model.pt", b"")):
            archive.writestr(zipfile.ZipInfo(f"program/{name}"), record)
    return target.getvalue()


def _refuse_unknown_records(records: Mapping[str, bytes], where: str) -> None:
    for name in records:
        if name not in (MODEL, *TABLES, *KEPT, *DROPPED) and not _TENSOR.fullmatch(name):
            raise InputError(
                f"{where}: record {name!r} is not of a plain exported program, and might hold "
                "code: save the program alone, with torch.export.save(program, file)"
            )


def _refuse_pickles(table: Mapping[str, Any], name: str, where: str) -> None:
    for weight, entry in table["config"].items():
        path = f"{name.rsplit('/', 1)[0]}/{entry['path_name']}"
        if entry["use_pickle"] is not False or not _TENSOR.fullmatch(path):
            raise InputError(
                f"{where}: {weight!r} is pickled, and pickles can run code: export a model "
                "whose weights and constants are ordinary dense tensors"
            )


def _refuse_code(graph: Mapping[str, Any], where: str) -> None:
    module = graph["graph_module"]
    for node in module["graph"]["nodes"]:
        target = str(node["target"])
        if not (_OPERATOR.fullmatch(target) or _SIZE_OPERATOR.fullmatch(target)):
            raise InputError(
                f"{where}: operator {target!r} is not one of torch.ops.aten, and might run other "
                "code: export a model without custom operators, autocast and no_grad blocks"
            )
    _refuse_other_signature(module["module_call_graph"][0]["signature"], where)
    for key, text in _texts(graph):
        if key in _FREE_TEXTS:
            continue
        # torch writes names into Python code and runs it, and evaluates expressions
        fits = (key in ("key", "expr_str") and _EXPRESSION.fullmatch(text)) or _NAME.fullmatch(text)
        if key in _REFUSED_KEYS or not fits:
            raise InputError(
                f"{where}: {key} {text!r} is not of a plain program of tensors and might run "
                "code: export the model again, without custom objects and nested graphs"
            )


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text at any depth with the key that it is under, and every key itself."""
    if isinstance(value, Mapping):
        for inner_key, inner in value.items():
            yield "key", str(inner_key)
            yield from _texts(inner, str(inner_key))
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, key)
    elif isinstance(value, str) or key in _REFUSED_KEYS:
        yield key, str(value)


def _refuse_other_signature(signature: Mapping[str, Any], where: str) -> None:
    inputs, outputs = (json.loads(signature[name]) for name in ("in_spec", "out_spec"))
    if inputs != _ONE_TENSOR_IN or outputs != _ONE_TENSOR_OUT:
        raise InputError(
            f"{where}: the program does not map one tensor to one tensor: export a forward(x) "
            "that returns a tensor, with torch.export.export(model, (x,))"
        )


def _stripped(graph: dict[str, Any]) -> dict[str, Any]:
    """Without stack traces, which hold paths and source lines, and without guards, which are code.

    Sizes are still checked: torch compares inputs with the range constraints.
    """
    module = graph["graph_module"]
    nodes = [{**node, "metadata": {}} for node in module["graph"]["nodes"]]
    calls = module["module_call_graph"][:1]
    module = {
        **module,
        "graph": {**module["graph"], "nodes": nodes},
        "module_call_graph": calls,
        "metadata": {},
    }
    return {**graph, "graph_module": module, "guards_code": []}
