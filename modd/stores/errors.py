"""The errors of transactions, which all stores share."""

from __future__ import annotations

from modd.errors import ModdError


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
    """A statement of SQL was given to a transaction of a `MemoryStore`, which has none.

    call: the name of the refused call.

    Use a `SqliteStore`, be it one in a temporary folder; or write through the parts of the store.
    """

    def __init__(self, call: str) -> None:
        self.call = call
        super().__init__(
            f"{call} in a transaction of a MemoryStore, which has no SQL; use a SqliteStore, or write through the "
            "parts of the store"
        )
