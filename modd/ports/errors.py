"""What goes wrong at a port and is no wrong option."""

from __future__ import annotations

from collections.abc import Iterable

from modd.errors import ModdError


class LeaseLost(ModdError, RuntimeError):
    """A claim does not hold its item any more: the item went to somebody else, or the claim was settled before.

    ``ids`` has the items that are not held.
    """

    def __init__(self, ids: Iterable[str]) -> None:
        self.ids = tuple(ids)
        super().__init__(
            f"no lease on {', '.join(map(repr, self.ids))}: it ran out and the item went to somebody else, or the "
            "claim was settled before; claim with a longer lease, extend it while you work, and settle each claim once"
        )


class Conflict(ModdError, RuntimeError):
    """Events were appended to a stream that is not where the writer took it to be: somebody else was first."""

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        self.stream, self.expected, self.actual = stream, expected, actual
        super().__init__(
            f"{stream} is at revision {actual}, not at {expected}; read what was appended meanwhile, decide anew, "
            f"and append with expected_revision={actual}"
        )


class AlreadyHandled(ModdError, RuntimeError):
    """An id is in the inbox: what it stands for was done before."""

    def __init__(self, id: str) -> None:
        self.id = id
        super().__init__(f"{id!r} was handled before; acknowledge it, and do nothing else")


class StoreError(ModdError, RuntimeError):
    """A store cannot do what it was asked for; what it had acknowledged before is not touched.

    Base of the errors of all stores. ``store`` names it: the path of a file, say.
    """

    def __init__(self, store: str, what: str) -> None:
        self.store = store
        super().__init__(f"{store}: {what}")


class NoTransaction(ModdError, RuntimeError):
    """A handler wants the open transaction, and there is none."""

    def __init__(self, wanted_by: str) -> None:
        self.wanted_by = wanted_by
        super().__init__(
            f"{wanted_by} takes a transaction and none is open: dispatch inside `async with store.transaction():`, or "
            "have a worker do it whose queue or inbox is in a store with transactions"
        )
