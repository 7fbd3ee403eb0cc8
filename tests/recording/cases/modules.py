"""Every way in which a module can be used."""

import functools
import threading
import types

import torch
import torch.nn.functional as F
from torch import nn

from tests.recording.cases import case


class WithLinear(nn.Module):
    """A model with one ``Linear(4, 4)``: 20 parameters, and 32 multiply-accumulates for a batch of two."""

    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)


@case(calls=".", macs=48, params=30, output=(2, 6))
def RootWithoutChildren():
    return nn.Linear(4, 6)


@case(calls="l l#2 l#3", macs=96, params=20, output=(2, 4))
class Repeated(WithLinear):
    """One layer called three times in sequence."""

    def forward(self, x):
        return self.l(self.l(self.l(x)))


def _shared(trace):
    assert {m.name: m.same_as for m in trace.modules[1:]} == {"a": None, "b": "a"}
    assert {t.name: t.tied_to for t in trace.state} == {
        "a.weight": None,
        "a.bias": None,
        "b.weight": "a.weight",
        "b.bias": "a.bias",
    }


@case(calls="a a#2", macs=64, params=20, output=(2, 4), facts=_shared)
class RegisteredTwice(nn.Module):
    """One module under two names."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.b = self.a

    def forward(self, x):
        return self.b(self.a(x))


@case(calls="l .#2 l#2 .#3 l#3", macs=96, params=20, output=(2, 4))
class Recursive(WithLinear):
    """A module that calls itself twice."""

    def forward(self, x, more=2):
        x = self.l(x)
        return self(x, more - 1) if more else x


@case(calls="l block block.l", macs=64, params=40, output=(2, 4))
class ForwardCalledDirectly(WithLinear):
    """Past ``__call__``, a layer and a block: both are layer calls all the same."""

    def __init__(self):
        super().__init__()
        self.block = Block()

    def forward(self, x):
        return self.block.forward(self.l.forward(x))


class Block(WithLinear):
    def forward(self, x):
        return self.l(x)


@case(calls=":linear", macs=32, params=20, output=(2, 4))
class ForwardOfTheClass(WithLinear):
    """An unbound forward is what its functions do."""

    def forward(self, x):
        return nn.Linear.forward(self.l, x)


def _weights_by_name(trace):
    assert [ref.name for ref in trace[":linear"].args[1:2]] == ["param:l.weight"]
    assert "l" not in trace


@case(calls=":linear", macs=32, params=20, output=(2, 4), facts=_weights_by_name)
class WeightsUsedByAFunction(WithLinear):
    """As attention uses its ``out_proj``."""

    def forward(self, x):
        return F.linear(x, self.l.weight, self.l.bias)


@case(calls=":relu", params=20, output=(2, 4))
class DeclaredNeverCalled(WithLinear):
    def forward(self, x):
        return torch.relu(x)


def _hidden(*names):
    def facts(trace):
        hidden = {t.name: (t.kind, t.saved) for t in trace.state if t.name.startswith(names)}
        assert hidden == {f"{n}.{k}": ("param", False) for n in names for k in ("weight", "bias")}

    return facts


@case(calls="steps.0 steps.1", macs=64, params=0, output=(2, 4), facts=_hidden("steps.0", "steps.1"))
class HiddenInAList(nn.Module):
    """No optimizer and no checkpoint sees these; the record names them and says that they are not saved."""

    def __init__(self):
        super().__init__()
        self.steps = [nn.Linear(4, 4), nn.Linear(4, 4)]

    def forward(self, x):
        for step in self.steps:
            x = step(x)
        return x


@case(calls="l heads.b", macs=64, params=20, output=(2, 4), facts=_hidden("heads.b"))
class HiddenInADict(WithLinear):
    """Of two hidden heads only the one that is used belongs to the record."""

    def __init__(self):
        super().__init__()
        self.heads = {"a": nn.Linear(4, 4), "b": nn.Linear(4, 4)}

    def forward(self, x):
        return self.heads["b"](self.l(x))


class Helper:
    def __init__(self):
        self.inner = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        self.count = 0

    def run(self, x):
        self.count += 1
        return self.inner(x)


@case(
    calls="helper.inner helper.inner.0 helper.inner.1",
    macs=32,
    output=(2, 4),
    facts=_hidden("helper.inner.0"),
)
class HiddenInAPlainObject(nn.Module):
    def __init__(self):
        super().__init__()
        self.helper = Helper()

    def forward(self, x):
        return self.helper.run(x)


@case(calls="a b", macs=64, params=40, output=(2, 4))
class AlsoInAPlainList(nn.Module):
    """A list of what is registered elsewhere hides nothing."""

    def __init__(self):
        super().__init__()
        self.order = []
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
        self.order += [self.a, self.b]

    def forward(self, x):
        return self.order[1](self.order[0](x))


@case(calls="items.x.0 items.y", macs=64, params=40, output=(2, 4))
class Containers(nn.Module):
    def __init__(self):
        super().__init__()
        self.items = nn.ModuleDict({"x": nn.ModuleList([nn.Linear(4, 4)]), "y": nn.Linear(4, 4)})

    def forward(self, x):
        return self.items["y"](self.items["x"][0](x))


@case(calls="l :mul", macs=32, params=20, output=(2, 4))
def ForwardReplacedByALambda():
    """On the instance, and closing over it."""
    model = Block()
    model.forward = lambda x: model.l(x) * 2
    return model


@case(calls="l :mul", macs=32, params=20, output=(2, 4))
def ForwardReplacedByAMethod():
    def forward(self, x):
        return self.l(x) * 2

    model = Block()
    model.forward = types.MethodType(forward, model)
    return model


@case(calls="l l:linear l:mul", macs=32, params=20, output=(2, 4))
def ForwardReplacedByAPartial():
    """As offloading libraries do; a layer with a forward of its own is not atomic."""

    def forward(module, x):
        return F.linear(x, module.weight, module.bias) * 2

    model = Block()
    model.l.forward = functools.partial(forward, model.l)
    return model


@case(calls="l", macs=32, params=20, output=(2, 4))
class OwnCall(WithLinear):
    """A class with a ``__call__`` of its own, past all hooks."""

    def __call__(self, x):
        return self.forward(x)

    def forward(self, x):
        return self.l(x)


@case((1, 2, 8, 8), calls=":sub :conv2d", macs=1 * 3 * 6 * 6 * 2 * 9, params=57, output=(1, 3, 6, 6))
class SubclassOfALayer(nn.Conv2d):
    """A class of the user's is not atomic, whatever it inherits from."""

    def __init__(self):
        super().__init__(2, 3, 3)

    def forward(self, x):
        return super().forward(x - 1)


class Applies(nn.Module):
    def forward(self, module, x):
        return module(x)


@case(calls="applies l", macs=32, params=20, output=(2, 4))
class ModuleAsArgument(WithLinear):
    def __init__(self):
        super().__init__()
        self.applies = Applies()

    def forward(self, x):
        return self.applies(self.l, x)


class Fussy(nn.Module):
    def __init__(self):
        super().__init__()
        self.wide = nn.Linear(5, 4)

    def forward(self, x):
        return self.wide(x + 1)


@case(calls="fussy:add l", macs=32, params=44, output=(2, 4))
class CatchesAnError(WithLinear):
    """What ran before the error is recorded, the calls that raised are not."""

    def __init__(self):
        super().__init__()
        self.fussy = Fussy()

    def forward(self, x):
        try:
            return self.fussy(x)
        except RuntimeError:
            return self.l(x)


@case(calls=":relu", params=20, output=(2, 4), status="partial: opaque:. not counted")
class RunsAThread(WithLinear):
    """What another thread computes is not seen, and the record says so."""

    def forward(self, x):
        made = []
        thread = threading.Thread(target=lambda: made.append(self.l(x)))
        thread.start()
        thread.join()
        return torch.relu(made[0])


INNER = nn.Sequential(nn.Linear(3, 5), nn.ReLU())


@case(calls="l :add", macs=32, params=20, output=(2, 4))
class RecordsInItsForward(WithLinear):
    """A recording inside a recording is none of the outer one's business."""

    def forward(self, x):
        from pytest_archcheck import trace

        inner = trace(INNER, (2, 3))
        assert [call.id for call in inner] == ["0", "1"]
        return self.l(x) + inner.macs


@case(
    calls="0 1 2 3 3.l",
    macs=2 * 3 * 6 * 6 * 27 + 2 * 108 * 4 + 32,
    params=84 + 436 + 20,
    output=(2, 4),
    inputs=(2, 3, 8, 8),
)
def Nested():
    return nn.Sequential(nn.Conv2d(3, 3, 3), nn.Flatten(), nn.Linear(108, 4), Block())


@case((5, 2, 8), calls="a", macs=2 * (4 * 5 * 64 + 2 * 25 * 8), params=288, output=(5, 2, 8))
class SelfAttention(nn.Module):
    """Atomic, with its ``out_proj`` inside: four projections, scores and weighted values."""

    def __init__(self):
        super().__init__()
        self.a = nn.MultiheadAttention(8, 2)

    def forward(self, x):
        return self.a(x, x, x)[0]


@case((3, 2, 4), calls="r", macs=6 * 4 * 5 * (4 + 5), params=4 * 5 * 9 + 40, output=(3, 2, 5))
class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.r = nn.LSTM(4, 5)

    def forward(self, x):
        return self.r(x)[0]
