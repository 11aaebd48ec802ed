"""Dead letters are put back or discarded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from modd.cli.dead_letters import BATCH, process_in_batches
from modd.ports import Item
from modd.stores.sqlite.store import SqliteStore
from tests.cli.shell import Shell, Terminal, bury

MANY = [f"dead-{number}" for number in range(2 * BATCH + 1)]


def at_terminal(monkeypatch: pytest.MonkeyPatch, answer: str) -> Terminal:
    """Simulate a user at a terminal who gives this answer; return the stream with the question."""
    asked = Terminal()
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    monkeypatch.setattr("sys.stderr", asked)
    return asked


async def many(store: SqliteStore) -> None:
    """Put more dead letters than fit in a batch."""
    await bury(store, *MANY, body=b"one")


def dead(shell: Shell) -> int:
    """Return the number of dead letters."""
    counts: int = next(each["dead"] for each in shell.json()["queues"] if each["name"] == "orders")
    return counts


@pytest.mark.parametrize(("command", "ready"), [("redrive", 4), ("discard", 3)])
def test_given_ids_are_put_back_or_discarded(orders: Shell, command: str, ready: int) -> None:
    # ST-59
    out = orders.text(command, "orders", "dead-2")
    assert "orders: 1" in out
    counts = orders.json()["queues"][1]
    assert (counts["ready"], counts["dead"]) == (ready, 1)


@pytest.mark.parametrize("command", ["redrive", "discard"])
def test_ids_that_are_not_among_the_dead_letters_are_told_and_the_others_done(orders: Shell, command: str) -> None:
    code, out, err = orders.run(command, "orders", "gone", "dead-1", "dead-1", "ready-1")
    assert code == 1 and err == ""
    assert "orders: 1" in out and "gone, ready-1" in out
    assert dead(orders) == 1


@pytest.mark.costly
@pytest.mark.parametrize("command", ["redrive", "discard"])
def test_all_are_done_without_a_question_for_who_says_yes_before(shell: Shell, command: str) -> None:
    shell.fill(many)
    told = shell.json(command, "orders", "--all", "--yes")
    assert told == {"queue": "orders", "command": command, "done": len(MANY), "missing": []}
    assert dead(shell) == 0
    assert shell.json(command, "orders", "--all")["done"] == 0


def test_all_are_done_when_somebody_at_a_terminal_says_so(orders: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as there:
        asked = at_terminal(there, "y\n")
        assert orders.run("discard", "orders", "--all")[0] == 0
    assert "discard all 2 dead letters of orders" in asked.getvalue()
    assert dead(orders) == 0


# DR-67
def test_a_question_about_one_dead_letter_speaks_of_one(orders: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    orders.text("discard", "orders", "dead-1")
    with monkeypatch.context() as there:
        asked = at_terminal(there, "y\n")
        assert orders.run("discard", "orders", "--all")[0] == 0
    assert asked.getvalue() == f"discard the only dead letter of orders in {orders.path}? [y/N] "


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_nothing_is_done_when_nobody_says_so(orders: Shell, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    with monkeypatch.context() as there:
        asked = at_terminal(there, answer)
        assert orders.run("redrive", "orders", "--all")[0] == 1
    assert "nothing was done" in asked.getvalue()
    assert dead(orders) == 2


def test_all_without_a_terminal_and_without_a_yes_is_an_error(orders: Shell) -> None:
    code, err = orders.error("discard", "orders", "--all")
    assert code == 2 and "--yes" in err
    assert dead(orders) == 2


def test_who_stops_it_is_told_in_one_line(orders: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as there:
        asked = at_terminal(there, "")
        there.setattr("sys.stdin.readline", stop)
        assert orders.run("redrive", "orders", "--all")[0] == 130
    assert asked.getvalue().endswith("modd: stopped; what was done before stays done\n")


@pytest.mark.costly
def test_progress_is_shown_on_a_terminal_and_nowhere_else(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.fill(many)
    assert shell.text("redrive", "orders", MANY[0]) == "orders: 1 put back\n"
    out = Terminal()
    with monkeypatch.context() as there:
        there.setattr("sys.stdout", out)
        assert shell.run("redrive", "orders", "--all", "--yes")[0] == 0
    assert f"{len(MANY) - 1}/{len(MANY) - 1}" in out.getvalue()
    shell.fill(many)
    out = Terminal()
    with monkeypatch.context() as there:
        there.setattr("sys.stdout", out)
        assert shell.run("redrive", "orders", "--all", "--yes", "--json")[0] == 0
    assert out.getvalue().startswith("{")


@pytest.mark.anyio
class TestSteps:
    """On both loops."""

    @pytest.mark.costly
    async def test_they_are_done_in_steps_beside_a_running_store(self, tmp_path: Path) -> None:
        path, steps = str(tmp_path / "store.db"), list[int]()
        async with SqliteStore(path) as store:
            await many(store)
        done = await process_in_batches(path, "orders", "redrive", MANY, steps.append)
        assert (done.done, done.missing, steps) == (len(MANY), [], [BATCH, BATCH, 1])

    async def test_what_was_done_stays_done_when_it_is_cancelled(self, tmp_path: Path) -> None:
        path = str(tmp_path / "store.db")
        async with SqliteStore(path) as store:
            await many(store)
        with anyio.CancelScope() as scope:
            await process_in_batches(path, "orders", "discard", MANY, cancelling(scope))
        assert scope.cancelled_caught
        async with SqliteStore(path) as store:
            assert (await store.queue("orders").stats()).dead == len(MANY) - BATCH


def cancelling(scope: anyio.CancelScope) -> Callable[[int], Any]:
    """Return a function that cancels the scope after the first batch."""
    return lambda _: scope.cancel()


def test_dead_letters_of_one_id_are_put_back_together_and_shown_before_an_item_that_waits(shell: Shell) -> None:
    # DR-52
    async def fill(store: SqliteStore) -> None:
        queue = store.queue("orders")
        for body in (b"1", b"2", b"3"):
            await queue.put(Item(body, id="a", unique="until-started"))
            if body != b"3":
                [claim] = await queue.claim(1, 60)
                await queue.bury(claim, "no use")

    shell.fill(fill)
    assert shell.json("show", "orders", "a")["state"] == "dead"
    assert shell.json("redrive", "orders", "--all", "--yes") == {
        "queue": "orders",
        "command": "redrive",
        "done": 2,
        "missing": [],
    }


def letters(*ids: str) -> Callable[[SqliteStore], Any]:
    """Return a function that puts dead letters with these ids into a store."""
    return lambda store: bury(store, *ids, body=b"one")


# DR-66
@pytest.mark.costly
@pytest.mark.parametrize("mark", ["...", "\N{HORIZONTAL ELLIPSIS}"])
@pytest.mark.parametrize("command", ["redrive", "discard"])
def test_the_beginning_of_an_id_stands_for_the_only_dead_letter_that_begins_so(
    shell: Shell, command: str, mark: str
) -> None:
    shell.fill(letters("mails:01a", "mails:01b", "mails:02"))
    assert shell.json("show", "orders", f"mails:02{mark}")["id"] == "mails:02"
    told = shell.json(command, "orders", f"mails:01a{mark}", "mails:01a", "mails:02")
    assert (told["done"], told["missing"]) == (2, [])
    assert [each["id"] for each in shell.json("dead", "orders")["items"]] == ["mails:01b"]


# DR-66
def test_a_beginning_of_several_ids_is_an_error_that_names_them_and_nothing_is_done(shell: Shell) -> None:
    shell.fill(letters(*(f"mails:0{number}" for number in range(7)), "other"))
    for argv in (["discard", "orders", "other", "mails:..."], ["show", "orders", "mails:..."]):
        code, err = shell.error(*argv)
        assert code == 1 and "'mails:...' stands for 7 dead letters in queue 'orders': mails:00, mails:01" in err
        assert "mails:04 and 2 more; give more of the id" in err
    assert dead(shell) == 8


# DR-66
def test_without_the_mark_an_id_never_stands_for_another_one(shell: Shell) -> None:
    shell.fill(letters("order-10"))
    code, out, _ = shell.run("discard", "orders", "order-1", "gone...", "...")
    assert code == 1 and "not among the dead letters: order-1, gone..., ...; give whole ids" in out
    assert dead(shell) == 1


# DR-66
def test_the_whole_id_of_an_item_wins_whatever_its_state(shell: Shell) -> None:
    async def fill(store: SqliteStore) -> None:
        await bury(store, "a...", "a-1", "b-1", body=b"one")
        await store.queue("orders").put(Item(b"waits", id="b..."))

    shell.fill(fill)
    assert shell.json("show", "orders", "b...", "--raw")["content"]["body"] == "waits"
    assert shell.json("redrive", "orders", "a...")["done"] == 1
    assert shell.run("redrive", "orders", "b...")[0] == 1
    assert [each["id"] for each in shell.json("dead", "orders")["items"]] == ["a-1", "b-1"]


def test_an_item_is_shown_by_the_id_of_its_message_alone_in_whatever_state(shell: Shell) -> None:
    # DR-92
    async def put(store: SqliteStore) -> None:
        ids = "lending.commands:pay-1", "commands:pay-2", "events:paid-1/mail", "events:paid-1/book", "commands:pay-10"
        await store.queue("orders").put(*[Item(b"one", id=id) for id in (*ids, None)])

    shell.fill(put)
    assert shell.json("show", "orders", "pay-1")["id"] == "lending.commands:pay-1"
    assert shell.json("show", "orders", "commands:pay-2")["id"] == "commands:pay-2"
    code, text = shell.error("show", "orders", "paid-1")
    assert code == 1 and "stands for 2 items" in text and "events:paid-1/book, events:paid-1/mail" in text
    code, text = shell.error("show", "orders", "pay")
    assert code == 1 and "no item 'pay'" in text
