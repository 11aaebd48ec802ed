"""A worker puts the outcome of each message into a feed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import anyio
import msgspec
import pytest

from modd import Bus, InvalidOption, Sensitive
from modd.aggregate import CommandRejected
from modd.cqrs import Codec, Command, CommandBus, Envelope, Event, EventBus, GiveUp
from modd.cqrs.outcomes import error_names
from modd.middleware import Enqueue
from modd.ports import Conflict, Feed, Item, Queue, StoreError
from modd.stores import MemoryFeed, MemoryQueue, MemoryStore, SqliteStore
from modd.worker import Worker
from tests.worker.desk import Desk, Pay, item

pytestmark = pytest.mark.anyio


class Count(Command[Any]):
    name: str = "ada"
    card: Annotated[str, Sensitive] = ""


class Counted(Event):
    pass


REJECTED = [*error_names(CommandRejected)]
VALUE_ERROR = {"errors": ["builtins.ValueError", "builtins.Exception"], "text": "eve cannot pay by ***"}
COUNTS = Codec([Count, Counted])


async def told(feed: Feed) -> list[tuple[str, dict[str, Any]]]:
    """Return the outcomes in a feed, each with the id that it is about."""
    first, last = await feed.span()
    items = feed.follow(first)
    found = [await anext(items) for _ in range(last - first)]
    return [(each.headers["modd-about"], msgspec.json.decode(each.body)) for each in found]


async def outcomes_of(handler: Any, *messages: Count, queue: Queue, feed: Feed) -> list[tuple[str, dict[str, Any]]]:
    """Have a worker handle messages, and return their outcomes."""
    for number, each in enumerate(messages or (Count(),), 1):
        await queue.put(Item(COUNTS.encode(Envelope(each, id=f"n-{number}")), id=f"commands:n-{number}"))
    bus = CommandBus({Count: handler})
    await Worker(queue, Bus([bus]), codec=COUNTS, outcomes=feed, attempts=1).run_until_idle()
    return await told(feed)


def parts(kind: str) -> tuple[Queue, Feed]:
    """Return a queue, and a feed that is in its transactions, or is not."""
    store = MemoryStore()
    if kind == "same store":
        return store.queue("counts"), store.feed("public")
    return (store.queue("counts") if kind == "other store" else MemoryQueue()), MemoryFeed()


KINDS = ["same store", "other store", "no transactions"]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_a_handler_returns_is_told_to_the_feed(kind: str) -> None:
    # WK-26
    queue, feed = parts(kind)

    def count(command: Count) -> Any:
        return {"ada": [1, 2], "eve": object(), "bob": None}[command.name]

    messages = Count("ada"), Count("eve"), Count("bob")
    assert sorted(await outcomes_of(count, *messages, queue=queue, feed=feed)) == [
        ("n-1", {"outcome": "done", "result": [1, 2]}),
        ("n-2", {"outcome": "done"}),
        ("n-3", {"outcome": "done"}),
    ]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_rejection_and_a_failure_are_told_with_their_reasons_and_no_secret(kind: str) -> None:
    # WK-26
    queue, feed = parts(kind)

    def count(command: Count) -> None:
        raise (CommandRejected if command.name == "ada" else ValueError)(f"{command.name} cannot pay by {command.card}")

    messages = Count("ada", card="4111-1111"), Count("eve", card="4222-2222")
    found = await outcomes_of(count, *messages, queue=queue, feed=feed)
    assert sorted(found) == [
        ("n-1", {"outcome": "rejected", "reason": "ada cannot pay by ***", "errors": REJECTED}),
        ("n-2", {"outcome": "failed", "reason": "ValueError: eve cannot pay by ***", **VALUE_ERROR}),
    ]
    assert (await queue.stats()).dead == 2


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError("/var/shop.db"), None),
        (Conflict("orders"), None),
        (GiveUp("sold out"), "sold out"),
        (ValueError("half \ud800"), "half \\ud800"),
        (ExceptionGroup("two", [ValueError("first"), OSError("second")]), "first"),
    ],
)
async def test_a_failure_has_the_text_of_an_error_of_the_application_alone(error: Exception, text: str | None) -> None:
    # WK-27
    def count(command: Count) -> None:
        raise error

    queue, feed = parts("same store")
    [(_, told_of)] = await outcomes_of(count, queue=queue, feed=feed)
    assert (told_of["outcome"], told_of.get("text")) == ("failed", text)
    assert told_of["errors"][-1] == "builtins.Exception"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_message_that_cannot_be_decoded_is_told_by_the_id_of_its_sender(kind: str) -> None:
    # WK-26
    queue, feed = parts(kind)
    await queue.put(Item(b"?", {"modd-bus": "shop.commands"}, id="shop.commands:a%2Fb"), Item(b"?", id="alone"))
    found = await outcomes_of(lambda command: None, queue=queue, feed=feed)
    assert sorted((about, body["outcome"]) for about, body in found) == [
        ("a/b", "failed"),
        ("alone", "failed"),
        ("n-1", "done"),
    ]


@pytest.mark.parametrize("kind", ["same store", "other store"])
async def test_what_was_not_committed_is_not_told(kind: str) -> None:
    # WK-26
    queue, feed = parts(kind)
    store: Any = queue.store  # type: ignore[attr-defined]
    names, calls = store.documents("names"), list[int]()

    read, written = anyio.Event(), anyio.Event()

    async def count(command: Count) -> int:
        calls.append(len(calls))
        before = await names.get("last")
        read.set()
        await written.wait()
        await names.put("last", b"x" + (before or b""))
        return len(calls)

    async def put_meanwhile() -> None:
        await read.wait()
        await names.put("last", b"meanwhile")
        written.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(put_meanwhile)
        assert await outcomes_of(count, queue=queue, feed=feed) == [("n-1", {"outcome": "done", "result": 2})]
    assert len(calls) == 2


class Books:
    """Two handlers of an event."""

    def note(self, event: Counted) -> None: ...

    def post(self, event: Counted) -> None:
        raise ValueError("no")


async def test_each_handler_of_an_event_is_told() -> None:
    # WK-26
    queue, feed = parts("same store")

    books = Books()
    bus = EventBus([books.note, books.post], middleware=[Enqueue(queue)])
    await bus.dispatch(Envelope(Counted(), id="e-1"))
    await Worker(queue, bus, outcomes=feed, attempts=1).run_until_idle()
    found = {body.pop("handler"): (about, body) for about, body in await told(feed)}
    assert found == {
        "Books.note": ("e-1", {"outcome": "done"}),
        "Books.post": ("e-1", {"outcome": "failed", "reason": "ValueError: no", **VALUE_ERROR, "text": "no"}),
    }


@pytest.mark.parametrize("known_before", [True, False])
async def test_a_message_that_was_handled_before_is_done(known_before: bool) -> None:
    # WK-26
    desk, feed = Desk(), MemoryFeed()
    desk.known |= {"desk/commands/p"} if known_before else set()

    async def pay(command: Pay) -> int:
        desk.known.add("desk/commands/p")  # by another worker, meanwhile
        return 7

    await desk.queue.put(item(Pay(), id="p"))
    await Worker(desk.queue, CommandBus([pay]), inbox=desk.inbox, outcomes=feed, max_messages=1).run()
    assert [body for _, body in await told(feed)] == [{"outcome": "done"}]


class BrokenFeed(MemoryFeed):
    """A feed that cannot be written."""

    async def put(self, *items: bytes | Item) -> list[str]:
        raise StoreError("feed", "the disk is full")


@pytest.mark.parametrize("kind", ["other store", "no transactions"])
async def test_a_feed_that_cannot_be_written_holds_up_nothing(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    # WK-26
    queue, _ = parts(kind)
    assert await outcomes_of(lambda command: None, queue=queue, feed=BrokenFeed()) == []
    assert (await queue.stats()).ready == (await queue.stats()).dead == 0
    assert "the outcome of n-1 cannot be put into the feed" in caplog.text


async def test_a_queue_is_no_feed() -> None:
    # WK-26
    with pytest.raises(InvalidOption, match="outcomes"):
        Worker(MemoryQueue(), CommandBus({Count: print}), outcomes=MemoryQueue())  # type: ignore[arg-type]


class TestInAFile:
    @pytest.fixture(params=["asyncio", "trio"])
    def anyio_backend(self, request: pytest.FixtureRequest) -> str:
        """The loop, with a real clock: work in other threads takes time."""
        return str(request.param)

    async def test_the_outcome_is_in_the_transaction_of_the_acknowledgement(self, tmp_path: Path) -> None:
        # WK-26
        async with SqliteStore(tmp_path / "counts.db") as store:
            queue, feed = store.queue("counts"), store.feed("public")

            def count(command: Count) -> int:
                if command.name == "eve":
                    raise CommandRejected("no")
                return 7

            found = await outcomes_of(count, Count("ada"), Count("eve"), queue=queue, feed=feed)
            assert sorted(found) == [
                ("n-1", {"outcome": "done", "result": 7}),
                ("n-2", {"outcome": "rejected", "reason": "no", "errors": REJECTED}),
            ]
