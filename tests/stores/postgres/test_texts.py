"""Names, ids and keys in PostgreSQL are any text."""

from __future__ import annotations

from hashlib import sha256

import pytest

from modd.ports import AlreadyHandled, Item
from modd.testing.conformance.feed_follow import take
from tests.postgres.server import PostgresServer
from tests.stores.postgres.stores import new_store

pytestmark = pytest.mark.anyio

LONG = "".join(sha256(b"%d" % number).hexdigest() for number in range(200))
"""A text that cannot be compressed so far that an index takes it."""

TEXTS = ["", "\0", "a\0b", "a", "A", "ü", "\U0001f600", LONG, LONG + "\0"]


async def test_keys_of_the_cache_and_locks_and_ids_of_the_inbox_are_any_text(postgres_server: PostgresServer) -> None:
    # PG-2
    async with new_store(postgres_server) as store:
        for text in TEXTS:
            await store.cache.set(text, text.encode(), 60)
            assert await store.locks.acquire(text, 60, text)
            await store.inbox.add(text)
        for text in TEXTS:
            assert await store.cache.get(text) == text.encode()
            assert not await store.locks.acquire(text, 60, "other")
            assert await store.locks.renew(text, 60, text)
            await store.locks.release(text, text)
            with pytest.raises(AlreadyHandled):
                await store.inbox.add(text)


async def test_ids_and_keys_of_items_and_names_of_feeds_are_any_text(postgres_server: PostgresServer) -> None:
    # PG-2
    items = [Item(b"", {text: text}, text, id=text) for text in TEXTS]
    async with new_store(postgres_server) as store:
        feeds = [store.feed(text) for text in TEXTS]
        for put in (store.outbox.put, *[feed.put for feed in feeds]):
            assert await put(*items) == TEXTS
            assert await put(*items) == TEXTS
        claims = await store.outbox.claim(100, 60)
        assert [(claim.id, claim.key, claim.headers) for claim in claims] == [
            (text, text, {text: text}) for text in TEXTS
        ]
        for feed in feeds:
            posted = await take(feed.follow(0), len(TEXTS))
            assert [(item.id, item.key, item.headers) for item in posted] == [
                (text, text, {text: text}) for text in TEXTS
            ]
            assert await feed.span() == (0, len(TEXTS))
