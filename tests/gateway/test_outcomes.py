"""A client waits for the outcome of a queued command."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import httpx2
import pytest

from modd.aggregate import CommandRejected
from modd.cqrs import Codec
from modd.cqrs.outcomes import MessageOutcome
from modd.errors import InvalidOption
from modd.gateway import Gateway, Limits, forward
from modd.gateway.hub import Hub
from modd.gateway.outcomes import OutcomeWaits, preferred_wait
from modd.gateway.rendering import Rendering
from modd.ports import FeedGap, Item, Posted
from modd.stores import MemoryFeed
from modd.testing import virtual_backend
from modd.worker import Worker
from tests.gateway.events_shop import CODEC, ORDERS
from tests.gateway.shop import ADA, ORDER, OrderPlaced, Shop, client

pytestmark = [pytest.mark.anyio, pytest.mark.measured_on_trio]

WAIT = ADA | {"Prefer": "respond-async, wait=30"}
MAIL = {"to": "eve@example.com"}


class CountedFeed(MemoryFeed):
    """A feed that notes its followers, and fails as it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.followers = 0
        self.span_error: Exception | None = None
        self.follow_error: Exception | None = None

    def follow(self, after: int | None = None) -> Any:
        self.followers += 1
        return Follower(super().follow(after), self)

    async def span(self) -> tuple[int, int]:
        if self.span_error is not None:
            raise self.span_error
        return await super().span()


class Follower:
    """A follower that raises the error of its feed in place of an item."""

    def __init__(self, items: AsyncIterator[Posted], feed: CountedFeed) -> None:
        self._items, self._feed = items, feed

    def __aiter__(self) -> AsyncIterator[Posted]:
        return self

    async def __anext__(self) -> Posted:
        posted = await anext(self._items)
        if self._feed.follow_error is not None:
            raise self._feed.follow_error
        return posted


class Office:
    """A shop whose mails a worker sends."""

    def __init__(self, *exposures: Any) -> None:
        self.shop, self.feed = Shop(), CountedFeed()
        self.gateway = self.shop.gateway(*exposures, feed=self.feed)

    async def work(self) -> None:
        """Handle the mails that are queued."""
        await Worker(self.shop.queue, self.shop.bus, outcomes=self.feed, attempts=1, poll=0.01).run_until_idle()

    async def queued(self, number: int) -> None:
        """Return when so many mails are queued, and their senders wait."""
        await anyio.wait_all_tasks_blocked()
        assert (await self.shop.queue.stats()).ready == number

    async def tell(self, id: str, outcome: Any = "done", **fields: Any) -> None:
        """Tell the feed an outcome."""
        await self.feed.put(MessageOutcome(outcome, **fields).as_item(id))


@asynccontextmanager
async def running(gateway: Gateway, **headers: str) -> AsyncIterator[httpx2.AsyncClient]:
    """Run a gateway beside the block, without a socket, and return a client of it."""
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(gateway.run)
            await gateway.wait_ready()
            async with client(gateway, **headers) as opened:
                yield opened
            gateway.stop()


async def send(ada: httpx2.AsyncClient, answers: list[httpx2.Response], **headers: str) -> None:
    answers.append(await ada.post("/commands/mail", json=MAIL, headers=WAIT | headers))


async def test_a_client_that_waits_gets_the_result_once_the_worker_is_done() -> None:
    # GW-15, GW-24
    office, answers = Office(forward(OrderPlaced, to=lambda event: "orders")), list[httpx2.Response]()
    async with running(office.gateway) as ada:
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(send, ada, answers)
                await office.queued(5)
                await office.work()
    assert [each.status_code for each in answers] == [200] * 5
    assert len({each.json()["id"] for each in answers}) == 5
    assert {each.json()["result"] for each in answers} == {None}
    assert office.feed.followers == 1  # for events and outcomes alike, however many wait


async def test_a_rejection_and_a_failure_are_problems_without_values_of_the_request() -> None:
    # GW-15
    office, answers = Office(), list[httpx2.Response]()
    async with running(office.gateway) as ada:
        for key, error in (("a", CommandRejected("no mail to eve@example.com")), ("b", ValueError("secret"))):
            office.shop.mail_error = error
            with anyio.fail_after(30):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(partial(send, ada, answers, **{"Idempotency-Key": key}))
                    await office.queued(1)
                    await office.work()
    rejected, failed = answers
    assert (rejected.status_code, rejected.json()["detail"]) == (409, "no mail to ***")
    assert rejected.headers["content-type"] == "application/problem+json"
    assert failed.status_code == 500
    assert failed.json() == {"type": "about:blank", "title": "Internal error", "status": 500, "id": "ada:b"}


async def test_the_outcome_of_an_earlier_command_of_the_same_id_is_not_taken() -> None:
    # GW-15
    office, answers = Office(), list[httpx2.Response]()
    await office.tell("ada:k", "failed")
    async with running(office.gateway) as ada:
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(partial(send, ada, answers, **{"Idempotency-Key": "k"}))
                await office.queued(1)
                await office.feed.put(b"an event", Item(b"?", {"modd-about": "ada:k"}))
                await office.tell("another")
                await office.work()
    assert answers[0].status_code == 200


async def test_an_outcome_that_comes_before_the_command_is_answered_counts() -> None:
    # GW-15
    feed, done = MemoryFeed(), MessageOutcome("done")
    waits = OutcomeWaits(feed, lambda: True)
    await feed.put(done.as_item("a"))
    async with waits.waiting() as first, waits.waiting() as second:
        await feed.put(done.as_item("b"), done.as_item("c"))
        follower = feed.follow(0)
        for _ in range(3):
            waits.deliver(await anext(follower))
        assert await first.hold("b", 30, anyio.sleep_forever) == done  # type: ignore[arg-type]
        assert await second.hold("c", 30, anyio.sleep_forever) == done  # type: ignore[arg-type]
        waits.end()
        assert await second.hold("a", 30, anyio.sleep_forever) is None  # type: ignore[arg-type]


async def test_a_command_that_is_handled_at_once_is_answered_at_once() -> None:
    # GW-15
    office = Office()
    async with running(office.gateway, **WAIT) as ada:
        assert (await ada.post("/commands/place-order", json=ORDER)).json()["result"] == 7
        assert (await ada.get("/queries/prices")).json() == [7]
        assert (await ada.post("/commands/mail", json={})).status_code == 422
    async with running(office.shop.gateway(), **WAIT) as ada:
        assert (await ada.post("/commands/mail", json=MAIL)).status_code == 202  # without a feed


async def test_the_wait_ends_when_the_client_goes_away_and_another_one_waits_on() -> None:
    # GW-15
    office, gone, found = Office(), anyio.Event(), list[Any]()
    messages = [{"type": "http.request"}, {"type": "http.disconnect"}]
    hub = Hub(office.feed, [], Codec([]), Limits())

    async def receive() -> Any:
        await gone.wait()
        return messages.pop(0)

    async def hold(id: str, receive: Any) -> None:
        async with hub.outcomes.waiting() as wait:
            found.append((id, await wait.hold(id, 30, receive)))

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks, anyio.create_task_group() as clients:
            tasks.start_soon(hub.run)
            await hub.wait_ready()
            clients.start_soon(hold, "a", receive)
            clients.start_soon(hold, "b", anyio.sleep_forever)
            await anyio.wait_all_tasks_blocked()
            gone.set()
            await anyio.wait_all_tasks_blocked()
            assert found == [("a", None)]
            await office.tell("b")
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
    assert found == [("a", None), ("b", MessageOutcome("done"))]


async def test_a_gateway_that_stops_lets_nobody_wait() -> None:
    # GW-15
    office, answers = Office(), list[httpx2.Response]()
    async with running(office.gateway) as ada:
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(send, ada, answers)
                tasks.start_soon(send, ada, answers)
                await office.queued(2)
                await anyio.wait_all_tasks_blocked()
                office.gateway.stop()
    assert [each.status_code for each in answers] == [202, 202]
    Office().shop.gateway().stop()  # without a feed


@pytest.mark.parametrize("error", [FeedGap(1, 2, 3), OSError("down")])
async def test_a_feed_that_fails_while_clients_wait_fails_no_command(error: Exception) -> None:
    # GW-15
    office, answers = Office(), list[httpx2.Response]()
    async with running(office.gateway) as ada, anyio.create_task_group() as tasks:
        tasks.start_soon(send, ada, answers)
        tasks.start_soon(send, ada, answers)
        await office.queued(2)
        await anyio.wait_all_tasks_blocked()
        office.feed.follow_error = error
        await office.tell("another")
    assert [each.status_code for each in answers] == [202, 202]


async def test_without_a_feed_that_can_be_read_no_client_waits(caplog: pytest.LogCaptureFixture) -> None:
    # GW-15
    office = Office()
    async with client(office.gateway, **WAIT) as ada:  # `run` was not called
        assert (await ada.post("/commands/mail", json=MAIL)).status_code == 202
    assert "the gateway does not follow its feed" in caplog.text
    async with running(office.gateway, **WAIT) as ada:
        office.feed.span_error = OSError("down")
        assert (await ada.post("/commands/mail", json=MAIL)).status_code == 202
    assert "the feed cannot be read" in caplog.text


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        ([], 0),
        (["wait=5"], 5),
        (['respond-async, WAIT = "7" ; x=y'], 7),
        (["respond-async", "wait=100", "wait=3"], 30),
        (["wait=-1, wait=x, wait=1.5, await=2"], 0),
    ],
)
def test_the_seconds_are_of_the_header(values: list[str], seconds: int) -> None:
    # GW-15
    assert preferred_wait(values) == seconds


async def test_a_feed_has_the_methods_of_one() -> None:
    # GW-15
    with pytest.raises(InvalidOption, match="feed"):
        Shop().gateway(feed=object())


async def test_outcomes_are_no_events_for_clients(caplog: pytest.LogCaptureFixture) -> None:
    # GW-15
    feed = CountedFeed()
    await feed.put(MessageOutcome("done").as_item("a"))
    assert Rendering(CODEC, [ORDERS]).render(await anext(feed.follow(0)), "epoch") == ()
    assert not caplog.records


class TestInTime:
    @pytest.fixture(params=["asyncio", "trio"])
    def anyio_backend(self, request: pytest.FixtureRequest) -> Any:
        """The loop, on a clock that jumps."""
        return virtual_backend(request.param)

    async def test_after_the_time_a_client_is_told_that_its_command_is_queued(self) -> None:
        # GW-15
        office = Office()
        async with running(office.gateway, **ADA) as ada:
            late = await ada.post("/commands/mail", json=MAIL, headers={"Prefer": "wait=20"})
            assert (late.status_code, [*late.json()]) == (202, ["id"])
            assert office.feed.followers == 1
            for prefer in ("wait=0", "handling=strict"):
                assert (await ada.post("/commands/mail", json=MAIL, headers={"Prefer": prefer})).status_code == 202
            assert office.feed.followers == 1
