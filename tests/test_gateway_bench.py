"""The benchmark of events to many clients, with few of them."""

from __future__ import annotations

import pytest

from bench.gateway import HEAD, line, measure

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("side", "loop"), [("gateway", "asyncio"), ("floor", "trio")])
def test_a_server_of_either_side_sends_each_event_to_each_client_and_is_measured(side: str, loop: str) -> None:
    # GW-42
    figures = measure(side, loop, clients=60, events=3)
    assert 0 < figures.p50 <= figures.p99
    assert figures.core > 0
    assert line(loop, 60, side, [figures, figures]).count("|") == len(HEAD) + 1
