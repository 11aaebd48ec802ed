"""The instances of a flow as documents, with an index of the times at which they are due, and of those set aside."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Literal, TypeAlias

import msgspec

from modd.cqrs.ids import escape
from modd.ports.storage import Storage

Phase: TypeAlias = Literal["new", "running", "ended"]
"""The phase of an instance: it has not begun, runs, or has ended."""


class Waiting(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event, or a timeout that has come, that waits because its instance is set aside.

    position: that of the event; of a timeout, its number among those of the instance that have come.
    timeout: the name of the timeout; None for an event.
    """

    position: int
    timeout: str | None = None


class InstanceFailure(msgspec.Struct, frozen=True):
    """The failure for which an instance is set aside.

    reason: type and text of the last error. attempts: number of failed attempts. retry_at: the time of the next
    attempt; None for no more.
    """

    reason: str
    attempts: int
    retry_at: float | None


class FlowInstance(msgspec.Struct, frozen=True, omit_defaults=True):
    """An instance of a flow, as it is stored.

    id: its identity. phase: its phase. version: that of its state. state: its state as JSON, if it runs.
    timeouts: the times at which timeouts are due, by their names.
    failure: the failure for which it is set aside, or None. waiting: what waits behind that, first the reason for it.
    origin: headers of the event that began it, which commands of its timeouts inherit.
    fired: number of its timeouts that have come.
    """

    id: str
    phase: Phase = "new"
    version: int = 1
    state: msgspec.Raw = msgspec.Raw(b"null")
    timeouts: dict[str, float] = {}
    failure: InstanceFailure | None = None
    waiting: tuple[Waiting, ...] = ()
    origin: dict[str, str] = {}
    fired: int = 0

    def due_times(self) -> Iterator[tuple[float, str]]:
        """Yield the time and the name of each timeout, and of the next attempt, which has no name."""
        for name, due in self.timeouts.items():
            yield due, name
        if self.failure is not None and self.failure.retry_at is not None:
            yield self.failure.retry_at, ""


class DueEntry(msgspec.Struct, frozen=True, array_like=True):
    """An entry of the index of due times.

    due: the time. name: the timeout, or empty for an attempt. key: that of the instance.
    """

    due: float
    name: str
    key: str

    @property
    def place(self) -> str:
        """The key of the entry: entries are ordered by their times."""
        return f"{self.due:020.6f}/{escape(self.name, '/')}/{self.key}"


class FlowDocuments:
    """The documents of the instances of a flow.

    store: the store. flow: the name of the flow.
    """

    def __init__(self, store: Storage, flow: str) -> None:
        self._instances = store.documents(f"modd flow {flow}")
        self._due, self._stuck = store.documents(f"modd due {flow}"), store.documents(f"modd stuck {flow}")

    async def get_many(self, keys: Collection[str]) -> dict[str, FlowInstance]:
        """Return the instances of these keys, as far as there are any. Raises msgspec's errors for other content."""
        found = await self._instances.get_many(keys) if keys else {}
        return {key: _decode(body) for key, body in found.items()}

    async def page(self, after: str, limit: int) -> dict[str, FlowInstance]:
        """Return the first instances behind a key, by their keys."""
        return {key: _decode(body) for key, body in await self._instances.items(after, limit)}

    async def due(self, limit: int) -> list[DueEntry]:
        """Return the first due times, in order."""
        return [_decode_entry(body) for _, body in await self._due.items(limit=limit)]

    async def stuck(self, after: str, limit: int) -> dict[str, FlowInstance]:
        """Return the first instances behind a key that are set aside."""
        return await self.get_many([key for key, _ in await self._stuck.items(after, limit)])

    async def write(self, key: str, before: FlowInstance | None, after: FlowInstance | None) -> None:
        """Store an instance in place of the earlier one, None for none, and what the indexes have of it."""
        if after is None:
            await self._instances.delete(key)
        else:
            await self._instances.put(key, _encode(after))
        await self._write_due(_entries(key, before), _entries(key, after))
        was_stuck, is_stuck = (each is not None and each.failure is not None for each in (before, after))
        if is_stuck and not was_stuck:
            await self._stuck.put(key, b"")
        elif was_stuck and not is_stuck:
            await self._stuck.delete(key)

    async def forget_due(self, entry: DueEntry) -> None:
        """Remove an entry that no instance has."""
        await self._due.delete(entry.place)

    async def _write_due(self, before: Mapping[str, DueEntry], after: Mapping[str, DueEntry]) -> None:
        for place in before.keys() - after.keys():
            await self._due.delete(place)
        for place in after.keys() - before.keys():
            await self._due.put(place, _encode(after[place]))


def instance_key(id: str, tenant: str | None) -> str:
    """Return the key of an instance: the instances of two tenants, or of none, never meet."""
    if tenant is not None:
        return f"~{escape(tenant, '/~')}/{id}"
    return f"~~/{id}" if id.startswith("~") else id


def _entries(key: str, instance: FlowInstance | None) -> dict[str, DueEntry]:
    entries = [] if instance is None else [DueEntry(due, name, key) for due, name in instance.due_times()]
    return {entry.place: entry for entry in entries}


_encode = msgspec.json.Encoder().encode


_decode = msgspec.json.Decoder(FlowInstance).decode


_decode_entry = msgspec.json.Decoder(DueEntry).decode
