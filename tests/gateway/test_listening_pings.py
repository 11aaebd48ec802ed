"""Pings of a gateway that listens."""

from __future__ import annotations

import pytest

from modd.gateway import gateway as gateway_module
from modd.stores import MemoryFeed
from tests.gateway.test_listening_events import gateway_of
from tests.gateway.wire import listening_at, open_websocket, read_all

pytestmark = pytest.mark.anyio


async def test_a_client_that_does_not_answer_pings_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    # GW-34
    monkeypatch.setattr(gateway_module, "PING", 0.05)
    async with listening_at(gateway_of(MemoryFeed())) as port, open_websocket(port) as stream:
        assert await read_all(stream) == b"\x89\x00"
