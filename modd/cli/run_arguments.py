"""The arguments of ``run``."""

from __future__ import annotations

from argparse import SUPPRESS
from typing import Any, Literal

import msgspec

from modd.cli.errors import UsageError


class RunArguments(msgspec.Struct, frozen=True, kw_only=True):
    """The parsed arguments of ``run``.

    target: the function that gives the app, as ``module:name``.
    reload: start anew when a file changes.
    loop: the event loop.
    env_file: a file with environment variables; "" for none.
    check: open and close the app, and run nothing.
    help_settings: print the help for the settings.
    """

    target: str
    reload: bool = False
    loop: Literal["asyncio", "trio"] = "asyncio"
    env_file: str = ""
    check: bool = False
    help_settings: bool = False

    def __post_init__(self) -> None:
        if self.reload + self.check + self.help_settings > 1:
            raise UsageError("run: give one of --reload, --check and --help-settings")


def add_run(tools: Any) -> None:
    """Add ``run``."""
    run = tools.add_parser(
        "run",
        help="run a server app",
        description="Run a server app until SIGTERM or SIGINT; a second signal cancels it. The current folder is "
        "importable. MODD_LOG_LEVEL is the level of the log (INFO), MODD_LOG its format: text, or json, which is the "
        "default where stderr is no terminal.",
    )
    run.add_argument(
        "target",
        metavar="MODULE:NAME",
        help="an async context manager function that gives an App; its parameter, if it has one, is annotated with "
        "a Settings class",
    )
    run.add_argument(
        "--reload", action="store_true", default=SUPPRESS, help="start anew when a .py file changes; for development"
    )
    run.add_argument("--loop", choices=["asyncio", "trio"], default=SUPPRESS, help="the event loop (asyncio)")
    run.add_argument(
        "--env-file",
        metavar="FILE",
        default=SUPPRESS,
        help="set the variables in the lines NAME=value of the file, unless they are set already",
    )
    run.add_argument(
        "--check",
        action="store_true",
        default=SUPPRESS,
        help="read the settings, open the app, which creates its stores, close it, and print its parts; nothing runs",
    )
    run.add_argument(
        "--help-settings", action="store_true", default=SUPPRESS, help="print the variables of the settings"
    )
