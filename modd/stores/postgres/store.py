"""All ports in a schema of a PostgreSQL database, with transactions over them. Begin reading here."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Any, Self

import anyio
from psycopg_pool import AsyncConnectionPool

from modd.checks import checked_count, checked_span, checked_text
from modd.concurrency.lifespan import Lifespan
from modd.concurrency.loop_calls import LoopCalls
from modd.concurrency.loop_thread import start_loop_thread
from modd.core import detached
from modd.ports.inbox import WEEK
from modd.stores.checks import check_same_feed
from modd.stores.errors import ResultNeeded, StoreClosed
from modd.stores.postgres.base import NOW, Access, PostgresAutocommit
from modd.stores.postgres.cache import PostgresCache
from modd.stores.postgres.commits import Committer
from modd.stores.postgres.connections import Connections
from modd.stores.postgres.deferred_transaction import DeferredPostgresTransaction
from modd.stores.postgres.documents import PostgresDocuments
from modd.stores.postgres.events import PostgresEventStore
from modd.stores.postgres.feed import PostgresFeed
from modd.stores.postgres.foreign_access import DatabaseCheck, ForeignAccess
from modd.stores.postgres.foreign_session import driver_of
from modd.stores.postgres.group_commit import MOST_COMMITS, GroupCommit
from modd.stores.postgres.immediate_transaction import ImmediatePostgresTransaction
from modd.stores.postgres.inbox import PostgresInbox
from modd.stores.postgres.limits import LONGEST_SPACE, checked_row_name
from modd.stores.postgres.locks import PostgresLocks
from modd.stores.postgres.news import News
from modd.stores.postgres.opening import check_server, checked_database, checked_schema_name, describe_store
from modd.stores.postgres.outbox import PostgresOutbox
from modd.stores.postgres.queue import PostgresQueue
from modd.stores.postgres.retention import ExpirySweeper
from modd.stores.postgres.schema import check_version, migrate
from modd.stores.postgres.select import Select
from modd.stores.postgres.session import ConnectionSession, Schema
from modd.stores.postgres.transaction import PostgresTransaction
from modd.stores.server_clock import REFRESH, ServerClock
from modd.stores.transaction import find_transaction
from modd.stores.waiting import SupportsWake

log = logging.getLogger("modd.stores")


class PostgresStore:
    """All ports in a PostgreSQL database, with transactions over them: ``async with PostgresStore(address):``.

    Use it when your application has a PostgreSQL database: its own tables and those of modd are in one transaction.
    Processes that open stores of one database and schema share the content.

    dsn_or_pool: the address of the database, such as ``postgresql://localhost/shop``, or an ``AsyncConnectionPool`` of
        psycopg_pool, which is open, on asyncio.
    schema: the schema of the database that has the tables of modd; created if it is missing. ``"modd"`` by default.
    retention: seconds for which the inbox remembers an id, 7 days by default; longer than any redelivery takes.
    timeout: seconds for which a call tries while the database does not answer, 30 by default; and, from 2 up, for which
        it waits for each lock of another transaction, on connections of the store's own, with ``listen=True``, unless
        you have set ``lock_timeout``.
    migrate: False to leave the tables as they are, for a user who may not change them.
    durable: False to accept a server that acknowledges before it has written to its disk.
    listen: False if a pooler that shares connections among transactions stands between, such as pgbouncer: news of
        other processes are then found by looking.
    poll: seconds between two looks of a task that waits, 1 by default.

    ``events``, ``cache``, ``locks``, ``inbox`` and ``outbox`` are its implementations of these ports. ``queue(name)``
    returns a queue, ``feed(name)`` a feed, and ``documents(space)`` returns documents.

    Raises:
        InvalidOption: an option has no valid value.
        NotDurable: at the opening: the server does not wait for its disk.
        OlderStore, NewerStore: at the opening: the tables are of another version of modd.
        StoreBusy: the database does not answer, or another transaction has a lock, for longer than ``timeout``.
        modd.ports.StoreError: the database refuses the store; `modd.stores` has an error for each reason.
    """

    def __init__(
        self,
        dsn_or_pool: str | AsyncConnectionPool[Any],
        *,
        schema: str = "modd",
        retention: float = WEEK,
        timeout: float = 30.0,
        migrate: bool = True,
        durable: bool = True,
        listen: bool = True,
        poll: float = 1.0,
    ) -> None:
        self._source = checked_database(dsn_or_pool)
        self.schema = Schema(checked_schema_name(schema))
        self.name = describe_store(self._source, schema)
        self._timeout, self.poll = checked_span("timeout", timeout), checked_span("poll", poll)
        self._migrates, self._durable, self._listens = migrate, durable, listen
        self._lifespan = Lifespan(self.name)
        self._clock = ServerClock()
        self._news = News(self.schema)
        self._committer: Committer | None = None
        self._autocommit: PostgresAutocommit
        self._database = DatabaseCheck(self.name, lambda query: self._opened().read(query))
        self.cache, self.locks = PostgresCache(self), PostgresLocks(self)
        self.inbox, self.outbox = PostgresInbox(self, checked_span("retention", retention)), PostgresOutbox(self)
        self._feeds: dict[str, PostgresFeed] = {}
        self._sweeper = ExpirySweeper(self, retention, self._feeds)
        self.events = PostgresEventStore(self)
        self._documents: dict[str, PostgresDocuments] = {}
        self._nonce = ""
        self._queues: dict[str, PostgresQueue] = {}

    def __repr__(self) -> str:
        return f"<PostgresStore {self.name}>"

    @property
    def clock(self) -> Callable[[], float]:
        """The time of the database, in seconds since 1970."""
        return self._clock

    def feed(self, name: str, retention: float = 86_400.0, most: int = 100_000) -> PostgresFeed:
        """Return the feed of this name; its first use creates it.

        retention: seconds for which an item is stored, a day by default.
        most: most items that are stored, 100 000 by default; the oldest are removed first.

        Raises `InvalidOption` for a value that cannot work, and for other options than those of an earlier call.
        """
        feed = self._feeds.get(checked_text("name", name, 'give a text, such as store.feed("public")'))
        if feed is None:
            feed = self._feeds[name] = PostgresFeed(self, name, retention, most)
        options = checked_span("retention", retention), checked_count("most", most)
        check_same_feed(name, *options, (feed.retention, feed.most))
        return feed

    def documents(self, space: str) -> PostgresDocuments:
        """Return the documents of this space; its first use creates it. Raises `InvalidOption` unless it is a text."""
        documents = self._documents.get(checked_text("space", space, 'give a text, such as store.documents("sales")'))
        if documents is None:
            checked_row_name("space", space, LONGEST_SPACE)
            documents = self._documents[space] = PostgresDocuments(self, space)
        return documents

    def queue(self, name: str) -> PostgresQueue:
        """Return the queue of this name; its first put creates it."""
        queue = self._queues.get(checked_row_name("name", name))
        if queue is None:
            queue = self._queues[name] = PostgresQueue(self, name, self.outbox, lambda: self._nonce)
        return queue

    def transaction(
        self, *, immediate: bool = False, max_seconds: float = 5.0
    ) -> AbstractAsyncContextManager[PostgresTransaction]:
        """Return a transaction for ``async with``: its writes are committed at the end of the block, or not at all.

        Calls of the store in the block join it. By default its writes are deferred: they are applied at the end in one
        short commit, and reads see the state of the database at the first read. The cache and the locks are not part
        of a deferred transaction: their writes are visible at once.

        A transaction in a transaction is a savepoint: if it alone fails, its writes are undone.

        immediate: True to write at once, so that the block reads its own writes, the cache and locks take part, and
            calls that need a result work. No other caller of the store can write meanwhile.
        max_seconds: seconds after which an immediate transaction is rolled back, 5 by default.

        Raises:
            ResultNeeded: an immediate transaction is begun in a deferred one.
            TransactionInUse: a task begins one inside the transaction of a different task.
            TransactionTimeout: the block of an immediate transaction took longer than ``max_seconds``.
            UnknownOutcome: the commit of an immediate transaction had no answer when its time was over.
            StoreClosed: the store is not open.
        """
        outer: PostgresTransaction | None = find_transaction(self)
        if outer is not None:
            outer.check_usable("transaction")
            if immediate and outer.is_deferred:
                raise ResultNeeded("a transaction with immediate=True")
            return outer.savepoint()
        committer = self._opened()
        if immediate:
            return ImmediatePostgresTransaction(self, committer, checked_span("max_seconds", max_seconds)).run()
        return DeferredPostgresTransaction(self, committer)

    def access(self, call: str, *, at_once: bool = False) -> Access:
        """Return the access for a call of a part: the open transaction, or each call alone; see `base.Store`."""
        self._opened()
        transaction: Any = find_transaction(self)
        if transaction is None or (at_once and transaction.is_deferred):
            return self._autocommit
        transaction.check_usable(call)
        return transaction  # type: ignore[no-any-return]  # one of the two kinds

    def access_in(self, session: object) -> ForeignAccess:
        """Return the access for calls of a part in a session of the application; see `base.Store`."""
        self._opened()
        return ForeignAccess(driver_of(session), self.schema, self._database)

    def join(self, channel: str, part: SupportsWake) -> None:
        """Have a part woken by the commits that name its channel."""
        self._news.join(channel, part)

    async def migrate(self) -> None:
        """Create the tables, or bring them to the version of this modd; call it on a store that is not open.

        All is done or nothing. Use it in a step of the deployment, as a user who may create tables, if the processes
        open their stores with ``migrate=False``; ``python -m modd migrate`` does the same.

        Raises:
            NewerStore: the tables are of a newer modd.
            StoreBusy: the database does not answer, or another transaction has a lock, for longer than ``timeout``.
            modd.ports.StoreError: the database refuses it.
        """
        async with AsyncExitStack() as stack:
            committer = await self._connect(stack)
            await committer.run(self._migrate)

    async def __aenter__(self) -> Self:
        async with self._lifespan.opening() as stack:
            self._lifespan.bind_to_task()
            await self._open(stack)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # without the error, which the task groups on the stack would wrap in a group
        await self._lifespan.close(None, None, None)

    async def _connect(self, stack: AsyncExitStack) -> Committer:
        loop = start_loop_thread()
        if loop is not None:
            stack.callback(loop.close)
        pool, calls = (LoopCalls(loop, lambda: StoreClosed(self.name)) for _ in range(2))
        connections = Connections(self.name, self._source, calls, self._timeout, is_pooled=not self._listens)
        await connections.open(stack, pool)
        stack.push_async_callback(calls.close)
        return Committer(self.name, self.schema, connections, self._news.publish, self._timeout)

    async def _open(self, stack: AsyncExitStack) -> None:
        committer = await self._connect(stack)
        connections = committer.connections
        await committer.run(self._prepare)
        self._clock.see(await self._ask_time(committer))
        background = await stack.enter_async_context(anyio.create_task_group())
        stack.callback(background.cancel_scope.cancel)
        groups = GroupCommit(committer)
        stack.callback(groups.close)
        self._committer, self._autocommit = committer, PostgresAutocommit(committer, groups)
        stack.callback(self._forget)
        with detached():
            for _ in range(MOST_COMMITS):
                background.start_soon(groups.run)
            background.start_soon(self._refresh_clock, committer)
            background.start_soon(self._sweeper.run)
            if self._listens:
                background.start_soon(self._news.listen, connections)
                background.start_soon(self._news.send, connections)

    async def _prepare(self, session: ConnectionSession) -> None:
        await check_server(session, self.name, durable=self._durable)
        if self._migrates:
            await migrate(session, self.name)
        await check_version(session, self.name)
        [[self._nonce]] = await session.rows("SELECT nonce FROM modd.store")

    async def _migrate(self, session: ConnectionSession) -> None:
        await check_server(session, self.name, durable=self._durable)
        await migrate(session, self.name)

    async def _refresh_clock(self, committer: Committer) -> None:
        while True:
            await anyio.sleep(REFRESH)
            try:
                self._clock.see(await self._ask_time(committer))
            except Exception as error:  # of any kind, as from a pool: the clock goes on with what it has seen
                log.debug("%s: could not ask for the time: %s", self.name, error)

    async def _ask_time(self, committer: Committer) -> float:
        [[now]] = await committer.read(Select(f"SELECT {NOW}"))
        return float(now)

    def _opened(self) -> Committer:
        if self._committer is None:
            raise StoreClosed(self.name)
        return self._committer

    def _forget(self) -> None:
        self._committer = None
