"""Logger writes a line when a dispatch begins and when it ends."""

from __future__ import annotations

import logging
import sys
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from inspect import isawaitable
from time import perf_counter_ns
from typing import Any, NamedTuple, TypeAlias, TypedDict

import anyio

from modd.checks import checked_callable, checked_flag
from modd.concurrency.cancellation import call
from modd.core import Message, error_text, log_error, mask_secrets, shown
from modd.cqrs.chain import Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import NotOpen
from modd.cqrs.stamps import Failed, Handled, Identity, Timings
from modd.middleware.options import MiddlewareWithOptions

Adapter: TypeAlias = Callable[[int, str, Mapping[str, Any]], Any]
"""Writes a line: takes its level (a number of `logging`), its event and its fields; sync or async."""


class LoggerOptions(TypedDict, total=False):
    """The options of `Logger` that may differ by type; omitted options are as in the `Logger`.

    adapter: a function ``(level, event, fields)`` that writes a line, sync or async; None for `logging`.
    collect: True to write all lines of a dispatch at its end.
    background: True not to wait until lines are written; the bus must be open.
    """

    adapter: Adapter | None
    collect: bool
    background: bool


class Logger(MiddlewareWithOptions):
    """Logs each dispatch when it begins (``processing``) and ends (``processed``, ``error`` or ``cancelled``).

    Add it outermost to see every dispatch, or inside a `Retryer` to see each attempt. It adds a `Timings` stamp with
    the time that everything further in took. Errors are raised unchanged. A line that cannot be written does not change
    the outcome: the failure is logged to ``modd.<bus>``, or printed to standard error if that fails too.

    Fields: ``bus``, ``type``, ``id``, ``correlation_id``, ``causation_id``, ``payload`` (the message as text, sensitive
    fields masked), ``results`` (as text), ``stamps`` (names of the other stamps), and at the end ``total_ns`` and
    ``error`` (sensitive content of the message masked).

    adapter: a function ``(level, event, fields)``, sync or async; by default lines go to the logger ``modd.<bus>``,
        with the fields in ``extra``. `structlog_adapter` makes one for structlog.
    collect: True to write all lines at the end of the dispatch, each with the stamps of its own time; False by default.
    background: True not to wait until lines are written; the bus must be open. False by default. Lines of one dispatch
        keep their order. An async adapter needs this for the last line of a cancelled dispatch.
    intents: by message type, the `LoggerOptions` that differ; by default none.

    Raises:
        InvalidOption: an option has a value that cannot work.
        NoHandler: when the bus is checked, if it does not handle a type in ``intents``.
    """

    def __init__(
        self,
        adapter: Adapter | None = None,
        *,
        collect: bool = False,
        background: bool = False,
        intents: Mapping[type[Message], LoggerOptions] = {},
    ) -> None:
        options = {"adapter": adapter, "collect": collect, "background": background}
        super().__init__(LoggerOptions, options, intents, _check)

    @property
    def background_work(self) -> str:
        """The work that the bus must be open for; empty if none."""
        return "writing log lines" if any(each["background"] for each in self._options.sets) else ""

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Log the begin, call the next link, and log the end with the time it took."""
        lines = _Lines(envelope, self._options.of(type(envelope.message)))
        await lines.push(logging.INFO, "processing")
        failed, started = len(envelope.all(Failed)), perf_counter_ns()
        try:
            await call(call_next, envelope)
        except Exception as error:
            await lines.end(logging.ERROR, "error", started, error=error_text(error, envelope.message))
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
    """The lines of one dispatch that wait to be written."""

    def __init__(self, envelope: Envelope[Any], options: LoggerOptions) -> None:
        self._envelope = envelope
        self._adapter = options.get("adapter") or write_to_logging
        self._collect, self._background = options.get("collect"), options.get("background")
        self._waiting: deque[_Line] = deque()
        self._write_lock = anyio.Lock() if self._background else None

    async def push(self, level: int, event: str) -> None:
        """Add a line with the stamps of now."""
        self._waiting.append(_Line(level, event, _fields(self._envelope)))
        if not self._collect:
            await self._write()

    async def end(self, level: int, event: str, started: int, error: str | None = None) -> None:
        """Add a `Timings` stamp and the last line, and write all lines."""
        total = perf_counter_ns() - started
        self._envelope.add(Timings(total, at=self._envelope.bus.clock()))
        fields = _fields(self._envelope) | {"total_ns": total}
        if error is not None:
            fields["error"] = mask_secrets(error, self._envelope.message)
        self._waiting.append(_Line(level, event, fields))
        await self._write()

    async def _write(self) -> None:
        if self._write_lock is not None:
            with suppress(NotOpen):  # the bus is closing: write the lines now
                return self._envelope.bus.start(self._write_behind, self._write_lock)  # type: ignore[no-any-return]
            return await self._write_behind(self._write_lock)
        return await self._write_waiting()

    async def _write_behind(self, lock: anyio.Lock) -> None:
        async with lock:  # the loop may start the tasks of two lines in any order
            await self._write_waiting()

    async def _write_line(self, line: _Line) -> None:
        written = self._adapter(*line)
        if isawaitable(written):
            await written

    async def _write_waiting(self) -> None:
        while self._waiting:
            line = self._waiting.popleft()
            try:
                await call(self._write_line, line)
            except Exception as error:
                _report(line, error, self._envelope.message)


def write_to_logging(level: int, event: str, fields: Mapping[str, Any]) -> None:
    """Write a line to the logger ``modd.<bus>``, with event and fields in ``extra``; the default adapter."""
    error = f": {fields['error']}" if "error" in fields else ""
    logger = logging.getLogger(f"modd.{fields['bus']}")
    logger.log(level, "%s %s%s", event, fields["payload"], error, extra={"event": event, **fields})


def structlog_adapter(logger: Any) -> Adapter:
    """Return an adapter that writes to a logger of structlog: ``Logger(structlog_adapter(structlog.get_logger()))``."""
    return lambda level, event, fields: logger.log(level, event, **fields)


def _fields(envelope: Envelope[Any]) -> dict[str, Any]:
    stamps = envelope.stamps
    return {
        "bus": envelope.bus.name,
        "type": type(envelope.message).__qualname__,
        "id": envelope.id,
        "correlation_id": envelope.correlation_id,
        "causation_id": envelope.causation_id,
        "payload": shown(envelope.message),
        "results": [shown(stamp.result) for stamp in stamps if isinstance(stamp, Handled)],
        "stamps": [type(stamp).__name__ for stamp in stamps if not isinstance(stamp, (Handled, Identity))],
    }


def _report(line: _Line, error: Exception, message: Message) -> None:
    """Report a line that could not be written, to `logging` or else to standard error."""
    try:
        logger = logging.getLogger(f"modd.{line.fields['bus']}")
        log_error(logger, "the log line %r could not be written", line.event, error=error, message=message)
    except Exception:  # `logging` itself does not work
        with suppress(Exception):
            print(f"the log line {line.event!r} could not be written: {error_text(error, message)}", file=sys.stderr)


def _check(options: LoggerOptions) -> None:
    adapter = options.get("adapter")
    if adapter is not None:
        checked_callable("adapter", adapter, "give a function (level, event, fields), sync or async, or None")
    for name in ("collect", "background"):
        checked_flag(name, options.get(name))
