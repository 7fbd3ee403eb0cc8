"""Parameters, buffers and everything else that a module keeps."""

import functools
import random
import types
import weakref

import numpy
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, prune

from pytest_archcheck import spec
from tests.recording.cases import case
from tests.recording.cases.modules import Block, WithLinear

TOKENS = spec(2, 3, dtype="int64", high=10)
WEIGHT = "l.parametrizations.weight"


@case(calls=":linear :linear#2", macs=64, params=32, output=(2, 4))
class InAParameterList(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = nn.ParameterList(nn.Parameter(torch.randn(4, 4)) for _ in range(2))

    def forward(self, x):
        for weight in self.weights:
            x = F.linear(x, weight)
        return x


@case(calls=":matmul", macs=32, params=16, output=(2, 4))
class InAParameterDict(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = nn.ParameterDict({"left": torch.randn(4, 4)})

    def forward(self, x):
        return x @ self.weights["left"]


def _const(*names):
    def facts(trace):
        assert [t.name for t in trace.state if t.kind == "const"] == list(names)

    return facts


@case(calls=":add", output=(2, 4), facts=_const("offset"))
class PlainTensor(nn.Module):
    """Neither parameter nor buffer: the record says so, by the attribute's name."""

    def __init__(self):
        super().__init__()
        self.offset = torch.ones(4)
        self.unused = torch.ones(4)

    def forward(self, x):
        return x + self.offset


@case(calls=":add :mul", output=(2, 4), facts=_const("tables.a.0", "tables.b"))
class TensorsInContainers(nn.Module):
    def __init__(self):
        super().__init__()
        self.tables = {"a": [torch.ones(4)], "b": torch.ones(4)}

    def forward(self, x):
        return (x + self.tables["a"][0]) * self.tables["b"]


@case(TOKENS, calls="embed :linear", macs=2 * 3 * 40, params=40, output=(2, 3, 10))
class TiedByUse(nn.Module):
    """The output projection is the embedding's own weight."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 4)

    def forward(self, x):
        return F.linear(self.embed(x), self.embed.weight)


@case(calls=":add :add#2", output=(2, 4))
class WritesToItsBuffer(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("steps", torch.zeros(1))

    def forward(self, x):
        self.steps += 1
        return x + self.steps


@case(calls=":add :mul", output=(2, 4))
class ReplacesItsBuffer(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x):
        self.mean = self.mean + 1
        return x * self.mean


@case(calls=":detach :clamp l", macs=32, params=20, output=(2, 4))
class ClampsItsWeight(WithLinear):
    """A write to a parameter in the forward, past autograd: the user's weight stays as it was."""

    def forward(self, x):
        self.l.weight.data.clamp_(-0.01, 0.01)
        return self.l(x)


@case(calls=":mul l", macs=32, params=20, output=(2, 4))
class ScalesItsWeight(WithLinear):
    def forward(self, x):
        with torch.no_grad():
            self.l.weight.mul_(2)
        return self.l(x)


@case(TOKENS, calls="embed", params=40, output=(2, 3, 4))
class RenormalisedEmbedding(nn.Module):
    """``max_norm`` makes the embedding write to its own weight."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 4, max_norm=0.1)

    def forward(self, x):
        return self.embed(x)


def _weight_is_what_was_assigned(trace):
    assert trace[":linear"].args[1].name == ":zeros_like"


@case(calls=":zeros_like :linear", macs=32, params=20, output=(2, 4), facts=_weight_is_what_was_assigned)
class SwapsItsData(WithLinear):
    """A parameter whose ``.data`` is replaced in the forward is what replaced it."""

    def forward(self, x):
        self.l.weight.data = torch.zeros_like(self.l.weight)
        return F.linear(x, self.l.weight)


@case(
    calls="l WEIGHT WEIGHT.0 WEIGHT.0:weight_norm l:linear".replace("WEIGHT", WEIGHT),
    macs=32,
    params=24,
    output=(2, 4),
)
def WeightNorm():
    model = Block()
    parametrizations.weight_norm(model.l)
    return model


@case(
    calls="l WEIGHT WEIGHT.0 WEIGHT.0:clone WEIGHT.0:clone#2 WEIGHT.0:mv WEIGHT.0:vdot WEIGHT.0:div l:linear".replace(
        "WEIGHT", WEIGHT
    ),
    macs=32 + 16 + 4,
    params=20,
    output=(2, 4),
)
def SpectralNorm():
    model = Block()
    parametrizations.spectral_norm(model.l)
    return model


@case(calls=":weight_norm l", macs=32, params=24, output=(2, 4))
def WeightNormByHook():
    import warnings

    model = Block()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nn.utils.weight_norm(model.l)
    return model


@case(calls=":reshape :mv :dot :div l", macs=32 + 16 + 4, params=20, output=(2, 4))
def SpectralNormByHook():
    model = Block()
    nn.utils.spectral_norm(model.l)
    return model


@case(calls=":to :mul l", macs=32, params=20, output=(2, 4))
def Pruned():
    model = Block()
    prune.l1_unstructured(model.l, "weight", amount=0.5)
    return model


@case(calls="l", macs=32, params=20, output=(2, 4))
class LazyLinear(nn.Module):
    """A lazy module that never ran: the clone is called once to learn its shapes, the user's stays lazy."""

    def __init__(self):
        super().__init__()
        self.l = nn.LazyLinear(4)

    def forward(self, x):
        return self.l(x)


@case((1, 2, 8, 8), calls="0 1 2", macs=1 * 3 * 6 * 6 * 18, params=57 + 6, output=(1, 3, 6, 6))
def LazyConvolution():
    return nn.Sequential(nn.LazyConv2d(3, 3), nn.LazyBatchNorm2d(), nn.ReLU())


class Slotted(nn.Module):
    __slots__ = ("__own", "weight_of")

    def __init__(self):
        super().__init__()
        object.__setattr__(self, "_Slotted__own", torch.ones(4))

    def forward(self, x):
        return x * self.__own


@case(calls=":mul", output=(2, 4), facts=_const("__own"))
def Slots():
    return Slotted()


@case(calls="l", macs=32, params=20, output=(2, 4))
class OwnDeepcopy(WithLinear):
    def __deepcopy__(self, memo):
        raise TypeError("this model cannot be copied")

    __copy__ = __reduce_ex__ = __deepcopy__

    def forward(self, x):
        return self.l(x)


@case(calls="l :mul", macs=32, params=20, output=(2, 4))
class OwnGetattr(WithLinear):
    """Hands out what its layer has, as wrappers do."""

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("l"), name)

    def forward(self, x):
        return self.l(x) * self.in_features


class Tagged(nn.Parameter):
    """A parameter class with an attribute of its own."""


@case(calls=":mul :linear", macs=32, params=16, output=(2, 4))
class ParameterSubclass(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = Tagged(torch.randn(4, 4))
        self.weight.gain = 3

    def forward(self, x):
        assert type(self.weight) is Tagged
        return F.linear(x, self.weight * self.weight.gain)


class Marked(torch.Tensor):
    """A tensor subclass, as image and label types are."""


@case(calls=":add", output=(2, 4))
class TensorSubclass(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("shift", torch.ones(4).as_subclass(Marked))

    def forward(self, x):
        return x + self.shift


@case((4, 2), calls=":sparse_mm", output=(4, 2), placement="cpu", status="partial: :sparse_mm not counted")
class SparseBuffer(nn.Module):
    """A graph's adjacency: how many products there are depends on its values."""

    def __init__(self):
        super().__init__()
        self.register_buffer("adjacency", torch.eye(4).to_sparse())

    def forward(self, x):
        return torch.sparse.mm(self.adjacency, x)


@case(calls=":mul :real", params=4, output=(2, 4))
class ComplexParameter(nn.Module):
    def __init__(self):
        super().__init__()
        self.phase = nn.Parameter(torch.randn(4, dtype=torch.complex64))

    def forward(self, x):
        return (x * self.phase).real


@case(calls=":getitem :add", output=(2, 4))
class ExpandedBuffer(nn.Module):
    """A buffer of four numbers that looks like 4 × 10⁹ of them is copied as it is."""

    def __init__(self):
        super().__init__()
        self.register_buffer("row", torch.ones(4).expand(10**9, 4))

    def forward(self, x):
        return x + self.row[:2]


@case(calls=":mul", output=(2, 4))
class NumPyAttribute(nn.Module):
    """Counts its calls in an array of its own."""

    def __init__(self):
        super().__init__()
        self.calls = numpy.zeros(1)

    def forward(self, x):
        self.calls += 1
        return x * float(self.calls[0])


@case(calls=":randn :add :add#2", output=(2, 4))
class OwnGenerator(nn.Module):
    """Draws from a generator of its own, whose state stays."""

    def __init__(self):
        super().__init__()
        self.generator = torch.Generator().manual_seed(7)
        self.random = random.Random(7)

    def forward(self, x):
        noise = torch.randn(4, generator=self.generator)
        return x + noise + 0 * self.random.random()


@case(calls=":arange :mul", output=(2, 4))
class CachedMethod(nn.Module):
    """A cache on the instance holds tensors of one recording and not of the next."""

    def __init__(self):
        super().__init__()
        self.grid = functools.lru_cache(maxsize=2)(self.make_grid)

    def make_grid(self, size):
        return torch.arange(size)

    def forward(self, x):
        return x * self.grid(4)


class Child(nn.Module):
    def __init__(self, parent):
        super().__init__()
        self.parent = weakref.ref(parent)

    def forward(self, x):
        return x * self.parent().gain


@case(calls="child child:mul", params=1, output=(2, 4))
class WeakParent(nn.Module):
    """A child that asks its parent, which it refers to weakly."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))
        self.child = Child(self)

    def forward(self, x):
        return self.child(x)


@case(calls="l :add", macs=32, params=20, output=(2, 4), facts=_const("memory.last"))
class PlainObjects(WithLinear):
    """Writes to objects that it keeps: those of the clone."""

    def __init__(self):
        super().__init__()
        self.memory = types.SimpleNamespace(last=torch.ones(4), seen=0)

    def forward(self, x):
        self.memory.seen += 1
        x = self.l(x) + self.memory.last
        self.memory.last = x
        return x


@case(calls="l :mul", macs=32, params=20, output=(2, 4))
class ClosureOverItself(WithLinear):
    """``lambda`` in ``__init__``, the most usual closure over a model."""

    def __init__(self):
        super().__init__()
        self.gain = 2
        self.act = lambda x: self.l(x) * self.gain

    def forward(self, x):
        return self.act(x)


@case(calls="l", macs=32, params=20, output=(2, 4))
class NestedClosure(WithLinear):
    """Decorators around a function around the model, with a dict that they write to."""

    def __init__(self):
        super().__init__()
        seen = {}

        def counted(function):
            @functools.wraps(function)
            def inner(x):
                seen["calls"] = seen.get("calls", 0) + 1
                return function(x)

            return inner

        @counted
        @counted
        def step(x):
            return self.l(x)

        self.step = step
        self.seen = seen

    def forward(self, x):
        x = self.step(x)
        assert self.seen["calls"] == 2
        return x


@case(calls=":add", output=(2, 4))
class MixedDtypes(nn.Module):
    """Half precision beside single: mixed dtypes promote as torch says."""

    def __init__(self):
        super().__init__()
        self.register_buffer("small", torch.ones(4, dtype=torch.float16))

    def forward(self, x):
        return x + self.small


def _frozen(trace):
    assert (trace.params.total, trace.params.trainable) == (40, 20)


@case(calls="a b", macs=64, params=40, output=(2, 4), facts=_frozen)
class Frozen(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
        self.a.requires_grad_(False)

    def forward(self, x):
        return self.b(self.a(x))


@functools.lru_cache
def cached_grid(size):
    return torch.arange(size)


FILE_CACHE = {}


@case(calls=":arange :add :ones :mul :full :add#2 :zeros :add#3", output=(2, 4))
class CachesOutsideOfItself(nn.Module):
    """In cached functions, its file and its class: no tensor of a recording stays there."""

    class_cache = {}  # noqa: RUF012

    @staticmethod
    @functools.cache
    def cached_zeros(size):
        return (torch.zeros(size),)

    def forward(self, x):
        x = x + cached_grid(4)
        if "ones" not in FILE_CACHE:
            FILE_CACHE["ones"] = torch.ones(4)
        x = x * FILE_CACHE["ones"]
        if "full" not in self.class_cache:
            self.class_cache["full"] = torch.full((4,), 2.0)
        x = x + self.class_cache["full"]
        return x + self.cached_zeros(4)[0]
