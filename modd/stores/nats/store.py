"""All ports on a NATS server, with transactions over them. Begin reading here."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Literal, Self

import anyio
from anyio.abc import TaskGroup

from modd.checks import checked_choice, checked_count, checked_methods, checked_span, checked_text
from modd.concurrency.lifespan import Lifespan
from modd.nats.link import Link
from modd.nats.sending import checked_token
from modd.ports.inbox import WEEK
from modd.ports.transaction import open_transaction
from modd.stores.checks import check_same_feed
from modd.stores.errors import ResultNeeded, StoreClosed
from modd.stores.nats.access import Committer, NatsAccess, NatsAutocommit
from modd.stores.nats.cache import NatsCache
from modd.stores.nats.documents import NatsDocuments
from modd.stores.nats.durability import look_at_monitoring
from modd.stores.nats.events import NatsEvents
from modd.stores.nats.feed import NatsFeed
from modd.stores.nats.inbox import NatsInbox
from modd.stores.nats.jetstream import JetStream
from modd.stores.nats.locks import NatsLocks
from modd.stores.nats.opening import checked_replicas, open_stream
from modd.stores.nats.outbox import NatsOutbox
from modd.stores.nats.queue import NatsQueue
from modd.stores.nats.subjects import Subjects
from modd.stores.nats.transaction import DeferredNatsTransaction, ImmediateNatsTransaction, NatsTransaction
from modd.stores.server_clock import ServerClock
from modd.stores.transaction import find_transaction


class NatsStore:
    """All ports on a NATS server with JetStream, with transactions over them.

    ``async with Link("nats://localhost:4222", name="shop") as link, NatsStore(link, "shop") as store:``. Processes that
    open stores of one name share the content. It needs nats-server 2.12.2 or later.

    link: the connection, which is open.
    name: the name of the store: 1 to 64 letters, digits, ``-`` and ``_``.
    replicas: the number of servers that have a copy: 1 (the default), 3 or 5. An existing store keeps its number.
    retention: seconds for which the inbox remembers an id, 7 days by default; longer than any redelivery takes.
    timeout: seconds for which a call tries while the server is away or other writers are faster, 5 by default.
    durable: ``"checked"`` (the default) to look at the monitoring of the link for ``sync_interval: always``, without
        which a power loss can undo what was acknowledged; ``"unchecked"`` not to look, and not to warn.

    ``cache``, ``locks``, ``inbox`` and ``outbox`` are its implementations of these ports. ``queue(name)`` returns a
    queue, and ``documents(space)`` returns documents.

    Raises:
        InvalidOption: an option has no valid value.
        ServerTooOld: at the opening: the server would not store batches whole.
        NotDurable: at the opening: a server does not wait for its disk.
        StoreError: at the opening: there is no JetStream, no permission, or a stream with another configuration.
        StoreBusy: the server does not answer, or other writers are faster, for longer than ``timeout``.
    """

    def __init__(
        self,
        link: Link,
        name: str,
        *,
        replicas: int = 1,
        retention: float = WEEK,
        timeout: float = 5.0,
        durable: Literal["checked", "unchecked"] = "checked",
    ) -> None:
        cure = 'give an open link, such as NatsStore(Link("nats://localhost:4222", name="shop"), "shop")'
        checked_methods("link", link, ("request", "publish", "subscribe"), cure)
        self.name = checked_token("name", name, "NatsStore(link, 'shop')")
        self.subjects = Subjects(name)
        self._link, self._replicas = link, checked_replicas(replicas)
        self._timeout = checked_span("timeout", timeout)
        self._durable = checked_choice("durable", durable, ("checked", "unchecked"))
        self._lifespan = Lifespan(repr(self))
        self._clock = ServerClock()
        self._committer: Committer | None = None
        self._background: TaskGroup | None = None
        self.events, self.cache, self.locks = NatsEvents(self), NatsCache(self), NatsLocks(self)
        self.inbox = NatsInbox(self, checked_span("retention", retention))
        self.outbox = NatsOutbox(self)
        self._queues: dict[str, NatsQueue] = {}
        self._documents: dict[str, NatsDocuments] = {}
        self._feeds: dict[str, NatsFeed] = {}

    def __repr__(self) -> str:
        return f"<NatsStore {self.name}>"

    @property
    def clock(self) -> ServerClock:
        """The time of the server, in seconds since 1970."""
        return self._clock

    @property
    def background(self) -> TaskGroup:
        """The tasks of the store, which are cancelled when it closes. Raises `StoreClosed`."""
        if self._background is None:
            raise StoreClosed(self.name)
        return self._background

    @property
    def stream(self) -> JetStream:
        """The stream of the records. Raises `StoreClosed`."""
        return self._open_committer().stream

    def queue(self, name: str) -> NatsQueue:
        """Return the queue of this name; its first use creates it. Raises `InvalidOption` unless the name is a text."""
        queue = self._queues.get(checked_text("name", name, 'give a text, such as store.queue("orders")'))
        return self._queues.setdefault(name, NatsQueue(self, name, self.outbox)) if queue is None else queue

    def documents(self, space: str) -> NatsDocuments:
        """Return the documents of this space; its first use creates it. Raises `InvalidOption` unless it is a text."""
        documents = self._documents.get(checked_text("space", space, 'give a text, such as store.documents("sales")'))
        return self._documents.setdefault(space, NatsDocuments(self, space)) if documents is None else documents

    def feed(self, name: str, retention: float = 86_400.0, most: int = 100_000) -> NatsFeed:
        """Return the feed of this name; its first use creates it. Give the same options each time.

        retention: seconds for which an item is stored, a day by default.
        most: most items that are stored, 100 000 by default.

        Raises:
            InvalidOption: an option has a value that cannot work, or a different one than before; one that differs
                from that of another process is told by the first call of the feed.
        """
        checked_text("name", name, 'give a text, such as store.feed("public")')
        feed = self._feeds.get(name)
        if feed is None:
            feed = self._feeds.setdefault(name, NatsFeed(self, name, retention, most))
        check_same_feed(name, checked_span("retention", retention), checked_count("most", most), feed.options)
        return feed

    def transaction(
        self, *, immediate: bool = False, max_seconds: float = 5.0
    ) -> AbstractAsyncContextManager[NatsTransaction]:
        """Return a transaction for ``async with``: its writes are stored at the end of the block, all or none.

        Calls of the store in the block join it. By default they are deferred; the cache and the locks are not part of
        a deferred transaction. A transaction in a transaction is a savepoint: if it alone fails, that is undone.

        immediate: True to have the block read its own writes, so that the cache and locks take part and calls that need
            a result work. A server keeps no other writers off, so that the transaction may end with `Conflict`.
        max_seconds: seconds after which an immediate transaction is dropped, 5 by default.

        Raises:
            ResultNeeded: an immediate transaction is begun in a deferred one.
            TransactionInUse: a task begins one inside the transaction of a different task.
            TransactionTimeout: the block of an immediate transaction took longer than ``max_seconds``.
            UnknownOutcome: the commit of an immediate transaction had no answer when its time was over.
            Conflict: another writer has changed what was read; nothing is written.
            TooMany: there are more writes than the server stores at once.
        """
        outer = self._find_transaction()
        if outer is not None:
            outer.check_usable("transaction")
            if immediate and outer.is_deferred:
                raise ResultNeeded("a transaction with immediate=True")
            return outer.savepoint()
        committer = self._open_committer()
        if immediate:
            return ImmediateNatsTransaction(self, committer, checked_span("max_seconds", max_seconds)).run()
        return DeferredNatsTransaction(self, committer)

    def access(self, call: str, *, at_once: bool = False) -> NatsAccess:
        """Return the access for a call of a part: the open transaction, or each call alone."""
        committer = self._open_committer()
        transaction = None if open_transaction.get() is None else self._find_transaction()
        if transaction is None or (at_once and transaction.is_deferred):
            return NatsAutocommit(committer)
        transaction.check_usable(call)
        return transaction

    async def refresh_clock(self) -> None:
        """Ask for the time of the server if it was not asked for a minute."""
        await self._clock.refresh(self.stream.time)

    async def __aenter__(self) -> Self:
        async with self._lifespan.opening() as stack:
            stream = JetStream(self._link, self.name, self._timeout)
            self._clock.see(await open_stream(stream, self._replicas))
            await look_at_monitoring(stream, check=self._durable == "checked")
            self._committer = Committer(stream, self._clock)
            self._background = await stack.enter_async_context(anyio.create_task_group())
            self._lifespan.bind_to_task()
            stack.callback(self._background.cancel_scope.cancel)
            stack.callback(self._forget)
            return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._lifespan.close(None, None, None)

    def _forget(self) -> None:
        self._committer = self._background = None

    def _open_committer(self) -> Committer:
        if self._committer is None:
            raise StoreClosed(self.name)
        return self._committer

    def _find_transaction(self) -> DeferredNatsTransaction | ImmediateNatsTransaction | None:
        transaction: DeferredNatsTransaction | ImmediateNatsTransaction | None = find_transaction(self)
        return transaction
