"""The `Tee`: several targets of one relay."""

from __future__ import annotations

from typing import Protocol
from uuid import uuid4

import msgspec

from modd.checks import checked_methods
from modd.errors import InvalidOption
from modd.ports.items import Item


class RelayTarget(Protocol):
    """The target of a relay: a `modd.ports.Queue`, a `modd.ports.Feed`, or any object with their ``put``."""

    async def put(self, *items: Item) -> object:
        """Add all items or none, and return when they are safe. Items whose id is known may be skipped."""
        ...


class Tee:
    """A target of a `Relay` that puts each item into several targets, in order.

    Each target gets the items with the same ids. If a target fails, the `put` fails, and the targets behind it get
    nothing; the relay tries again, and a target that knows an id does not take its item twice. If all targets are parts
    of the store of the outbox, the relay puts and acknowledges in one transaction.

    targets: queues, feeds, or other objects with their ``put``; at least one.

    Raises:
        InvalidOption: there is no target, one has no method ``put``, or one comes twice.
    """

    def __init__(self, *targets: RelayTarget) -> None:
        if not targets:
            raise InvalidOption("targets", targets, "give at least one queue or feed")
        for number, target in enumerate(targets):
            checked_methods("target", target, ("put",), "give a modd.ports.Queue, or something else with its put")
            if any(target is other for other in targets[:number]):  # it would skip each item the second time
                raise InvalidOption("targets", target, "it comes twice; give each target once")
        self.targets = targets

    def __repr__(self) -> str:
        return f"Tee({', '.join(map(repr, self.targets))})"

    async def put(self, *items: bytes | Item) -> list[str]:
        """Put all items into each target, in order, and return their ids; an item without an id gets one.

        Raises: the error of the first target that fails; `InvalidOption` for a body that is not bytes.
        """
        named = [_with_id(item) for item in items]
        for target in self.targets:
            await target.put(*named)
        return [item.id for item in named if item.id is not None]


def _with_id(value: bytes | Item) -> Item:
    item = value if isinstance(value, Item) else Item(value)
    return item if item.id is not None else msgspec.structs.replace(item, id=uuid4().hex)


def targets_of(target: object) -> list[object]:
    """Return the targets behind a target: those of a `Tee`, of which each may be one; else the target itself."""
    if not isinstance(target, Tee):
        return [target]
    return [each for inner in target.targets for each in targets_of(inner)]
