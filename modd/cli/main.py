"""``python -m modd``: from the arguments to the exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import msgspec

from modd.cli.arguments import Asked, asked
from modd.cli.commands import run
from modd.cli.errors import Misuse, NotConfirmed
from modd.cli.reports import Health, Moved, Report
from modd.errors import MissingExtra, ModdError

FAILED, MISUSED, STOPPED = 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the arguments ask for, those of the process by default, and return the exit code.

    0: it is done. 1: a store failed, an item is not there, something is wrong with the file, or nobody said yes. 2: it
    cannot be done, whatever is in the file. 130: it was stopped. An error is one line on stderr.
    """
    try:
        code = _main(asked(argv))
        sys.stdout.flush()
        return code
    except (Misuse, MissingExtra) as error:
        return _told(error, MISUSED)
    except BrokenPipeError:  # nobody reads on; the interpreter would complain when it flushes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (ModdError, OSError) as error:
        return _told(error, FAILED)
    except KeyboardInterrupt:
        return _told("stopped; what was done before stays done", STOPPED)


def exit_code(report: Report) -> int:
    """0, or 1 for a file that is not well and for dead letters that were not there."""
    is_bad = (isinstance(report, Health) and not report.ok) or (isinstance(report, Moved) and bool(report.missing))
    return FAILED if is_bad else 0


def confirm(question: str) -> None:
    """Ask on the terminal. Raises `NotConfirmed`, and `Misuse` where there is nobody to ask."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Misuse(f"{question} Give --yes; there is no terminal to ask on")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise NotConfirmed


def _main(given: Asked) -> int:
    if given.json:
        report = run(given, confirm)
        text = msgspec.json.format(msgspec.json.encode(report), indent=2).decode()
        print(text)
        return exit_code(report)
    rendering = _rendering()  # before anything is done that could then not be told
    report = run(given, confirm, rendering.progress)
    rendering.render(report)
    return exit_code(report)


def _rendering() -> Any:
    try:
        return import_module("modd.cli.rendering")
    except ModuleNotFoundError as missing:
        raise MissingExtra("python -m modd queue without --json", "cli") from missing


def _told(error: object, code: int) -> int:
    print(f"modd: {' '.join(str(error).split())}", file=sys.stderr)
    return code
