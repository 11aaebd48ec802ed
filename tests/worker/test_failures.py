"""A `Failure` is told alike whether a message was sent, asked or dispatched, or given by a worker that gives it up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from modd import Bus, Failure, Message, TurnFailed
from modd.cqrs import CommandBus, Envelope, Event, EventBus, GiveUp
from modd.cqrs.stamps import Failed
from modd.ports import Claim, Item, Suspects
from modd.ports.transaction import open_transaction
from modd.stores import MemoryQueue
from modd.worker import Worker
from tests.worker.desk import CODEC, Desk, Paid, Pay, item, work_off

pytestmark = pytest.mark.anyio

ID = "pay-1"


class Noted(Event):
    text: str


class Clinic:
    """Contexts in which a payment fails so many times, and a component that handles the failure.

    heard: each failure as message, component and text of the error, and the cause of the message that came of it.
    """

    def __init__(self, *, fails: int = 99, concurrent: bool = False, place: str = "alone", error: Any = None) -> None:
        self.fails, self.tries, self.error = fails, 0, error
        self.heard, self.causes, self.seen = list[Any](), list[Any](), list[Any]()
        self.commands = CommandBus([self.pay], new_id=lambda: ID)
        others: list[Any] = [self.hear, self.see, EventBus([self.on_noted])]
        if place == "let out":
            inner = Bus([self.commands], name="inner", inbound=[Pay], outbound=[Failure], concurrent=concurrent)
            self.bus = Bus([inner, *others], name="outer", concurrent=concurrent)
        else:
            self.bus = Bus([self.commands, *others], name="inner", inbound=[Pay], concurrent=concurrent)
        if place == "nested":
            self.bus = Bus([self.bus], name="outer")

    async def pay(self, command: Pay) -> None:
        self.tries += 1
        if self.tries <= self.fails:
            raise self.error or ValueError(f"try {self.tries}")

    def hear(self, failure: Failure) -> Noted:
        self.heard.append((failure.message, failure.component, str(failure.error)))
        return Noted(str(failure.error))

    def see(self, message: Message) -> None:
        if isinstance(message, Failure):
            self.seen.append(message.message)

    def on_noted(self, noted: Envelope[Noted]) -> None:
        self.causes.append(noted.causation_id)

    def told(self, *, tries: int = 1, error: str | None = None) -> bool:
        """Return True if the failure was told once, with the error of the last of so many tries."""
        heard = [(Pay(), self.commands, error or f"try {tries}")]
        return (self.tries, self.heard, self.seen, self.causes) == (tries, heard, [Pay()], [ID])


async def send(clinic: Clinic) -> None:
    await clinic.bus(Pay())


async def ask(clinic: Clinic) -> None:
    with pytest.raises(ValueError, match="try 1"):
        await clinic.bus.ask(Pay())


async def dispatch(clinic: Clinic) -> None:
    with pytest.raises(ValueError, match="try 1"):
        await clinic.bus.dispatch(Envelope(Pay()))


SECONDS = 10
"""A worker without a backoff is done long before."""


async def work(clinic: Clinic, queue: Any = None, served: Any = None, **options: Any) -> list[str]:
    """Have a worker handle a payment, and return the reasons of dead letters."""
    queue = MemoryQueue() if queue is None else queue
    await queue.put(item_with_id())
    await work_off(Worker(queue, served or clinic.bus, **{"attempts": 1, "backoff": "none", **options}), SECONDS)
    return [dead.reason for dead in await queue.dead()]


def item_with_id() -> Item:
    return Item(CODEC.encode(Envelope(Pay(), id=ID)))


async def by_a_worker(clinic: Clinic) -> None:
    assert await work(clinic) == ["ValueError: try 1"]


async def by_a_worker_of_the_typed_bus(clinic: Clinic) -> None:
    await work(clinic, served=clinic.commands)


async def by_a_worker_with_a_transaction(clinic: Clinic) -> None:
    desk = Desk()
    assert await work(clinic, desk.queue, outbox=desk.outbox) == ["ValueError: try 1"]


async def by_a_worker_with_an_inbox_elsewhere(clinic: Clinic) -> None:
    desk = Desk()
    assert await work(clinic, MemoryQueue(), inbox=desk.inbox) == ["ValueError: try 1"]


WAYS = [
    send,
    ask,
    dispatch,
    by_a_worker,
    by_a_worker_of_the_typed_bus,
    by_a_worker_with_a_transaction,
    by_a_worker_with_an_inbox_elsewhere,
]


@pytest.mark.costly
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("concurrent", [False, True])
@pytest.mark.parametrize("place", ["alone", "nested", "let out"])
async def test_a_failure_is_told_once_and_alike_whatever_the_way(
    way: Callable[[Clinic], Awaitable[None]], concurrent: bool, place: str
) -> None:
    # DF-27
    clinic = Clinic(concurrent=concurrent, place=place)
    await way(clinic)
    assert clinic.told()


# DF-27
@pytest.mark.parametrize("transaction", [False, True])
async def test_a_worker_tells_it_when_it_gives_up_with_the_last_error(transaction: bool) -> None:
    clinic, desk = Clinic(), Desk()
    await work(clinic, desk.queue if transaction else None, attempts=3)
    assert clinic.told(tries=3)


# DF-27
async def test_a_message_that_succeeds_in_the_end_has_not_failed() -> None:
    clinic = Clinic(fails=2)
    assert await work(clinic, attempts=3) == []
    assert (clinic.tries, clinic.heard, clinic.seen) == (3, [], [])


# DF-27
async def test_a_message_that_is_given_up_at_once_is_told_at_once() -> None:
    clinic = Clinic(error=GiveUp("never"))
    assert await work(clinic, attempts=5) == ["GiveUp: never"]
    assert clinic.told(error="never")


# DF-27
async def test_a_failure_by_a_stamp_is_told_when_it_is_given_up() -> None:
    clinic = Clinic(fails=0)

    async def stamp(envelope: Envelope[Any], call_next: Any) -> None:
        await call_next(envelope)
        envelope.add(Failed("not today"))

    clinic.commands.use(stamp)
    assert await work(clinic) == ["not today"]
    assert clinic.told(error="not today")


class Claimed(MemoryQueue):
    """A queue whose items were claimed before, so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    async def claim(self, limit: int, lease: float, *, suspects: Suspects = "last") -> list[Claim]:
        claims = await super().claim(limit, lease, suspects=suspects)
        return [Claim(c.id, c.body, c.headers, c.key, self.times, c.token) for c in claims]


# DF-27
@pytest.mark.parametrize("times", [3, 4])
async def test_a_message_that_killed_its_processes_is_told_once_and_no_more_if_that_killed_one_too(times: int) -> None:
    clinic = Clinic()
    assert await work(clinic, Claimed(times), attempts=2) == [f"it was claimed {times} times and never settled"]
    heard = [(Pay(), clinic.commands, "it was claimed 3 times and never settled")]
    assert (clinic.tries, clinic.heard) == (0, heard if times == 3 else [])


# DF-27
async def test_bytes_that_are_no_message_become_a_dead_letter_that_no_component_can_be_told_of() -> None:
    clinic = Clinic()
    for queue in (MemoryQueue(), Claimed(2)):
        await queue.put(Item(b"junk"))
        await work_off(Worker(queue, clinic.bus, attempts=1), SECONDS)
        assert len(await queue.dead()) == 1
    assert clinic.heard == []


# DF-27
async def test_each_handler_of_an_event_is_told_by_itself() -> None:
    heard = list[Any]()

    def one(event: Paid) -> None:
        raise ValueError("one")

    def two(event: Paid) -> None: ...
    def three(event: Paid) -> None:
        raise ValueError("three")

    def hear(failure: Failure) -> None:
        heard.append((failure.message, failure.component, str(failure.error)))

    queue, events = MemoryQueue(), EventBus([one, two, three])
    await queue.put(item(Paid(3)))
    await work_off(Worker(queue, Bus([events, hear]), attempts=2, backoff="none"), SECONDS)
    assert sorted(heard, key=str) == [(Paid(3), events, "one"), (Paid(3), events, "three")]


# DF-27
async def test_what_handles_the_failure_is_committed_with_the_dead_letter_or_undone_if_it_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk, errors = Desk(), list[Exception]()

    async def pay(command: Pay) -> None:
        raise ValueError("no")

    async def hear(failure: Failure) -> None:
        tx = open_transaction.get()
        assert tx is not None
        await tx.execute(f"told {failure.error}")
        if errors:
            raise errors.pop()

    bus = Bus([CommandBus([pay]), hear])
    for error in (None, LookupError("deaf"), None):
        errors += [error] if error else []
        await desk.queue.put(item(Pay()))
        await work_off(Worker(desk.queue, bus, attempts=1), SECONDS)
    assert (desk.rows, len(await desk.queue.dead())) == (["told no"] * 2, 3)
    assert "a component that handles the failure of" in caplog.text and "deaf" in caplog.text


# DF-27
async def test_a_commit_that_fails_leaves_the_dead_letter(caplog: pytest.LogCaptureFixture) -> None:
    clinic, desk = Clinic(), Desk()
    desk.fail = 9
    assert await work(clinic, desk.queue) == ["ValueError: try 1"]
    assert "the commit failed" in caplog.text


# DF-27
@pytest.mark.parametrize("deaf", [False, True])
async def test_a_failure_that_no_component_handles_is_no_error_more(deaf: bool, caplog: Any) -> None:
    clinic = Clinic()
    bus = Bus([CommandBus([clinic.pay])], name="inner", inbound=[Pay])

    def hear(failure: Failure) -> None:
        raise failure.error if not deaf else LookupError("deaf")

    await work(clinic, served=Bus([bus, hear]))
    assert ("a component that handles the failure of" in caplog.text) is deaf
    await work(clinic, served=CommandBus([clinic.pay]))
    with pytest.raises(TurnFailed):
        await Bus([bus])(Pay())
