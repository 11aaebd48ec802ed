"""The errors that several stores share, those of transactions first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from modd.errors import ModdError
from modd.ports.errors import StoreError


class TransactionInUse(ModdError, RuntimeError):
    """A transaction was used outside of the task that began it, or after its end.

    A transaction belongs to one task, so that it is known which writes it commits.

    call: the name of the refused call.
    is_open: True if the transaction is open and a different task used it, False if it has ended; in the text.

    Make the call in the task of the transaction, and inside its ``async with``.
    """

    def __init__(self, call: str, is_open: bool) -> None:
        self.call = call
        super().__init__(
            f"{call} by another task than the one that began the transaction; do it in that task, or start the task "
            "before the transaction; the handlers of an event run in tasks of their own, unless their bus is made with "
            "EventBus(concurrent=False)"
            if is_open
            else f"{call} in a transaction that has ended; keep all its calls inside its `async with`"
        )


class ResultNeeded(ModdError, RuntimeError):
    """The call cannot run in a deferred transaction, because its result is needed before the commit.

    A transaction defers its writes to the commit, unless it was begun with ``immediate=True``.

    call: the name of the refused call.

    Use ``store.transaction(immediate=True)``, or make the call before the transaction.
    """

    def __init__(self, call: str) -> None:
        self.call = call
        super().__init__(
            f"{call} needs its result at once, and this transaction defers its writes until it commits; use "
            "store.transaction(immediate=True), or call it before the transaction"
        )


class TransactionTimeout(ModdError, TimeoutError):
    """An immediate transaction took longer than ``max_seconds``, and was rolled back as it blocks other writers.

    store: the path of the file.
    max_seconds: the time limit in seconds.

    Do slow work before the transaction, or give it more ``max_seconds``.
    """

    def __init__(self, store: str, max_seconds: float) -> None:
        self.store, self.max_seconds = store, max_seconds
        super().__init__(
            f"{store}: a transaction with immediate=True took more than {max_seconds:g} s and was rolled back; do slow "
            "work before it, or give it more max_seconds"
        )


class SqlNotSupported(ModdError, NotImplementedError):
    """A statement of SQL was given to a transaction of a store that has none, such as a `MemoryStore`.

    call: the name of the refused call.
    store: the name of the class of the store.

    Use a `SqliteStore`, be it one in a temporary folder; or write through the parts of the store.
    """

    def __init__(self, call: str, store: str = "MemoryStore") -> None:
        self.call = call
        super().__init__(
            f"{call} in a transaction of a {store}, which has no SQL; use a SqliteStore, or write through the parts of "
            "the store"
        )


class StoreClosed(StoreError):
    """The store was used outside of its ``async with``.

    store: the name of the store, such as the path of a file.

    Use the store inside ``async with store:``.
    """

    is_misuse: ClassVar[bool] = True
    """True: no later try can succeed."""

    def __init__(self, store: str) -> None:
        super().__init__(store, "the store is not open; use it inside `async with store:`")


class StoreBusy(StoreError):
    """The store was not at the caller's disposal for longer than its ``timeout``: a lock, or a server that is away.

    store: the name of the store: the path of a file, or the name of a store on a server.
    cause: the error that was in the way, in the text.
    problem: the words for the failure, in the text; by default, that the file is locked.
    cure: the words for the way to mend it, in the text.

    Look for a program that has a transaction open, or for the server; or give the store a longer ``timeout``.
    """

    def __init__(
        self,
        store: str,
        cause: object = "",
        problem: str = "another process keeps the file locked",
        cure: str = "look for a program that has a transaction open, or give the store a longer timeout",
    ) -> None:
        super().__init__(store, f"{problem} ({cause}); {cure}")


class NotDurable(StoreError):
    """Writes are acknowledged before they are on the disk, so that a power loss could undo commits.

    store: the name of the store: the path of a file, or the name of a store on a server.
    level: the setting that is in the way: ``PRAGMA synchronous`` of a file, ``sync_interval`` of a NATS server,
        ``synchronous_commit`` or ``fsync`` of PostgreSQL.
    problem: the failure and the way to mend it, in the text; None, the default, for that of a file.

    Give `SqliteStore` a ``connect`` function that does not set this pragma; set ``sync_interval: always`` on a NATS
    server; turn the setting on in PostgreSQL.
    """

    def __init__(self, store: str, level: object, problem: str | None = None) -> None:
        self.level = level
        super().__init__(
            store,
            problem
            or f"PRAGMA synchronous is {level} here and stays so, and a store needs 2 (FULL) or more; give it a "
            "connect= that leaves this to the store",
        )


class UnknownOutcome(StoreBusy):
    """The server did not answer in time after a write was sent, so that it is not known if the write is stored.

    store: the name of the store.
    ids: the ids of the items that were put, as far as they are known.

    Put the same items again with the same ids when the server is back: an id that the queue has is not put twice. If
    its item was handled meanwhile, it comes again; a worker with an inbox recognises it.
    """

    def __init__(self, store: str, ids: Iterable[str] = ()) -> None:
        self.ids = tuple(ids)
        named = f" of {', '.join(map(repr, self.ids))}" if self.ids else ""
        super().__init__(
            store,
            "no answer",
            f"the server has not answered a write{named}, which may be stored or not",
            "put the same again with the same ids when the server is back",
        )


class NewerStore(StoreError):
    """A newer modd has written the file, or the tables of the database; they were left as they are.

    store: the path of the file, or the name of the store.
    version: the version of its tables.
    known: the latest version that this modd knows.
    place: the words for what has the tables, in the text.

    Upgrade modd.
    """

    def __init__(self, store: str, version: int, known: int, place: str = "the file") -> None:
        self.version, self.known = version, known
        super().__init__(
            store,
            f"{place} has schema version {version} and this modd knows versions up to {known}; it was left as it is: "
            "upgrade modd",
        )


class OlderStore(StoreError):
    """The tables are missing or older than this modd needs, and the store was not to change them.

    store: the name of the store.
    version: the version of its tables; 0 if there are none.
    known: the version that this modd needs.

    Run ``python -m modd migrate ADDRESS`` as a user who may create tables, or open the store without ``migrate=False``.
    """

    is_misuse: ClassVar[bool] = True
    """True: no later try can succeed."""

    def __init__(self, store: str, version: int, known: int) -> None:
        self.version, self.known = version, known
        super().__init__(
            store,
            f"the schema has version {version} of modd's tables and this modd needs {known}; run `python -m modd "
            "migrate ADDRESS` as a user who may create tables, or open the store without migrate=False",
        )
