"""A turn that waits looks after the holder of its gate only if it is the first in line, or the first cannot."""

from __future__ import annotations

from typing import Any

import pytest

from modd.concurrency.loops import current_loop
from modd.core.gate import Gate
from modd.core.line import _look_after

pytestmark = pytest.mark.anyio


class Waiting:
    """A turn in a loop, or one whose loop is not known."""

    def __init__(self, loop: Any) -> None:
        self.loop = loop


async def test_the_first_in_line_looks_after_the_holder_while_its_loop_runs() -> None:
    # DF-2
    gate, first, second = Gate("shop"), Waiting(current_loop()), Waiting(None)
    gate.holder = Waiting(None)
    gate.line = {first: None, second: None}
    holder: Any = gate.holder
    assert _look_after(second, gate, holder) is None and gate.holder is holder
