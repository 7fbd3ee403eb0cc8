"""Grad modes, autocast, dtypes, control flow, writes in place, functions of the user's own."""

import numpy
import torch
from torch import nn

from pytest_archcheck import spec
from tests.recording.cases import case
from tests.recording.cases.modules import WithLinear


@case(calls="l", macs=32, params=20, output=(2, 4), dtype="bfloat16", placement="cpu")
class Autocast(WithLinear):
    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.l(x)


def _written_then_read(trace):
    assert trace[":mul"].args[0].name == ":add"


@case(calls="l :add :mul", macs=32, params=20, output=(2, 4), facts=_written_then_read)
class InferenceMode(WithLinear):
    """Inference tensors do not count their writes."""

    def forward(self, x):
        with torch.inference_mode():
            y = self.l(x)
            y.add_(1)
            return y * 2


@case(calls="l :relu", macs=32, params=20, output=(2, 4))
class NoGrad(WithLinear):
    def forward(self, x):
        with torch.no_grad():
            x = self.l(x)
        return x.relu()


@case(
    calls=":detach l :sum :autograd_grad",
    macs=32,
    params=20,
    output=(2, 4),
    status="partial: :autograd_grad not counted",
)
class Differentiates(WithLinear):
    """Asks for a gradient and says so itself, as physics models do."""

    def forward(self, x):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            return torch.autograd.grad(self.l(x).sum(), x)[0]


def _with_autograd(trace):
    assert trace.notes[-1] == f"{trace.placement}: the forward needs gradients, recorded with autograd on"


@case(
    calls="l :sum :autograd_grad",
    macs=32,
    params=20,
    output=(4, 4),
    status="partial: :autograd_grad not counted",
    facts=_with_autograd,
)
class DifferentiatesAsCalled(WithLinear):
    """Asks for a gradient and leaves it to the caller that autograd is on."""

    def forward(self, x):
        return torch.autograd.grad(self.l(x).sum(), self.l.weight)[0]


@case(calls="l d", macs=32, params=20, output=(2, 4))
class Dropout(nn.Module):
    def __init__(self):
        super().__init__()
        self.l, self.d = nn.Linear(4, 4), nn.Dropout(0.5)

    def forward(self, x):
        return self.d(self.l(x))


@case(calls=":sum l l#2 l#3", macs=96, params=20, output=(2, 4), placement="cpu")
class LoopsOnData(WithLinear):
    def forward(self, x):
        for _ in range(3 if x.sum().item() < 1e9 else 4):
            x = self.l(x)
        return x


@case(calls=":abs :sum :gt l", macs=32, params=20, output=(2, 4), placement="cpu")
class BranchesOnData(WithLinear):
    def forward(self, x):
        return self.l(x) if x.abs().sum() > 0 else x


def _in_place(trace):
    assert trace.output.source.name == ":mul"
    assert trace[":mul"].args[0].name == ":relu"
    assert trace[":relu"].args[0].name == "l"


@case(calls="l :relu :mul", macs=32, params=20, output=(2, 4), facts=_in_place)
class InPlace(WithLinear):
    def forward(self, x):
        x = self.l(x)
        x.relu_()
        x *= 2
        return x


def _through_view(trace):
    assert trace.output.source.name == ":add"
    assert (
        trace[":add"].args[0].name == ":__getitem__".replace("__", "")
        or trace[":add"].args[0].name == ":getitem"
    )


@case(calls="l :getitem :add", macs=32, params=20, output=(2, 4), facts=_through_view)
class WritesThroughAView(WithLinear):
    """Who writes to a view also makes its base."""

    def forward(self, x):
        x = self.l(x)
        x[:, :2].add_(1)
        return x


@case(calls="l :setitem", macs=32, params=20, output=(2, 4))
class Assigns(WithLinear):
    def forward(self, x):
        x = self.l(x)
        x[:, 0] = 0
        return x


class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, grad):
        return grad * 2


@case(calls="l :mul :relu", macs=32, params=20, output=(2, 4))
class CustomAutograd(WithLinear):
    """A custom autograd function is what its forward calls."""

    def forward(self, x):
        return Twice.apply(self.l(x)).relu()


class InNumPy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return torch.from_numpy(numpy.tanh(x.numpy()))

    @staticmethod
    def backward(ctx, grad):
        return grad


@case(
    calls="l :relu",
    macs=32,
    params=20,
    output=(2, 4),
    placement="cpu",
    status="partial: opaque:. not counted",
)
class CustomAutogradInNumPy(WithLinear):
    """What NumPy makes comes from nowhere, and that is said."""

    def forward(self, x):
        return InNumPy.apply(self.l(x)).relu()


@torch.library.custom_op("archcheck_tests::triple", mutates_args=())
def triple(x: torch.Tensor) -> torch.Tensor:
    return x * 3


@triple.register_fake
def _(x):
    return torch.empty_like(x)


@case(
    calls="l :archcheck_tests.triple",
    macs=32,
    params=20,
    output=(2, 4),
    status="partial: :archcheck_tests.triple not counted",
)
class CustomOp(WithLinear):
    """An op of the user's own is named, and has no formula."""

    def forward(self, x):
        return torch.ops.archcheck_tests.triple(self.l(x))


@case(calls="l", macs=32, params=20, output=(2, 4), dtype="float16")
def Half():
    return _Plain().half()


@case(calls="l", macs=32, params=20, output=(2, 4), dtype="bfloat16")
def BFloat16():
    return _Plain().bfloat16()


@case(calls="l", macs=32, params=20, output=(2, 4), dtype="float64")
def Double():
    return _Plain().double()


class _Plain(WithLinear):
    def forward(self, x):
        return self.l(x)


@case(spec(2, 4, dtype="complex64"), calls="l", macs=32, params=20, output=(2, 4), dtype="complex64")
def Complex():
    model = _Plain()
    model.l = nn.Linear(4, 4, dtype=torch.complex64)
    return model


@case(spec(2, 4, dtype="bool"), calls=":invert", output=(2, 4), dtype="bool")
class Boolean(nn.Module):
    def forward(self, x):
        return ~x


@case(spec(2, 3, dtype="int64", high=10), calls="e", params=40, output=(2, 3, 4))
class Integers(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(10, 4)

    def forward(self, x):
        return self.e(x)


@case(calls=":to :zeros :add :new_zeros :add#2 l", macs=32, params=20, output=(2, 4))
class NamesItsDevice(WithLinear):
    """A device in the code is where the author's machine ran it; a recording stays where it is."""

    def forward(self, x):
        return self.l(x.cuda() + torch.zeros(4, device="cuda:0") + x.new_zeros(4, device="cuda"))


@case(calls=":relu", output=(2, 4), status="partial: opaque:. not counted")
class Vmap(nn.Module):
    """In a transform tensors show another shape than they have, so what it makes comes from nowhere."""

    def forward(self, x):
        return torch.func.vmap(lambda row: row * 2)(x).relu()


class InVmap(WithLinear):
    def forward(self, x):
        return torch.func.vmap(self.l)(x)


@case(
    calls="0 0:relu 1 1:relu",
    params=40,
    output=(2, 4),
    status="partial: opaque:0, opaque:1 not counted",
)
def LayersInVmap():
    """A layer that vmap calls is not recorded: it would be counted for one row; where that is, is said."""
    return nn.Sequential(Relued(), Relued())


class Relued(InVmap):
    def forward(self, x):
        return super().forward(x).relu()
