"""``python -m modd``: from the arguments to the exit code."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import msgspec

from modd.catalog.markdown import render_markdown
from modd.cli.arguments import AnyArguments, CatalogArguments, parse_arguments
from modd.cli.commands import Report, run_command, run_migration
from modd.cli.errors import NotConfirmed, UsageError
from modd.cli.exits import FAILED, MISUSED, STOPPED, end_output, print_error, replace_closed_streams
from modd.cli.follow_reports import ResumeResult
from modd.cli.migrate_arguments import MigrateArguments, describe_migration
from modd.cli.reports import BatchResult, DatabaseHealth, ServerHealth, StoreHealth
from modd.cli.run_arguments import RunArguments
from modd.cli.run_command import run_app
from modd.cli.types import load_catalog
from modd.errors import MissingExtra, ModdError
from modd.texts import escape_control, escape_json

logger, SILENT = logging.getLogger("modd"), logging.NullHandler()


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command, print its report, and return the exit code.

    0: done. 1: the store failed, an item is missing, the file has a problem, or the user did not confirm. 2: wrong
    arguments. 130: stopped by a signal. An error is one line on stderr.

    argv: the arguments; None for those of the process.
    """
    replace_closed_streams()
    logger.addHandler(SILENT)  # the logs of a store would add tracebacks to the line that tells the error
    try:
        code = _run(parse_arguments(argv))
        sys.stdout.flush()
        return code
    except (UsageError, MissingExtra) as error:
        return print_error(error, MISUSED)
    except BrokenPipeError:
        return end_output()
    except (ModdError, OSError) as error:
        return print_error(error, FAILED)
    except KeyboardInterrupt:
        return print_error("stopped; what was done before stays done", STOPPED)
    finally:
        logger.removeHandler(SILENT)


def exit_code(report: Report) -> int:
    """Return 1 for a store with problems, and for missing dead letters and instances, else 0."""
    is_bad = isinstance(report, (StoreHealth, DatabaseHealth, ServerHealth)) and not report.ok
    is_incomplete = isinstance(report, (BatchResult, ResumeResult)) and bool(report.missing)
    return FAILED if is_bad or is_incomplete else 0


def confirm(question: str) -> None:
    """Ask the user on the terminal. Raises `NotConfirmed`, and `UsageError` without a terminal."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"{question} Give --yes; there is no terminal to ask on")
    print(f"{escape_control(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise NotConfirmed


def _run(arguments: AnyArguments | RunArguments) -> int:
    if isinstance(arguments, RunArguments):
        return run_app(arguments)
    if arguments.json:
        report = run_command(arguments, confirm)
        text = msgspec.json.format(msgspec.json.encode(report), indent=2).decode()
        print(escape_json(text))
        return exit_code(report)
    if isinstance(arguments, CatalogArguments):
        print(escape_control(render_markdown(load_catalog(arguments.source))), end="")
        return 0
    if isinstance(arguments, MigrateArguments):
        print(escape_control(describe_migration(run_migration(arguments))), end="")
        return 0
    rendering = _import_rendering()  # before the command runs, so that its report can be printed
    report = run_command(arguments, confirm, rendering.progress)
    rendering.render(report)
    return exit_code(report)


def _import_rendering() -> Any:
    try:
        return import_module("modd.cli.rendering")
    except ModuleNotFoundError as missing:
        raise MissingExtra("python -m modd without --json", "cli") from missing
