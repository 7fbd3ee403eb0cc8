"""Inputs and outputs of every form."""

import collections
import dataclasses

import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence

from pytest_archcheck import spec
from tests.recording.cases import case
from tests.recording.cases.modules import WithLinear


def _inputs(*paths):
    def facts(trace):
        assert [s.path for s in trace.inputs] == list(paths)

    return facts


def _outputs(*paths):
    def facts(trace):
        assert [s.path for s in trace.outputs] == list(paths)

    return facts


@case(((2, 4), (2, 4), 3), calls=":add :mul", output=(2, 4), facts=_inputs("x", "y"))
class SeveralTensors(nn.Module):
    """And a number, which is no tensor."""

    def forward(self, x, y, factor):
        return (x + y) * factor


@case(
    kwargs={"mask": spec(2, 4, dtype="bool"), "mode": "max", "more": None},
    calls=":mul",
    output=(2, 4),
    facts=_inputs("x", "mask"),
)
class KeywordArguments(nn.Module):
    """In the order of the forward's parameters; strings and None go through."""

    def forward(self, x, *, mode, mask, more):
        assert mode == "max"
        assert more is None
        return x * mask


@case(kwargs={"b": (2, 4), "a": (2, 4)}, calls=":add :add#2", output=(2, 4), facts=_inputs("x", "b", "a"))
class OpenKeywords(nn.Module):
    def forward(self, x, **rest):
        return x + rest["a"] + rest["b"]


@case(((2, 4), (2, 4)), calls=":add", output=(2, 4), facts=_inputs("args[0]", "args[1]"))
class OpenArguments(nn.Module):
    def forward(self, *args):
        return args[0] + args[1]


@case(
    {"image": (2, 4), "extra": [{"mask": (2, 4)}, "name", 3]},
    calls=":mul",
    output=(2, 4),
    facts=_inputs("batch.image", "batch.extra[0].mask"),
)
class NestedDict(nn.Module):
    def forward(self, batch):
        return batch["image"] * batch["extra"][0]["mask"]


Pair = collections.namedtuple("Pair", ["left", "right"])


@case((Pair((2, 4), (2, 4)),), calls=":add :sub", output=(2, 4), facts=_outputs(".left", ".right"))
class NamedTuple(nn.Module):
    def forward(self, pair):
        assert type(pair) is Pair
        return Pair(pair.left + pair.right, pair.left - pair.right)


@dataclasses.dataclass
class Batch:
    image: object
    label: object = None
    name: str = "batch"


@dataclasses.dataclass(frozen=True)
class Result:
    score: object
    batch: Batch


@case(
    (Batch((2, 4)),), calls="l", macs=32, params=20, output=(2, 4), facts=_outputs(".score", ".batch.image")
)
class DataclassInAndOut(WithLinear):
    def forward(self, batch):
        assert batch.name == "batch"
        return Result(self.l(batch.image), batch)


@case(
    (Result((2, 4), Batch((2, 4))),), calls=":add", output=(2, 4), facts=_inputs("r.score", "r.batch.image")
)
class FrozenDataclass(nn.Module):
    def forward(self, r):
        assert type(r) is Result
        return r.score + r.batch.image


class ModelOutput(collections.OrderedDict):
    """A mapping with attributes, as transformers' outputs are."""

    def __post_init__(self):
        pass

    def __getattr__(self, name):
        if name in self:
            return self[name]
        raise AttributeError(name)


@case(calls="l :relu", macs=32, params=20, output=(2, 4), facts=_outputs(".logits", ".hidden[0]"))
class OutputClass(WithLinear):
    def forward(self, x):
        h = self.l(x)
        return ModelOutput(logits=h.relu(), hidden=(h,), loss=None)


@case((ModelOutput(image=(2, 4)),), calls=":relu", output=(2, 4), facts=_inputs("batch.image"))
class MappingClass(nn.Module):
    def forward(self, batch):
        assert type(batch) is ModelOutput
        return batch.image.relu()


@case((collections.UserDict(image=(2, 4)),), calls=":relu", output=(2, 4), facts=_inputs("batch.image"))
class UserDict(nn.Module):
    """What tokenizers return."""

    def forward(self, batch):
        return batch["image"].relu()


@case(calls="l", macs=32, params=20, output=(2, 4), facts=_outputs("[1]"))
class OddOutputs(WithLinear):
    """None, strings and numbers beside a tensor."""

    def forward(self, x):
        return None, self.l(x), "name", 3, {"empty": []}


@case(
    calls="l :exp :exp#2 :broadcast_tensors",
    macs=32,
    params=20,
    output=(2, 4),
    facts=_outputs(".loc", ".scale"),
)
class Distribution(WithLinear):
    def forward(self, x):
        h = self.l(x)
        return torch.distributions.Normal(h.exp(), h.exp(), validate_args=False)


@case(
    (torch.distributions.Normal(torch.zeros(2, 4), torch.ones(2, 4)),),
    calls=":add",
    output=(2, 4),
    facts=_inputs("d.loc", "d.scale"),
)
class DistributionIn(nn.Module):
    def forward(self, d):
        return d.mean + d.stddev


@case(
    (pack_sequence([torch.ones(3, 4), torch.ones(2, 4)]),),
    calls="r",
    macs=5 * 4 * 5 * 9,
    params=220,
    output=(5, 5),
    facts=_inputs("s.data", "s.batch_sizes"),
)
class PackedSequence(nn.Module):
    """Three steps of one sample and two of another are five."""

    def __init__(self):
        super().__init__()
        self.r = nn.LSTM(4, 5)

    def forward(self, s):
        return self.r(s)[0]


@case(
    ([(3, 8, 8), (3, 6, 6)],),
    calls="c :mean c#2 :mean#2 :stack",
    macs=2 * 27 * (36 + 16),
    params=56,
    output=(2, 2),
    facts=_inputs("images[0]", "images[1]"),
)
class ListOfImages(nn.Module):
    """As detection models take them."""

    def __init__(self):
        super().__init__()
        self.c = nn.Conv2d(3, 2, 3)

    def forward(self, images):
        return torch.stack([self.c(image).mean((1, 2)) for image in images])


_same = torch.ones(2, 4)


@case((_same, _same), calls=":mul", output=(2, 4), facts=_inputs("q", "k"))
class SameTensorTwice(nn.Module):
    """One tensor given twice is one tensor, as self-attention checks."""

    def forward(self, q, k):
        return q * 2 if q is k else q + k


class Ring:
    """An object that refers to itself, through a list too, and has two names for one tensor."""

    def __init__(self, tensor):
        self.tensor = tensor
        self.again = tensor
        self.me = self
        self.all = [self]


@case((Ring(_same),), calls=":mul", output=(2, 4), facts=_inputs("ring.tensor"))
class ObjectThatRefersToItself(nn.Module):
    def forward(self, ring):
        return ring.all[0].me.again * 2


class Cache:
    """Keys that grow, as language models keep them."""

    def __init__(self):
        self.keys = []


@case(
    (_same, Cache()), calls="l :relu", macs=32, params=20, output=(2, 4), facts=_outputs("[0]", "[1].keys[0]")
)
class CacheObject(WithLinear):
    def forward(self, x, cache):
        cache.keys.append(self.l(x))
        return cache.keys[-1].relu(), cache


@case(
    (torch.nested.nested_tensor([torch.ones(2, 4), torch.ones(3, 4)], layout=torch.jagged),),
    calls=":relu",
    output=(2, -1, 4),
)
class JaggedTensor(nn.Module):
    """A ragged dimension is written as -1."""

    def forward(self, x):
        return x.relu()


_RAGGED = torch.nested.nested_tensor([torch.ones(2, 4), torch.ones(3, 4)], layout=torch.jagged)


@case((_RAGGED,), calls="l", params=20, output=(2, -1, 4), status="partial: l not counted")
class JaggedLinear(WithLinear):
    """How many products there are depends on the lengths, which are values."""

    def forward(self, x):
        return self.l(x)


@case(spec(2, 4, dtype="float64"), calls=":float l", macs=32, params=20, output=(2, 4))
class DtypeOfAnInput(WithLinear):
    def forward(self, x):
        return self.l(x.float())
