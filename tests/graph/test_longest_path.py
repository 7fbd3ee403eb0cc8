"""The longest weighted path on nets small enough to count by hand."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pytest_archcheck import UsageError, trace


class Net(nn.Module):
    """Linear layers ``a`` to ``f`` of width 4 and whatever forward a test gives it."""

    def __init__(self, forward):
        super().__init__()
        for name in "abcdef":
            setattr(self, name, nn.Linear(4, 4))
        self.run = forward

    def forward(self, x):
        return self.run(self, x)


def depth(forward, convention="paper"):
    return trace(Net(forward), (2, 4)).depth(convention)


def test_matlabs_three_examples():
    """MATLAB's definition: a logistic regression is 1, a two-layer MLP 2, a residual net its longest path.

    The residual net has 8 linear layers, of which 6 lie in sequence.
    """

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            for name in "abcdefgh":
                setattr(self, name, nn.Linear(4, 4))

        def forward(self, x):
            x = self.a(x)
            x = self.c(self.b(x).relu()) + self.g(x)
            x = self.e(self.d(x).relu()) + self.h(x)
            return self.f(x)

    residual = trace(Residual(), (2, 4))

    assert depth(lambda self, x: self.a(x).sigmoid()) == 1
    assert depth(lambda self, x: self.b(self.a(x).relu())) == 2
    assert residual.depth("paper") == 6
    assert residual.depth("weighted") == 8


def test_a_branch_in_parallel_does_not_add():
    assert depth(lambda self, x: torch.cat([self.a(x), self.c(self.b(x))])) == 2


def test_a_sum_with_itself_is_no_shortcut():
    assert depth(lambda self, x: self.b(self.a(x) + self.a(x))) == 2


def test_a_product_of_two_activations_is_no_layer():
    """``q @ k.T`` has no parameter."""
    assert depth(lambda self, x: self.a(x) @ self.b(x).T @ self.c(x)) == 1


def test_a_reshaped_weight_is_still_a_weight():
    assert depth(lambda self, x: x @ self.a.weight.t().reshape(4, 4)) == 1


def test_a_broadcast_gate_is_left_out_by_paper_and_counted_by_longest_path():
    """Squeeze-and-excitation (arXiv 1709.01507): what scales the channels is not depth."""

    def forward(self, x):
        hidden = self.a(x)
        gate = self.c(self.b(hidden.mean(0, keepdim=True)).relu()).sigmoid()
        return self.d(hidden * gate)

    assert depth(forward) == 2
    assert depth(forward, "longest-path") == 4


def test_a_broadcast_gate_needs_no_reduction():
    """It may come from one position, or from another input."""

    def forward(self, x):
        hidden = self.a(x)
        return self.d(hidden * self.c(self.b(hidden[:1])))

    assert depth(forward) == 2
    assert depth(forward, "longest-path") == 4


def test_a_product_of_equals_is_no_gate():
    """A gated linear unit multiplies two halves of one width: both are depth."""
    assert depth(lambda self, x: self.c(self.b(self.a(x)) * self.d(x))) == 3


def test_a_gate_of_full_size_that_was_reduced_on_the_way_is_a_gate():
    def forward(self, x):
        hidden = self.a(x)
        gate = self.c(self.b(hidden.mean(0, keepdim=True))).expand(2, 4)
        return hidden * gate

    assert depth(forward) == 1
    assert depth(forward, "longest-path") == 3


GATES = {
    "mean": lambda x: x.mean((2, 3), keepdim=True),
    "std": lambda x: x.std((2, 3), keepdim=True),
    "adaptive 2d": lambda x: F.adaptive_avg_pool2d(x, 1),
    "adaptive 1d": lambda x: F.adaptive_avg_pool1d(x.flatten(2), 1).unsqueeze(-1),
    "max pooling": lambda x: F.max_pool2d(x, 8),
    "a module": nn.AvgPool2d(8),
}


@pytest.mark.parametrize("name", GATES)
def test_a_gate_is_known_by_any_reduction(name):
    """Also where it is expanded to full size before it scales."""

    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)

        def forward(self, x):
            x = self.a(x)
            return x * self.b(GATES[name](x)).sigmoid().expand_as(x)

    assert trace(Gated(), (1, 4, 8, 8)).depth("paper") == 1


@pytest.mark.parametrize(
    "gate",
    [
        lambda net, h: net.b(h * h.pow(2).mean(-1, keepdim=True).rsqrt()),  # a norm by hand
        lambda net, h: net.b(torch.max(h, net.c(h))),  # the larger of two
        lambda net, h: net.b(F.avg_pool1d(h, 3, 1, 1)),  # as many elements as before
    ],
)
def test_what_keeps_the_positions_is_no_gate(gate):
    """There is a path beside the reduction, or there is none."""

    def forward(self, x):
        h = self.a(x)
        return h * gate(self, h).sigmoid()

    assert depth(forward) == depth(forward, "longest-path") > 1


def test_another_piece_of_a_split_is_not_what_the_gate_is_computed_from():
    """FocalNet's modulator (arXiv 2203.11926) is computed from one piece and scales another."""

    class Focal(nn.Module):
        def __init__(self, own):
            super().__init__()
            self.f, self.d, self.h = nn.Conv2d(4, 8, 1), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
            self.own = own

        def forward(self, x):
            query, context = self.f(x).split(4, 1)
            context = (query if self.own else context).mean((2, 3), keepdim=True)
            return query * self.h(self.d(context)).expand_as(query)

    assert trace(Focal(own=True), (1, 4, 8, 8)).depth("paper") == 1
    assert trace(Focal(own=False), (1, 4, 8, 8)).depth("paper") == 3


def test_what_is_overwritten_carries_no_data():
    def zeroed(self, x):
        hidden = self.b(self.a(x))
        hidden.zero_()
        return hidden + self.c(x)

    def copied(self, x):
        hidden = self.b(self.a(x))
        hidden.copy_(self.c(x))
        return hidden

    assert depth(zeroed) == depth(copied) == 1


def test_a_shared_weight_is_one_layer_however_it_is_used():
    """As a module, as a function, transposed."""

    def forward(self, x):
        return F.linear(self.a(x).relu(), self.a.weight) @ self.a.weight.t()

    assert depth(forward) == 3
    assert depth(forward, "weighted") == 1


def test_a_layer_on_something_else_than_the_input_is_not_weighted():
    """Swin v2 computes its position bias from a table."""

    class Table(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("table", torch.zeros(4, 4))
            self.bias, self.a = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            return self.a(x) + self.bias(self.table)

    table = trace(Table(), (4, 4))

    assert table.depth("weighted") == 1
    assert table.explain_depth("paper").left_out == ()


def test_a_cell_counts_on_every_path_that_it_lies_on():
    """Its first call leads nowhere."""

    class Cells(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.GRUCell(4, 4)

        def forward(self, x):
            self.cell(x)
            return self.cell(x * 2)

    assert trace(Cells(), (2, 4)).depth("paper") == 1


def test_a_dead_end_does_not_count():
    def forward(self, x):
        self.c(self.b(self.a(x)))
        return self.d(x)

    assert depth(forward) == 1


def test_recurrent_layers_count_stacked_layers_and_cells_count_once():
    lstm = trace(nn.LSTM(4, 4, num_layers=3), (7, 2, 4))

    class Cells(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.GRUCell(4, 4)
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            state = x[0]
            for step in x:
                state = self.cell(step, state)
            return self.head(state)

    assert lstm.depth("paper") == 3
    assert trace(Cells(), (5, 2, 4)).depth("paper") == 2


def test_a_functional_convolution_counts():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.kernel = nn.Parameter(torch.zeros(8, 3, 3, 3))
            self.weight = nn.Parameter(torch.zeros(10, 8))

        def forward(self, x):
            x = F.conv2d(x, self.kernel).mean((2, 3))
            return F.linear(x, self.weight)

    functional = trace(Functional(), (1, 3, 8, 8))

    assert functional.depth("paper") == 2
    assert functional.depth("convolutions") == 1
    assert functional.macs == 6 * 6 * 8 * 27 + 80


def test_a_sum_in_place_continues_the_path():
    def forward(self, x):
        y = self.a(x)
        y += self.c(self.b(x))
        y.mul_(2)
        return self.d(y)

    assert depth(forward) == 3


def test_a_path_goes_through_reshapes_indices_and_splits():
    def forward(self, x):
        y = self.a(x).reshape(4, 2).t().reshape(2, 4)
        first, second = torch.split(self.b(y), 2, dim=1)
        return self.c(torch.cat([second, first], 1))[:, [1, 0, 3, 2]]

    assert depth(forward) == 3


def test_a_loop_counts_every_turn_and_a_shared_layer_every_call():
    def forward(self, x):
        for _ in range(5):
            x = self.b(self.a(x))
        return x

    assert depth(forward) == 10
    assert depth(forward, "weighted") == 2


def test_a_write_into_a_slice_joins_both():
    """Half of the result comes from one layer, half from two."""

    def forward(self, x):
        y = torch.zeros_like(x)
        y[:, :2] = self.a(x)[:, :2]
        y[:, 2:] = self.c(self.b(x))[:, 2:]
        return self.d(y)

    assert depth(forward) == 3


def test_a_write_into_one_piece_is_no_source_of_another():
    """Both halves share their memory; what is written to the second does not reach the first."""

    def forward(self, x):
        first, second = x.clone().chunk(2, dim=0)
        second.add_(self.c(self.b(self.a(second))))
        return self.d(first)

    assert depth(forward) == 1


def test_a_write_through_a_view_reaches_the_whole():
    def forward(self, x):
        y = x.clone()
        y[0].add_(self.b(self.a(x))[1])
        return self.c(y)

    assert depth(forward) == 3


def test_asking_for_a_shape_carries_no_data():
    """``zeros_like(x)`` and ``expand_as(x)`` want the shape of ``x``, not its values."""

    def forward(self, x):
        hidden = self.b(self.a(x))
        return self.c(x[:1].expand_as(hidden)) + torch.zeros_like(hidden)

    assert depth(forward) == 1


def test_a_cell_called_as_a_function_counts_once():
    class Cells(nn.Module):
        def __init__(self):
            super().__init__()
            self.w_ih, self.w_hh = nn.Parameter(torch.zeros(12, 4)), nn.Parameter(torch.zeros(12, 4))
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            state = x[0]
            for step in x:
                state = torch.gru_cell(step, state, self.w_ih, self.w_hh)
            return self.head(state)

    assert trace(Cells(), (5, 2, 4)).depth("paper") == 2


def test_a_deep_chain_needs_no_recursion():
    chain = trace(lambda: nn.Sequential(*[nn.Linear(2, 2) for _ in range(3000)]), (1, 2))

    assert chain.depth("paper") == 3000


def test_an_unknown_convention_names_the_nearest_and_all():
    with pytest.raises(
        UsageError, match=r"unknown depth convention 'papers': did you mean 'paper'\? .*leaf-modules"
    ):
        depth(lambda self, x: self.a(x), "papers")
