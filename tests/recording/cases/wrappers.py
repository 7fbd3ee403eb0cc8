"""Models that something else wraps, traced, scripted or transformed."""

import copy
import warnings

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from tests.recording.cases import case
from tests.recording.cases.modules import Block, WithLinear


def _without(wrapper):
    def facts(trace):
        assert trace.notes[-1] == f"recorded without its wrapper {wrapper}"

    return facts


@case(calls="l", macs=32, params=20, output=(2, 4), facts=_without("OptimizedModule"))
def Compiled():
    return torch.compile(Block())


@case(calls="l", macs=32, params=20, output=(2, 4))
def CompiledInPlace():
    model = Block()
    model.compile()
    return model


@case(calls="0 0.l 1", macs=32, params=20, output=(2, 4), facts=_without("OptimizedModule"))
def CompiledInside():
    return nn.Sequential(torch.compile(Block()), nn.ReLU())


@case(calls="l", macs=32, params=20, output=(2, 4), facts=_without("DataParallel"))
def DataParallel():
    return nn.DataParallel(Block())


class ReachesThrough(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.DataParallel(Block())

    def forward(self, x):
        return self.encoder.module.l(self.encoder(x))


@case(calls="encoder encoder.l encoder.l#2", macs=64, params=20, output=(2, 4))
def DataParallelInside():
    """A forward that reaches through the wrapper finds what it wants."""
    return ReachesThrough()


class ForFx(WithLinear):
    def forward(self, x):
        return F.relu(self.l(x)) + x


@case(calls="l :relu :add", macs=32, params=20, output=(2, 4))
def GraphModule():
    return torch.fx.symbolic_trace(ForFx())


@case(calls="0 1", macs=32, params=40, output=(2, 4), placement="cpu", status="partial: 0 not counted")
def ScriptedInside():
    """A scripted part is one opaque call, named."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.Sequential(torch.jit.script(Block()), nn.Linear(4, 4))


@case(calls="0 1", macs=32, params=40, output=(2, 4), placement="cpu", status="partial: 0 not counted")
def TracedInside():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.Sequential(torch.jit.trace(Block(), torch.ones(2, 4)), nn.Linear(4, 4))


def _twice(x):
    return x * 2


with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    scripted_twice = torch.jit.script(_twice)


@case(calls="l :relu", macs=32, params=20, output=(2, 4), status="partial: opaque:. not counted")
class ScriptedFunction(WithLinear):
    """What a scripted function makes comes from nowhere, and that is said."""

    def forward(self, x):
        return torch.relu(scripted_twice(self.l(x)))


class Checkpointed(WithLinear):
    def __init__(self, use_reentrant):
        super().__init__()
        self.use_reentrant = use_reentrant

    def forward(self, x):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return checkpoint(self.l, x, use_reentrant=self.use_reentrant).relu()


def _torch_can_checkpoint_on_meta():
    try:
        checkpoint(torch.relu, torch.empty(1, device="meta"), use_reentrant=False)
    except AttributeError:  # torch 2.4
        return False
    return True


CHECKPOINTS = "meta" if _torch_can_checkpoint_on_meta() else "cpu"


@case(calls="l :relu", macs=32, params=20, output=(2, 4), placement=CHECKPOINTS)
def CheckpointReentrant():
    return Checkpointed(True)


@case(calls="l :relu", macs=32, params=20, output=(2, 4), placement=CHECKPOINTS)
def CheckpointNotReentrant():
    return Checkpointed(False)


@case(calls="l", macs=32, params=20, output=(2, 4))
class FunctionalCall(WithLinear):
    """Other tensors in place of the parameters."""

    def forward(self, x):
        return torch.func.functional_call(self.l, dict(self.l.named_parameters()), x)


@case(
    calls=":detach :clone :detach#2 :clone#2 l :linear",
    macs=64,
    params=20,
    output=(2, 4),
    status="partial: opaque:., opaque:.#2 not counted",
)
class DeepcopiesItself(WithLinear):
    """A copy made in the forward is no module of the model: it is recorded by the functions that it calls."""

    def forward(self, x):
        return copy.deepcopy(self.l)(self.l(x))


@case(calls="quant l dequant", macs=32, params=20, output=(2, 4))
def QuantizationStubs():
    model = nn.Sequential()
    model.quant, model.l, model.dequant = (
        torch.ao.quantization.QuantStub(),
        nn.Linear(4, 4),
        torch.ao.quantization.DeQuantStub(),
    )
    return model
