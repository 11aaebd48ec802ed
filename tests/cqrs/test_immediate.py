"""Immediate transactions that are run again while other writers come first."""

from __future__ import annotations

import pytest

from modd.cqrs import immediate
from modd.cqrs.immediate import ATTEMPTS, run_immediate
from modd.ports import ReadConflict

pytestmark = pytest.mark.anyio


async def test_other_writers_may_come_first_some_times_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    # NA-52
    monkeypatch.setattr(immediate, "SHORTEST_PAUSE", 0.0)
    runs: list[int] = []

    async def run() -> int:
        runs.append(len(runs))
        if len(runs) <= conflicts:
            raise ReadConflict("a stream")
        return len(runs)

    conflicts = 3
    assert await run_immediate(run) == 4
    runs, conflicts = [], ATTEMPTS
    with pytest.raises(ReadConflict):
        await run_immediate(run)
    assert len(runs) == ATTEMPTS
