"""The problems and the advice of the doctor for a store on a NATS server."""

from __future__ import annotations

from typing import Any

import pytest

from modd.cli.formats import DAY
from modd.cli.nats_doctor import POWER_LOSS, advise_on_server, examine_records, find_problems, state_at
from modd.cli.rendering import render
from modd.cli.reports import QueueCounts, QueueHealth, ServerHealth
from modd.stores.nats.queue_records import QueueSubjects
from tests.nats.server import NatsServer
from tests.stores.nats.stores import open_store


def info(*replicas: dict[str, Any], leader: str = "one", bytes: int = 900, **config: Any) -> dict[str, Any]:
    """The answer of ``STREAM.INFO`` of a cluster, which is healthy."""
    unset = {"name": "MODD_shop", "num_replicas": 3, "max_bytes": -1, "max_msgs": -1, "max_age": 0}
    cluster = {"name": "modd", "leader": leader, "replicas": [*replicas]}
    return {"config": {**unset, **config}, "state": {"bytes": bytes, "messages": 9}, "cluster": cluster}


def replica(name: str, **fields: Any) -> dict[str, Any]:
    """A replica that is current."""
    return {"name": name, "current": True, "active": 5 * 10**9, **fields}


def test_replicas_that_cannot_take_over_are_problems() -> None:
    # NA-48
    assert not [*find_problems(info(replica("two"), replica("three")))]
    late, away = replica("two", current=False), replica("three", current=False, offline=True)
    told = [*find_problems(info(late, away, leader=""))]
    words = "no leader", "two is not current, last heard of 5 seconds ago", "three is offline"
    assert [word in line for word, line in zip(words, told, strict=True)] == [True] * 3
    assert not [*find_problems({"config": {}})]  # a server that tells nothing of a cluster


@pytest.mark.parametrize("option", ["max_age", "max_msgs_per_subject"])
def test_options_that_remove_records_are_problems(option: str) -> None:
    # NA-48
    config: dict[str, Any] = {option: 1}
    [told] = find_problems(info(**config))
    assert f"the stream has {option}" in told


def test_a_stream_that_is_nearly_full_or_has_one_replica_is_worth_a_look() -> None:
    # NA-48
    assert [*advise_on_server(info(max_bytes=1200), [])] == [POWER_LOSS]
    replicas, full, _ = advise_on_server(info(max_bytes=1000, num_replicas=1), [])
    assert "--replicas 3" in replicas
    assert "900 of 1_000 bytes" in full and "raise max_bytes" in full
    assert "backup" in next(advise_on_server({**info(num_replicas=1), "cluster": {"leader": "solo"}}, []))


def test_a_queue_that_is_nearly_too_long_for_memory_is_worth_a_look() -> None:
    # NA-48
    long = QueueHealth(QueueCounts("mails", 700_000, 100_000, 1, 0, 0, 0), 1.0, None)
    old = QueueHealth(QueueCounts("orders", 700_000, 100_000, 0, 0, 0, 0), None, 30 * DAY)
    _, memory, dead = advise_on_server(info(), [long, old])
    assert memory.startswith("mails: 800_001 of 1_000_000 items") and dead.startswith("orders: the oldest dead letter")


@pytest.mark.parametrize(
    ("place", "state"),
    [
        (("ready",), "ready"),
        (("suspects", -1.0, -7), "ready"),
        (("dead",), "dead"),
        (("delayed", 5.0), "ready"),
        (("delayed", 5.1), "delayed"),
        (("leased", 4.9), "ready"),
        (("leased", 6.0), "leased"),
        (("left", "mail", 5.0), "ready"),
        (("left", "mail", 6.0), "left"),
    ],
)
def test_an_item_whose_time_has_come_counts_as_ready(place: tuple[Any, ...], state: str) -> None:
    # NA-48
    assert state_at(place, 5.0) == state


@pytest.mark.anyio
async def test_ages_count_from_the_put_by_the_time_of_the_server(nats_server: NatsServer) -> None:
    # NA-48
    async with open_store(nats_server) as store:
        queue, counts = store.queue("mails"), QueueCounts("mails", 1, 0, 0, 1, 0, 0)
        await queue.put(b"dead")
        [dead] = await store.stream.page(QueueSubjects(store.subjects, "mails").items)
        [claim] = await queue.claim(1, 600)
        await queue.bury(claim, "refused")
        await queue.put(b"ready", b"later")
        *_, ready, _ = await store.stream.page(QueueSubjects(store.subjects, "mails").items)
        now = dead.at + 1000
        health = await examine_records(store, counts, now)
        assert health.oldest_ready == pytest.approx(now - ready.at, abs=1e-3)
        assert health.oldest_dead == pytest.approx(1000, abs=1e-3)


def test_a_store_without_queues_is_shown_without_a_table_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    # NA-48
    render(ServerHealth("nats://host/shop", False, "2.15.1", 5, "MODD_shop", 3, 9, 900, 0, [], 0, [], ["late"], []))
    shown = capsys.readouterr().out
    assert "NATS 2.15.1, JetStream API level 5" in shown and "oldest" not in shown
    assert "problem: late" in shown and shown.endswith("\nnot healthy\n")
