"""The exit codes of ``python -m modd``, and the line on stderr that goes with them."""

from __future__ import annotations

import os
import sys

from modd.texts import escape_control

FAILED, MISUSED, STOPPED = 1, 2, 130


def print_error(error: object, code: int) -> int:
    """Print an error in one line on stderr, and return the exit code."""
    print(f"modd: {escape_control(' '.join(str(error).split()))}", file=sys.stderr)
    return code


def replace_closed_streams() -> None:
    """Discard all that is written to stdout and stderr, if the process was started with these closed."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # it is open until the end


def end_output() -> int:
    """Write no more to a pipe that its reader has closed, also not when the interpreter ends; return the exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return FAILED
