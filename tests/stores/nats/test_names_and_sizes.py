"""Records on the wire: names are hashed, and what is too large is refused before it is sent."""

from __future__ import annotations

import pytest

from modd.errors import InvalidOption
from modd.stores.nats.queue_records import QueueSubjects, item_name
from modd.stores.nats.subjects import Subjects, hash_name
from tests.nats.server import NatsServer
from tests.stores.nats.stores import open_store

pytestmark = pytest.mark.anyio

NAMES = ["a", "A", "a.b", "*", ">", " ", "a b\r\n", "\N{GRINNING FACE}", "", "\x00", "ä"]


def test_each_name_has_a_subject_of_its_own() -> None:
    # NA-4
    subjects = Subjects("shop")
    found = [
        make(name)
        for name in NAMES
        for make in (subjects.cache, subjects.lock, subjects.inbox, subjects.stream, subjects.snapshot, subjects.tag)
    ]
    found += [subjects.document(space, name) for space in NAMES for name in NAMES]
    found += [
        QueueSubjects(subjects, queue).item(item_name(id, key))
        for queue in NAMES
        for key in [None, *NAMES]
        for id in NAMES
    ]
    found += [subjects.outbox_item(name) for name in NAMES]
    found += [subjects.feed(name) for name in NAMES]
    assert len(found) == len(set(found))
    assert all(subject.startswith("modd.shop.r.") and subject.isascii() for subject in found)
    assert not any(set(subject) & set("*> \r\n") or ".." in subject for subject in found)
    assert hash_name("a", "b") != hash_name("ab") != hash_name("b", "a")


async def test_a_record_has_its_name_in_a_header(nats_server: NatsServer) -> None:
    # NA-4
    async with open_store(nats_server) as store:
        for name in NAMES:
            await store.inbox.add(name)
            await store.cache.set(name, name.encode(), 100)
        records = await store.stream.page(store.subjects.all)
        assert [record.meta.get("id") for record in records[::2]] == NAMES
        assert [record.meta.get("key") for record in records[1::2]] == NAMES
        assert [record.body.decode() for record in records[1::2]] == NAMES


async def test_a_message_that_is_too_large_is_refused_before_it_is_sent(nats_server: NatsServer) -> None:
    # NA-4
    async with open_store(nats_server) as store:
        documents = store.documents("a")
        for key, body in (("k" * 66_000, b""), ("k", b"x" * 2**20)):
            with pytest.raises(InvalidOption) as error:
                await documents.put_many({"other": b"1", key: body})
            assert error.value.option in ("headers", "body") and isinstance(error.value.value, int)
        assert await documents.items() == []
        body = b"x" * (store.stream.link.max_payload - 1_000)
        await documents.put("k", body)
        assert await documents.get("k") == body
        many = {str(number): body for number in range(10)}
        await documents.put_many(many)  # more than one answer of the server has
        assert await documents.items() == sorted({**many, "k": body}.items())
