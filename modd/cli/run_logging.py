"""The log of ``run``: lines of text or of JSON on stderr, without the sensitive settings."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from json import dumps
from math import isfinite
from traceback import format_exception
from typing import Any, TextIO

from modd.cli.errors import UsageError
from modd.cli.failures import cause_words, has_cure
from modd.core import mask_error, mask_secrets, shown
from modd.texts import encodable, escape_control

FORMATS = ("text", "json")
LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"

STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""The attributes of records; all others are from ``extra=``."""

SHORTEST = 4
"""Characters; a setting that is shorter is a word or a number of many innocent lines, and is not masked."""

DEPTH = 5
"""Levels of collections in ``extra=`` that become JSON; a collection may have itself in it."""


class Secrets:
    """The settings whose sensitive values are masked in texts, if they are long enough; None before they are read."""

    settings: Any = None

    def mask(self, text: str, error: BaseException | None = None) -> str:
        """Return a text, such as the traceback of an error, without sensitive values of the settings and the error."""
        masked = text if error is None else mask_error(text, error, None)
        return mask_secrets(masked, self.settings, SHORTEST)


class TextFormatter(logging.Formatter):
    """Makes lines of text, without sensitive settings, and without characters that control a terminal."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__(LINE)
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for a record, with the traceback of an error below."""
        return escape_control(self._secrets.mask(encodable(super().format(record)), _error_of(record)))


class JsonFormatter(logging.Formatter):
    """Makes one object of JSON a line, without sensitive settings."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__()
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        """Return the object for a record: time, level, logger, message, the fields of ``extra=``; of an error more."""
        error = _error_of(record)
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": self._secrets.mask(record.getMessage(), error),
        }
        if error is not None:
            line["type"] = type(error).__name__
            line["traceback"] = self._secrets.mask("".join(format_exception(error)).rstrip(), error)
        for name in vars(record).keys() - STANDARD:
            line[f"extra_{name}" if name in line else name] = self._masked(getattr(record, name), DEPTH)
        return dumps(line)

    def _masked(self, value: Any, depth: int) -> Any:
        """Return a value for JSON, without sensitive settings; an object is its repr."""
        if depth and type(value) is dict:
            return {self._secrets.mask(str(key)): self._masked(each, depth - 1) for key, each in value.items()}
        if depth and type(value) in (list, tuple):
            return [self._masked(each, depth - 1) for each in value]
        text = value if isinstance(value, str) else shown(value)
        masked = self._secrets.mask(text)
        is_plain = value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and isfinite(value))
        return value if is_plain and masked == text else masked


class RunLog:
    """The log of a process that ``run`` has started; handlers that are there already are left alone.

    logger: the logger to log errors to. handler: the handler of ``run``, None if there are others.
    """

    def __init__(self, secrets: Secrets, handler: logging.Handler | None) -> None:
        self.secrets, self._handler = secrets, handler

    def show_error(self, text: str, error: BaseException) -> None:
        """Show an error on stderr, whatever the levels of loggers are: its cause, and a traceback unless it has a cure.

        text: the words before the cause.
        """
        words = encodable(f"{text}: {cause_words(error)}" if text else cause_words(error))
        info = None if has_cure(error) else (type(error), error, error.__traceback__)
        if self._handler is not None:
            masked = self.secrets.mask(words, error)
            self._handler.handle(logging.LogRecord("modd.app", logging.ERROR, __file__, 0, masked, None, info))
            return
        trace = "" if info is None else "".join(format_exception(error))
        print(escape_control(self.secrets.mask(encodable(trace) + words, error)), file=sys.stderr)


def begin_log(environ: Mapping[str, str], stream: TextIO, root: logging.Logger) -> RunLog:
    """Log to a stream, unless there is a handler already: level ``MODD_LOG_LEVEL``, format ``MODD_LOG``.

    Raises `UsageError` for an unknown level or format.
    """
    level = (environ.get("MODD_LOG_LEVEL") or "INFO").upper()  # a compose file sets "" for a variable without a value
    if level not in logging.getLevelNamesMapping():
        raise UsageError(f"MODD_LOG_LEVEL={level}: give DEBUG, INFO, WARNING, ERROR or CRITICAL")
    format = environ.get("MODD_LOG") or ("text" if stream.isatty() else "json")
    if format.lower() not in FORMATS:
        raise UsageError(f"MODD_LOG={format}: give text or json")
    secrets = Secrets()
    if root.handlers:
        return RunLog(secrets, None)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter(secrets) if format.lower() == "json" else TextFormatter(secrets))
    root.addHandler(handler)
    root.setLevel(level)
    return RunLog(secrets, handler)


def _error_of(record: logging.LogRecord) -> BaseException | None:
    return record.exc_info[1] if record.exc_info else None
