"""The help of each command, for the page of the command line."""

from __future__ import annotations

import os
from contextlib import redirect_stdout, suppress
from io import StringIO
from typing import get_args
from unittest.mock import patch

from modd.cli.arguments import CommandName, parse_arguments

MARK = "<!-- the help of each command -->"


def command_line_page(text: str) -> str:
    """Return the page with the help of each command at its mark."""
    of_queue = [section(f"queue PATH {name}", "queue", "PATH", name) for name in COMMANDS]
    first, *others = [section(name, name) for name in TOOLS]
    sections = [first, *of_queue, *others]
    return text.replace(MARK, "\n".join(sections))


TOOLS = ("queue", "events", "catalog")
"""The tools of the command line, the one with commands first."""


COMMANDS: tuple[str, ...] = get_args(CommandName)


def section(title: str, *arguments: str) -> str:
    """Return a section with the help of a command."""
    return f"## python -m modd {title}\n\n```text\n{help_of(*arguments)}```\n"


def help_of(*arguments: str) -> str:
    """Return the help that a command prints, in lines of 80 characters."""
    printed = StringIO()
    with patch.dict(os.environ, {"COLUMNS": "82"}), redirect_stdout(printed), suppress(SystemExit):
        parse_arguments([*arguments, "--help"])
    return printed.getvalue()
