"""The exit codes of ``python -m modd``, and the line on stderr that goes with them."""

from __future__ import annotations

import sys

from modd.texts import escape_control

FAILED, MISUSED, STOPPED = 1, 2, 130


def print_error(error: object, code: int) -> int:
    """Print an error in one line on stderr, and return the exit code."""
    print(f"modd: {escape_control(' '.join(str(error).split()))}", file=sys.stderr)
    return code
