"""Hooks of the user's own, which still run, on the clone."""

import torch
from torch import nn

from tests.recording.cases import case
from tests.recording.cases.modules import Block, WithLinear


@case(calls="l :mul", macs=32, params=20, output=(2, 4))
def HookChangesTheOutput():
    model = Block()
    model.l.register_forward_hook(lambda module, args, output: output * 2)
    return model


@case(calls=":add l", macs=32, params=20, output=(2, 4))
def PreHookChangesTheInput():
    model = Block()
    model.l.register_forward_pre_hook(lambda module, args: (args[0] + 1,))
    return model


@case(calls="l :mul", macs=32, params=20, output=(2, 4))
def HookWithKeywords():
    model = Block()
    model.register_forward_hook(lambda module, args, kwargs, output: output * 2, with_kwargs=True)
    return model


class Features(WithLinear):
    """Collects what its hooks see, as feature extractors do."""

    def __init__(self):
        super().__init__()
        self.seen = []
        self.l.register_forward_hook(self.keep)

    def keep(self, module, args, output):
        self.seen.append(output)

    def forward(self, x):
        self.l(x)
        return self.seen.pop().relu()


@case(calls="l :relu", macs=32, params=20, output=(2, 4))
def HookIsABoundMethod():
    return Features()


@case(calls="l :cat", macs=32, params=20, output=(4, 4))
def HookIsAClosureOverAList():
    """The list of the clone's hook is the clone's own, and its forward reads the same one."""
    seen = []
    model = Block()
    model.l.register_forward_hook(lambda module, args, output: seen.append(output))
    model.forward = lambda x: torch.cat([model.l(x), *seen])
    return model


class Once(WithLinear):
    """Takes its own hook away after the first call."""

    def __init__(self):
        super().__init__()
        self.handle = self.l.register_forward_hook(self.first)

    def first(self, module, args, output):
        self.handle.remove()
        return output + 1

    def forward(self, x):
        return self.l(self.l(x))


@case(calls="l :add l#2", macs=64, params=20, output=(2, 4))
def HookRemovesItself():
    return Once()


GLOBAL = {}


def _reads_global(module, args, output):
    return output * GLOBAL_MODEL.gain


class Gained(Block):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))


GLOBAL_MODEL = Gained()
GLOBAL_MODEL.l.register_forward_hook(_reads_global)


@case(calls="l :mul", macs=32, params=21, output=(2, 4))
def HookNamesTheModelAsAGlobal():
    """As scripts and notebooks do; the clone's hook means the clone."""
    return GLOBAL_MODEL


@case(calls="l", macs=32, params=20, output=(2, 4))
def FullBackwardHook():
    model = Block()
    model.l.register_full_backward_hook(lambda module, inputs, outputs: None)
    return model
