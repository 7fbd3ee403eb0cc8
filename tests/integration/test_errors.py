"""Wrong use is one clear error each: what was asked, where, what was found, what to do."""

import pytest

from tests.integration.support import IMPORTS, MODELS, in_process, in_subprocess, text_of

# decorators of a test, and what is said at collection
WRONG_MARKS = {
    "unknown convention": (
        '@arch(Net, inputs=IMAGE)\n@arch_depth(2, convention="papers")',
        "@arch_depth(2, convention='papers'): unknown depth convention 'papers': did you mean 'paper'?",
    ),
    "no convention": (
        "@arch(Net, inputs=IMAGE)\n@pytest.mark.arch_depth(2)",
        "@arch_depth(2): missing a required*argument: 'convention'; write @arch_depth(n, [*], convention)",
    ),
    "a depth that is no number": (
        '@arch(Net, inputs=IMAGE)\n@arch_depth("18", convention="paper")',
        "a depth is a whole number of layers, as in 18, not '18'",
    ),
    "a count that is no number": (
        '@arch(Net, inputs=IMAGE)\n@arch_params("many")',
        "@arch_params('many'): 'many' is no number; write one like \"1.81G\"",
    ),
    "nothing stated": (
        "@arch(Net, inputs=IMAGE)\n@arch_macs()",
        "@arch_macs(): nothing is stated; give a total, at_most=… or at_least=…",
    ),
    "a dimension that is none": (
        "@arch(Net, inputs=IMAGE)\n@arch_output(1.5, 10)",
        "1.5 in (1.5, 10) is no dimension",
    ),
    "two ellipses": (
        "@arch(Net, inputs=IMAGE)\n@arch_output(..., 10, ...)",
        "... can stand once in a shape",
    ),
    "shapes that are no dict": (
        "@arch(Net, inputs=IMAGE)\n@arch_shapes([1])",
        "@arch_shapes([[]1[]]): give a dict of name patterns and shapes",
    ),
    "layers that are no number": (
        '@arch(Net, inputs=IMAGE)\n@arch_layers(Conv2d="two")',
        "Conv2d='two': a number of layers is a whole number",
    ),
    "stages that are no row": (
        "@arch(Net, inputs=IMAGE)\n@arch_stages(16)",
        "@arch_stages(16): stages are numbers of blocks, as in (3, 4, 6, 3), not 16",
    ),
    "a stage without blocks": (
        "@arch(Net, inputs=IMAGE)\n@arch_stages((3, 0))",
        "stages are numbers of blocks, as in (3, 4, 6, 3), not (3, 0)",
    ),
    "no shortcuts stated": (
        "@arch(Net, inputs=IMAGE)\n@arch_shortcuts()",
        "@arch_shortcuts(): nothing is stated; write kinds and numbers, as in identity=12, projection=4",
    ),
    "shortcuts of another kind": (
        "@arch(Net, inputs=IMAGE)\n@pytest.mark.arch_shortcuts(skip=2)",
        "@arch_shortcuts(skip=2): got an unexpected keyword argument 'skip'; write @arch_shortcuts(",
    ),
    "shortcuts that are no number": (
        "@arch(Net, inputs=IMAGE)\n@arch_shortcuts(identity=True)",
        "identity=True: a number of shortcuts is a whole number",
    ),
    "a receptive field that is no number": (
        "@arch(Net, inputs=IMAGE)\n@arch_receptive_field('427')",
        "size is a number of input positions, as in 427 or (427, 427), not '427'",
    ),
    "a stride that is none": (
        "@arch(Net, inputs=IMAGE)\n@arch_receptive_field(3, stride=0)",
        "stride is a number of input positions, as in 427 or (427, 427), not 0",
    ),
    "a layer that is no name": (
        "@arch(Net, inputs=IMAGE)\n@arch_receptive_field(3, at=4)",
        "at is the name of a layer, not 4",
    ),
    "a reference that is none": (
        "@arch(Net, inputs=IMAGE)\n@arch_same_as(18)",
        "a reference is a model, a function that builds one, a Trace or the path of an .arch file, not 18",
    ),
    "an unknown keyword": (
        "@arch(Net, inputs=IMAGE)\n@pytest.mark.arch_size(1, tolerance=2)",
        "@arch_size(1, tolerance=2): got an unexpected keyword argument 'tolerance'; write @arch_size(",
    ),
    "not a model": (
        '@arch("resnet18", inputs=IMAGE)',
        "@arch('resnet18', inputs=(1, 3, 8, 8)): 'resnet18' is str; give an nn.Module, or a function",
    ),
    "no inputs": (
        "@pytest.mark.arch.with_args(Net)",
        "@arch(Net): missing a required*argument: 'inputs'; write @arch(model*",
    ),
    "inputs that are no shape": (
        "@arch(Net, inputs=(1, -3))",
        "inputs=(1, -3): a dimension cannot be negative",
    ),
    "two depths": (
        '@arch(Net, inputs=IMAGE)\n@arch_depth(2, convention="paper")\n@arch_depth(3, convention="paper")',
        "@arch_depth(2, convention='paper') and @arch_depth(3, convention='paper') contradict each other "
        "on the depth under 'paper'; keep one",
    ),
    "two models": (
        "@arch(Net, inputs=IMAGE)\n@arch(Net, inputs=(2, 3, 8, 8))",
        "contradict each other on the model; keep one",
    ),
    "two shapes": (
        '@arch(Net, inputs=IMAGE)\n@arch_shapes({"conv": (1, 8, 8, 8)})\n@arch_shapes({"conv": (1, 9, 8, 8)})',
        "contradict each other on the shape of conv; keep one",
    ),
}


@pytest.mark.parametrize("case", WRONG_MARKS)
def test_a_wrong_mark_is_told_at_collection(pytester, case):
    """Nothing runs, and the test is named."""
    decorators, message = WRONG_MARKS[case]

    result = in_process(pytester, f"{decorators}\ndef test_net():\n    pass\n")

    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines([f"*test_it.py::test_net: *{message}*"])
    assert "Traceback" not in text_of(result)


# a whole test, and what is said when it is set up
WRONG_MODELS = {
    "no model": (
        '@arch_depth(2, convention="paper")\ndef test_net():\n    pass',
        "test_it.py::test_net states or asks for an architecture and names no model; add @arch(model, inputs=…)",
    ),
    "no inputs": (
        "@pytest.fixture\ndef arch_model():\n    return Net()\n\ndef test_net(arch_trace):\n    pass",
        "test_it.py::test_net has a model and no inputs to call it with; define the fixture arch_inputs",
    ),
    "a factory that raises": (
        "def broken():\n    raise ValueError('no config')\n\n"
        "@arch(broken, inputs=IMAGE)\ndef test_net(arch_trace):\n    pass",
        "test_it.py::test_net: broken raised while it built the model: ValueError: no config",
    ),
    "a factory that returns no module": (
        "@arch(dict, inputs=IMAGE)\ndef test_net(arch_trace):\n    pass",
        "test_it.py::test_net: dict returned dict, not an nn.Module; give a function that builds the model",
    ),
    "inputs that do not fit": (
        "@arch(Net, inputs=(1, 4, 8, 8))\ndef test_net(arch_trace):\n    pass",
        "test_it.py::test_net: Net failed at conv while it was recorded on cpu",
    ),
}


@pytest.mark.parametrize("case", WRONG_MODELS)
def test_a_wrong_model_is_told_at_set_up(pytester, case):
    test, message = WRONG_MODELS[case]

    result = in_process(pytester, test)

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*{message}*"])
    assert "Traceback" not in text_of(result)


def test_inputs_that_do_not_fit_show_what_was_wanted(pytester):
    result = in_process(
        pytester, "@arch(Net, inputs=(1, 4, 8, 8))\n@arch_params(314)\ndef test_net():\n    pass"
    )

    result.stdout.fnmatch_lines(
        [
            "  layer:  Conv2d(in_channels=3, out_channels=8, *",
            "  wanted: [[]N,3,H,W[]]: 3 channels",
            "  got:    [[]1,4,8,8[]]",
            "  the trace so far: nothing ran before it",
        ]
    )


def test_a_wrong_mark_of_one_parameter_set_is_told_at_set_up(pytester):
    result = in_process(
        pytester,
        '@pytest.mark.parametrize("n", [pytest.param(1, marks=arch_depth(2, convention="no"))])\n'
        "@arch(Net, inputs=IMAGE)\ndef test_net(n):\n    pass",
    )

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*unknown depth convention 'no'*"])


def test_a_misspelt_mark_is_an_error_and_one_of_the_projects_own_is_not(pytester):
    pytester.makeini("[pytest]\nmarkers =\n    arch_nightly(hour): one of the project's own\n")
    own = "@arch(Net, inputs=IMAGE)\n@pytest.mark.arch_nightly(3)\ndef test_own(arch_trace):\n    pass\n\n"
    wrong = '@pytest.mark.arch_depht(24, convention="paper")\ndef test_wrong():\n    pass\n'
    pytester.makepyfile(models=MODELS, test_own=IMPORTS + own, test_wrong=IMPORTS + wrong)

    result = in_subprocess(pytester, "--continue-on-collection-errors")

    result.assert_outcomes(passed=1, errors=1, warnings=1)
    result.stdout.fnmatch_lines(
        ["*@pytest.mark.arch_depht: there is no such mark; the nearest are arch_depth,*"]
    )


def test_a_test_that_states_nothing_is_warned_of(pytester):
    tests = (
        "@arch(Net, inputs=IMAGE)\ndef test_nothing():\n    pass\n\n"
        "@arch(Net, inputs=IMAGE)\ndef test_never_compared(arch_trace, arch_snapshot):\n    pass\n\n"
        "@arch(Net, inputs=IMAGE)\ndef test_recorded(arch_trace):\n    pass\n"
    )
    pytester.makepyfile(models=MODELS, test_it=IMPORTS + tests)

    result = in_subprocess(pytester)

    result.assert_outcomes(passed=3, warnings=2)
    told = text_of(result)
    assert (
        "test_nothing states nothing of its model, which is not recorded; add a mark, as in @arch_depth"
        in told
    )
    assert "test_never_compared asks for arch_snapshot and compares nothing with it" in told
    assert "archcheck help arch\n" in told


@pytest.mark.parametrize("option", ["--arch-device=gpu", "--override-ini=arch_device=gpu"])
def test_a_wrong_device_is_told_before_anything_runs(pytester, option):
    result = in_process(pytester, "@arch(Net, inputs=IMAGE)\ndef test_net(arch_trace):\n    pass", option)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            "ERROR: arch_device: device='gpu' is none of auto, meta, cpu, cuda, cuda:0 or fake; auto chooses",
            "more: archcheck help arch-device",
        ]
    )


def test_a_device_that_this_machine_lacks_is_told_of_the_test(pytester):
    result = in_process(
        pytester, "@arch(Net, inputs=IMAGE)\ndef test_net(arch_trace):\n    pass", "--arch-device=cuda:99"
    )

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*device='cuda:99': this machine has * CUDA device*; use auto"])


def test_the_same_errors_come_from_xdist_workers(pytester):
    """A wrong mark, a missing model and inputs that do not fit, under ``-n 2``."""
    pytester.makepyfile(
        models=MODELS,
        test_wrong_mark=IMPORTS
        + '@arch(Net, inputs=IMAGE)\n@arch_depth(2, convention="no")\ndef test_net():\n    pass\n',
        test_no_model=IMPORTS + "@arch_params(1)\ndef test_net():\n    pass\n",
        test_no_fit=IMPORTS + "@arch(Net, inputs=(1, 4, 8, 8))\ndef test_net(arch_trace):\n    pass\n",
    )

    result = in_subprocess(pytester, "-n", "2", "--continue-on-collection-errors")
    text = text_of(result)

    assert "INTERNALERROR" not in text
    assert "unknown depth convention 'no': the conventions are paper, longest-path" in text
    assert "test_no_model.py::test_net states or asks for an architecture and names no model" in text
    assert "Net failed at conv while it was recorded on cpu" in text
    assert result.ret != 0


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ("arch_depth(14)", "missing a required argument: 'convention'; write @arch_depth(n, *, convention)"),
        ("arch(Net)", "'inputs'; write @arch(model, *, inputs, kwargs=None, train=False)"),
        ("arch(Net, input=IMAGE)", "@arch: missing a required argument: 'inputs'"),
        ("arch_stages(2, 2, 2)", "@arch_stages: too many positional arguments; write @arch_stages(pattern, /)"),
    ],
)  # fmt: skip
def test_a_mark_that_cannot_be_called_so_says_how_it_is_written(pytester, stated, told):
    result = in_process(pytester, f"@{stated}\ndef test_it(): ...")

    assert told in text_of(result)
    assert f"more: archcheck help {stated.partition('(')[0]}" in text_of(result)
