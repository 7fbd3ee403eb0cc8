"""Errors as teachers: each names what was asked for, an action, and the page that says more."""

import ast
import json
from pathlib import Path

import numpy
import pytest
import torch
from torch import nn

import pytest_archcheck
from pytest_archcheck import Trace, convention, count, dependence, diff, mac_formula, spec, trace
from pytest_archcheck.budgets import budgets_of
from pytest_archcheck.checkpoints.headers import read_header
from pytest_archcheck.drift.severity import severities_of
from pytest_archcheck.errors import noted
from pytest_archcheck.invariants import INVARIANTS
from pytest_archcheck.pages import text_of as page
from pytest_archcheck.pictures import checked_form
from pytest_archcheck.reports.columns import chosen
from pytest_archcheck.subjects import check_form, load, parse_inputs, read_file

PACKAGE = Path(pytest_archcheck.__file__).parent


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x):
        return self.conv(x)


class Silent(nn.Module):
    def forward(self, x):
        return None


class Uncalled(nn.Module):
    def __init__(self):
        super().__init__()
        self.lazy = nn.LazyLinear(3)

    def forward(self, x):
        return x


IMAGE = (2, 3, 8, 8)


def broken():
    raise ValueError("no config")


def mark(name, *args, **kwargs):
    return lambda: INVARIANTS[name](*args, **kwargs)


def recorded():
    return trace(Net, IMAGE)


# what is called, and what its message names, says to do, and points at
ERRORS = {
    "inputs: negative": (lambda: trace(Net, (1, -3)), "(1, -3)", "write the sizes", "inputs"),
    "inputs: no integers": (lambda: trace(Net, (1, 3.0)), "(1, 3.0)", "a tuple of integers", "inputs"),
    "inputs: array": (lambda: trace(Net, numpy.ones(4)), "NumPy", "torch.from_numpy", "inputs"),
    "inputs: dtype": (lambda: trace(Net, spec(1, dtype="flot")), "'flot'", "give a name like", "inputs"),
    "inputs: spec": (lambda: spec("1", 3), "spec('1', 3)", "as in spec(", "inputs"),
    "inputs: dtype of spec": (lambda: spec(1, dtype=int), "dtype=", 'as in dtype="int64"', "inputs"),
    "inputs: range": (lambda: spec(1, low=3, high=3), "low=3, high=3", "must be above", "inputs"),
    "setup: no model": (lambda: trace(7, IMAGE), "int '7'", "give an nn.Module", "inputs"),
    "setup: kwargs": (lambda: trace(Net, IMAGE, kwargs=3), "kwargs=3", "give a dict", "inputs"),
    "setup: train": (lambda: trace(Net, IMAGE, train=1), "train=1", "give True or False", "inputs"),
    "setup: lazy": (lambda: trace(Uncalled, (1, 4)), "lazy.weight", "do: call it", "inputs"),
    "inputs: arguments": (lambda: trace(Net, (IMAGE, IMAGE)), "forward(x)", "do: give each", "inputs"),
    "inputs: not made": (
        lambda: trace(Net, spec(*IMAGE, dtype="quint4x2"), device="cpu"),
        "the inputs cannot be made",
        "do: give another dtype",
        "inputs",
    ),
    "build: arguments": (lambda: trace(nn.Linear, IMAGE), "Linear", "in a test lambda: Linear", "inputs"),
    "build: raises": (lambda: trace(broken, IMAGE), "broken raised", "do: mend it", "inputs"),
    "build: no module": (lambda: trace(dict, IMAGE), "dict returned dict", "give a function", "inputs"),
    "failures: channels": (lambda: trace(Net, (1, 4, 8, 8)), "failed at conv", "do: check", "inputs"),
    "failures: no tensor": (lambda: trace(Net, "1x3"), "no tensor", "do: it was called", "inputs"),
    "recording: output": (lambda: trace(Silent, (1, 3)), "Silent returned None", "do: return", "inputs"),
    "placements: name": (lambda: trace(Net, IMAGE, device="gpu"), "'gpu'", "is none of auto", "arch-device"),
    "placements: number": (lambda: trace(Net, IMAGE, device=0), "device=0", "give its name", "arch-device"),
    "counters: runs": (lambda: recorded().count("torch"), "torch runs", "call pytest_arch", "costs"),
    "counters: name": (lambda: recorded().count("x"), "'x'", "the counters are macs", "costs"),
    "counters: device": (
        lambda: count(Net, IMAGE, counter="ptflops", device="meta"),
        "ptflops counts wrongly on meta",
        "give cpu",
        "costs",
    ),
    "traces": (lambda: recorded()["con"], "'con'", "the nearest is conv", "trace"),
    "traces: nothing near": (lambda: recorded()[0], "no call 0", "trace.by_id has", "trace"),
    "drift: compare": (lambda: diff(recorded(), Net()), "given Net", "make one with trace(", "drift"),
    "matching: compare": (lambda: recorded().same_as(3), "given int", "make one with trace(", "structure"),
    "matching: names": (
        lambda: recorded().same_as(recorded()).mapping["conv.wait"],
        "'conv.wait'",
        "the nearest is 'conv.weight'",
        "structure",
    ),
    "conventions": (lambda: recorded().depth("papers"), "'papers'", "did you mean 'paper'", "conventions"),
    "registry: name": (lambda: convention(3), "not 3", "as in @convention(", "conventions"),
    "formulas: taken": (lambda: mac_formula("Conv2d")(len), "Conv2d", "give the formula", "costs"),
    "reader: path": (lambda: Trace.from_text("net.arch"), "'net.arch'", "read its text first", "format"),
    "reader: empty": (lambda: Trace.from_text(""), "line 1", "restore it", "format"),
    "reader: no text": (lambda: Trace.from_text(Path("a")), "found", "read it first", "format"),
    "severity": (lambda: severities_of("bad"), "'bad'", "choose from breaking", "drift"),
    "budgets": (lambda: budgets_of(["many"]), "'many'", "write one like", "arch_budgets"),
    "pictures": (lambda: checked_form("net.jpg"), "net.jpg", "ends in one of .svg", "graph"),
    "columns": (lambda: chosen("nope"), "'nope'", "name some of layer", "show"),
    "pages": (lambda: page("nope"), "'nope'", "archcheck help lists", "commands"),
    "subjects: form": (lambda: check_form("nets.Net"), "'nets.Net'", "did you mean nets:Net", "commands"),
    "subjects: input": (lambda: parse_inputs(["3,4"]), "--input 3,4", "a shape like 1x3", "inputs"),
    "subjects: twice": (lambda: parse_inputs(["x=1", "x=1"]), "x is given twice", "keep one", "inputs"),
    "subjects: limit": (lambda: parse_inputs(["1:int64:0"]), "1:int64:0", "a higher limit", "inputs"),
    "subjects: none": (
        lambda: load("math:per", ["1"]),
        "math has no per",
        "the nearest are perm",
        "commands",
    ),
    "subjects: file": (lambda: read_file("no.arch"), "no.arch: No such", "--arch > no.arch", "commands"),
    "subjects: no input": (lambda: load("math:pi", []), "math:pi", "--input 1x3x224x224", "inputs"),
    "headers": (lambda: read_header("no.pt"), "no.pt", "give the path", "arch_checkpoint"),
    "dependence": (
        lambda: dependence(Net, (1, 3, 8, 8), across="batch"),
        "1 row",
        "state larger",
        "behaviour",
    ),
    "dependence: across": (lambda: dependence(Net, IMAGE, across="x"), "'x'", "one of batch", "behaviour"),
    "arch_depth": (mark("arch_depth", "18", convention="paper"), "'18'", "as in 18", "arch_depth"),
    "arch_layers": (mark("arch_layers", Linear="a"), "Linear='a'", "as in Linear=20", "arch_layers"),
    "arch_params": (mark("arch_params"), "nothing is stated", "give a total", "marks"),
    "quantities": (mark("arch_params", "many"), "'many'", "write one like", "marks"),
    "arch_macs": (mark("arch_macs", {"a": 1}, counter="torch"), "torch", "without it", "arch_macs"),
    "arch_activations": (mark("arch_activations", {"a": 1}), "a peak", "give a number", "arch_activations"),
    "arch_output": (mark("arch_output", 1.5), "1.5", "write an integer", "arch_shapes"),
    "arch_stages": (mark("arch_stages", 3), "not 3", "as in (3, 4, 6, 3)", "arch_stages"),
    "arch_shortcuts": (mark("arch_shortcuts", identity="a"), "'a'", "as in identity=4", "arch_shortcuts"),
    "arch_receptive_field": (mark("arch_receptive_field", "a"), "'a'", "as in 427", "arch_receptive_field"),
    "arch_frozen": (mark("arch_frozen", 3), "not 3", 'as in "backbone.**"', "arch_frozen"),
    "arch_tied": (mark("arch_tied", "a"), "'a'", "give the names of two", "arch_tied"),
    "arch_same_as": (mark("arch_same_as", 3), "not 3", "a reference is a model", "arch_same_as"),
    "arch_checkpoint": (mark("arch_checkpoint", 3), "not int", "give the path", "arch_checkpoint"),
    "arch_dtype": (mark("arch_dtype", torch.float16), "float16", 'as in "bfloat16"', "arch_dtype"),
    "arch_exportable": (mark("arch_exportable", export=3), "export=3", "give True or", "arch_exportable"),
    "arch_shapes_for": (mark("arch_shapes_for", "B 3", "B"), "B in 'B 3'", "write B=", "arch_shapes_for"),
    "arch_gradients": (mark("arch_gradients", allow="a"), "not 'a'", 'as in ("aux.**",)', "marks"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_an_error_names_what_was_asked_for_an_action_and_a_page(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    provoke, named, action, topic = ERRORS[case]

    with pytest.raises(Exception) as raised:
        provoke()

    message = str(raised.value)
    assert named in message
    assert action in message
    assert raised.value.__notes__ == [f"more: archcheck help {topic}"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"hello", "save it anew with one of them"),
        ((2).to_bytes(8, "little") + b"{]", "fetch it anew"),
        (b"PK\x03\x04", "fetch it anew"),
    ],
)
def test_a_file_that_is_no_checkpoint_says_how_to_come_by_one(tmp_path, content, told):
    file = tmp_path / "net.pt"
    file.write_bytes(content)

    with pytest.raises(ValueError, match=told):
        read_header(file)


def test_an_index_without_its_shard_says_what_to_fetch(tmp_path):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {}, "metadata": {}}), "utf-8")
    assert read_header(index) == {}

    index.write_text("{}", "utf-8")
    with pytest.raises(ValueError, match="give the one beside them"):
        read_header(index)


def test_one_of_pythons_own_errors_has_the_same_note():
    assert noted(KeyError("conv"), "trace").__notes__ == ["more: archcheck help trace"]


def test_every_violation_says_what_to_do():
    """The fifth argument, ``advice``; one that is empty is none."""
    found = []
    for path in sorted((PACKAGE / "invariants").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Violation":
                named = [keyword.value for keyword in node.keywords if keyword.arg == "advice"]
                advice = [*node.args[4:5], *named]
                is_empty = any(isinstance(text, ast.Constant) and not text.value for text in advice)
                found.append((f"{path.name}:{node.lineno}", bool(advice) and not is_empty))

    assert len(found) > 20
    assert [where for where, has_advice in found if not has_advice] == []
