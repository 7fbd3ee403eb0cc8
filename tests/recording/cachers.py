"""Where models keep tensors outside of themselves, each in a form that was seen in somebody's code."""

import collections
import functools

import torch
from torch import nn

PAIRS = {}
ORDERED = collections.OrderedDict()
NESTED = {"rope": {}}
MASK = None


class InAPair(nn.Module):
    """Cosine and sine, as rotary embeddings keep them."""

    def forward(self, x):
        if "pair" not in PAIRS:
            PAIRS["pair"] = (torch.ones(4), torch.zeros(4))
        cos, sin = PAIRS["pair"]
        return x * cos + x * sin


class InAnOrderedDict(nn.Module):
    def forward(self, x):
        return x * ORDERED.setdefault("ones", torch.ones(4))


class InANestedDict(nn.Module):
    def forward(self, x):
        return x * NESTED["rope"].setdefault("ones", torch.ones(4))


class InAGlobal(nn.Module):
    def forward(self, x):
        global MASK  # noqa: PLW0603
        if MASK is None:
            MASK = torch.ones(4)
        return x * MASK


class InAClassAttribute(nn.Module):
    mask = None

    def forward(self, x):
        if type(self).mask is None:
            type(self).mask = torch.ones(4)
        return x * type(self).mask


class InADefault(nn.Module):
    def forward(self, x, kept=[]):  # noqa: B006
        if not kept:
            kept.append(torch.ones(4))
        return x * kept[0]


def remembered(function):
    results = {}

    @functools.wraps(function)
    def inner(size):
        if size not in results:
            results[size] = function(size)
        return results[size]

    return inner


@remembered
def made_once(size):
    return torch.ones(size)


class InAClosure(nn.Module):
    def forward(self, x):
        return x * made_once(4)


def attributed(size):
    if not hasattr(attributed, "kept"):
        attributed.kept = torch.ones(size)
    return attributed.kept


class InAFunctionAttribute(nn.Module):
    def forward(self, x):
        return x * attributed(4)


ACTIVATION = {}


def keep(name):
    def hook(module, args, output):
        ACTIVATION[name] = output.detach()

    return hook


def HookedIntoAGlobal():
    model = nn.Sequential(nn.Linear(4, 4))
    model[0].register_forward_hook(keep("fc"))
    return model


CACHERS = [
    InAPair,
    InAnOrderedDict,
    InANestedDict,
    InAGlobal,
    InAClassAttribute,
    InADefault,
    InAClosure,
    InAFunctionAttribute,
    HookedIntoAGlobal,
]
