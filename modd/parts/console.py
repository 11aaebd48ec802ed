"""ConsoleLog: log entries as lines (MO-12)."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from modd.core import Accepts
from modd.parts.base import NamedPart, checked_function
from modd.parts.log import Level, Logged, checked_level


class ConsoleLog(NamedPart):
    """Prints each `Logged` as one line (MO-12).

    Use it next to `Log`, or to show what components log: ``Bus([cart, Log(), ConsoleLog()])``. For another place than
    the console write a component of your own that accepts `Logged`.

    minimum: the lowest level to be printed.
    write: ``(line) -> anything``, not async, given each line without its end; None for a line on standard error.

    Line breaks and other control characters are shown as escapes, so that no entry can pose as another. A writer that
    fails changes no outcome: it is reported to the logger ``modd``. Raises `InvalidOption`.
    """

    def __init__(self, minimum: Level = Level.INFO, write: Callable[[str], object] | None = None) -> None:
        super().__init__(of=())
        self._minimum = checked_level("minimum", minimum)
        self._write = _to_stderr if write is None else checked_function("write", write)

    def __call__(self, entry: Logged, /) -> None:
        """Print the entry if it matters enough."""
        if entry.level < self._minimum:
            return
        try:
            self._write(_line(entry))
        except Exception:
            logging.getLogger("modd").exception("%s could not write a line", self.name)

    @property
    def accepts(self) -> Accepts:
        """`Logged`, nothing else."""
        return Accepts((Logged,))


def _line(entry: Logged) -> str:
    text = f"{Level(entry.level).name:<7} {entry.source}: {entry.text}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)
