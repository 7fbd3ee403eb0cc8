"""Numbers and limits as a user states them: by module, with tolerances, by another counter, for a whole project."""

import pytest

from tests.integration.support import IMPORTS, MODELS, in_process, in_subprocess, text_of

NET = "\n@arch(Net, inputs=IMAGE)\n"
"""The small net: ``conv`` 224 parameters and 13,824 MACs, ``head`` 90 and 80."""


def judged(pytester, marks, *args):
    return in_process(pytester, f"{NET}{marks}\ndef test_net():\n    pass\n", *args)


@pytest.mark.parametrize(
    "marks",
    [
        '@arch_macs({"conv": 13_824, "head": "≤ 80"})',
        '@arch_macs({"c*": ">= 80", "**": "<= 14K"})\n@arch_params({"head": 90, "act": 0})',
        '@arch_macs({"conv": 13_800}, abs=24)',
        "@arch_macs(13_900, abs=4, at_least=13_904, at_most=13_904)",
        '@arch_macs("≤ 13_904")\n@arch_params("≥ 314", trainable="≥ 300")',
        '@arch_flops({"head": 160}, at_most="28K")',
        '@arch_size({"head": "≤ 360 B"}, at_most="1.3 KiB", at_least=0.001)',
        '@arch_activations(at_most="5 KiB", at_least="4 KiB")',
        "@arch_activations(4864 / 2**20, rel=0.001)",
        '@arch_macs(13_904, counter="torch")',
        '@arch_macs(15_450, counter="ptflops")\n@arch_macs(at_most="16K")',
        '@arch_macs(13_904, counter="fvcore")\n@arch_flops(27_808, counter="fvcore")',
    ],
)
def test_what_holds(pytester, marks):
    """Ptflops adds 1,546: 512 + 10 for bias, and 512 activations twice, as a layer and as the function in it."""
    judged(pytester, marks).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("marks", "lines"),
    [
        (
            '@arch_macs({"conv": "≤ 10K", "head": "≤ 1K"})',
            [
                "Net is not as stated: conv: expected at most 10K MACs, found 13,824 (+38.24 %)",
                "  where:    conv",
                "  do:       move the limit, or mend the model",
            ],
        ),
        (
            '@arch_macs({"convs": "≤ 10K"})',
            [
                "  expected: a module of that name",
                "  found:    there is none",
                "  do:       name what there is (the nearest is conv), or mend the model",
            ],
        ),
        (
            '@arch_params({"*": "≥ 100"})',
            ["  where:    act", "  where:    head", "  found:    90 (-10.00 %)"],
        ),
        (
            "@arch_macs(13_000, abs=100)",
            [
                "  expected: 13,000 ± 100 MACs",
                "  found:    13,904 (+6.95 %)",
                "  do:       state that, or mend the model",
            ],
        ),
        ("@arch_params(at_least=400)", ["  expected: at least 400 parameters", "  found:    314 (-21.50 %)"]),
        (
            "@arch_params(trainable=300)",
            ["  expected: 300 trainable parameters", "  found:    314 of 314 (+4.67 %)"],
        ),
        (
            "@arch_activations(at_most=0.001)",
            [
                "  expected: at most 0.001 MiB of activations at the estimated peak",
                "  found:    4.75 KiB (4,864 bytes)*",
                "    alive while act ran:",
                "    2.00 KiB (2,048 bytes) made by conv",
                "    0.75 KiB (768 bytes) made by in:x",
            ],
        ),
        (
            "@arch_size(1)",
            ["  expected: 1 MiB ± 0.5 % of saved state", "  found:    1.23 KiB (1,256 bytes) (-99.88 %)"],
        ),
        (
            '@arch_macs(13_904, counter="ptflops")',
            ["  expected: 13,904 MACs by ptflops", "  found:    15,450 (+11.12 %)"],
        ),
        (
            '@arch_flops("13.9K")',
            ["  why:      the number stated is the MACs; a FLOP count is 2 × MACs"],
        ),
    ],
)
def test_what_does_not_hold_says_where_and_by_how_much(pytester, marks, lines):
    result = judged(pytester, marks)

    result.assert_outcomes(failed=1)
    for line in lines:
        result.stdout.fnmatch_lines([line])


@pytest.mark.parametrize(
    ("marks", "message"),
    [
        ("@arch_macs({})", "@arch_macs({}): the dict is empty; write one like"),
        ('@arch_macs({3: "1G"})', "3 is no name of a module"),
        ('@arch_macs({"conv": "a lot"})', "'a lot' is no number"),
        ('@arch_macs("≤ 3G", rel=0.1)', "a tolerance belongs to a total; a limit has none"),
        ("@arch_macs(3, rel=0.1, abs=1)", "rel=0.1 and abs=1: give one tolerance"),
        ('@arch_macs(at_most="≤ 3G")', "'≤ 3G' says ≤ itself; give the number alone"),
        ('@arch_macs(3, counter="thop")', "unknown counter 'thop'"),
        ('@arch_macs(3, counter="flops")', 'counter="flops" counts 2 × MACs; state it by arch_flops'),
        ('@arch_macs({"conv": 3}, counter="ptflops")', 'counter="ptflops" tells a total only'),
        ('@arch_activations({"conv": 3})', "a peak is the whole model's"),
        ('@arch_macs("≤ 3G", at_most="4G")', "'4G': the limit of MACs is stated already; keep one"),
        ('@arch_macs(at_most="1K", at_least="2K")', "no number is at most 1K and at least 2K"),
        (
            "@arch_macs(900, tolerance=1)",
            "got an unexpected keyword argument 'tolerance'; write @arch_macs(total=None, *",
        ),
        ('@arch_macs("900 MiB")', "'900 MiB' is no number"),
        (
            '@arch_macs({"conv": 1})\n@arch_macs({"conv": 2})',
            "contradict each other on the MACs of conv; keep one",
        ),
        (
            "@arch_macs(at_least=1)\n@arch_macs(at_least=2)",
            "contradict each other on the least of MACs; keep one",
        ),
        ("@arch_size(at_most=1)\n@arch_size(at_most=2)", "contradict each other on the limit of saved state"),
    ],
)
def test_what_makes_no_sense_is_told_at_collection(pytester, marks, message):
    result = judged(pytester, marks)

    result.assert_outcomes(errors=1)
    assert message in text_of(result)


def test_two_counters_do_not_contradict_each_other(pytester):
    judged(pytester, '@arch_macs(13_904)\n@arch_macs(15_450, counter="ptflops")').assert_outcomes(passed=1)


def test_a_partial_count_is_told_where_it_is_partial(pytester):
    """A budget of a part that is counted whole holds."""
    result = in_process(
        pytester,
        """
import torch

class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(4, 4), Head()

    def forward(self, x):
        return self.head(self.body(x))

class Head(nn.Module):
    def forward(self, x):
        return torch.linalg.inv(x)

@arch(Outer, inputs=(4, 4))
@arch_macs({"body": 64})
def test_body():
    pass

@arch(Outer, inputs=(4, 4))
@arch_macs({"body": 64, "head": 0}, at_most="1K")
def test_all():
    pass
""",
    )

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "Outer is not as stated: head: expected a complete count of MACs, found partial: head:*",
            "  where:    head",
            "  do:       give it one with @mac_formula, or state the parts that are counted by other marks",
            "  where:    the model",
        ]
    )


def test_a_second_counter_needs_the_model(pytester):
    result = in_process(
        pytester,
        """
@pytest.fixture
def arch_trace():
    return trace(Net, IMAGE)

@arch_macs(1, counter="ptflops")
def test_net():
    pass
""",
    )

    result.assert_outcomes(failed=1)
    assert "the test brings its own arch_trace, so ptflops has no model to run" in text_of(result)


def test_a_second_counter_runs_the_model_of_a_fixture(pytester):
    in_process(
        pytester,
        """
@pytest.fixture
def arch_model():
    return Net()

@pytest.fixture
def arch_inputs():
    return IMAGE

@arch_macs(15_450, counter="ptflops")
def test_net(arch_model):
    assert arch_model.training
""",
        "--arch-device=meta",
    ).assert_outcomes(passed=1)


def test_a_formula_of_the_conftest_completes_a_count(pytester):
    """Also on an xdist worker."""
    pytester.makeconftest(
        """
from pytest_archcheck import mac_formula

@mac_formula("linalg_inv")
def inverse(call):
    return call.output.shape[-1] ** 3
"""
    )
    pytester.makepyfile(
        models=MODELS,
        test_it=IMPORTS
        + """
import torch

class Inverts(nn.Module):
    def forward(self, x):
        return torch.linalg.inv(x)

@arch(Inverts, inputs=(4, 4))
@arch_macs(64)
def test_net(arch_trace):
    assert arch_trace.status == "complete"
""",
    )

    in_subprocess(pytester).assert_outcomes(passed=1)
    in_subprocess(pytester, "-n", "2").assert_outcomes(passed=1)


# -- a project's own ---------------------------------------------------------------------------------

THREE = """
@arch(Net, inputs=IMAGE)
def test_bare():
    pass

@arch(Net, inputs=IMAGE)
@arch_macs(at_most="20K")
def test_own_limit(arch_trace):
    pass

def test_other():
    pass
"""


def configured(pytester, *budgets):
    lines = "\n".join(f"    {budget}" for budget in budgets)
    pytester.makeini(f"[pytest]\narch_budgets =\n{lines}\n")


def test_a_projects_budgets_hold_for_every_model(pytester):
    """Also for one without marks of its own; a test's own limit takes the place of the project's."""
    configured(pytester, "macs <= 10K", "params of head ≤ 100", "params of neck <= 1", "size >= 1 KiB")
    result = in_process(pytester, THREE)

    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "Net is not as stated: expected at most 10K MACs, found 13,904 (+39.04 %)",
            "arch_budgets: macs <= 10K",
            "FAILED test_it.py::test_bare*",
        ]
    )


@pytest.mark.parametrize(
    ("mark", "passes"),
    [
        ('@arch_macs("≤ 20K")', True),
        ("@arch_macs(at_most=20_000)", True),
        ("@arch_macs(13_904)", False),
        ("@arch_macs(at_least=1)", False),
        ('@arch_macs({"conv": "≤ 14K"})', False),
    ],
)
def test_a_limit_of_ones_own_takes_the_place_of_the_projects(pytester, mark, passes):
    """However it is written; a number or a limit on the other side does not."""
    configured(pytester, "MACs <= 10K  # of every model")
    result = judged(pytester, mark)

    result.assert_outcomes(passed=passes, failed=not passes)
    assert ("1 of 2 marks and budgets violated by" in text_of(result)) is not passes


def test_limits_on_both_sides_of_a_module_do_not_contradict(pytester):
    judged(pytester, '@arch_macs({"head": "≥ 1"})\n@arch_macs({"head": "≤ 100"})').assert_outcomes(passed=1)


def test_a_budget_of_a_module_holds_where_there_is_one(pytester):
    configured(pytester, "params of he* <= 80")
    result = in_process(pytester, THREE)

    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["arch_budgets: params of he[*] <= 80", "  where:    head"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("macs 5G", "arch_budgets: 'macs 5G' is no budget; write one like 'macs <= 5G'"),
        ("depth <= 5", "'depth <= 5' is no budget; write one like"),
        ("macs of head. <= 5", "'macs of head. <= 5' is no budget"),
        ("macs <= lots", "arch_budgets: 'macs <= lots': 'lots' is no number"),
        ("activations of head <= 1 MiB", "a peak is the whole model's"),
    ],
)
def test_a_wrong_budget_ends_the_run_at_its_start(pytester, line, message):
    configured(pytester, line)
    result = in_process(pytester, THREE)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in text_of(result)
