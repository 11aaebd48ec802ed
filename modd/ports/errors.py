"""The errors of ports, besides `modd.errors.InvalidOption`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from modd.errors import ModdError
from modd.ports.tagged import Tagged
from modd.texts import escape_control


class LeaseLost(ModdError, RuntimeError):
    """A claim has lost its item: the item was claimed again after the lease, or the claim was settled before.

    ids: the ids of the lost items.

    Claim with a longer lease, extend it while you work, and settle each claim once.
    """

    def __init__(self, ids: Iterable[str]) -> None:
        self.ids = tuple(ids)
        super().__init__(
            f"no lease on {', '.join(map(repr, self.ids))}: it ended and the item was claimed again, or the claim was "
            "settled before; claim with a longer lease, extend it while you work, and settle each claim once"
        )


class Conflict(ModdError, RuntimeError):
    """A decision rests on content that another writer has changed; nothing was written.

    The base of `RevisionConflict`, `QueryConflict`, `DocumentConflict` and `ReadConflict`. Read anew, and decide again.
    A worker does that by itself.
    """


class RevisionConflict(Conflict):
    """Events were appended with the wrong expected revision, because another writer was faster.

    stream: the name of the stream.
    expected: the revision that the caller expected.
    actual: the revision of the stream, from 0.

    Read the new events, decide again, and append with ``expected_revision=actual``.
    """

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        self.stream, self.expected, self.actual = stream, expected, actual
        super().__init__(
            f"{escape_control(stream)} is at revision {actual}, not at {expected}; read the new events, decide again, "
            f"and append with expected_revision={actual}"
        )


class QueryConflict(Conflict):
    """Events were appended on condition that no event matches a query, and another writer has appended one that does.

    query: the query of the condition.
    after: the position behind which no event may match.
    position: the position of the first event there that matches.

    Read the events that match, decide again, and append with the position of the last one as ``after``.
    """

    def __init__(self, query: Tagged, after: int, position: int) -> None:
        self.query, self.after, self.position = query, after, position
        super().__init__(
            f"the event at position {position} matches {query!r}, behind position {after}; read the events that match, "
            "decide again, and append with the position of the last one as `after`"
        )


class ReadConflict(Conflict):
    """A transaction has read rows that another writer changed before it could commit; none of its writes was applied.

    statement: the statement whose rows have changed, or the words for a read of the store.

    Run the block again. With ``store.transaction(immediate=True)`` no other writer can come first, but for a store on
    a server.
    """

    def __init__(self, statement: str) -> None:
        self.statement = statement
        super().__init__(
            f"another writer has changed the rows of {statement!r} since this transaction read them, and nothing was "
            "written; run the block again; in a file, `store.transaction(immediate=True)` keeps other writers off"
        )


class DocumentConflict(Conflict):
    """A document is not as its writer expected, because another writer has changed it.

    space: the name of the space of the document.
    key: the key of the document.

    Get the document anew, decide again, and swap it with what you have got as ``expected``.
    """

    def __init__(self, space: str, key: str) -> None:
        self.space, self.key = space, key
        super().__init__(
            f"the document {key!r} of {space!r} is not as expected, because another writer has changed it; get it "
            "anew, decide again, and swap it with what you have got as `expected`"
        )


class AlreadyHandled(ModdError, RuntimeError):
    """The id is in the inbox: its message was handled before.

    id: the id of the message; acknowledge the message, and do nothing else.
    """

    def __init__(self, id: str) -> None:
        self.id = id
        super().__init__(f"{id!r} was handled before; acknowledge it and do nothing else")


class FeedGap(ModdError, LookupError):
    """A feed cannot be followed without a hole: items after the position are removed, or it was made anew.

    after: the position after which the caller wanted to follow.
    first: the position before the first item that the feed has.
    last: the last position of the feed; it is below ``after`` if the feed was made anew.

    Load the state anew, then follow after ``last``: what comes while you load is not missed.
    """

    def __init__(self, after: int, first: int, last: int) -> None:
        self.after, self.first, self.last = after, first, last
        reason = f"items after it are removed, up to position {first}" if after < first else f"it ends at {last}"
        super().__init__(
            f"the feed cannot be followed after position {after}: {reason}; load the state anew, then follow after "
            f"{last}"
        )


class StoreError(ModdError, RuntimeError):
    """A store cannot do its work; everything that it acknowledged before is safe.

    The base of the errors of all stores.

    store: the name of the store, such as the path of a file.
    problem: the failure and the way to mend it, as a text; characters in it that control a terminal are escaped.
    """

    is_misuse: ClassVar[bool] = False
    """True if the store is used in a wrong way, so that no later try can succeed: workers and relays end with it."""

    def __init__(self, store: str, problem: str) -> None:
        self.store = store
        super().__init__(escape_control(f"{store}: {problem}"))


def raise_misuse(error: Exception | None) -> None:
    """Raise the error of a store that is used in a wrong way; return for any other, which may pass."""
    if isinstance(error, StoreError) and error.is_misuse:
        raise error


class NoTransaction(ModdError, RuntimeError):
    """A handler has a parameter for the open transaction, and no transaction is open.

    handler: the name of the handler.

    Give the bus a `modd.middleware.Transactional`, dispatch inside ``async with store.transaction():``, or use a worker
    whose queue or inbox is in a store with transactions.
    """

    def __init__(self, handler: str) -> None:
        self.handler = handler
        super().__init__(
            f"{handler} takes a transaction and none is open: give the bus Transactional(store), dispatch inside "
            "`async with store.transaction():`, or use a worker whose queue or inbox is in a store with transactions"
        )
