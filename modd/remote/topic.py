"""Topics: each item goes to every group of workers that has subscribed."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from uuid import uuid4

import msgspec

from modd.checks import checked_flag, checked_methods, checked_text
from modd.errors import InvalidOption
from modd.ports import Conflict, Item, Queue, Storage
from modd.ports.transaction import usable_transaction
from modd.remote.errors import GroupNotEmpty

SPACE = "modd-topics"
"""The space of the documents with the groups of each topic."""


MOST_ATTEMPTS = 20
"""Attempts of a transaction while groups and items come and go."""


log = logging.getLogger("modd.remote")


class Topic:
    """A topic of a store: an item that is put into it goes into the queue of every group that has subscribed.

    Use it for events that several contexts handle, each with workers of its own: ``Relay(store.outbox, Topic(store,
    "orders"))`` in the process that emits them, and ``Worker(await Topic(store, "orders").subscribe("billing"), bus)``
    in that of each context. An item goes to all groups in one transaction, or to none.

    store: a store with all ports, such as a `SqliteStore` or a `NatsStore`.
    name: the name of the topic: a text that is not empty and has no ``/``.

    Raises:
        InvalidOption: an option has no valid value.
    """

    def __init__(self, store: Storage, name: str) -> None:
        checked_methods("store", store, ("queue", "documents", "transaction"), "give a store, such as SqliteStore")
        self._store, self._name = store, _checked_name("name", name)
        self._has_warned = False

    def __repr__(self) -> str:
        return f"<Topic {self._name}>"

    async def put(self, *items: bytes | Item) -> list[str]:
        """Put items into the queue of every group, all or none, and return their ids.

        In the queue of a group an item has the id of the item, ``/`` and the name of the group. An id that a queue has
        is not put again. Without groups the items go nowhere, which is logged the first time.
        """
        checked = [item if isinstance(item, Item) else Item(item) for item in items]
        named = [each if each.id is not None else msgspec.structs.replace(each, id=uuid4().hex) for each in checked]
        await self._transact(partial(self._put_into_all, named))
        return [str(each.id) for each in named]

    async def groups(self) -> list[str]:
        """Return the names of the groups, sorted."""
        body = await self._store.documents(SPACE).get(self._name)
        return [] if body is None else _decode(body)

    async def subscribe(self, group: str) -> Queue:
        """Return the queue of a group, which gets every item that is put from the first call on.

        group: the name of the group, such as that of a context: a text that is not empty and has no ``/``.
        """
        _checked_name("group", group)
        if group not in await self.groups():
            await self._fold(group, is_member=True)
        return self._queue(group)

    async def unsubscribe(self, group: str, *, discard: bool = False) -> int:
        """Put no further items into the queue of a group, and return the number of items that were removed from it.

        discard: True to remove the items that are left, whether they are ready, delayed, claimed or dead; by default
            False. Stop the workers of the group before: the claim of an item that is removed is lost.

        Raises:
            GroupNotEmpty: items are left and ``discard`` is False; the group stays.
        """
        _checked_name("group", group)
        if checked_flag("discard", discard):
            await self._fold(group, is_member=False)
            return await self._queue(group).clear()
        await self._transact(partial(self._leave, group))
        return 0

    async def _transact(self, action: Callable[[], Awaitable[None]]) -> None:
        """Run an action in a transaction, and again if groups or items have come or gone meanwhile."""
        attempts = 0 if usable_transaction() is not None else MOST_ATTEMPTS
        for _ in range(attempts):
            with suppress(Conflict):
                return await self._transact_once(action)
        await self._transact_once(action)

    async def _transact_once(self, action: Callable[[], Awaitable[None]]) -> None:
        async with self._store.transaction():
            await action()

    async def _put_into_all(self, items: Sequence[Item]) -> None:
        groups = await self.groups()
        if not groups and not self._has_warned:
            self._has_warned = True
            log.warning("the topic %r has no groups, so its items go nowhere; subscribe before you put", self._name)
        for group in groups:
            own = [msgspec.structs.replace(item, id=f"{item.id}/{group}") for item in items]
            await self._queue(group).put(*own)

    async def _leave(self, group: str) -> None:
        """Take a group away. Raises `GroupNotEmpty`."""
        stats = await self._queue(group).stats()
        left = stats.ready + stats.delayed + stats.leased + stats.dead + stats.left
        if left:
            raise GroupNotEmpty(self._name, group, left)
        await self._fold(group, is_member=False)

    async def _fold(self, group: str, *, is_member: bool) -> None:
        def change(groups: list[str] | None, name: str) -> list[str] | None:
            return sorted({*(groups or ()), name} if is_member else {*(groups or ())} - {name}) or None

        await self._store.documents(SPACE).fold([(self._name, group)], change, _decode, msgspec.json.encode)

    def _queue(self, group: str) -> Queue:
        return self._store.queue(f"{self._name}/{group}")


def _decode(body: bytes) -> list[str]:
    groups: list[str] = msgspec.json.decode(body)
    return groups


def _checked_name(option: str, name: str) -> str:
    if not checked_text(option, name) or "/" in name:
        raise InvalidOption(option, name, "give a text that is not empty and has no /")
    return name
