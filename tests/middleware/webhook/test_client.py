"""The HTTP client connects to permitted addresses and shows no secrets."""

from __future__ import annotations

import logging
import ssl
import sys
from collections.abc import Iterable
from functools import partial
from importlib import import_module
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import pytest
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.tls import TLSStream

from modd import InvalidOption, ModdError
from modd.cqrs import Command, CommandBus, WebhookCalled
from modd.middleware.webhook.addresses import AddressFilter
from modd.middleware.webhook.client import ConnectionPool, HttpRequest
from modd.middleware.webhook.endpoint import Endpoint
from modd.middleware.webhook.network import GuardedNetwork, addresses_of
from modd.middleware.webhook.webhook import Webhook
from tests.middleware.webhook.receiver import Request, receiving, response

pytestmark = pytest.mark.anyio

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
LOCAL = ["127.0.0.0/8"]


class Pay(Command[None]):
    amount: int


def pay(command: Pay) -> None:
    pass


class Names:
    """Knows the addresses of one host, and counts how often it was asked."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = [*addresses]
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Iterable[str]:
        self.asked.append(host)
        return self.addresses


async def no_wait(seconds: float) -> None:
    await anyio.lowlevel.checkpoint()


async def called(url: str, **options: Any) -> WebhookCalled:
    endpoint = Endpoint(url, attempts=2)
    async with CommandBus([pay], middleware=[Webhook([endpoint], sleep=no_wait, **options)]) as bus:
        [stamp] = (await bus.dispatch(Pay(5))).envelope.all(WebhookCalled)
        return stamp


# MI-45
async def test_an_address_of_ones_own_is_refused_at_once() -> None:
    async with receiving() as receiver:
        stamp = await called(receiver.url)
        assert (stamp.attempt, stamp.status) == (1, 0)
        assert stamp.text.startswith("127.0.0.1 is refused: 127.0.0.1 is loopback; ")
        for host in ("localhost", "127.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "[::1]"):
            stamp = await called(f"http://{host}:{receiver.port}/")
            assert "is loopback" in stamp.text, host
    assert receiver.connections == 0


# MI-45
async def test_it_is_the_address_that_was_checked_that_is_connected_to() -> None:
    names = Names("127.0.0.1")
    async with receiving() as receiver:
        url = f"http://hooks.example:{receiver.port}/in?a=1"
        assert "is loopback" in (await called(url, resolve=names)).text
        assert (await called(url, resolve=names, allow=LOCAL)).status == 200
    [request] = receiver.requests
    assert request.line == "POST /in?a=1 HTTP/1.1"
    assert request.headers["host"] == f"hooks.example:{receiver.port}"
    assert names.asked == ["hooks.example"] * 2


# MI-45
async def test_a_name_that_leads_elsewhere_at_the_second_look_up_leads_nowhere() -> None:
    async def changing(host: str, port: int) -> list[str]:
        looked_up.append(host)
        return ["127.0.0.2" if len(looked_up) == 1 else "127.0.0.1"]

    looked_up: list[str] = []
    async with receiving(500) as receiver:
        url = f"http://hooks.example:{receiver.port}"
        stamp = await called(url, resolve=changing, allow=["127.0.0.2"])
    assert (stamp.attempt, stamp.status) == (2, 0)
    assert "127.0.0.1 is loopback" in stamp.text
    assert receiver.connections == 0


# MI-45
async def test_a_host_that_is_allowed_by_name() -> None:
    async with receiving() as receiver:
        assert (await called(f"http://localhost:{receiver.port}", allow=["localhost"])).status == 200


# MI-45
async def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    async with receiving() as receiver:
        names = Names("127.0.0.3", "::1", "127.0.0.1")
        url = f"http://hooks.example:{receiver.port}"
        assert (await called(url, resolve=names, allow=[*LOCAL, "::1"])).status == 200


# MI-45
async def test_a_name_that_nobody_knows() -> None:
    async def unknown(host: str, port: int) -> list[str]:
        raise OSError("no such host")

    stamp = await called("http://hooks.example", resolve=unknown)
    assert (stamp.attempt, stamp.text, stamp.status) == (2, "OSError: no such host", 0)


async def test_without_a_timeout_every_address_has_all_the_time() -> None:
    async with receiving() as receiver:
        stream = await GuardedNetwork(AddressFilter(LOCAL)).connect_tcp("127.0.0.1", receiver.port)
        await stream.aclose()
        with anyio.fail_after(60):
            await receiver.closed.wait()


# MI-45
async def test_proxies_from_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as proxy, receiving() as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert (await called(receiver.url, allow=LOCAL)).status == 200
    assert proxy.connections == 0


# MI-45
async def test_the_name_is_kept_for_tls_and_the_certificate() -> None:
    shown: list[str | None] = []

    def note(connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        shown.append(name)

    async def shake_hands(stream: SocketStream) -> None:
        async with stream:
            with pytest.raises((ssl.SSLError, anyio.BrokenResourceError)):
                await TLSStream.wrap(stream, server_side=True, ssl_context=context)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # without a certificate: nobody accepts it
    context.sni_callback = note
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(partial(listener.serve, shake_hands))
        url = f"https://hooks.example:{listener.extra(SocketAttribute.local_port)}"
        stamp = await called(url, resolve=Names("127.0.0.1"), allow=LOCAL)
        assert shown == ["hooks.example"] * 2
        assert (stamp.attempt, stamp.status) == (2, 0)
        assert stamp.text.startswith("ConnectError")
        tasks.cancel_scope.cancel()


# MI-45
async def test_cancelled_in_the_handshake_the_connection_is_closed() -> None:
    connected, closed = anyio.Event(), anyio.Event()

    async def say_nothing(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            connected.set()
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await stream.receive()
            closed.set()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(partial(listener.serve, say_nothing))
        url = f"https://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
        async with CommandBus([pay], middleware=[Webhook([Endpoint(url)], allow=LOCAL)]) as bus:
            async with anyio.create_task_group() as sending:
                sending.start_soon(bus.dispatch, Pay(5))
                await connected.wait()
                sending.cancel_scope.cancel()
            with anyio.fail_after(60):
                await closed.wait()
        tasks.cancel_scope.cancel()


async def test_a_call_when_all_is_closed_is_an_error() -> None:
    connections = ConnectionPool(AddressFilter(), addresses_of)
    with pytest.raises(anyio.ClosedResourceError):
        await connections(HttpRequest("POST", "http://a.example", {}, b"", 1.0))


# MI-43
async def test_secrets_appear_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    async def echo(request: Request) -> bytes:
        return response(500, "\n".join([request.line, *request.headers.values(), SECRET]))

    caplog.set_level(logging.DEBUG)
    async with receiving(echo) as receiver:
        headers = {"Authorization": "Bearer token-1234", "X-Version": "2"}
        endpoint = Endpoint(f"{receiver.url}/T0-9876?key=k-123", headers=headers, secret=SECRET, attempts=1)
        webhook = Webhook([endpoint], allow=LOCAL)
        async with CommandBus([pay], middleware=[webhook]) as bus:
            [stamp] = (await bus.dispatch(Pay(5))).envelope.all(WebhookCalled)
    assert "Bearer token-1234" in [*receiver.requests[0].headers.values()]
    seen = "\n".join([stamp.text, caplog.text, repr(endpoint), repr(webhook), str(endpoint), repr(stamp)])
    for secret in ("token-1234", "T0-9876", "k-123", SECRET, SECRET.removeprefix("whsec_")):
        assert secret not in seen
    assert "\n2\n" in stamp.text


# MI-43
def test_an_endpoint_shows_only_what_may_be_seen() -> None:
    endpoint = Endpoint("https://hooks.example/T0/x", headers={"Authorization": "Basic x"}, secret=SECRET, attempts=2)
    assert repr(endpoint) == (
        "Endpoint(url='https://hooks.example', method='POST', headers={'Authorization': ***}, secret=***, attempts=2)"
    )
    assert repr(Endpoint("http://h.example:8080")) == "Endpoint(url='http://h.example:8080', method='POST')"


# MI-43
@pytest.mark.parametrize(
    ("option", "given"),
    [
        ("url", "hooks.example"),
        ("url", "ftp://hooks.example"),
        ("url", "http://"),
        ("url", "https://user:word-1234@hooks.example"),
        ("url", "http://[word-1234"),
        ("url", "http://a.example:0"),
        ("url", "http://a.example:66666"),
        ("url", "http://a b"),
        ("url", "http://a\n"),
        ("url", 5),
        ("method", "post"),
        ("method", "POST /"),
        ("method", ""),
        ("method", None),
        ("headers", ["X"]),
        ("headers", {"X Y": "1"}),
        ("headers", {1: "1"}),
        ("headers", {"Webhook-Id": "1"}),
        ("headers", {"host": "other"}),
        ("headers", {"X": "word-1234\r\nY: 1"}),
        ("headers", {"X": " word-1234"}),
        ("headers", {"X": "wörd-1234"}),
        ("headers", {"X": 5}),
        ("secret", "whsec_"),
        ("secret", "whsec_word-1234"),
        ("secret", "wörd-1234"),
        ("secret", b"word-1234"),
        ("sign", "hmac"),
        ("attempts", 0),
        ("backoff", "linear"),
        ("multiplier", -1),
        ("jitter", 2),
        ("timeout", 0),
    ],
)
def test_endpoints_are_checked_when_made_and_tell_no_secrets(option: str, given: Any) -> None:
    options: dict[str, Any] = {"url": "http://a.example"} | {option: given}
    with pytest.raises(InvalidOption, match=option) as caught:
        Endpoint(**options)
    assert "rd-1234" not in str(caught.value) and "rd-1234" not in repr(caught.value)


# MI-43
def test_a_secret_or_a_signer() -> None:
    with pytest.raises(InvalidOption, match="sign"):
        Endpoint("http://a.example", secret=SECRET, sign=lambda id, at, body: {})


# MI-46
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # on trio, for a generator that httpx2 leaves as it is
async def test_only_the_start_of_a_long_answer_is_read_by_a_given_client() -> None:
    async with receiving(response(200, "x" * 100_000)) as receiver, httpx2.AsyncClient() as client:
        webhook = Webhook([Endpoint(receiver.url)], client=client)
        [stamp] = (await CommandBus([pay], middleware=[webhook]).dispatch(Pay(5))).envelope.all(WebhookCalled)
    assert stamp.text == "x" * 4096


@pytest.mark.parametrize(("missing", "module"), [("httpx2", "client"), ("httpcore2", "network")])
def test_without_the_extra_the_error_says_how_to_install_it(
    missing: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, f"modd.middleware.webhook.{module}")
    with pytest.raises(ImportError, match=r"pip install modd\[webhook\]") as caught:
        import_module(f"modd.middleware.webhook.{module}")
    assert isinstance(caught.value, ModdError)
