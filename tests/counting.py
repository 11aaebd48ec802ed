"""Work that is counted in calls of functions, so that no clock is needed."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class Calls:
    """The number of calls, those of builtins included."""

    count = 0

    def profile(self, frame: object, event: str, argument: object) -> None:
        """Count an event, if it is a call; for `sys.setprofile`."""
        self.count += event in ("call", "c_call")


@contextmanager
def counted_calls() -> Iterator[Calls]:
    """Count the calls in the block, without those of the garbage collector, which comes when it likes."""
    calls, before = Calls(), sys.getprofile()
    gc.collect()
    gc.disable()
    sys.setprofile(calls.profile)
    try:
        yield calls
    finally:
        sys.setprofile(before)
        gc.enable()
