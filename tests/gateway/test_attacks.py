"""Attacks with raw bytes on a gateway that listens: each row of the table is a test."""

from __future__ import annotations

import json

import anyio
import pytest

from modd.gateway import Limits
from modd.gateway import limits as limits_module
from tests.gateway.shop import ORDER, Shop
from tests.gateway.wire import body_of, exchange, listening_at, request, status_of

pytestmark = pytest.mark.anyio

TOKEN = "Authorization: Bearer ada:customer"
COOKIE = "Cookie: session=ada:customer"


async def test_no_writing_of_a_name_reaches_a_type_that_is_not_exposed() -> None:
    # GW-1: paths that go up, double encoding, other slashes, a zero byte
    names = [
        *("/commands/../commands/secret", "/commands/%2e%2e/commands/ping", "/queries/../commands/ping"),
        *("/commands/..%2fping", "/commands/x/..%2fping", "/./commands/ping", "//commands/ping", "/commands//ping"),
        *("/commands/%2570ing", "/commands/%252e%252e%252fping", "/commands/ping%00", "/commands/ping%2f"),
        *("/commands/ping;a=b", "/commands\\ping", "/commands%5cping", "/commands/PING", "/commands/secret"),
        *(
            "/commands/%73ecret",
            "/commands/p\u00efng",
            "/commands/%ff",
            "/commands/ping%20",
            "http://shop/commands/ping",
        ),
    ]
    async with listening_at(Shop().gateway(listen="127.0.0.1:0")) as port:
        unknown = await exchange(port, request("POST /commands/unknown", TOKEN, body=b"{}"))
        assert status_of(unknown) == 404
        for name in names:
            answered = await exchange(port, request(f"POST {name}", TOKEN, body=b"{}"))
            known = (status_of(answered), body_of(answered))
            assert known == (404, body_of(unknown)) or status_of(answered) == 400, name
        assert status_of(await exchange(port, request("POST /commands/ping", TOKEN, body=b"{}"))) == 200


@pytest.mark.parametrize(
    "header",
    [
        "Origin: https://shop.example\rX-Evil: yes",
        "Origin: https://shop.example\nX-Evil: yes",
        "Origin: https://shop.example%0d%0aX-Evil: yes",
        "Origin: https://shop.example\r\n X-Evil: yes",
        "Idempotency-Key: a\x00X-Evil: yes",
        "X-Evil : yes",
        "Content-Length: 0\r\nContent-Length: 2",
        "Transfer-Encoding: x-evil",
        "Host: evil.example",
    ],
)
async def test_no_break_in_a_header_reaches_a_response(header: str) -> None:
    # GW-16 GW-18
    async with listening_at(Shop().gateway(listen="127.0.0.1:0")) as port:
        answered = await exchange(port, request("GET /queries/prices", header))
        assert b"evil" not in answered.lower()
        assert status_of(answered) < 500 or "Transfer" in header
        assert status_of(await exchange(port, request("GET /queries/prices"))) == 200


async def test_ten_thousand_headers_are_refused_and_others_are_answered() -> None:
    # GW-40
    many = [f"x-{number}: 1" for number in range(10_000)]
    async with listening_at(Shop().gateway(listen="127.0.0.1:0")) as port:
        answered = await exchange(port, request("GET /queries/prices", *many))
        assert answered == b"" or 400 <= status_of(answered) < 500
        assert status_of(await exchange(port, request("GET /queries/prices"))) == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[" * 10_000 + b"]" * 10_000, 422),
        (b'{"lines":' * 7_000, 422),
        (b"[" * 2**20, 413),
        (b'{"lines": ' + b"9" * 5_000 + b"}", 400),
        (b'{"lines": [' + b"{}," * 3_000 + b"{}]}", 422),
        (b'{"' + b"\\u0000" * 10_000 + b'": 1}', 422),
    ],
)
async def test_a_bomb_of_json_is_refused(body: bytes, status: int) -> None:
    # GW-14 GW-40
    async with listening_at(Shop().gateway(listen="127.0.0.1:0")) as port:
        answered = await exchange(port, request("POST /commands/place-order", TOKEN, body=body))
        assert status_of(answered) == status
        assert len(answered) < 40_000


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "https://shop.example:444",
        "http://shop.example.evil.example",
        "https://evil-shop.example",
        "https://shop.example.evil.example",
        "https://shop.example@evil.example",
        "https://evil.example/https://shop.example",
        "https://SHOP.example",
        "https://shop.example ,https://evil.example",
        "https://shop.example\r\nOrigin: https://evil.example",
    ],
)
async def test_a_page_of_another_origin_does_not_use_cookies(origin: str) -> None:
    # GW-16 GW-17: the host of the request is another one, so that only `origins` count
    lines = [f"Origin: {origin}", COOKIE]
    async with listening_at(Shop().gateway(listen="127.0.0.1:0")) as port:
        sent = request("POST /commands/ping", *lines, body=b"{}").replace(b"Host: shop.example", b"Host: api.example")
        answered = await exchange(port, sent)
        assert status_of(answered) == 403
        assert b"access-control" not in answered.lower()
        preflight = request("OPTIONS /commands/ping", lines[0], "Access-Control-Request-Method: POST")
        assert b"access-control" not in (await exchange(port, preflight)).lower()


async def test_a_forged_address_does_not_pass_the_limit_of_an_address() -> None:
    # GW-40
    shop, going, release = Shop(), anyio.Event(), anyio.Event()

    async def wait() -> int:
        going.set()
        await release.wait()
        return 1

    shop.handle = lambda message: wait()
    gateway = shop.gateway(listen="127.0.0.1:0", limits=Limits(per_address=1))
    order = json.dumps(ORDER).encode()
    async with listening_at(gateway) as port, anyio.create_task_group() as tasks:
        tasks.start_soon(exchange, port, request("POST /commands/place-order", TOKEN, body=order))
        await going.wait()
        for forged in ("X-Forwarded-For: 198.51.100.7", "Forwarded: for=198.51.100.7", "X-Real-IP: 198.51.100.7"):
            assert status_of(await exchange(port, request("POST /commands/ping", TOKEN, forged, body=b"{}"))) == 429
        release.set()


async def test_no_key_of_one_actor_is_that_of_another() -> None:
    # GW-6
    shop, order = Shop(), json.dumps(ORDER).encode()
    senders = [("ada", "k"), ("bob", "ada:k"), ("bob", "k"), ("ada%3Ak", ""), ("ada%3A", "k"), ("bob", "../ada:k")]
    async with listening_at(shop.gateway(listen="127.0.0.1:0")) as port:
        for actor, key in senders:
            headers = (f"Authorization: Bearer {actor}:customer", f"Idempotency-Key: {key}")
            answered = await exchange(port, request("POST /commands/place-order", *headers, body=order))
            assert status_of(answered) == (200 if key else 400)
    ids = [envelope.id for envelope in shop.envelopes]
    assert len({*ids}) == len(ids) == len(senders) - 1


async def test_a_body_that_stops_coming_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # GW-41
    monkeypatch.setattr(limits_module, "GRACE", 0.01)
    head = request("POST /commands/ping", TOKEN, "Content-Type: application/json", "Content-Length: 2")
    async with listening_at(Shop().gateway(listen="127.0.0.1:0")) as port:
        assert status_of(await exchange(port, head + b"{")) == 408


@pytest.mark.slow
async def test_a_head_that_stops_coming_is_cut_off() -> None:
    # GW-41
    async with listening_at(Shop().gateway(listen="127.0.0.1:0")) as port:
        assert await exchange(port, b"GET /queries/prices HTTP/1.1\r\nHost: sho") == b""
