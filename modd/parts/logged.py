"""Log entries are messages like any other (MO-12)."""

from __future__ import annotations

from enum import IntEnum

from modd.message import Message


class Level(IntEnum):
    """How much a log entry matters; the numbers are those of `logging`."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


class Logged(Message, tag="modd.Logged"):
    """A log entry (MO-12): give one back from any component to log, or have `Log` make them; `ConsoleLog` shows them.

    source: what it is about or who says it; the name of a component as a rule.
    """

    level: Level
    text: str
    source: str = ""
