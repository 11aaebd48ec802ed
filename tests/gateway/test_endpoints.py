"""The endpoints that streams are attached to, and the import without the extra."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import pytest
from starlette.responses import Response

from modd.errors import MissingExtra
from modd.gateway import Limits
from modd.gateway.addresses import ClientAddresses
from modd.gateway.admission import Admission
from modd.gateway.calls import Calls
from modd.gateway.cors import Cors
from modd.gateway.endpoints import Endpoints
from modd.gateway.limits import ConnectionCount
from modd.gateway.problems import Problems
from tests.gateway.shop import ADA, Shop, client, who

pytestmark = [pytest.mark.anyio, pytest.mark.measured_on_trio]


async def test_events_and_websockets_have_their_paths_and_the_actor() -> None:
    # GW-18 GW-40
    seen: list[Any] = []

    async def events(request: Any, actor: Any) -> Response:
        seen.append((request.path, request.query["channel"], actor.id))
        return Response("ok")

    async def websocket(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])

    limits = Limits(per_actor=1)
    calls = Calls(Shop().bus, (), (), Admission(who, ()), Problems({}), limits)
    count, addresses = ConnectionCount(limits), ClientAddresses(())
    gateway: Any = type("Made", (), {"asgi": Endpoints(calls, Cors(()), limits, count, addresses, events, websocket)})
    async with client(gateway, **ADA) as ada:
        answered = await ada.get("/events?channel=a")
        assert (answered.text, answered.headers["X-Content-Type-Options"]) == ("ok", "nosniff")
        assert (await ada.post("/events?channel=a")).headers["Allow"] == "GET"
        assert (await ada.get("/events/x")).status_code == 404
    await gateway.asgi({"type": "websocket", "path": "/ws"}, None, None)
    assert seen == [("/events", "a", "ada"), "/ws"]


async def test_a_websocket_at_another_path_is_refused() -> None:
    # GW-1
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await Shop().gateway().asgi({"type": "websocket", "path": "/other", "headers": []}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1000}]


@pytest.mark.parametrize("path", ["*", "", "//", "/commands/ping/", "//commands/ping", "commands/ping/x"])
async def test_an_unusual_path_is_unknown(path: str) -> None:
    # GW-1
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "OPTIONS", "path": path, "headers": [], "query_string": b""}
    await Shop().gateway().asgi(scope, None, send)  # type: ignore[arg-type]
    assert sent[0]["status"] == 404


def test_without_the_extra_the_import_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # GW-3
    for name in [each for each in sys.modules if each.startswith("modd.gateway")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette.requests", None)
    with pytest.raises(MissingExtra, match=r"pip install modd\[gateway\]"):
        import_module("modd.gateway")
