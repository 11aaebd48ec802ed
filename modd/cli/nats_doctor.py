"""The examination of a store on a NATS server: its problems, and the advice for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import inf

from modd.cli.doctor import advise_on_queue
from modd.cli.formats import format_age
from modd.cli.reports import FeedHealth, Overview, QueueCounts, QueueHealth, ServerHealth
from modd.stores.nats.jetstream import PAGE
from modd.stores.nats.queue_records import QueueSubjects, read_item, read_item_meta
from modd.stores.nats.record import Record
from modd.stores.nats.requests import Answer
from modd.stores.nats.store import NatsStore
from modd.stores.queue_state.places import Place

MOST_ITEMS = 1_000_000
"""Most items of a queue, because each process that claims has all of them in memory."""


FULL = 0.8
"""The share of a limit from which on there may soon be no room."""


REMOVING = ("max_age", "max_msgs_per_subject")
"""The options of a stream by which the server removes records that the store needs; unset, they are 0 or below."""


LIMITS = {"max_bytes": "bytes", "max_msgs": "messages"}
"""The limits of a stream, which are below 0 if they are unset, and the field of its state that each of them bounds."""


POWER_LOSS = (
    "a power loss can undo acknowledged writes unless each server has `jetstream { sync_interval: always }`; a client "
    'cannot see that: look for "sync_always": true in http://SERVER:8222/jsz of each'
)


async def examine_server(store: NatsStore, info: Answer, counted: Overview) -> ServerHealth:
    """Return the findings.

    info: the answer of ``STREAM.INFO`` before the store was counted, as counting makes consumers. counted: the counts.
    """
    account, now = await store.stream.requests.ask("INFO"), store.clock()
    queues = [await examine_records(store, each, now) for each in counted.queues]
    problems, state = [*find_problems(info)], info["state"]
    return ServerHealth(
        path=counted.path,
        ok=not problems,
        server=".".join(map(str, store.stream.link.server_version)),
        level=account["api"]["level"],
        stream=store.stream.name,
        replicas=info["config"]["num_replicas"],
        messages=state["messages"],
        size=state["bytes"],
        consumers=state["consumer_count"],
        queues=queues,
        outbox=counted.outbox,
        feeds=await list_feeds(store, now),
        problems=problems,
        advice=[*advise_on_server(info, queues)],
    )


async def examine_records(store: NatsStore, counts: QueueCounts, now: float) -> QueueHealth:
    """Return the counts and ages of a queue. now: the time of the server."""
    filter, after, oldest = QueueSubjects(store.subjects, counts.name).items, 0, dict[str, float]()
    while page := await store.stream.page(filter, after, PAGE):  # not all at once, because the bodies may be large
        after = page[-1].sequence
        for state, due in read_states(page, now):
            oldest[state] = min(due, oldest.get(state, inf))
    ages = {state: max(0.0, now - due) for state, due in oldest.items()}
    return QueueHealth(counts, ages.get("ready"), ages.get("dead"))


def read_states(records: Iterable[Record], now: float) -> Iterator[tuple[str, float]]:
    """Yield the states of items at a time, and the times at which they became due."""
    for record in records:
        if not record.is_gone:
            item, place, _ = read_item("", record.sequence, record.at, read_item_meta(record.meta), b"")
            yield state_at(place, now), item.due


def state_at(place: Place, now: float) -> str:
    """Return the state of an item at a time; an item whose delay or lease is over is ready, as a suspect is."""
    state, *rank = place
    return state if state == "dead" or (state != "suspects" and rank and rank[-1] > now) else "ready"


async def list_feeds(store: NatsStore, now: float) -> list[FeedHealth]:
    """Return the feeds, sorted by name. now: the time of the server."""
    found = [record.meta for record in await store.stream.last_of_each(store.subjects.feeds)]
    feeds = [await examine_feed(store, meta["name"], meta["last"], now) for meta in found]
    return sorted(feeds, key=lambda feed: feed.name)


async def examine_feed(store: NatsStore, name: str, last: int, now: float) -> FeedHealth:
    """Return the number and age of the items of a feed. last: its last position, as far as it is known."""
    first = await store.stream.next(store.subjects.feed_item(name), 0)
    if first is None:
        return FeedHealth(name, 0, last, None)
    last = max(last, first.meta["position"])
    return FeedHealth(name, last - first.meta["position"] + 1, last, max(0.0, now - first.at))


def find_problems(info: Answer) -> Iterator[str]:
    """Yield a line for each finding in the answer of ``STREAM.INFO`` that needs action."""
    config, cluster = info["config"], info.get("cluster", {})
    if cluster and not cluster.get("leader"):
        yield f"the stream {config['name']} has no leader: start the servers of its replicas, of which most are needed"
    for replica in cluster.get("replicas", []):
        title, heard = f"the replica on {replica['name']}", format_age(replica["active"] / 1e9)
        if replica.get("offline"):
            yield f"{title} is offline, last heard of {heard}: start its server"
        elif not replica["current"]:
            yield f"{title} is not current, last heard of {heard}: check that its server runs and is not slow"
    for option in REMOVING:
        if config.get(option, 0) > 0:
            yield f"the stream has {option}, by which the server removes records: unset it with `nats stream edit`"


def advise_on_server(info: Answer, queues: Sequence[QueueHealth]) -> Iterator[str]:
    """Yield a line for each finding that is worth a look. info: the answer of ``STREAM.INFO``."""
    yield from advise_on_stream(info)
    for queue in queues:
        counts = queue.counts
        items = counts.ready + counts.delayed + counts.leased + counts.dead + counts.left
        if items > FULL * MOST_ITEMS:
            yield f"{counts.name}: {items:_} of {MOST_ITEMS:_} items, which each process that claims has in memory"
        yield from advise_on_queue(queue)


def advise_on_stream(info: Answer) -> Iterator[str]:
    """Yield a line for each finding about the stream and its servers that is worth a look."""
    config, state = info["config"], info["state"]
    if config["num_replicas"] == 1:
        has_cluster = "name" in info.get("cluster", {})
        cure = "`nats stream edit --replicas 3` makes more" if has_cluster else "back it up with `nats stream backup`"
        yield f"the stream {config['name']} has one replica, and is lost with the disk of its server; {cure}"
    for limit, field in LIMITS.items():
        if 0 < FULL * config.get(limit, 0) < state[field]:
            share = f"{state[field]:_} of {config[limit]:_} {field}"
            yield f"the stream has {share}; a full one takes no writes and no acknowledgements: raise {limit}"
    yield POWER_LOSS
