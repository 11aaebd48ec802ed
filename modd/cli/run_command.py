"""``run``: a server app, from the target to the exit code."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import anyio

from modd.app import App, InvalidSettings, Settings
from modd.cli.arguments import parse_arguments
from modd.cli.env_file import set_from_file
from modd.cli.errors import UsageError
from modd.cli.exits import FAILED, MISUSED, STOPPED, end_output, print_error, replace_closed_streams
from modd.cli.run_arguments import RunArguments
from modd.cli.run_logging import RunLog, Secrets, begin_log
from modd.cli.run_process import AppProcess
from modd.cli.run_target import FailedImport, RunTarget, load_target
from modd.errors import InvalidOption, MissingExtra
from modd.extras import require_extra
from modd.texts import amount, escape_control


def run_process(argv: Sequence[str] | None = None) -> int:
    """Run ``python -m modd run``, without the imports of the other tools, and return the exit code.

    argv: the arguments, ``run`` first; None for those of the process.
    """
    replace_closed_streams()
    try:
        arguments: Any = parse_arguments(argv)
        code = run_app(arguments)
        sys.stdout.flush()
        return code
    except (UsageError, MissingExtra) as error:
        return print_error(error, MISUSED)
    except BrokenPipeError:
        return end_output()
    except OSError as error:  # of stdout, or of the current folder
        return print_error(error, FAILED)
    except KeyboardInterrupt:
        return print_error("stopped while the app was opened or closed", STOPPED)


def run_app(arguments: RunArguments) -> int:
    """Run, check or describe an app, and return the exit code.

    0: all has ended in time after a stop. 1: a part failed, or something had to be cancelled. 2: the target or the
    settings are wrong. 130: stopped by a second SIGINT.

    Raises `UsageError` and `MissingExtra`.
    """
    try:
        if arguments.loop == "trio":
            require_extra("--loop trio", "trio", "trio")
        if arguments.reload:
            return int(import_module("modd.cli.reload").run_reloading(child_command(arguments)))  # it needs an extra
        if arguments.env_file:
            set_from_file(arguments.env_file, os.environ)
        target = load_target(arguments.target)
        if arguments.help_settings:
            return _print_settings(target)
        log = begin_log(os.environ, sys.stderr, logging.getLogger())
        settings = log.secrets.settings = None if target.settings is None else target.settings.load(os.environ)
        return _run(arguments, target, settings, log)
    except InvalidSettings as error:
        print(escape_control(str(error)), file=sys.stderr)
        return MISUSED
    except InvalidOption as error:  # a field of the settings has a type that cannot be read
        return print_error(error, MISUSED)
    except FailedImport as error:
        RunLog(Secrets(), None).show_error("", error.__cause__ or error)
        raise


def child_command(arguments: RunArguments) -> list[str]:
    """Return the command of the process that ``--reload`` starts anew."""
    options = ["--loop", arguments.loop, *(["--env-file", arguments.env_file] if arguments.env_file else [])]
    return [sys.executable, "-m", "modd", "run", arguments.target, *options]


def _run(arguments: RunArguments, target: RunTarget, settings: Settings | None, log: RunLog) -> int:
    process = AppProcess(target, settings, is_check=arguments.check)
    try:
        anyio.run(process.run, backend=arguments.loop)
    except (UsageError, MissingExtra, InvalidSettings):
        raise
    except Exception as error:
        log.show_error(f"{target.spec} failed", error)
        return process.exit_code or FAILED
    except BaseExceptionGroup as group:  # task groups wrap an interrupt, too
        if group.subgroup(KeyboardInterrupt) is None:
            raise
        raise KeyboardInterrupt from None
    if arguments.check and process.app is not None:
        _print_parts(process.app)
    return process.exit_code


def _print_settings(target: RunTarget) -> int:
    if target.settings is None:
        print(f"{target.spec} takes no settings")
        return 0
    for variable, kind, default, doc in target.settings.describe():
        print(escape_control(f"{variable} ({kind}, {default if default == 'required' else f'default {default}'})"))
        if doc:
            print(escape_control(f"    {doc}"))
    print("\nNAME_FILE is the path of a file with the value of NAME, for each of them.")
    return 0


def _print_parts(app: App) -> None:
    print(f"{app.name}: {amount(len(app.parts), 'part')} and {amount(len(app.timers), 'timer')}; nothing was run")
    for label in app.labels:
        print(escape_control(f"  {label}"))
