"""A line on the terminal while a recording takes long; nothing where there is no terminal."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sized
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from rich.live import Live
    from rich.spinner import Spinner

AFTER = 1.0
"""Seconds after which the line appears."""

terminal: TextIO | None = None
"""Where it appears; ``None`` is the standard error stream. pytest captures that, and sets its own."""


class Progress:
    """Shows what is being recorded and how far it is, in a line that is wiped out at the end.

    Args:
        what: the model, as in ``"LlamaForCausalLM"``.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self.calls: Sized = ()
        """The calls recorded so far."""
        self._stream = terminal or sys.stderr
        self._timer: threading.Timer | None = None
        self._live: Live | None = None
        self._spinner: Spinner | None = None

    def __enter__(self) -> Self:
        if self._stream is not None and self._stream.isatty():
            self._timer = threading.Timer(AFTER, self._appear)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
        if self._live is not None:
            self._live.stop()

    def _appear(self) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.spinner import Spinner

        self._spinner = Spinner("dots")
        console = Console(file=self._stream)
        if terminal is not None:
            console.line()  # not over the line of pytest's dots
        self._live = Live(
            get_renderable=self._line,
            console=console,
            transient=True,
            refresh_per_second=8,
            redirect_stdout=False,  # what a forward prints is not ours
            redirect_stderr=False,
        )
        self._live.start(refresh=True)

    def _line(self) -> Spinner:
        from rich.markup import escape

        assert self._spinner is not None
        count = len(self.calls)
        calls = "call" if count == 1 else "calls"
        doing = f"recording {self.what}: {count:,} {calls}" if count else f"building {self.what}"
        self._spinner.update(text=escape(doing))
        return self._spinner
