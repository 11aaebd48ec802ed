"""Links that servers refuse, and the ways to be let in."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import time
from typing import Any

import anyio
import anyio.to_thread
import pytest

from modd.nats import Link, LinkLost, LinkRefused, NotPermitted
from tests.nats.accounts import Accounts, Key, tls_config, trusting_context
from tests.nats.server import NatsServer

pytestmark = [pytest.mark.anyio, pytest.mark.costly]

USER = Key()
PASSWORD = 'authorization { user: "ann", password: "secret" }'
TOKEN = 'authorization { token: "s3cr3t" }'
NKEY = f"authorization {{ users: [ {{ nkey: {USER.public} }} ] }}"
RIGHTS = """authorization { users: [ { user: "ann", password: "secret", permissions: {
    publish: ["open", "_INBOX.>"], subscribe: ["open", "_INBOX.>"] } } ] }"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server without JetStream, whose configuration a test changes."""
    folder = tmp_path_factory.mktemp("refusing")
    (folder / "seed").write_bytes(USER.seed)
    with NatsServer(folder, jetstream=False) as server:
        yield server


async def open_with(server: NatsServer, url: str | None = None, **options: Any) -> None:
    async with Link(url or server.url, name="shop", connect_timeout=60, **options) as link:
        await link.flush()


def restart(server: NatsServer, config: str) -> None:
    server.config = config
    server.restart()


@pytest.mark.parametrize(
    ("config", "options"),
    [
        (PASSWORD, {"user": "ann", "password": "secret"}),
        (TOKEN, {"token": "s3cr3t"}),
        (NKEY, {"nkey": "seed"}),
    ],
    ids=["password", "token", "nkey"],
)
async def test_a_link_shows_who_it_is_and_is_refused_without(
    server: NatsServer, config: str, options: dict[str, Any]
) -> None:
    # NA-15
    restart(server, config)
    if "nkey" in options:
        options = {"nkey": server.folder / "seed"}
    await open_with(server, **options)
    with pytest.raises(LinkRefused, match=r"the servers refuse the link 'shop': Authorization Violation"):
        await open_with(server)
    with pytest.raises(LinkRefused):
        await open_with(server, user="ann", password="wrong")


async def test_the_user_may_be_in_the_address(server: NatsServer) -> None:
    restart(server, PASSWORD)
    await open_with(server, server.url.replace("//", "//ann:secret@"))
    restart(server, TOKEN)
    await open_with(server, server.url.replace("//", "//s3cr3t@"))


async def test_credentials_that_have_expired_are_refused(server: NatsServer, tmp_path: Path) -> None:
    # NA-15
    accounts = Accounts()
    restart(server, accounts.config())
    await open_with(server, credentials=accounts.write_credentials(tmp_path / "new", expires=time() + 60))
    with pytest.raises(LinkRefused, match="Authorization Violation"):
        await open_with(server, credentials=accounts.write_credentials(tmp_path / "old", expires=time() - 5))


@pytest.mark.slow
async def test_credentials_that_expire_end_the_link_unless_their_file_has_new_ones(
    server: NatsServer, tmp_path: Path
) -> None:
    # NA-15
    accounts = Accounts()
    restart(server, accounts.config())
    old = accounts.write_credentials(tmp_path / "old", expires=time() + 8)
    renewed = accounts.write_credentials(tmp_path / "renewed", expires=time() + 6)
    async with Link(server.url, name="shop", credentials=renewed) as lasting, lasting.subscribe("a") as kept:
        accounts.write_credentials(renewed)
        async with Link(server.url, name="shop", credentials=old) as link, link.subscribe("a") as messages:
            with pytest.raises(LinkRefused):
                await anext(messages)
            for call in (link.flush, partial(link.publish, "a"), partial(link.request, "a")):
                with pytest.raises(LinkRefused):
                    await call()
            assert link.status == "refused"
        await lasting.publish("a", b"1")
        assert (await anext(kept)).body == b"1"


async def test_a_file_of_credentials_that_is_gone_is_a_refusal(server: NatsServer, tmp_path: Path) -> None:
    path = Accounts().write_credentials(tmp_path / "credentials")
    link = Link(server.url, name="shop", credentials=path)
    path.unlink()
    with pytest.raises(LinkRefused, match="No such file"):
        await link.__aenter__()


async def test_a_link_that_is_refused_when_it_connects_again_ends_all_calls(server: NatsServer) -> None:
    # NA-15
    restart(server, PASSWORD)
    async with (
        Link(server.url, name="shop", user="ann", password="secret") as link,
        link.subscribe("slow") as requests,
        link.subscribe("other") as messages,
    ):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(expect, LinkLost, partial(link.request, "slow", timeout=1000))
            await anext(requests)
            await anyio.to_thread.run_sync(restart, server, PASSWORD.replace("secret", "changed"))
        with pytest.raises(LinkRefused, match="Authorization Violation"):
            await link.request("slow")
        with pytest.raises(LinkRefused):
            await anext(messages)


async def expect(error: type[Exception], action: Any) -> None:
    with pytest.raises(error):
        await action()


async def test_tls_is_used_with_a_context_that_trusts_the_server(server: NatsServer) -> None:
    restart(server, tls_config(server.folder))
    await open_with(server, tls=trusting_context())
    with pytest.raises(LinkRefused, match="certificate verify failed"):
        await open_with(server)
    with pytest.raises(LinkRefused, match="certificate verify failed"):
        await open_with(server, server.url.replace("nats:", "tls:"))


async def test_nothing_is_sent_without_tls_to_a_server_that_has_none_if_the_link_is_to_use_it(
    server: NatsServer,
) -> None:
    # NA-45
    restart(server, "")
    with pytest.raises(LinkRefused, match="the server offers no TLS"):
        await open_with(server, tls=trusting_context())
    with pytest.raises(LinkRefused, match="the server offers no TLS"):
        await open_with(server, server.url.replace("nats:", "tls:"))


async def test_a_subject_that_the_user_may_not_use_is_named(server: NatsServer) -> None:
    restart(server, RIGHTS)
    async with (
        Link(server.url, name="shop", user="ann", password="secret") as link,
        link.subscribe("open") as messages,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(link.request, "open")
        question = await anext(messages)
        with pytest.raises(NotPermitted, match=r"the server permits no publish to 'Closed\.to'"):
            await link.request("Closed.to")
        with pytest.raises(NotPermitted, match=r"the server permits no subscription to 'Closed\.\*'"):
            async with link.subscribe("Closed.*"):
                pass
        await link.publish("closed")
        await link.publish("open", b"1")
        assert (await anext(messages)).body == b"1"
        await link.publish(question.reply)
