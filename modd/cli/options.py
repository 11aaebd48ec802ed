"""Options that several tools of the command line have."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser
from typing import NoReturn

from modd.checks import is_encodable
from modd.cli.errors import UsageError
from modd.texts import encodable

MOST = 2**31 - 1
"""The most rows to ask for."""


class Parser(ArgumentParser):
    """A parser of arguments that raises `UsageError`."""

    def error(self, message: str) -> NoReturn:
        """Raise `UsageError` for wrong arguments."""
        raise UsageError(f"{message}; see {self.prog} --help")


def add_json(parser: ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", default=SUPPRESS, help="print JSON")


def add_yes(parser: ArgumentParser) -> None:
    """Add ``--yes``."""
    parser.add_argument("--yes", action="store_true", default=SUPPRESS, help="do not ask for confirmation")


def add_body_options(parser: ArgumentParser) -> None:
    """Add ``--types`` and ``--raw``."""
    options = parser.add_mutually_exclusive_group()
    options.add_argument(
        "--types",
        action="append",
        default=SUPPRESS,
        metavar="MODULE[:NAME]",
        help="decode messages with the types, buses or codecs found there, and mask sensitive fields with ***",
    )
    options.add_argument("--raw", action="store_true", default=SUPPRESS, help="show everything, sensitive values too")


def check_limit(limit: int) -> None:
    """Raise `UsageError` unless a limit is a whole number that SQLite takes."""
    if not 1 <= limit <= MOST:
        raise UsageError(f"--limit {limit}: give a whole number, at least 1 and at most {MOST}")


def check_texts(*texts: str) -> None:
    """Raise `UsageError` for names and ids that no file can have."""
    for text in texts:
        if not is_encodable(text):
            raise UsageError(f"{encodable(text)}: give names and ids in UTF-8")
