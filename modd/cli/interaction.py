"""The interaction with the user while a command runs: questions, and the display of progress."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeAlias

Progress: TypeAlias = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Opens a progress display for a title and a number of steps; call the result with the number of finished steps."""


Confirm: TypeAlias = Callable[[str], None]
"""Asks the user a question. Raises `NotConfirmed` unless the answer is yes."""


def no_progress(title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
    """Open a progress display that shows nothing."""
    return nullcontext(lambda _: None)
