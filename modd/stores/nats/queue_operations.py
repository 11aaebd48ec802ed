"""The operations of a queue on its records: each reads some, runs the rules of queues on them, and writes them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from modd.ports.items import Claim, DeadLetter, Item, PutResult, Stats, Subscription
from modd.ports.queue import CreateDeliveries
from modd.stores.nats.overlay import Overlay
from modd.stores.nats.queue_draft import QueueDraft
from modd.stores.nats.queue_known import FirstTime, KnownItems, choose
from modd.stores.nats.queue_records import (
    ItemMeta,
    QueueSubjects,
    State,
    as_write,
    claimed_name,
    item_name,
)
from modd.stores.nats.record import item_tombstone


class NatsQueueOperations:
    """Operations on overlays, for one queue.

    subjects: those of the queue. clock: returns the time of the server. known: the items that this process knows.
    """

    def __init__(self, subjects: QueueSubjects, clock: Callable[[], float], known: KnownItems) -> None:
        self._subjects, self._clock, self._known = subjects, clock, known

    async def put(self, overlay: Overlay, items: Sequence[Item], is_first: FirstTime) -> list[PutResult]:
        """Add items that have ids.

        At first an id is taken to be new, which the commit compares; if one is not, the items of the ids are read.
        """
        ids = [item.id for item in items if item.id is not None]
        overlay.ids.extend(ids)
        if is_first() and not overlay.writes and len({*ids}) == len(ids):
            for item in items:
                self._put_new(overlay, item, self._subjects.of_id(str(item.id)))
            overlay.after_commit(self._note_written)
            return [PutResult(id, False) for id in ids]
        draft = self._draft()
        await self._add_ids(overlay, draft, ids)
        results = draft.state.put(items)
        self._write(overlay, draft)
        return results

    async def put_fresh(self, overlay: Overlay, items: Sequence[Item]) -> None:
        """Add items whose ids no item had before."""
        overlay.ids.extend(str(item.id) for item in items)
        for item in items:
            self._put_new(overlay, item, None)
        overlay.after_commit(self._note_written)

    async def change(
        self, overlay: Overlay, name: str, claims: Sequence[Claim], is_first: FirstTime, *arguments: Any
    ) -> Any:
        """Run a method of `QueueState`, of this name, on the items of claims."""
        draft = self._draft()
        known = await self._add_claims(overlay, draft, claims, is_first)
        result = getattr(draft.state, name)(*claims, *arguments)
        draft.write_to(overlay)
        if name not in ("ack", "extend") or any(claim.key is not None for claim in claims):
            overlay.after_commit(self._note_written)
        for token in [token for token in known if draft.has_claim(token)]:
            self._note_after_commit(overlay, token, known[token])
        return result

    async def ack(self, overlay: Overlay, claims: Sequence[Claim], is_first: FirstTime) -> None:
        """Remove the items of claims: at once if this process knows them all, for that needs no rules."""
        known = [] if overlay.writes else [self._known.leased(token) for token in {claim.token: 0 for claim in claims}]
        items = [item for item in known if item is not None]
        if not items or len(items) < len(known) or not is_first():
            await self.change(overlay, "ack", claims, is_first)
            return
        for item in items:
            overlay.write(item_tombstone(self._subjects.item(item.id), item.put, item.sequence))
        if any(claim.key is not None for claim in claims):
            overlay.after_commit(self._note_written)

    async def change_ids(self, overlay: Overlay, name: str, ids: Sequence[str]) -> list[str]:
        """Run a method of `QueueState`, of this name, on the items of ids."""
        draft = self._draft()
        await self._add_ids(overlay, draft, ids)
        changed: list[str] = getattr(draft.state, name)(ids)
        self._write(overlay, draft)
        return changed

    async def cancel_as_told(self, overlay: Overlay, ids: Sequence[str], told: list[str]) -> None:
        """Remove items without attempts. Raises `ReadConflict` if their ids are not those that a caller was told."""
        draft = self._draft()
        await self._add_ids(overlay, draft, ids)
        draft.state.cancel_as_told(ids, told)
        self._write(overlay, draft)

    async def cancellable(self, overlay: Overlay, ids: Sequence[str]) -> list[str]:
        """Return the ids that a cancellation would return."""
        draft = self._draft()
        await self._add_ids(overlay, draft, ids)
        return draft.state.cancellable(ids)

    async def fan_out(
        self, overlay: Overlay, claim: Claim, types: Collection[str], create: CreateDeliveries, is_first: FirstTime
    ) -> int | None:
        """Put the items that ``create`` makes of the handlers of these types, and remove that of the claim."""
        draft = self._draft()
        await self._add_claims(overlay, draft, [claim], is_first)
        draft.add_handlers(await overlay.each(self._subjects.handlers))
        items = create(draft.state.announced.find(types))
        await self._add_ids(overlay, draft, [item.id for item in items or () if item.id is not None])
        number = draft.state.fan_out(claim, types, lambda handlers: items)
        self._write(overlay, draft)
        return number

    async def announce(self, overlay: Overlay, subscriptions: Sequence[Subscription], retention: float) -> None:
        """Note that these handlers were seen now."""
        draft = self._draft()
        draft.add_handlers(await overlay.each(self._subjects.handlers))
        draft.state.announce(subscriptions, retention)
        self._write(overlay, draft)

    async def subscriptions(self, overlay: Overlay) -> list[Subscription]:
        """Return the announced handlers."""
        draft = self._draft()
        draft.add_handlers(await overlay.each(self._subjects.handlers))
        return draft.state.subscriptions()

    async def names_of(self, overlay: Overlay, handler: str | None) -> list[str]:
        """Return the names of all items, or of those of a handler, outside of transactions."""
        await self._known.catch_up()
        return self._known.names_of(handler)

    async def forget(self, overlay: Overlay, handler: str, names: Sequence[str] | None) -> int:
        """Forget a handler, and remove its items. names: those of some items; None for all, in a transaction."""
        draft = await self._named(overlay, names)
        draft.add_handlers(await overlay.each(self._subjects.handlers))
        number = draft.state.forget(handler)
        self._write(overlay, draft)
        return number

    async def clear(self, overlay: Overlay, names: Sequence[str] | None) -> int:
        """Remove items in every state. names: those of some items; None for all, in a transaction."""
        draft = await self._named(overlay, names)
        number = draft.state.clear()
        self._write(overlay, draft)
        return number

    async def claim(self, overlay: Overlay, name: str, limit: int, arguments: tuple[Any, ...]) -> list[Claim]:
        """Run a method of `QueueState` that claims, of this name, in a transaction."""
        draft = await self._whole(overlay)
        claims: list[Claim] = choose(draft.state, name, limit, arguments)
        self._write(overlay, draft)
        return claims

    async def stats(self, overlay: Overlay) -> Stats:
        """Count the items of each kind."""
        if overlay.is_guarded:
            return (await self._whole(overlay)).state.stats()
        await self._known.catch_up()
        return self._known.stats()

    async def dead(self, overlay: Overlay, limit: int) -> list[DeadLetter]:
        """Return the first dead letters."""
        if overlay.is_guarded:
            return (await self._whole(overlay)).state.dead(limit)
        await self._known.catch_up()
        draft, subjects = self._draft(), [self._subjects.item(name) for name in self._known.dead_names(limit)]
        for record in filter(None, await overlay.get_many(subjects)):
            draft.add_record(record)
        return draft.state.dead(limit)

    async def _named(self, overlay: Overlay, names: Sequence[str] | None) -> QueueDraft:
        """Return the items of these names, or all, for a transaction."""
        if names is None:
            return await self._whole(overlay)
        draft = self._draft()
        if names:
            await self._known.catch_up()
            for state, sequence in self._known.states_of(names):
                draft.add(state, sequence)
        return draft

    async def _whole(self, overlay: Overlay) -> QueueDraft:
        """Return all items, for a transaction, which fails if anything in the queue is changed meanwhile."""
        draft = self._draft()
        for record in await overlay.each(self._subjects.all):
            draft.add_record(record)
        return draft

    def _draft(self) -> QueueDraft:
        return QueueDraft(self._subjects, self._clock())

    def _write(self, overlay: Overlay, draft: QueueDraft) -> None:
        draft.write_to(overlay)
        overlay.after_commit(self._note_written)

    def _note_written(self, sequences: Mapping[str, int]) -> None:
        written = [sequence for subject, sequence in sequences.items() if self._subjects.has(subject)]
        self._known.note_written(max(written, default=0))

    def _put_new(self, overlay: Overlay, item: Item, filter: str | None) -> None:
        state: State = "delayed" if item.delay else "ready"
        meta = ItemMeta(str(item.id), item.key, item.headers, state, seconds=item.delay, put=overlay.token)
        subject = self._subjects.item(item_name(meta.id, item.key))
        overlay.write(as_write(subject, meta, item.body, 0, filter))
        overlay.witness = subject

    async def _add_ids(self, overlay: Overlay, draft: QueueDraft, ids: Sequence[str]) -> None:
        for id in dict.fromkeys(ids):
            for record in await overlay.each(self._subjects.of_id(id)):
                draft.add_record(record)

    async def _add_claims(
        self, overlay: Overlay, draft: QueueDraft, claims: Sequence[Claim], is_first: FirstTime
    ) -> dict[str, int]:
        """Add the items of claims, and return the sequences of those that this process knows, by token."""
        known: dict[str, int] = {}
        unknown: list[str] = []
        use_known = is_first() and not overlay.writes
        for token in dict.fromkeys(claim.token for claim in claims):
            found, name = self._known.find(token) if use_known else None, claimed_name(token)
            if found is not None:
                draft.add(*found)
                known[token] = found[1]
            elif name is not None:
                unknown.append(self._subjects.item(name))
        for record in filter(None, await overlay.get_many(unknown)):
            draft.add_record(record)
        return known

    def _note_after_commit(self, overlay: Overlay, token: str, before: int) -> None:
        subject = self._subjects.item(claimed_name(token) or "")
        overlay.after_commit(lambda sequences: self._known.note(token, before, sequences.get(subject, before)))
