"""The arguments of ``events``, and their part of the parser."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser
from typing import Any

import msgspec

from modd.checks import is_encodable
from modd.cli.errors import UsageError
from modd.cli.options import add_body_options, add_json, check_limit
from modd.texts import encodable


class EventsArguments(msgspec.Struct, frozen=True, kw_only=True):
    """The parsed arguments of ``events`` for the file at ``path``.

    stream: the name of a stream; "" to list the streams.
    position: that of an event, in place of a stream; None for none.
    correlation: the correlation id of a journey, in place of a stream; None for none.
    after: the name of a stream, a revision of the stream, or with a correlation id a position, behind which the list
        begins.
    limit: the most streams or events to list.
    types: sources of message types, as ``module`` or ``module:name``.
    aggregate: the source of an aggregate, in the same form; "" for none.
    raw: show bodies with their sensitive values.
    """

    path: str
    json: bool = False
    stream: str = ""
    position: int | None = None
    correlation: str | None = None
    after: str = ""
    limit: int = 100
    types: list[str] = []
    aggregate: str = ""
    raw: bool = False

    def __post_init__(self) -> None:
        for text in (self.stream, self.after, self.correlation or ""):
            if not is_encodable(text):
                raise UsageError(f"{encodable(text)}: give names of streams in UTF-8")
        self._check_search()
        if self.stream and self.after and not has_digits(self.after):
            raise UsageError(f"--after {self.after}: give the revision behind which the events begin, a whole number")
        if not (self.stream or self.is_search) and (self.types or self.aggregate or self.raw):
            raise UsageError("--types, --aggregate and --raw are for the events of one stream: give its name")
        if self.raw and self.aggregate:
            raise UsageError("--raw is not allowed with --aggregate: a state needs decoded events")
        check_limit(self.limit)

    @property
    def is_search(self) -> bool:
        """True if events are found in all streams."""
        return self.position is not None or self.correlation is not None

    def _check_search(self) -> None:
        if (self.stream != "") + (self.correlation is not None) + (self.position is not None) > 1:
            raise UsageError("give one of STREAM, --position and --correlation")
        if self.is_search and self.aggregate:
            raise UsageError("--aggregate is for the events of one stream: give its name, or --types")
        if self.position is not None and not 1 <= self.position < 2**63:
            raise UsageError(f"--position {self.position}: give the position of an event, a whole number from 1")
        if self.position is not None and self.after:
            raise UsageError("--after is not for --position, which finds one event")
        if self.correlation is not None and not self.correlation:
            raise UsageError("--correlation: give an id, as the events of a stream show it")
        if self.correlation and self.after and not has_digits(self.after):
            raise UsageError(f"--after {self.after}: give the position behind which the events begin, a whole number")


def has_digits(text: str) -> bool:
    """True if a text is a whole number, 0 or more."""
    return text.isascii() and text.isdigit()


def add_events(tools: Any) -> None:
    """Add ``events``."""
    events = tools.add_parser(
        "events",
        help="list the streams of events in the file of a SqliteStore, or the events of one, or of a journey",
        description="List the streams of events in the file of a SqliteStore, or the events of one, oldest first; or "
        "find the event at a position, or all events with a correlation id. It does not disturb running processes.",
    )
    events.add_argument("path", metavar="PATH", help="the file")
    events.add_argument("stream", metavar="STREAM", nargs="?", default=SUPPRESS, help="the name of a stream")
    add_json(events)
    _add_search(events)
    events.add_argument("--limit", type=int, default=SUPPRESS, help="the most streams or events to list (100)")
    add_body_options(events)
    events.add_argument(
        "--aggregate",
        default=SUPPRESS,
        metavar="MODULE[:NAME]",
        help="show the state after each event, and decode the events, with the aggregate found there",
    )


def _add_search(events: ArgumentParser) -> None:
    events.add_argument(
        "--position",
        type=int,
        default=SUPPRESS,
        metavar="POSITION",
        help="show the event at this position of the log, and its stream",
    )
    events.add_argument(
        "--correlation",
        default=SUPPRESS,
        metavar="ID",
        help="list the events of all streams with this correlation id, by position; it looks at the headers of all "
        "events behind --after, because no index has them, until it has found --limit",
    )
    events.add_argument(
        "--after",
        default=SUPPRESS,
        metavar="NAME|REVISION|POSITION",
        help="begin behind the stream of this name; with STREAM, behind the event of this number; with --correlation, "
        "behind this position",
    )
