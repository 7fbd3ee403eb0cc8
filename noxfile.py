"""Tasks: ``nox -s demo``, ``tests``, ``lint``, ``matrix``, ``lowest``, ``docs``, ``gpu``, ``bench``, more: ``nox -l``.

They need Python 3.11 and ``pip install nox``, nothing else.
"""

import glob
import os

import nox

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["tests", "lint"]

# torch and torchvision belong together; other pairs break at import. With each a Python that it has wheels for.
PAIRS = {
    "2.4": ("2.4.1", "0.19.1", "3.11"),
    "2.6": ("2.6.0", "0.21.0", "3.11"),
    "2.8": ("2.8.0", "0.23.0", "3.12"),
    "2.10": ("2.10.0", "0.25.0", "3.12"),
    "2.13": ("2.13.0", "0.28.0", "3.13"),
    "2.15": ("2.15.0", "0.29.2", "3.13"),
}
NEWEST = list(PAIRS)[-1]


def install(session: nox.Session, extra: str, which: str = NEWEST) -> None:
    """Install the package with an extra and one pinned pair, in one step, so that nothing picks another build."""
    torch, vision, _ = PAIRS[which]
    session.install(*package(extra), f"torch=={torch}", f"torchvision=={vision}")


def package(extra: str) -> tuple[str, ...]:
    """What to install: this checkout, or the wheel that the environment names, as CI tests what it publishes."""
    wheel = os.environ.get("ARCHCHECK_WHEEL")
    return (f"{wheel}[{extra}]",) if wheel else ("-e", f".[{extra}]")


@nox.session
def tests(session: nox.Session) -> None:
    """The whole suite on the newest torch."""
    install(session, "test")
    session.run("pytest", "-n", "2", *session.posargs)


@nox.session
@nox.parametrize(
    ("python", "which"), [(python, which) for which, (_, _, python) in PAIRS.items()], ids=list(PAIRS)
)
def matrix(session: nox.Session, which: str) -> None:
    """The whole suite on six releases of torch, one set of snapshots for all; ``-- tests/zoo`` for the zoo alone."""
    install(session, "test", which)
    session.run("pytest", "-n", "2", *session.posargs)


@nox.session(python="3.11", venv_backend="uv")
def lowest(session: nox.Session) -> None:
    """The whole suite on the lowest release of every dependency that ``pyproject.toml`` states (needs uv)."""
    session.install("--resolution", "lowest-direct", *package("test"))
    session.run("pytest", "-n", "2", *session.posargs)


@nox.session
def gpu(session: nox.Session) -> None:
    """The zoo and the placements on CUDA, against the committed snapshots."""
    install(session, "test")
    found = session.run("python", "-c", "import torch; print(torch.cuda.is_available())", silent=True)
    if "True" not in str(found):
        session.skip("torch finds no CUDA device on this machine, so nothing was compared")
    session.run("pytest", "-n", "2", "tests/zoo", "tests/recording/test_placements.py", *session.posargs)


@nox.session
def mutations(session: nox.Session) -> None:
    """Plant five changes in the libraries of the zoo, one after the other, and see who fails (ten minutes)."""
    install(session, "test")
    session.run("python", "-m", "tests.zoo.mutations")


@nox.session
def lint(session: nox.Session) -> None:
    """Style, types and workflows."""
    install(session, "lint,test")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    workflows = [*glob.glob(".github/workflows/*.yml"), "examples/github/architecture.yml"]
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows)
    session.run("zizmor", "--offline", "--pedantic", *workflows)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation as a site, without a warning, into docs/_build."""
    install(session, "docs")
    session.run("sphinx-build", "-W", "--keep-going", "-E", "docs", "docs/_build", *session.posargs)
    session.log("open docs/_build/index.html; its code blocks are run by: nox -s tests -- tests/docs")


@nox.session
def links(session: nox.Session) -> None:
    """Ask the network whether the documentation's links to other sites still lead somewhere."""
    install(session, "docs")
    session.run("sphinx-build", "-b", "linkcheck", "docs", "docs/_build/links", *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """The main job: the example's suite passes; then somebody moves a stride, and it fails and says so."""
    install(session, "demo")
    session.chdir("examples/resnet")
    session.log("1. The example project: two ResNets written from the paper, and what they promise.")
    session.run("pytest", "-v")
    session.log("2. Somebody moves the stride from the 3x3 to the 1x1 convolution. Parameters, keys and")
    session.log("   output shape stay as they were; no other test would fail. This one does:")
    environment = {"RESNET_STRIDE_ON": "1x1"}
    session.run("pytest", "--tb=short", env=environment, success_codes=[1])
    session.log("The failure above is the point of the tool: it names the six convolutions.")


@nox.session
def snapshots(session: nox.Session) -> None:
    """Record the committed snapshots anew, after a look at what drifted."""
    install(session, "test")
    session.run("pytest", "tests/zoo/test_architectures.py", "-n", "2", "--snapshot-update", *session.posargs)
    with session.chdir("examples/resnet"):
        session.run("pytest", "--snapshot-update")
    session.log(f"look them over with git diff in {os.getcwd()}")


@nox.session
def coverage(session: nox.Session) -> None:
    """Record all of torchvision and many models of timm and transformers, and write docs/coverage.md."""
    install(session, "coverage")
    session.run("python", "docs/coverage.py", *session.posargs)


@nox.session
def accuracy(session: nox.Session) -> None:
    """Hold torchvision's metadata and other counters against ours; write docs/accuracy.md and bench/accuracy.md."""
    install(session, "bench")
    session.run("python", "docs/accuracy.py", *session.posargs)
    if not session.posargs:
        session.run("python", "bench/accuracy.py")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure speed and size beside bare forwards and other tools; write bench/RESULTS.md (half an hour)."""
    install(session, "bench")
    session.run("python", "bench/results.py", *session.posargs)
