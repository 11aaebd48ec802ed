"""The subscription of a client: what it has missed, read from the feed, then what comes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from math import inf
from typing import Final, NamedTuple, Protocol, TypeAlias

import anyio

from modd.gateway.rendering import HubItem, Topic
from modd.ports.errors import FeedGap
from modd.ports.feed import Feed, Posted

BYTES: Final = 1_048_576
"""Bytes that wait for a client at most."""


class Reset(NamedTuple):
    """Tells a client that it has missed events for ever, and has to load its state anew.

    first: the position before the first item of the feed. last: the last position, after which events follow.
    epoch: the epoch of the feed.
    """

    first: int
    last: int
    epoch: str


Delivery: TypeAlias = HubItem | Reset


class Backlog:
    """The deliveries that wait for one client, up to a limit; beyond that, all of them are dropped.

    limit: most deliveries that wait, with those that were taken last. on_full: called once, at the first delivery that
    is one too many. Also for more than a mebibyte.
    """

    def __init__(self, limit: int, on_full: Callable[[], object]) -> None:
        self._limit, self._on_full = limit, on_full
        self._waiting: list[Delivery] = []
        self._taken: list[Delivery] = []
        self._waiting_bytes = self._taken_bytes = 0
        self._is_closed = self._is_awake = False
        self._awakening: anyio.Event | None = None

    def __len__(self) -> int:
        return len(self._waiting) + len(self._taken)

    def put(self, delivery: Delivery) -> None:
        """Add a delivery at the end, unless it is closed, or there was one too many before."""
        if self._is_closed:
            return
        self._waiting_bytes += _size(delivery)
        if len(self) >= self._limit or self._taken_bytes + self._waiting_bytes > BYTES:
            self._waiting.clear()
            self.close()
            self._on_full()
        else:
            self._waiting.append(delivery)
            self.wake()

    def take(self) -> list[Delivery]:
        """Return the deliveries that wait, and forget the last ones taken: they have reached the client."""
        self._taken, self._waiting = self._waiting, []
        self._taken_bytes, self._waiting_bytes = self._waiting_bytes, 0
        self._is_awake = self._is_closed
        return self._taken

    def wake(self) -> None:
        """Have `wait` return."""
        if not self._is_awake:
            self._is_awake = True
            if self._awakening is not None:
                self._awakening.set()

    def close(self) -> None:
        """Take nothing any more, and have `wait` return from now on."""
        self._is_closed = True
        self.wake()

    async def wait(self) -> None:
        """Return when there is something to take, after `wake`, and once it is closed."""
        if not self._is_awake:
            self._awakening = anyio.Event()
            await self._awakening.wait()

    @property
    def is_crowded(self) -> bool:
        """True if half of the limit is used."""
        return not self._is_closed and 2 * len(self) >= self._limit


class FeedHub(Protocol):
    """The part of a hub that a subscription needs.

    feed: the feed. epoch: its epoch. position: the last position that was delivered.
    """

    feed: Feed
    epoch: str
    position: int

    def render(self, posted: Posted) -> tuple[HubItem, ...]:
        """Return an item of the feed for each of its channels."""
        ...

    def join(self, backlog: Backlog, topics: Iterable[Topic], after: int) -> None:
        """Put further items of topics into a backlog, as far as they are after a position."""
        ...

    def leave(self, backlog: Backlog, topics: Iterable[Topic]) -> None:
        """Put no further items of topics into a backlog."""
        ...


class HeardSpan:
    """The positions whose items a client gets: after `begin`, up to `end`."""

    def __init__(self, begin: int, end: float = inf) -> None:
        self.begin, self.end = begin, end

    def __contains__(self, position: int) -> bool:
        return self.begin < position <= self.end


class Resume:
    """A client that comes again: it reads the feed after the position that it knows until it is at that of the hub.

    hub: the hub. topics: the topics; those that are removed are read no more. after: the position; None for a client
    that knows a position of a feed of before, and gets a `Reset` at once.
    is_heard: a function that returns True if the client gets the item at a position in a topic.
    """

    def __init__(
        self, hub: FeedHub, topics: Iterable[Topic], after: int | None, is_heard: Callable[[Topic, int], bool]
    ) -> None:
        self._hub, self._after, self._is_heard = hub, after, is_heard
        self.topics = dict.fromkeys(topics)
        self.span = HeardSpan(self.position, self.position)
        """The positions that it has read; in the end, all that follow."""
        self._follower: AsyncIterator[Posted] | None = None

    async def next(self, backlog: Backlog) -> Delivery | None:
        """Return the next delivery; None once the backlog gets all that follows."""
        gap = await self._first_gap()
        if gap is not None:
            return gap
        while self.topics and self.position < self._hub.position:
            try:
                posted = await self._read()
            except FeedGap as error:
                return self._reset(error.first, error.last)
            item = self._item_of(posted)
            self._after = self.span.end = posted.position
            if item is not None:
                return item
        self._hub.join(backlog, self.topics, self.position)  # no await since the comparison: nothing is in between
        self.span.end = inf
        return None

    def _item_of(self, posted: Posted) -> HubItem | None:
        """Return an item of the feed for the first of its topics; None if the client gets it in another one."""
        items = self._hub.render(posted)
        if any(self._is_heard(item.topic, posted.position) for item in items):
            return None
        return next((item for item in items if item.topic in self.topics), None)

    @property
    def position(self) -> int:
        """The position up to which the feed was read."""
        return 0 if self._after is None else self._after

    async def _first_gap(self) -> Reset | None:
        """Return a reset for a position that is not in the feed, or not in this one."""
        if self._after is not None and self._after <= self._hub.position:
            return None
        first, last = await self._hub.feed.span()
        if self._after is None or self._after > max(last, self._hub.position):
            return self._reset(first, last)
        return None

    def _reset(self, first: int, last: int) -> Reset:
        self._after, self._follower = last, None
        self.span.begin = self.span.end = last
        return Reset(first, last, self._hub.epoch)

    async def _read(self) -> Posted:
        if self._follower is None:
            self._follower = self._hub.feed.follow(self._after)
        return await anext(self._follower)


class EventSubscription:
    """The events of one client, in any number of topics; an event in several of them is delivered once.

    hub: the hub. backlog: holds the events that come while the client reads.
    """

    def __init__(self, hub: FeedHub, backlog: Backlog) -> None:
        self._hub, self._backlog = hub, backlog
        self._resumes: list[Resume] = []
        self._topics: dict[Topic, HeardSpan] = {}
        """The positions that the client gets in each topic."""
        self._resumed = 0
        """The highest position at which a resume has ended: the feed may be ahead of the hub."""

    @property
    def topics(self) -> tuple[Topic, ...]:
        """The topics that are subscribed to."""
        return tuple(self._topics)

    @property
    def channels(self) -> frozenset[str]:
        """The channels that are subscribed to."""
        return frozenset(topic.channel for topic in self._topics)

    @property
    def position(self) -> int | None:
        """The position up to which the client has all that it subscribes to; None while something waits for it."""
        return None if self._resumes or len(self._backlog) else max(self._resumed, self._hub.position)

    def add(self, topics: Sequence[Topic]) -> None:
        """Subscribe to topics, for what comes from now on. A channel that is subscribed to already begins anew."""
        self._add(topics, HeardSpan(self._hub.position))
        self._hub.join(self._backlog, topics, self._hub.position)

    def resume(self, topics: Sequence[Topic], after: int | None) -> None:
        """Subscribe to topics after a position of the feed; None after a position of a feed that is no more."""
        resume = Resume(self._hub, topics, after, self._is_heard)
        self._add(topics, resume.span)
        self._resumes.append(resume)
        self._backlog.wake()

    def remove(self, channels: Iterable[str]) -> None:
        """Subscribe no more to channels; others stay."""
        gone = set(channels)
        topics = [topic for topic in self._topics if topic.channel in gone]
        self._hub.leave(self._backlog, topics)
        for topic in topics:
            del self._topics[topic]
            for resume in self._resumes:
                resume.topics.pop(topic, None)

    def _add(self, topics: Sequence[Topic], span: HeardSpan) -> None:
        self.remove(topic.channel for topic in topics)
        self._topics |= dict.fromkeys(topics, span)

    def _is_heard(self, topic: Topic, position: int) -> bool:
        return topic in self._topics and position in self._topics[topic]

    def wake(self) -> None:
        """Have `receive` return, also with nothing."""
        self._backlog.wake()

    async def receive(self) -> list[Delivery]:
        """Return what comes next, in order; nothing at the end, after `wake` or a change of the topics."""
        deliveries = self._backlog.take()
        if not deliveries and self._resumes:
            delivery = await self._resumes[0].next(self._backlog)
            if delivery is not None:
                return [delivery]
            self._resumed = max(self._resumed, self._resumes.pop(0).position)
            return self._backlog.take()
        if not deliveries:
            await self._backlog.wait()
            deliveries = self._backlog.take()
        return deliveries


def _size(delivery: Delivery) -> int:
    return len(delivery.data) if isinstance(delivery, HubItem) else 0
