"""The help of each command, for the page of the command line."""

from __future__ import annotations

import os
from contextlib import redirect_stdout, suppress
from io import StringIO
from typing import get_args
from unittest.mock import patch

from modd.cli.arguments import CommandName, parse_arguments
from modd.cli.follow_arguments import FollowCommand

MARK = "<!-- the help of each command -->"


def command_line_page(text: str) -> str:
    """Return the page with the help of each command at its mark."""
    return text.replace(MARK, "\n".join(text for tool in TOOLS for text in sections(tool)))


TOOLS: dict[str, tuple[str, ...]] = {
    "queue": get_args(CommandName),
    "events": (),
    "follow": get_args(FollowCommand)[1:],
    "catalog": (),
    "run": (),
    "migrate": (),
}
"""The tools of the command line, with their commands; ``list`` of ``follow`` has no name there."""


def sections(tool: str) -> list[str]:
    """Return the sections of a tool and its commands."""
    return [section(tool, tool), *(section(f"{tool} PATH {name}", tool, "PATH", name) for name in TOOLS[tool])]


def section(title: str, *arguments: str) -> str:
    """Return a section with the help of a command."""
    return f"## python -m modd {title}\n\n```text\n{help_of(*arguments)}```\n"


def help_of(*arguments: str) -> str:
    """Return the help that a command prints, in lines of 80 characters."""
    printed = StringIO()
    with patch.dict(os.environ, {"COLUMNS": "82"}), redirect_stdout(printed), suppress(SystemExit):
        parse_arguments([*arguments, "--help"])
    return printed.getvalue()
