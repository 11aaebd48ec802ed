"""The command line for the queues of a store in a PostgreSQL database."""

from __future__ import annotations

from typing import Any

import anyio
import msgspec
import pytest

from modd.cli.main import main
from modd.ports import Item, Subscription
from modd.worker.subscriptions import delivery_name
from tests.cli.messages import SECRET, commands, envelope
from tests.postgres.server import PostgresServer
from tests.stores.postgres.stores import new_schema, new_store

MAIL = delivery_name("events", "Paid", 1, "mail")
PASSWORD = "hunter2"


class DatabaseShell:
    """Runs commands on one store, in this process."""

    def __init__(self, url: str, schema: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.url, self.schema, self._capsys = url, schema, capsys

    def run(self, *argv: str) -> tuple[int, str, str]:
        """Return exit code, stdout and stderr."""
        code = main(["queue", self.url, "--schema", self.schema, *argv])
        told = self._capsys.readouterr()
        assert PASSWORD not in told.out + told.err
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


async def stock(server: PostgresServer, schema: str) -> None:
    """Put one item of each kind into the queue "orders"."""
    async with new_store(server, schema) as store:
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
        await store.queue("mails").put(b"1")
        await store.outbox.put(b"1", b"2")
        await store.feed("public").put(b"1")


@pytest.fixture
def shell(postgres_server: PostgresServer, capsys: pytest.CaptureFixture[str]) -> DatabaseShell:
    """Return a shell for a store with items."""
    schema = new_schema()
    anyio.run(stock, postgres_server, schema)
    return DatabaseShell(postgres_server.url.replace("postgres@", f"postgres:{PASSWORD}@"), schema, capsys)


def test_queues_of_a_database_are_counted(shell: DatabaseShell) -> None:
    # PG-14
    told = shell.json()
    counts = {"delayed": 2, "leased": 1, "dead": 3, "left": 1, "suspects": 0}
    assert told["queues"][1] == {"name": "orders", "ready": 1, **counts}
    assert told["queues"][0]["name"] == "mails" and told["outbox"] == 2
    assert told["path"] == f"postgresql://127.0.0.1/postgres ({shell.schema})"
    [handler] = told["handlers"]
    assert (handler["bus"], handler["handler"], handler["types"], handler["left"]) == ("events", "mail", ["Paid"], 1)
    assert "orders" in shell.run()[1]


def test_items_of_a_database_are_listed_and_shown_without_sensitive_values(shell: DatabaseShell) -> None:
    # PG-14
    told = shell.json("dead", "orders", "--limit", "2")
    assert told["total"] == 3 and [each["id"] for each in told["items"]] == ["dead-0", "dead-1"]
    assert SECRET not in str(told)
    shown = {name: shell.json("show", "orders", name) for name in ("dead-0", "leased", "left", "retried", "late")}
    states = ["dead", "leased", "waits for a retry", "waits for a retry", "delayed"]
    assert [each["state"] for each in shown.values()] == states
    assert shown["dead-0"]["due"] is None and shown["late"]["due"] > 1e9
    ready = shell.json("show", "orders", "ready")
    assert (ready["state"], ready["key"], ready["headers"]) == ("ready", "***", {"who": "***"})
    assert shell.json("show", "orders", "ready", "--raw")["key"] == SECRET
    assert "none" in shell.error("show", "orders", "none")


def test_dead_letters_of_a_database_are_redriven_and_discarded(shell: DatabaseShell) -> None:
    # PG-14
    assert shell.json("redrive", "orders", "dead-0", "none", code=1)["missing"] == ["none"]
    assert "Give --yes" in shell.error("discard", "orders", "--all")
    assert "dead-1" in shell.error("discard", "orders", "dead...")
    assert shell.json("discard", "orders", "dead-1...")["done"] == 1
    assert "Give --yes" in shell.error("discard", "orders", "--all")
    assert shell.json("discard", "orders", "--all", "--yes")["done"] == 1
    assert shell.json("discard", "orders", "--all")["done"] == 0
    assert shell.json()["queues"][1]["dead"] == 0


def test_an_item_without_an_id_of_its_own_is_found_by_that_of_the_store(
    shell: DatabaseShell, postgres_server: PostgresServer
) -> None:
    # PG-14
    async def put() -> str:
        async with new_store(postgres_server, shell.schema) as store:
            [result] = await store.queue("orders").put(b"1")
            return result.id

    assert shell.json("show", "orders", anyio.run(put))["state"] == "ready"


def test_a_handler_of_a_database_is_forgotten(shell: DatabaseShell) -> None:
    # PG-14
    assert shell.json("forget", "mail") == {"handler": "mail", "queues": ["orders"], "removed": 1}
    assert "no handler 'mail'" in shell.error("forget", "mail")


def test_a_database_is_examined(shell: DatabaseShell, postgres_server: PostgresServer) -> None:
    # PG-14
    told = shell.json("doctor", code=1)
    assert told["problems"] == ["fsync is off: a crash can undo what was acknowledged; turn it on"]
    assert told["size"] > 0 and told["outbox"] == 2 and told["feeds"][0]["name"] == "public"
    assert [each["counts"]["name"] for each in told["queues"]] == ["mails", "orders"]
    assert told["queues"][1]["oldest_dead"] >= 0 and told["queues"][0]["oldest_dead"] is None
    assert "autovacuum is off" in told["advice"][0]
    code, out, _ = shell.run("doctor")
    assert code == 1 and "not healthy" in out and "public: 1 item up to position 1" in out


def test_what_is_not_in_a_database_is_told_and_not_made(shell: DatabaseShell) -> None:
    # PG-14
    assert "no queue 'other'" in shell.error("dead", "other")
    for _ in range(2):
        shell.schema = "none_of_modd"
        assert "python -m modd migrate ADDRESS" in shell.error()
