"""Logger: what goes through a typed bus, line by line (MI-47 to MI-50)."""

from __future__ import annotations

import logging
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from inspect import isawaitable
from time import perf_counter_ns
from typing import Any, NamedTuple, TypeAlias, TypedDict

import anyio

from modd.checks import checked_flag
from modd.core import Message
from modd.cqrs.chain import Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import NotOpen, text_of
from modd.cqrs.stamps import Failed, Handled, Identity, Timings
from modd.errors import InvalidOption
from modd.middleware.masking import masked, shown
from modd.middleware.options import Options

Adapter: TypeAlias = Callable[[int, str, Mapping[str, Any]], Any]
"""Writes one line: its level (a number of `logging`), its event and its fields; sync or async."""


class LoggerOptions(TypedDict, total=False):
    """What may differ by type in a `Logger`."""

    adapter: Adapter | None
    """Writes the lines; None: `logging`."""
    collect: bool
    """Whether to write all lines at the end."""
    background: bool
    """Whether to write in the background."""


class Logger:
    """Logs each dispatch when it begins (``processing``) and ends (``processed``, ``error`` or ``cancelled``) (MI-47).

    Give it outermost to see all, or inside a `Retryer` to see each attempt. It notes `Timings`, the time that all
    further in took, and raises every error as it is (MI-48). Logging changes no outcome: what goes wrong with a line is
    told to the logger ``modd.<bus>``, or on standard error where that fails, too (MI-50).

    adapter: ``(level, event, fields)``, sync or async; by default lines go to the logger ``modd.<bus>``, with the
        fields in ``extra``. `structlog_adapter` makes one for structlog.
    collect: keep the lines, with the stamps there were at their time, and write them all at the end (MI-49).
    background: do not wait until lines are written; the bus must be open then. Lines of one dispatch keep their order.
    intents: by type, what differs.

    Fields: ``bus``, ``type``, ``id``, ``correlation_id``, ``causation_id``, ``payload`` (the message as text, with
    what is sensitive masked), ``results`` (as text), ``stamps`` (names of the others), and at the end ``total_ns`` and
    ``error`` (in which the content of sensitive fields of the message is masked as well). Lines of a dispatch that is
    cancelled are written by an async adapter only with ``background=True``.

    Raises `InvalidOption` for options that cannot work, and `NoHandler` when the bus is checked.
    """

    def __init__(
        self,
        adapter: Adapter | None = None,
        *,
        collect: bool = False,
        background: bool = False,
        intents: Mapping[type[Message], LoggerOptions] = {},
    ) -> None:
        given = {"adapter": adapter, "collect": collect, "background": background}
        self._options = Options("Logger", LoggerOptions, given, intents, _check)

    @property
    def background_work(self) -> str:
        """What it does in the background; empty if nothing."""
        everywhere: tuple[type[Message], ...] = (Message, *self._options.types)
        return "writing log lines" if any(self._options.of(kind).get("background") for kind in everywhere) else ""

    def check(self, bus: Any) -> None:
        """Raise `NoHandler` for options of a type that the bus does not handle."""
        self._options.check_types(bus)

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Log that it begins, go on, note the time, and log how it ended."""
        lines = _Lines(envelope, self._options.of(type(envelope.message)))
        await lines.push(logging.INFO, "processing")
        failed, started = len(envelope.all(Failed)), perf_counter_ns()
        try:
            await call_next(envelope)
        except Exception as error:
            await lines.end(logging.ERROR, "error", started, error=shown(text_of, error))
            raise
        except anyio.get_cancelled_exc_class():
            await lines.end(logging.WARNING, "cancelled", started)
            raise
        failures = envelope.all(Failed)[failed:]
        if failures:
            await lines.end(logging.ERROR, "error", started, error=failures[-1].error)
        else:
            await lines.end(logging.INFO, "processed", started)


class _Line(NamedTuple):
    level: int
    event: str
    fields: Mapping[str, Any]


class _Lines:
    """The lines of one dispatch that are still to be written."""

    def __init__(self, envelope: Envelope[Any], options: LoggerOptions) -> None:
        self._envelope = envelope
        self._adapter = options.get("adapter") or write_to_logging
        self._collect, self._background = options.get("collect"), options.get("background")
        self._waiting: deque[_Line] = deque()
        self._one_writer = anyio.Lock() if self._background else None

    async def push(self, level: int, event: str) -> None:
        """Make a line of what is known now."""
        self._waiting.append(_Line(level, event, _fields(self._envelope)))
        if not self._collect:
            await self._write()

    async def end(self, level: int, event: str, started: int, error: str | None = None) -> None:
        """Note the time, and write the last line with all before it."""
        total = perf_counter_ns() - started
        self._envelope.add(Timings(total, at=self._envelope.bus.clock()))
        fields = _fields(self._envelope) | {"total_ns": total}
        if error is not None:
            fields["error"] = masked(error, self._envelope.message)
        self._waiting.append(_Line(level, event, fields))
        await self._write()

    async def _write(self) -> None:
        if self._one_writer is not None:
            with suppress(NotOpen):  # it is closing: what is to be said is said now
                return self._envelope.bus.start(self._write_behind, self._one_writer)  # type: ignore[no-any-return]
        await self._write_waiting()

    async def _write_behind(self, one_writer: anyio.Lock) -> None:
        async with one_writer:  # the loop may start the tasks of two lines in any order
            await self._write_waiting()

    async def _write_waiting(self) -> None:
        while self._waiting:
            line = self._waiting.popleft()
            try:
                written = self._adapter(*line)
                if isawaitable(written):
                    await written
            except Exception:
                _tell(line)


def write_to_logging(level: int, event: str, fields: Mapping[str, Any]) -> None:
    """The default adapter: to the logger ``modd.<bus>``, with event and fields in ``extra``."""
    more = f": {fields['error']}" if "error" in fields else ""
    logger = logging.getLogger(f"modd.{fields['bus']}")
    logger.log(level, "%s %s%s", event, fields["payload"], more, extra={"event": event, **fields})


def structlog_adapter(logger: Any) -> Adapter:
    """An adapter that writes to a logger of structlog: ``Logger(structlog_adapter(structlog.get_logger()))``."""
    return lambda level, event, fields: logger.log(level, event, **fields)


def _fields(envelope: Envelope[Any]) -> dict[str, Any]:
    stamps = envelope.stamps
    return {
        "bus": envelope.bus.name,
        "type": type(envelope.message).__qualname__,
        "id": envelope.id,
        "correlation_id": envelope.correlation_id,
        "causation_id": envelope.causation_id,
        "payload": shown(repr, envelope.message),
        "results": [shown(repr, stamp.result) for stamp in stamps if isinstance(stamp, Handled)],
        "stamps": [type(stamp).__name__ for stamp in stamps if not isinstance(stamp, (Handled, Identity))],
    }


def _tell(line: _Line) -> None:
    """Say what went wrong with a line, where that still works."""
    try:
        logging.getLogger(f"modd.{line.fields['bus']}").exception("the log line %r could not be written", line.event)
    except Exception:  # `logging` itself does not work
        with suppress(Exception):
            traceback.print_exc()


def _check(options: LoggerOptions) -> None:
    adapter = options.get("adapter")
    if adapter is not None and not callable(adapter):
        raise InvalidOption("adapter", adapter, "give a function (level, event, fields), sync or async, or None")
    for name in ("collect", "background"):
        checked_flag(name, options.get(name))
