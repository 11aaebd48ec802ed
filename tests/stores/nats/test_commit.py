"""Commits: one message or one batch, compared with what was read, and each stored once."""

from __future__ import annotations

import re

import anyio
import pytest

from modd.stores.errors import UnknownOutcome
from modd.stores.nats.batch import plan_messages
from modd.stores.nats.errors import TooMany, WrongSequence
from modd.stores.nats.jetstream import JetStream
from modd.stores.nats.record import GONE, Guard, Write, tombstone
from tests.nats.server import NatsCluster, NatsServer, paused
from tests.stores.nats.proxy import FOUND_RECORD, OtherAnswers, proxy_to
from tests.stores.nats.stores import new_name, open_store

pytestmark = pytest.mark.anyio


def subject(stream: JetStream, name: str) -> str:
    return f"{stream.subjects.prefix}z.{name}"


def write(stream: JetStream, name: str, **options: object) -> Write:
    return Write(subject(stream, name), {"name": name}, b"1", **options)  # type: ignore[arg-type]


async def bodies(stream: JetStream) -> list[bytes]:
    return [record.body for record in await stream.page(subject(stream, "*"))]


def conditions(messages: list[Write]) -> list[tuple[str, Guard | None]]:
    return [(message.subject, message.guard) for message in messages]


def test_conditions_are_carried_by_the_messages_of_a_commit() -> None:
    # NA-30
    a, b = Write("a", {}), Write("b", {})
    assert conditions(plan_messages([a, b], [Guard("b", 1), Guard("c.*", 2)], "x")) == [
        ("a", Guard("c.*", 2)),
        ("b", Guard("b", 1)),
    ]
    own = Write("a", {}, expected=3)
    assert conditions(plan_messages([own], [Guard("a", 3), Guard("c", 0)], "x")) == [
        ("x.0", Guard("c", 0)),
        ("a", Guard("a", 3)),
    ]
    lane = Write("a", {}, expected=3, expected_of="l.*")
    assert conditions(plan_messages([lane, b], [Guard("a", 1)], "x")) == [
        ("x.0", Guard("a", 1)),
        ("a", Guard("l.*", 3)),
        ("b", None),
    ]


def test_conditions_that_cannot_hold_together_are_refused_at_once() -> None:
    # NA-30
    with pytest.raises(WrongSequence):
        plan_messages([Write("a", {}, expected=1)], [Guard("a", 2)], "x")


async def test_writes_are_stored_all_or_none(nats_server: NatsServer) -> None:
    # NA-30
    async with open_store(nats_server) as store:
        stream = store.stream
        assert await stream.commit([]) == 0
        first = await stream.commit([write(stream, "a", expected=0)])
        last = await stream.commit([write(stream, name, expected=0) for name in "bcd"])
        assert [record.sequence for record in await stream.last_of_each(subject(stream, "*"))] == [
            first,
            last - 2,
            last - 1,
            last,
        ]
        for writes in ([write(stream, "e"), write(stream, "a", expected=0)], [write(stream, "a", expected=9)]):
            with pytest.raises(WrongSequence):
                await stream.commit(writes)
        assert await stream.last(subject(stream, "e")) is None
        with pytest.raises(WrongSequence):
            await stream.commit(
                [write(stream, "e")], [Guard(subject(stream, "*"), first), Guard(subject(stream, "f"), 0)]
            )
        guards = [Guard(subject(stream, "*"), last), Guard(subject(stream, "f"), 0)]
        last = await stream.commit([write(stream, "e"), tombstone(subject(stream, "a"))], guards)
        record = await stream.get(last)
        assert record is not None and record.is_gone and record.meta == GONE
        assert record == await stream.last(record.subject)


async def test_a_write_whose_answer_is_lost_is_stored_once(nats_server: NatsServer) -> None:
    # NA-10
    async with proxy_to(nats_server) as proxy, open_store(proxy) as store:
        stream = store.stream
        for names in (["a"], ["b", "c"]):
            for times in (1, 2):
                proxy.lose_answer_of(b"Nats-Msg-Id", times)
                writes = [write(stream, f"{name}{times}", rollup=False) for name in names]
                last = await stream.commit(writes)
                record = await stream.get(last)
                assert record is not None and record.subject == writes[-1].subject
        assert len(await bodies(stream)) == 6


async def test_a_write_that_is_under_way_in_a_cluster_is_asked_for_again(nats_server: NatsServer) -> None:
    # NA-10: the leader has no quorum for it yet
    under_way, answers = b'{"error":{"code":409,"err_code":10158}}', 0

    def answer(data: bytes) -> bytes:
        nonlocal answers
        found = re.search(rb'{[^{}]*"duplicate": *true[^{}]*}', data)
        answers += found is not None
        if found is None or answers > 1:
            return data
        return data.replace(found.group(), under_way.ljust(len(found.group())))

    async with proxy_to(nats_server) as proxy, open_store(proxy) as store:
        for names in (["a"], ["b", "c"]):
            proxy.lose_answer_of(b"Nats-Msg-Id", then=answer)
            answers = 0
            last = await store.stream.commit([write(store.stream, name, rollup=False) for name in names])
            record = await store.stream.get(last)
            assert record is not None and record.subject == subject(store.stream, names[-1])
            assert answers == 2
        assert len(await bodies(store.stream)) == 3


@pytest.mark.costly
async def test_a_refusal_by_a_server_that_leads_no_more_is_not_believed(nats_cluster: NatsCluster) -> None:
    # NA-11: it answers beside the leader, which has stored the write
    refusal, left = b'{"error":{"code":400,"err_code":10071}}', [0]

    def answer(data: bytes) -> bytes:
        found = re.search(rb'{"stream":"[^{}]*","seq":[^{}]*}', data)
        if not left[0] or found is None or b"duplicate" in data:
            return data
        left[0] -= 1
        return data.replace(found.group(), refusal.ljust(len(found.group())))

    name = new_name() + "-with-a-long-name"
    async with proxy_to(nats_cluster.servers[0]) as proxy, open_store(proxy, name, replicas=3) as store:
        proxy.to_client, stream = answer, store.stream
        for names in (["a"], ["b", "c"]):
            left[0] = 1
            last = await stream.commit([write(stream, name, expected=0) for name in names])
            record = await stream.get(last)
            assert record is not None and record.subject == subject(stream, names[-1])
            with pytest.raises(WrongSequence):
                await stream.commit([write(stream, name, expected=0) for name in names])
        left[0] = 1
        with pytest.raises(WrongSequence):
            await stream.commit([write(stream, "d")], is_claim=True)
        assert len(await bodies(stream)) == 4


async def test_a_stream_that_a_new_leader_does_not_know_yet_is_asked_for_again(nats_server: NatsServer) -> None:
    # NA-11
    unknown = OtherAnswers(FOUND_RECORD, b'{"error":{"code":404,"err_code":10059}}', times=1)
    async with proxy_to(nats_server) as proxy, open_store(proxy) as store:
        stream = store.stream
        await stream.commit([write(stream, "a")])
        proxy.to_client = unknown
        record = await stream.last(subject(stream, "a"))
        assert record is not None and record.body == b"1" and unknown.times == 0


async def test_a_write_that_does_not_reach_the_server_is_sent_again(nats_server: NatsServer) -> None:
    # NA-10
    async with proxy_to(nats_server) as proxy, open_store(proxy) as store:
        stream, cuts = store.stream, [b"Nats-Msg-Id"]

        def pass_to_server(data: bytes) -> bytes | None:
            return None if cuts and cuts[0] in data and cuts.pop() else data

        for number, names in enumerate((["a"], ["b", "c"])):
            cuts[:] = [b"Nats-Msg-Id"]
            proxy.to_server = pass_to_server
            await stream.commit([write(stream, f"{name}{number}", rollup=False) for name in names])
            assert not cuts
        assert len(await bodies(stream)) == 3


async def test_a_write_that_is_not_answered_has_an_unknown_outcome(nats_server: NatsServer) -> None:
    # NA-10
    async with proxy_to(nats_server) as proxy, open_store(proxy) as store:
        stream = store.stream
        stream.requests.timeout = 0.6
        proxy.to_client = lambda data: b""
        with pytest.raises(UnknownOutcome, match="'a', 'b'") as unknown:
            await stream.commit([write(stream, "a")], ids=["a", "b"])
        assert unknown.value.ids == ("a", "b")
        proxy.to_client = lambda data: data


@pytest.mark.costly
async def test_more_writes_than_a_batch_takes_are_refused_before_anything_is_sent(nats_server: NatsServer) -> None:
    # NA-30
    async with open_store(nats_server) as store:
        stream = store.stream
        with pytest.raises(TooMany, match="1000") as too_many:
            await stream.commit([write(stream, str(number)) for number in range(1_001)])
        assert too_many.value.most == 1_000
        stream.publisher.most = 20_000
        with pytest.raises(TooMany, match="10000"):
            await stream.commit([write(stream, str(number)) for number in range(10_001)])
        assert await bodies(stream) == []


async def test_many_batches_at_once_are_all_stored(nats_server: NatsServer) -> None:
    # NA-31
    async with open_store(nats_server) as store, open_store(nats_server, store.name) as other:
        async with anyio.create_task_group() as tasks:
            for number in range(40):
                stream = (store, other)[number % 2].stream
                tasks.start_soon(stream.commit, [write(stream, f"{number}a"), write(stream, f"{number}b")])
        assert len(await bodies(store.stream)) == 80


@pytest.mark.costly
async def test_a_store_has_16_batches_under_way_at_most(own_nats_server: NatsServer) -> None:
    # NA-31
    begun, sixteen = set[bytes](), anyio.Event()

    def note(data: bytes) -> bytes:
        begun.update(re.findall(rb"Nats-Batch-Id: (\w+)", data))
        if len(begun) >= 16:
            sixteen.set()
        return data

    async with proxy_to(own_nats_server) as proxy, open_store(proxy) as store:
        stream, proxy.to_server = store.stream, note
        async with anyio.create_task_group() as tasks:
            with paused(own_nats_server):
                for number in range(40):
                    tasks.start_soon(stream.commit, [write(stream, f"{number}a"), write(stream, f"{number}b")])
                await sixteen.wait()
                await anyio.wait_all_tasks_blocked()
                assert len(begun) == 16
        assert len(await bodies(stream)) == 80 and len(begun) >= 40


async def test_a_batch_whose_call_is_cancelled_is_stored_whole_or_not_at_all(nats_server: NatsServer) -> None:
    # NA-30
    async with open_store(nats_server) as store:
        stream = store.stream
        for checkpoints in range(12):
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as tasks:
                    names = [f"{checkpoints}{part}" for part in "abc"]
                    tasks.start_soon(stream.commit, [write(stream, name) for name in names])
                    for _ in range(checkpoints):
                        await anyio.lowlevel.checkpoint()
                    scope.cancel()
            assert len(await stream.page(subject(stream, "*"))) % 3 == 0
        await stream.commit([write(stream, name) for name in ("x", "y", "z")])
        assert len(await stream.page(subject(stream, "*"))) % 3 == 0
