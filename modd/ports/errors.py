"""What goes wrong at a port and is neither the store's failure nor a wrong option."""

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
