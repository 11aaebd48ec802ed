"""A turn that waits looks after the holder of its gate if it is the first in line, and if the holder cannot go on."""

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


async def test_a_holder_whose_loop_runs_is_waited_for() -> None:
    # DF-2
    gate, turn = Gate("shop"), Waiting(current_loop())
    gate.holder = Waiting(current_loop())
    holder: Any = gate.holder
    assert _look_after(turn, gate, None) is None and gate.holder is holder
