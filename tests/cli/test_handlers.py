"""The handlers of queues: listed with their deliveries, and forgotten by hand."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing

import pytest

from modd.ports import Item, Subscription
from modd.stores.sqlite.schema import FIRST, migrate
from modd.stores.sqlite.store import SqliteStore
from modd.worker.subscriptions import delivery_name, type_name
from tests.cli.shell import Shell

MAIL = delivery_name("events", "Paid", 1, "mail/fast")


async def leave(store: SqliteStore) -> None:
    """Announce handlers, and leave a delivery for each of two handlers, and a command."""
    queue = store.queue("events")
    announced = [Subscription("events", type, "mail/fast") for type in ("Paid", "Sent")]
    await queue.announce(*announced, Subscription("events", "Paid", "book"), Subscription("", "Old", ""), retention=60)
    await queue.put(*[Item(b"", {"modd-handler": name}) for name in ("mail/fast", "gone", "book")], b"")
    claims = await queue.claim(4, 60)
    names = MAIL, delivery_name("audit", "Paid", 1, "gone"), None, type_name("Pay", 1)
    for claim, name in zip(claims, names, strict=True):
        await (queue.release(claim) if name is None else queue.leave(claim, name, 60))


@pytest.fixture
def left(shell: Shell) -> Shell:
    """Return a shell for a file with handlers and left items."""
    shell.fill(leave)
    return shell


def test_handlers_are_listed_with_their_last_announcement_and_the_number_of_left_deliveries(left: Shell) -> None:
    # DR-38
    told = left.json()
    assert told["queues"] == [
        {"name": "events", "ready": 1, "delayed": 0, "leased": 0, "dead": 0, "left": 3, "suspects": 0}
    ]
    gone, book, mail = told["handlers"]
    assert (gone["bus"], gone["handler"], gone["types"], gone["seen"], gone["left"]) == ("audit", "gone", [], None, 1)
    assert (book["handler"], book["types"], book["left"]) == ("book", ["Paid"], 0)
    assert (mail["handler"], mail["types"], mail["left"]) == ("mail/fast", ["Paid", "Sent"], 1) and mail["seen"]
    words = left.text().split()
    assert words[words.index("mail/fast") - 1 :][:3] == ["events", "mail/fast", "events"]
    assert "announced" in words and "no more" in left.text()


def test_a_handler_of_several_queues_has_a_row_for_those_where_deliveries_are_left_and_one_for_the_rest(
    left: Shell,
) -> None:
    # DR-91
    async def announce(store: SqliteStore) -> None:
        for name in ("commands", "mails"):
            handlers = [Subscription("events", "Paid", handler) for handler in ("mail/fast", "book")]
            await store.queue(name).announce(*handlers, retention=60)

    left.fill(announce)
    rows = [re.split(r"\s{2,}", line) for line in left.text().splitlines()]
    assert [row[0] for row in rows if "mail/fast" in row] == ["commands, mails", "events"]
    assert [row[0] for row in rows if "book" in row] == ["commands, events, mails"]


def test_a_forgotten_handler_is_announced_no_more_and_has_no_deliveries(left: Shell) -> None:
    # DR-38
    assert left.text("forget", "mail/fast") == "mail/fast: forgotten in events; 1 delivery removed\n"
    assert left.json("forget", "gone") == {"handler": "gone", "queues": ["events"], "removed": 1}
    told = left.json()
    assert [each["handler"] for each in told["handlers"]] == ["book"]
    assert (told["queues"][0]["ready"], told["queues"][0]["left"]) == (1, 1)
    code, message = left.error("forget", "mail/fast")
    assert (code, message) == (1, f"modd: no handler 'mail/fast' in {left.path}; it has: book\n")


def test_a_file_of_the_first_schema_has_no_handlers(shell: Shell) -> None:
    with closing(sqlite3.connect(shell.path, isolation_level=None)) as file:
        migrate("store.db", file, (FIRST,))
    assert shell.json() == {"path": str(shell.path), "queues": [], "outbox": 0, "handlers": []}
    with closing(sqlite3.connect(shell.path)) as file:
        file.execute("INSERT INTO modd_queues VALUES (1, 'old')")
        file.commit()
    assert shell.json()["queues"][0]["left"] == 0
