"""The command line for the queues of a store on a NATS server."""

from __future__ import annotations

from typing import Any

import anyio
import msgspec
import pytest

from modd.cli.main import main
from modd.cli.nats_queues import split_address, without_password
from modd.nats import Link
from modd.ports import Item, Subscription
from modd.stores.nats.store import NatsStore
from modd.worker.subscriptions import delivery_name
from tests.cli.messages import SECRET, commands, envelope
from tests.nats.server import NatsServer
from tests.stores.nats.stores import new_name

MAIL = delivery_name("events", "Paid", 1, "mail")


class NatsShell:
    """Runs commands on one store, in this process."""

    def __init__(self, path: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.path, self._capsys = path, capsys

    def run(self, *argv: str) -> tuple[int, str, str]:
        """Return exit code, stdout and stderr."""
        code = main(["queue", self.path, *argv])
        told = self._capsys.readouterr()
        return code, told.out, told.err

    def json(self, *argv: str, code: int = 0) -> Any:
        """Return the output of a command, decoded."""
        found, out, err = self.run(*argv, "--json")
        assert (found, err) == (code, "")
        return msgspec.json.decode(out)

    def error(self, *argv: str) -> str:
        """Return the message of a command that fails."""
        code, out, err = self.run(*argv)
        assert code and not out and err.count("\n") == 1
        return err


async def stock(url: str, name: str) -> None:
    """Put one item of each kind into the queue "orders"."""
    async with Link(url, name="test", timeout=60) as link, NatsStore(link, name, timeout=60) as store:
        orders = store.queue("orders")
        body = commands.codec.encode(envelope())
        await orders.put(*[Item(body, id=f"dead-{number}") for number in range(3)])
        for claim in await orders.claim(3, 60):
            await orders.bury(claim, f"Refused: {SECRET}")
        await orders.put(Item(b"leased", id="leased"), Item(b"left", {"modd-handler": "mail"}, id="left"))
        _, left = sorted(await orders.claim(2, 600), key=lambda claim: claim.id)
        await orders.leave(left, MAIL, 600)
        await orders.put(Item(b"retried", id="retried"))
        [retried] = await orders.claim(1, 600)
        await orders.retry(retried, 600)
        await orders.put(Item(b"ready", {"who": SECRET}, SECRET, id="ready"), Item(b"late", id="late", delay=600))
        await orders.announce(Subscription("events", "Paid", "mail"), retention=600)
        mails = store.queue("mails")
        await mails.put(b"0")
        await mails.ack(*await mails.claim(1, 60))
        await mails.put(b"1")
        await store.outbox.put(b"1", b"2")
        await store.feed("public").put(b"1", b"2")
        await store.feed("empty").epoch()


async def set_limit(path: str) -> None:
    """Have the server remove records after a day."""
    url, name = split_address(path)
    async with Link(url, name="test", timeout=60) as link, NatsStore(link, name, timeout=60) as store:
        config = (await store.stream.info())["config"]
        await store.stream.requests.ask(f"STREAM.UPDATE.{store.stream.name}", {**config, "max_age": 86_400 * 10**9})


@pytest.fixture
def shell(nats_server: NatsServer, capsys: pytest.CaptureFixture[str]) -> NatsShell:
    """Return a shell for a store with items."""
    name = new_name()
    anyio.run(stock, nats_server.url, name)
    return NatsShell(f"{nats_server.url}/{name}", capsys)


@pytest.mark.costly
def test_queues_of_a_server_are_counted(shell: NatsShell) -> None:
    # NA-40
    told = shell.json()
    counts = {"delayed": 2, "leased": 1, "dead": 3, "left": 1, "suspects": 0}
    assert told["queues"][1] == {"name": "orders", "ready": 1, **counts}
    assert told["queues"][0]["name"] == "mails" and told["outbox"] == 2 and told["path"] == shell.path
    [handler] = told["handlers"]
    assert (handler["bus"], handler["handler"], handler["types"], handler["left"]) == ("events", "mail", ["Paid"], 1)
    assert "orders" in shell.run()[1]


@pytest.mark.costly
def test_items_of_a_server_are_listed_and_shown_without_sensitive_values(shell: NatsShell) -> None:
    # NA-40
    told = shell.json("dead", "orders", "--limit", "2")
    assert told["total"] == 3 and [each["id"] for each in told["items"]] == ["dead-0", "dead-1"]
    assert SECRET not in str(told)
    states = {name: shell.json("show", "orders", name) for name in ("dead-0", "leased", "left", "retried", "late")}
    assert [each["state"] for each in states.values()] == [
        "dead",
        "leased",
        "waits for a retry",
        "waits for a retry",
        "delayed",
    ]
    assert states["dead-0"]["due"] is None and states["late"]["due"] > 1e9
    ready = shell.json("show", "orders", "ready")
    assert (ready["state"], ready["key"], ready["headers"]) == ("ready", "***", {"who": "***"})
    assert shell.json("show", "orders", "ready", "--raw")["key"] == SECRET
    assert "no item 'none'" in shell.error("show", "orders", "none") or "none" in shell.error("show", "orders", "none")


@pytest.mark.costly
def test_dead_letters_of_a_server_are_redriven_and_discarded(shell: NatsShell) -> None:
    # NA-40
    assert shell.json("redrive", "orders", "dead-0", "none", code=1)["missing"] == ["none"]
    assert "Give --yes" in shell.error("discard", "orders", "--all")
    assert "dead-1" in shell.error("discard", "orders", "dead...")
    assert shell.json("discard", "orders", "dead-1...")["done"] == 1
    assert shell.json("discard", "orders", "--all", "--yes")["done"] == 1
    assert shell.json("discard", "orders", "--all")["done"] == 0
    assert shell.json()["queues"][1]["dead"] == 0


def test_a_handler_of_a_server_is_forgotten(shell: NatsShell) -> None:
    # NA-40
    assert shell.json("forget", "mail") == {"handler": "mail", "queues": ["orders"], "removed": 1}
    assert "no handler 'mail'" in shell.error("forget", "mail")


@pytest.mark.costly
def test_a_store_on_a_server_is_examined(shell: NatsShell) -> None:
    # NA-48
    shell.path = shell.path.replace("nats://", f"nats://ann:{SECRET}@")
    told = shell.json("doctor")
    assert (told["ok"], told["problems"], told["replicas"], told["outbox"]) == (True, [], 1, 2)
    assert told["messages"] > 10 and told["size"] > told["messages"] and told["level"] >= 2
    mails, orders = told["queues"]
    assert (mails["counts"]["ready"], mails["oldest_dead"]) == (1, None) and mails["oldest_ready"] >= 0
    assert (orders["counts"]["ready"], orders["counts"]["dead"]) == (1, 3) and orders["oldest_dead"] >= 0
    assert [(each["name"], each["items"], each["last"]) for each in told["feeds"]] == [
        ("empty", 0, 0),
        ("public", 2, 2),
    ]
    assert told["feeds"][0]["oldest"] is None and told["feeds"][1]["oldest"] >= 0
    assert "one replica" in told["advice"][0] and "sync_interval: always" in told["advice"][1]
    code, out, _ = shell.run("doctor")
    assert code == 0 and "public: 2 items up to position 2" in out and out.endswith("\nhealthy\n")
    assert SECRET not in f"{told}{out}" and "MODD_" in out


@pytest.mark.costly
def test_a_store_on_a_server_with_problems_is_not_healthy(shell: NatsShell) -> None:
    # NA-48
    anyio.run(set_limit, shell.path)
    code, out, _ = shell.run("doctor")
    assert code == 1 and "problem: the stream has max_age" in out and out.endswith("\nnot healthy\n")


def test_what_is_not_on_a_server_is_told(shell: NatsShell, nats_server: NatsServer) -> None:
    # NA-40
    assert "no queue 'other'" in shell.error("dead", "other")
    other = NatsShell(f"{nats_server.url}/other", shell._capsys)
    for _ in range(2):  # it was not created
        assert "there is no store 'other'" in other.error()
    assert "names no store" in NatsShell("nats://localhost", shell._capsys).error()
    assert without_password("nats://me:secret@host:1/shop") == "nats://host:1/shop"
    assert split_address("tls://host:1/shop") == ("tls://host:1", "shop")


@pytest.mark.parametrize("command", ["events", "follow"])
def test_other_commands_name_the_server_without_its_password(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    # NA-40
    assert main([command, "nats://ann:secret@localhost/shop"]) == 2
    expected = "nats://localhost/shop is no file, and only `queue` works on a server of NATS or PostgreSQL"
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    "address",
    [
        "host=localhost password=secret dbname=shop",
        "ann:secret@localhost/shop",
        "mysql://localhost/shop?user=ann&password=secret",
    ],
)
def test_no_address_is_printed_with_its_password(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["queue", address]) == 2
    printed = capsys.readouterr().err
    assert "is no file" in printed
    assert "secret" not in printed
