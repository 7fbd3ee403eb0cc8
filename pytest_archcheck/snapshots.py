"""Snapshots through syrupy: ``.arch`` files that compare as architectures, not as lines.

Beside the tests as syrupy does elsewhere (``__snapshots__/<module>/<test>.arch``), or below one folder for the
whole project (ini option ``arch_snapshot_dir``): ``<folder>/<test's folder>/<module>/<test>.arch``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import pytest
from syrupy.assertion import AssertionResult, SnapshotAssertion
from syrupy.data import SnapshotCollection, SnapshotCollections
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from syrupy.location import PyTestLocation

from pytest_archcheck.drift.compare import Drift, diff
from pytest_archcheck.drift.reader import Known, read
from pytest_archcheck.drift.severity import FAILING, Severity, severities_of
from pytest_archcheck.errors import FormatError, UsageError, more
from pytest_archcheck.files import write_whole
from pytest_archcheck.given import given_model, snapshot_path
from pytest_archcheck.reports.drift import explain, not_compared, verdict
from pytest_archcheck.reports.run import Compared
from pytest_archcheck.traces import Trace

UPDATE = "pytest --snapshot-update"


class ArchSnapshotExtension(SingleFileSnapshotExtension):
    """One ``.arch`` file for each snapshot; syrupy builds extensions without arguments."""

    _write_mode = WriteMode.TEXT
    file_extension = "arch"
    project: ClassVar[Path] = Path()
    folder: ClassVar[Path | None] = None
    exact: ClassVar[bool] = False
    """Whether any other byte is a mismatch: on update, so that files are as this release writes them."""
    failing: ClassVar[frozenset[Severity]] = FAILING
    """The severities of drift that fail a test."""

    def serialize(self, data: Any, **options: Any) -> str:
        """The canonical text of a trace.

        Raises:
            UsageError: the data is no trace.
        """
        if not isinstance(data, Trace):
            raise UsageError(
                f"arch_snapshot compares a Trace and was given {type(data).__name__}; "
                "write assert arch_trace == arch_snapshot",
                see="",  # syrupy shows the last lines only, and a note would be one
            )
        return data.to_text()

    def matches(self, *, serialized_data: Any, snapshot_data: Any) -> bool:
        """Whether nothing drifted that fails under the project's policy."""
        if serialized_data == snapshot_data:
            return True
        if self.exact:
            return bool(serialized_data == _without_sections(snapshot_data))
        try:
            drift = drift_between(snapshot_data, serialized_data)
        except FormatError:
            return False
        return drift.severity is None or not drift.fails(self.failing)

    def diff_lines(self, serialized_data: Any, snapshot_data: Any) -> Iterator[str]:
        """The drift in words."""
        yield from explain_mismatch(snapshot_data or None, str(serialized_data), "snapshot").splitlines()

    def read_snapshot_data_from_location(
        self, *, snapshot_location: str, snapshot_name: str, session_id: str
    ) -> str | None:
        """The text of a file; what is not UTF-8 in it becomes a sign that the reader points at."""
        path = Path(snapshot_location)
        return path.read_text("utf-8", errors="replace") if path.is_file() else None

    @classmethod
    def dirname(cls, *, test_location: PyTestLocation) -> str:
        """The folder of one test module's snapshots."""
        if cls.folder is None:
            return super().dirname(test_location=test_location)
        module = Path(test_location.filepath)
        where = os.path.relpath(module.parent, cls.project)
        inside = Path(*(part for part in Path(where).parts if part != ".."))
        return str(cls.folder / inside / module.stem)

    @classmethod
    def discovery_dirname(cls, *, test_location: PyTestLocation) -> str:
        """In one folder for the project a module only ever claims, and cleans up, its own files."""
        if cls.folder is None:
            return super().discovery_dirname(test_location=test_location)
        return cls.dirname(test_location=test_location)

    def discover_snapshots(
        self, *, test_location: PyTestLocation, ignore_extensions: list[str] | None = None
    ) -> SnapshotCollections:
        """The ``.arch`` files of a test site; files of any other kind are nobody's business."""
        found = super().discover_snapshots(test_location=test_location, ignore_extensions=ignore_extensions)
        own = SnapshotCollections()
        for collection in found:
            if self.is_snapshot_location(location=collection.location):
                own.add(collection)
        return own

    @classmethod
    def write_snapshot_collection(
        cls, *, snapshot_collection: SnapshotCollection, name_order: dict[str, int] | None = None
    ) -> None:
        """Write a file whole or not at all; sections of it that this release does not know stay."""
        target = Path(snapshot_collection.location)
        text = _with_sections_of(target, str(next(iter(snapshot_collection)).data))
        write_whole(target, text.encode())


def _without_sections(text: str) -> str:
    """A file's text without what this release does not know, which is kept on an update."""
    try:
        return replace(Trace.from_text(text), sections=()).to_text() if "\nsection " in text else text
    except FormatError:
        return text


def _with_sections_of(target: Path, text: str) -> str:
    """A text to be written with the sections that the file has and this release does not know."""
    try:
        sections = Trace.from_text(target.read_text("utf-8")).sections
    except (OSError, UnicodeDecodeError, FormatError):
        return text
    return replace(Trace.from_text(text), sections=sections).to_text() if sections else text


@lru_cache(maxsize=4)
def drift_between(before: str, after: str) -> Drift:
    """The drift between two texts.

    Raises:
        FormatError: one of them is no valid ``.arch`` text.
    """
    known = Known()
    return diff(read(before, known), read(after, known))


class ArchSnapshot(SnapshotAssertion):
    """Syrupy's assertion by the name of its file: pytest shows the arguments of a test that fails."""

    def __repr__(self) -> str:
        compared = list(self.executions.values())
        name = Path(compared[-1].snapshot_location).name if compared else "not compared yet"
        return f"<snapshot {name}>"


class GivenSnapshotExtension(ArchSnapshotExtension):
    """For models of the command line, which no test module owns: one file each, in the project's folder."""

    @classmethod
    def get_location(cls, *, test_location: PyTestLocation, index: Any) -> str:
        """The one file of the model."""
        given = given_model(test_location.item)
        assert given is not None
        return str(snapshot_path(given.config, given.name))

    @classmethod
    def matches_test_location(cls, *, test_location: PyTestLocation, snapshot_location: str) -> bool:
        """Whether it is that file."""
        return cls.get_location(test_location=test_location, index=0) == snapshot_location

    def discover_snapshots(
        self, *, test_location: PyTestLocation, ignore_extensions: list[str] | None = None
    ) -> SnapshotCollections:
        """None: those of models that are not given this time are not unused."""
        return SnapshotCollections()


def extension_for(item: pytest.Item) -> type[ArchSnapshotExtension]:
    """The extension, set up for a test's project: syrupy builds it without arguments."""
    config = item.config
    folder = str(config.getini("arch_snapshot_dir"))
    ArchSnapshotExtension.project = config.rootpath
    ArchSnapshotExtension.folder = config.rootpath / folder if folder else None
    ArchSnapshotExtension.failing = failing_in(config)
    ArchSnapshotExtension.exact = bool(config.getoption("update_snapshots", False))
    return GivenSnapshotExtension if given_model(item) else ArchSnapshotExtension


def failing_in(config: pytest.Config) -> frozenset[Severity]:
    """The severities that fail in a project: ``--arch-fail-on``, else the ini option.

    Raises:
        UsageError: a word is no severity.
    """
    stated = str(config.getoption("arch_fail_on") or config.getini("arch_fail_on"))
    return severities_of(stated) if stated else FAILING


def verdict_of_mismatch(before: str | None, after: str, name: str) -> str:
    """The first line of ``explain_mismatch``."""
    return explain_mismatch(before, after, name).partition("\n")[0]


def explain_mismatch(before: str | None, after: str, name: str, *, full: bool = False) -> str:
    """What changed from a snapshot's text to a trace's text, and what to do about it.

    ``before`` is ``None`` where there is no snapshot; ``name`` is the snapshot's; ``full`` cuts no list.
    """
    if before is None:
        return f"{name}: no snapshot is recorded yet\ndo: look the model over, then {UPDATE}\n{more('snapshots')}"
    try:
        drift = drift_between(before, after)
    except FormatError as error:
        problem = f"{name}: the snapshot cannot be read: {error}"
        return f"{problem}\ndo: restore the file, or record it anew: {UPDATE}\n{more('snapshots')}"
    text = explain(drift, name, full=full, hint=" (all with -vv)")
    return f"{text}\ndo: mend the model, or accept the drift: {UPDATE}\n{more('drift')}"


def compared(name: str, before: str | None, after: str, *, passed: bool, written: bool) -> Compared:
    """What a comparison with a snapshot came to: ``before`` is ``None`` where there was none."""
    if before is None:
        return Compared(name, "written" if passed else "missing")
    if before == after:
        return Compared(name, "same")
    try:
        drift = drift_between(before, after)
    except FormatError as error:
        state = "updated" if written else "unreadable"
        return Compared(name, state, verdict=str(error))
    state = "updated" if written else "drifted" if not passed else "tolerated"
    if drift.severity is None or (state == "tolerated" and drift.severity == Severity.COSMETIC):
        return Compared(name, "updated" if written else "same")
    return Compared(name, state, str(drift.severity), verdict(drift, name), before)


def tolerated(before: str, after: str, name: str) -> list[str]:
    """The verdict of a drift that did not fail, if there is more to it than what is cosmetic."""
    drift = drift_between(before, after)
    name = name.removeprefix("test_")
    is_told = drift.severity is not None and drift.severity > Severity.COSMETIC
    told = [verdict(drift, name)] if is_told else []
    return told + [f"{name}: {line}" for line in not_compared(drift)]


def keep_snapshots(item: pytest.Function, *, passed: bool = False, skipped: bool = False) -> None:
    """Count every snapshot of a test as used: as failed, or as ``passed`` where the test compared otherwise.

    Of a test that was ``skipped`` only those by whose name syrupy does not know its tests; it keeps the others itself.

    A test that failed before it came to its snapshots has not used them, and syrupy would delete them on
    ``--snapshot-update``.
    """
    location = PyTestLocation(item)
    session: Any = item.config._syrupy  # type: ignore[attr-defined]
    assertion = SnapshotAssertion(
        session=session,
        extension_class=extension_for(item),
        test_location=location,
        update_snapshots=False,
    )
    asserted = {
        result.snapshot_location
        for other in session._assertions
        if other.test_location == location
        for result in other.executions.values()
    }
    extension = assertion.extension
    own_name = ArchSnapshotExtension.get_snapshot_name(test_location=location)
    for collection in extension.discover_snapshots(test_location=location):
        path = collection.location
        stem = Path(path).stem
        is_known = ArchSnapshotExtension.matches_test_location(
            test_location=location, snapshot_location=path
        ) and location.matches_snapshot_name(stem)
        if skipped and is_known:
            continue
        # a test's id may hold signs that no file name does
        is_own = is_known or stem == own_name or stem.startswith(f"{own_name}.")
        if is_own and path not in asserted:
            assertion.executions[len(assertion.executions)] = AssertionResult(
                snapshot_location=path,
                snapshot_name=Path(path).stem,
                asserted_data=None,
                recalled_data=None,
                created=False,
                updated=False,
                success=passed,
                exception=None,
                test_location=location,
            )
