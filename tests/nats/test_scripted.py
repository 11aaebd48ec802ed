"""Links to servers that end the conversation early, and say unusual things."""

from __future__ import annotations

from functools import partial

import anyio
import anyio.to_thread
import pytest

from modd.concurrency.loop_thread import Crossing
from modd.nats import Link, LinkLost, LinkRefused, client
from modd.nats.call import Call
from modd.nats.client import NatsClient
from modd.nats.connecting import Connector
from modd.nats.options import checked_options
from modd.nats.session import Session
from tests.nats.scripted import Conversation, ScriptedServer
from tests.nats.server import NatsCluster

pytestmark = [pytest.mark.anyio, pytest.mark.costly]

LONG = 1000.0


async def opening_fails_with(script: str) -> str:
    def say(conversation: Conversation, _: int) -> None:
        if script:
            conversation.say_info()
            conversation.read("PING")
            conversation.send(script)

    with ScriptedServer(say) as server, pytest.raises(LinkLost) as raised:
        await Link(server.url, name="shop").__aenter__()
    return str(raised.value)


async def test_a_server_that_ends_the_conversation_is_none_that_can_be_reached() -> None:
    assert "no server can be reached" in await opening_fails_with("")
    assert "unexpected EOF" in await opening_fails_with("\r\n")
    assert "maximum connections exceeded" in await opening_fails_with("-ERR 'maximum connections exceeded'\r\n")


async def publish_end(link: Link) -> None:
    """Publish a message after which a script ends the connection, and wait until the link knows."""
    await link.publish("end")
    while link.status == "connected":
        await anyio.lowlevel.checkpoint()


async def test_a_server_that_says_an_error_is_left_and_the_link_connects_again() -> None:
    # NA-15
    def script(conversation: Conversation, number: int) -> None:
        conversation.greet()
        if number == 0:
            conversation.read("PUB slow")
            conversation.send("-ERR 'Stale Connection'\r\n")
        conversation.answer_pings()

    with ScriptedServer(script) as server:
        async with Link(server.url, name="shop", timeout=LONG) as link:
            with pytest.raises(LinkLost, match=r"the connection was lost \(stale connection\)"):
                await link.request("slow")
            await link.flush()


async def test_a_message_that_the_next_server_does_not_take_fails_and_the_link_goes_on() -> None:
    def script(conversation: Conversation, number: int) -> None:
        conversation.greet(max_payload=1_048_576 if number == 0 else 100)
        conversation.answer_pings() if number else conversation.read("PUB end")

    with ScriptedServer(script) as server:
        async with Link(server.url, name="shop", timeout=LONG) as link:
            await publish_end(link)
            with pytest.raises(LinkLost, match=r"the call failed \(.*maximum payload.*; nothing was sent"):
                await link.publish("large", bytes(101))
            await link.flush()


async def test_a_server_that_is_silent_is_left(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    # NA-15
    monkeypatch.setattr(client, "PING_INTERVAL", 0.05)
    with NatsCluster(tmp_path_factory.mktemp("silent"), jetstream=False) as cluster:
        async with Link(cluster.urls[0], name="shop", timeout=LONG, connect_timeout=0.2) as link:
            cluster.servers[0].pause()
            with pytest.raises(LinkLost, match="stale connection"):
                await link.flush()
            await link.flush()


async def test_a_server_whose_messages_come_before_its_answers_to_pings_is_not_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # NA-15: as when a view of a queue is read
    monkeypatch.setattr(client, "PING_INTERVAL", 0.05)

    def script(conversation: Conversation, _: int) -> None:
        conversation.greet()
        number = conversation.read("SUB orders").split()[-1]
        for _ in range(10):
            conversation.read("PING")
            conversation.send(f"MSG orders {number} 1\r\n1\r\n")
        conversation.send("PONG\r\n" * 10)
        conversation.answer_pings()

    with ScriptedServer(script) as server:
        async with (
            Link(server.url, name="shop", timeout=LONG) as link,
            link.subscribe("orders", resume=False) as messages,
        ):
            with anyio.fail_after(60):
                assert [(await anext(messages)).body for _ in range(10)] == [b"1"] * 10


async def test_a_link_that_is_refused_at_the_next_connection_is_over_for_all_calls() -> None:
    # NA-15
    def script(conversation: Conversation, number: int) -> None:
        if number:
            conversation.say_info()
            conversation.read("PING")
            conversation.send("-ERR 'Authorization Violation'\r\n")
        else:
            conversation.greet()
            conversation.read("PUB end")

    with ScriptedServer(script) as server:
        async with Link(server.url, name="shop", timeout=LONG) as link:
            await publish_end(link)
            for call in (link.flush, partial(link.publish, "a"), partial(link.request, "a")):
                with pytest.raises(LinkRefused, match="Authorization Violation"):
                    await call()
            assert link.status == "refused"


def test_a_server_known_by_its_number_shows_the_certificate_of_the_name() -> None:
    connector = Connector(checked_options("tls://shop.example", "shop", {}, None, (5, 5), None), lambda: None)
    names = {
        server: connector._client_options(server).get("tls_hostname")
        for server in ("tls://shop.example:4222", "tls://10.0.0.1:4222", "tls://two.example:4222")
    }
    assert [*names.values()] == [None, "shop.example", None]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_call_that_is_about_to_be_sent_when_the_session_ends_fails_with_it() -> None:
    # NA-15
    session = Session("shop", "nats://127.0.0.1:1", lambda: None, secure=False)
    session.end(OSError("reset"))
    call = Call(Crossing(None, direct=True), Session.flush)
    await session.flush(call)
    with pytest.raises(LinkLost, match=r"the connection was lost \(reset\)"):
        await call.outcome()
    await session.close()


async def test_a_message_for_a_subscription_that_has_ended_is_dropped() -> None:
    """It was under way when the subscription ended."""
    client = NatsClient(lambda error: None, lambda action, subject: None, secure=False)
    await client._process_msg(7, b"a", b"", b"", None)
