"""Options that cannot work, messages that cannot be sent, and links that are used at the wrong time."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from modd.errors import AlreadyOpen, InOtherLoop, InvalidOption, MissingExtra, NotEntered
from modd.nats import Link, LinkClosed
from modd.stores import NatsStore
from tests.nats.server import NatsServer

pytestmark = pytest.mark.anyio

URL = "nats://localhost:4222"

INVALID: list[tuple[dict[str, Any], str]] = [
    ({"servers": ""}, "servers=''"),
    ({"servers": []}, r"servers=\[\]: give addresses such as"),
    ({"servers": None}, "servers=None"),
    ({"servers": [5]}, "servers=5"),
    ({"servers": "http://localhost"}, "servers='http://localhost'"),
    ({"servers": "ws://localhost"}, "servers="),
    ({"servers": "nats://localhost:port"}, "servers="),
    ({"servers": "nats://localhost:0"}, "servers="),
    ({"servers": "nats://:4222"}, "servers="),
    ({"servers": "nats://localhost/path"}, "servers="),
    ({"servers": "nats://ann:secret@localhost:port"}, "servers='localhost:port'"),
    ({"servers": ["nats://ann:secret@a", "nats://bob:secret@b"]}, "servers='2 users': give one user for all"),
    ({"name": ""}, "name=''"),
    ({"name": 5}, "name=5"),
    ({"name": "\ud800"}, "name="),
    ({"user": "ann"}, r"auth=\['user'\]: give user and password together"),
    ({"password": "secret"}, r"auth=\['password'\]: give user and password together"),
    ({"user": "ann", "password": "secret", "token": "a"}, "auth=.*: give one of them"),
    ({"servers": "nats://ann:secret@localhost", "token": "a"}, "auth=.*: give one of them"),
    ({"user": "ann", "password": 5}, "password=.*int.*: give a text"),
    ({"token": b"secret"}, "token=.*bytes.*: give a text"),
    ({"credentials": "/no/such/file"}, "credentials='/no/such/file': give the path of a file"),
    ({"credentials": 5}, "credentials=5"),
    ({"nkey": Path("/no/such/file")}, "nkey="),
    ({"tls": True}, r"tls=True: give an ssl\.SSLContext"),
    ({"connect_timeout": 0}, "connect_timeout=0"),
    ({"connect_timeout": float("inf")}, "connect_timeout=inf"),
    ({"timeout": -1}, "timeout=-1"),
    ({"timeout": "5"}, "timeout='5'"),
    ({"monitor": "localhost:8222"}, "monitor='localhost:8222': give the addresses"),
    ({"monitor": []}, r"monitor=\[\]"),
    ({"monitor": [5]}, "monitor=5"),
]


@pytest.mark.parametrize(("options", "text"), INVALID, ids=lambda each: str(each)[:60])
def test_a_link_with_an_option_that_cannot_work_is_not_made(options: dict[str, Any], text: str) -> None:
    # NA-15
    with pytest.raises(InvalidOption, match=text) as raised:
        Link(**{"servers": URL, "name": "shop", **options})
    assert "secret" not in str(raised.value)


def test_a_link_shows_its_options_without_secrets() -> None:
    link = Link(
        ["ann:secr%65t@one", "nats://two:5", "nats://[::1]", "nats://one"],
        name="shop",
        timeout=3,
        monitor="http://localhost:8222/",
    )
    assert (link.name, link.timeout, link.monitor, link.status) == ("shop", 3.0, ("http://localhost:8222",), "closed")
    assert repr(link) == "<Link shop closed>"
    assert link._options.servers == ("nats://one:4222", "nats://two:5", "nats://[::1]:4222")
    assert "secret" not in repr(link._options)
    assert link._options.client["password"] == "secret"


def test_a_link_without_its_extra_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nats.aio.client", None)
    with pytest.raises(MissingExtra, match=r"modd\.nats\.Link .*pip install modd\[nats\]"):
        Link(URL, name="shop")


WRONG_MESSAGES: list[tuple[dict[str, Any], str]] = [
    ({"subject": ""}, "subject=''"),
    ({"subject": 5}, "subject=5"),
    ({"subject": "a b"}, "subject='a b': give parts joined by dots"),
    ({"subject": "a\r\nPUB b 0\r\n"}, "subject="),
    ({"subject": "a..b"}, "subject="),
    ({"subject": ".a"}, "subject="),
    ({"subject": "a."}, "subject="),
    ({"subject": "a.*"}, "subject="),
    ({"subject": "*.a"}, "subject="),
    ({"subject": "a.>"}, "subject="),
    ({"subject": "a.\ud800"}, "subject="),
    ({"body": "text"}, "body=.*str.*: give bytes"),
    ({"body": bytes(1_048_577)}, "body='1048577 bytes': the server takes 1048576 bytes at most"),
    ({"body": bytes(1_048_576), "headers": {"a": "b"}}, "body='1048594 bytes'"),
    ({"headers": {"a": "b" * 65_536}}, "headers='65553 bytes': give 65536 bytes at most"),
    ({"headers": {"a": 5}}, "headers="),
    ({"headers": {"a b": "c"}}, "headers='a b': give names of ASCII letters"),
    ({"headers": {"": "c"}}, "headers=''"),
    ({"headers": {"ä": "c"}}, "headers='ä'"),
    ({"headers": {"a": " b"}}, "headers='a': give values of one line"),
    ({"headers": {"a": "b\r\nc: d"}}, "headers='a'"),
    ({"headers": {"a": "b\nc"}}, "headers='a'"),
    ({"headers": {"a": "b\rc"}}, "headers='a'"),
    ({"headers": {"a": "\ud800"}}, "headers="),
    ({"headers": [("a", "b", "c")]}, "headers="),
    ({"headers": 5}, "headers="),
]


@pytest.mark.costly
@pytest.mark.parametrize(("options", "text"), WRONG_MESSAGES, ids=lambda each: str(each)[:60])
async def test_a_message_that_cannot_be_sent_as_it_is_is_refused(
    nats_server: NatsServer, options: dict[str, Any], text: str
) -> None:
    # NA-44
    async with Link(nats_server.url, name="shop") as link:
        for call in (link.request, link.publish):
            with pytest.raises(InvalidOption, match=text):
                await call(**{"subject": "test.wrong", **options})
        await link.flush()


async def test_values_of_calls_are_checked(nats_server: NatsServer) -> None:
    async with Link(nats_server.url, name="shop") as link:
        with pytest.raises(InvalidOption, match="reply="):
            await link.publish("test.wrong", reply="a b")
        for timeout in (0, -1, "5", float("nan")):
            with pytest.raises(InvalidOption, match="timeout="):
                await link.flush(timeout=timeout)  # type: ignore[arg-type]
        for subject in ("", 5, "a b", "a..b", ">.a", "a.>.b", "\ud800"):
            with pytest.raises(InvalidOption, match="subject="):
                link.subscribe(subject)  # type: ignore[arg-type]
        for queue in ("", 5, "a b", "\ud800"):
            with pytest.raises(InvalidOption, match="queue="):
                link.subscribe("a", queue)  # type: ignore[arg-type]


async def test_the_largest_message_arrives(nats_server: NatsServer) -> None:
    # NA-44
    headers = {"a": "b" * 1000, "Ünicode"[1:]: "ä"}
    async with Link(nats_server.url, name="shop") as link, link.subscribe("test.large") as messages:
        size = 12 + sum(len(name) + len(value.encode()) + 4 for name, value in headers.items())
        assert link.max_payload == 1_048_576
        await link.publish("test.large", bytes(link.max_payload - size), headers)
        message = await anext(messages)
        assert (len(message.body), message.headers) == (link.max_payload - size, headers)


async def test_a_link_is_used_while_it_is_open(nats_server: NatsServer) -> None:
    link = Link(nats_server.url, name="shop")
    with pytest.raises(LinkClosed, match=r"the link 'shop' is not open; use it inside of `async with`"):
        await link.request("a")
    with pytest.raises(LinkClosed):
        _ = link.server_version
    with pytest.raises(LinkClosed):
        await link.flush()
    with pytest.raises(LinkClosed):
        async with NatsStore(link, "shop"):
            pytest.fail("the store has no connection")
    with pytest.raises(NotEntered):
        await link.__aexit__(None, None, None)
    async with link:
        assert link.server_version == (2, 15, 1)
        with pytest.raises(AlreadyOpen):
            await link.__aenter__()
        await link.flush()


async def test_a_link_is_used_in_the_loop_that_opened_it(nats_server: NatsServer) -> None:
    async with Link(nats_server.url, name="shop") as link:

        async def use() -> None:
            with pytest.raises(InOtherLoop):
                await link.flush()

        await anyio.to_thread.run_sync(lambda: anyio.run(use))
        await link.flush()
