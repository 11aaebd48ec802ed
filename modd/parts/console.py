"""ConsoleLog: a part that prints log entries."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from modd.core import Accepts
from modd.parts.base import NamedPart, checked_function
from modd.parts.log import Level, Logged, checked_level


class ConsoleLog(NamedPart):
    """Prints each `Logged` message as one line, on standard error by default.

    Use it next to `Log`, or to print the entries of your components: ``Bus([cart, Log(), ConsoleLog()])``. To send
    entries elsewhere, write a component that accepts `Logged`.

    minimum: the lowest level to print, INFO by default.
    write: ``(line) -> anything``, not async, called with each line without its line break; None, the default, writes to
        standard error.

    Line breaks and other control characters are escaped, so that an entry cannot forge another line. If ``write``
    raises, the error goes to the logger ``modd`` and the turn goes on.

    Raises:
        InvalidOption: ``minimum`` is no `Level`, or ``write`` is no function of one argument.
    """

    def __init__(self, minimum: Level = Level.INFO, write: Callable[[str], object] | None = None) -> None:
        super().__init__(of=())
        self._minimum = checked_level("minimum", minimum)
        self._write = _to_stderr if write is None else checked_function("write", write)

    def __call__(self, entry: Logged, /) -> None:
        """Print the entry if its level is high enough."""
        if entry.level < self._minimum:
            return
        try:
            self._write(_line(entry))
        except Exception:
            logging.getLogger("modd").exception("%s could not write a line", self.name)

    @property
    def accepts(self) -> Accepts:
        """`Logged` only."""
        return Accepts((Logged,))


def _line(entry: Logged) -> str:
    text = f"{Level(entry.level).name:<7} {entry.source}: {entry.text}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)
