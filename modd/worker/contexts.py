"""A context of its own for each message, without a task of its own: that would cost as much as all the rest."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from contextvars import copy_context
from types import coroutine
from typing import Any


@coroutine
def in_context(work: Coroutine[Any, Any, None]) -> Generator[Any, Any, None]:
    """Await it in a copy of the context: what it sets there is gone afterwards."""
    run, step, given = copy_context().run, work.send, None
    while True:
        try:
            waited_for = run(step, given)
        except StopIteration:
            return
        try:
            given = yield waited_for
            step = work.send
        except BaseException as error:
            given, step = error, work.throw
