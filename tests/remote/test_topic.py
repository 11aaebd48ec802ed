"""Topics: the suite over each store, and as the target of a relay."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from modd import InvalidOption
from modd.ports import Storage
from modd.relay import Relay
from modd.remote import Topic
from modd.stores import MemoryStore, SqliteStore
from modd.testing.conformance import TopicConformance

pytestmark = pytest.mark.anyio


class TestTopicInMemory(TopicConformance):
    """The suite."""

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Storage]:
        async with MemoryStore() as store:
            yield store


class TestTopicInFile(TopicConformance):
    """The suite."""

    @pytest.fixture(autouse=True)
    def _own(self, tmp_path: Path) -> None:
        self.path = tmp_path / "store.db"

    @asynccontextmanager
    async def create(self) -> AsyncIterator[Storage]:
        async with SqliteStore(self.path) as store:
            yield store


async def test_a_relay_publishes_to_every_group() -> None:
    # RE-10
    async with MemoryStore() as store:
        topic = Topic(store, "orders")
        queues: list[Any] = [await topic.subscribe(group) for group in ("billing", "mails")]
        await store.outbox.put(b"1", b"2")
        relay = Relay(store.outbox, topic)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(relay.run)
            for queue in queues:
                await queue.wait(60)
            relay.stop()
        assert [[claim.body for claim in await queue.claim(9, 60)] for queue in queues] == [[b"1", b"2"]] * 2


async def test_that_items_go_nowhere_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    # RE-10: as after a typing error in the name of the topic
    async with MemoryStore() as store:
        topic = Topic(store, "order")
        await topic.put(b"1")
        await topic.put(b"2")
        await topic.subscribe("billing")
        await topic.put(b"3")
    [record] = caplog.records
    assert "the topic 'order' has no groups" in record.getMessage()


async def test_a_store_without_documents_is_refused() -> None:
    # RE-11
    wrong: Any = object()
    with pytest.raises(InvalidOption, match="store"):
        Topic(wrong, "orders")


def test_a_topic_is_shown_with_its_name() -> None:
    # RE-10
    assert repr(Topic(MemoryStore(), "orders")) == "<Topic orders>"
