"""An outbox on a NATS server: the order of its items is that of the commits in the stream.

One record has the leases of all items that are claimed, so that one relay at a time can claim: it is compared and set.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from math import inf
from uuid import uuid4

import anyio
import msgspec

from modd.checks import checked_count, checked_delay, checked_span
from modd.concurrency.backoff import TIME_PRECISION, DoublingPause
from modd.nats.errors import SlowConsumer
from modd.ports.errors import LeaseLost
from modd.ports.items import Claim, Item
from modd.stores.checks import checked_outbox_item
from modd.stores.nats.access import NatsPart
from modd.stores.nats.overlay import Overlay
from modd.stores.nats.record import PENDING, Record, Write

PAGE = 100
"""Records that are read at once, at least: some of them may be tombstones."""


FIRST_POLL, LAST_POLL = 0.005, 1.0
"""Seconds between two looks of `NatsOutbox.wait`: at first, and at last while nothing is put."""


class OutboxLease(msgspec.Struct):
    """The lease of a relay, which is the body of one record.

    token: that of its claims.
    seconds: its length from the time stamp of the record, or 0 if there is an ``end``: the server's time at which it
        ends.
    claimed: the ids of the items that are not settled.
    attempts: how often the items of the last claim were claimed, by id.
    after: a sequence below that of each item.
    """

    token: str = ""
    seconds: float = 0.0
    end: float = 0.0
    claimed: list[str] = []
    attempts: dict[str, int] = {}
    after: int = 0

    def ends_at(self, at: float) -> float:
        """Return the server's time at which the lease ends. at: the time stamp of its record."""
        return self.end or at + self.seconds


_decode = msgspec.json.Decoder(OutboxLease).decode


class NatsOutbox(NatsPart):
    """A `modd.ports.Outbox` of a `NatsStore`: ``store.outbox``.

    The order of its items is that in which puts and transactions are stored.
    """

    async def put(self, *items: bytes | Item) -> list[str]:
        """Add items, all or none, and return their ids; an id that the outbox has is not added again."""
        checked = [checked_outbox_item(item) for item in items]
        put = [item if item.id is not None else msgspec.structs.replace(item, id=uuid4().hex) for item in checked]
        known = [item.id for item in checked if item.id is not None]
        await self._store.access("put").write(self._put, put, known)
        return [str(item.id) for item in put]

    async def claim(self, limit: int, lease: float) -> list[Claim]:
        """Lease the first items, up to ``limit``, for ``lease`` seconds; none while another relay has a lease."""
        most, seconds = checked_count("limit", limit), checked_span("lease", lease)
        access = await self._timed_access("claim")
        claims: list[Claim] = await access.write_for_result("claim", self._claim, most, seconds)
        return claims

    async def ack(self, *claims: Claim) -> None:
        """Acknowledge claims: remove their items, all or, with `LeaseLost`, none."""
        await self._store.access("ack").write(self._ack, claims)

    async def release(self, *claims: Claim) -> None:
        """Make the items claimable again in their old order; all or, with `LeaseLost`, none."""
        await self._store.access("release").write(self._release, claims)

    async def wait(self, seconds: float) -> None:
        """Return when there may be an item to claim, at the latest after ``seconds``."""
        await self._timed_access("wait")
        with anyio.move_on_after(checked_delay("seconds", seconds)), suppress(SlowConsumer):
            await self._wait(DoublingPause(FIRST_POLL, LAST_POLL))

    async def _wait(self, pause: DoublingPause) -> None:
        """Return when there may be an item to claim.

        The messages of the outbox are seen before they are stored, and not at all after a loss of the connection. So
        this looks again and again, first after a short time.
        """
        while True:
            async with self._store.stream.link.subscribe(self._store.subjects.outbox) as messages:
                is_claimable, left = await self._look()
                if is_claimable:
                    return
                with anyio.move_on_after(min(pause.next(), left)):
                    if left < inf:
                        await anyio.sleep_forever()  # a put does not matter while another relay has a lease
                    await anext(messages)
                    pause.reset()

    async def _look(self) -> tuple[bool, float]:
        """Return if there is an item to claim, and the seconds until a lease ends; infinity without a lease."""
        overlay = Overlay(self._store.stream, self._store.clock, is_guarded=False)
        lease, end = await self._lease(overlay)
        left = end - self._store.clock()
        if lease.claimed and left > TIME_PRECISION:
            return False, left
        return bool(await self._first(overlay, lease.after, 1)), inf

    async def _put(self, overlay: Overlay, items: Sequence[Item], known: Sequence[str]) -> None:
        """Add items. known: their ids that an item may have had before."""
        overlay.ids.extend(str(item.id) for item in items)
        records = await overlay.get_many([self._subject(id) for id in dict.fromkeys(known)])
        present = {record.subject for record in records if record is not None}
        for item in items:
            subject = self._subject(str(item.id))
            if subject not in present:
                present.add(subject)
                meta = {"id": item.id, "headers": item.headers} | ({} if item.key is None else {"key": item.key})
                overlay.write(Write(subject, meta, item.body, expected=None if item.id in known else 0))

    async def _claim(self, overlay: Overlay, limit: int, seconds: float) -> list[Claim]:
        """Lease the first items, unless another relay has a lease."""
        lease, end = await self._lease(overlay)
        if lease.claimed and end > overlay.clock() + TIME_PRECISION:
            return []
        records = await self._first(overlay, lease.after, limit)
        if not records:
            return []
        attempts = {id: lease.attempts.get(id, 0) + 1 for id in (record.meta["id"] for record in records)}
        first = records[0].sequence
        after = first - 1 if first < PENDING else lease.after
        new = OutboxLease(uuid4().hex, seconds, 0.0, [*attempts], attempts, after)
        self._write_lease(overlay, new)
        return [self._claim_of(record, attempts, new.token) for record in records]

    async def _ack(self, overlay: Overlay, claims: Sequence[Claim]) -> None:
        """Remove the items of claims."""
        await self._release(overlay, claims)
        for id in dict.fromkeys(claim.id for claim in claims):
            overlay.remove(self._subject(id))

    async def _release(self, overlay: Overlay, claims: Sequence[Claim]) -> None:
        """End claims. Raises `LeaseLost`, and ends none, if one of them is lost or settled."""
        if not claims:
            return
        lease, end = await self._lease(overlay)
        lost = [claim.id for claim in claims if claim.token != lease.token or claim.id not in lease.claimed]
        if lost:
            raise LeaseLost(lost)
        ended = {claim.id for claim in claims}
        lease.claimed, lease.end = [id for id in lease.claimed if id not in ended], end
        self._write_lease(overlay, lease)

    async def _lease(self, overlay: Overlay) -> tuple[OutboxLease, float]:
        """Return the last lease, and the server's time at which it ends."""
        record = await overlay.last(self._store.subjects.outbox_lease)
        if record is None:
            return OutboxLease(), 0.0
        lease = _decode(record.body)
        return lease, lease.ends_at(record.at)

    def _write_lease(self, overlay: Overlay, lease: OutboxLease) -> None:
        overlay.write(Write(self._store.subjects.outbox_lease, {}, msgspec.json.encode(lease)))

    async def _first(self, overlay: Overlay, after: int, limit: int) -> list[Record]:
        """Return the first items behind a sequence, which may be behind tombstones."""
        found: list[Record] = []
        while len(found) < limit:
            page = await overlay.page(self._store.subjects.outbox_items, after, max(limit, PAGE), is_guarded=False)
            found += [record for record in page if not record.is_gone]
            if len(page) < max(limit, PAGE):
                break
            after = page[-1].sequence
        return found[:limit]

    def _claim_of(self, record: Record, attempts: dict[str, int], token: str) -> Claim:
        id = record.meta["id"]
        headers, key = record.meta["headers"], record.meta.get("key")
        return Claim(id, record.body, headers, key, attempts[id], token)

    def _subject(self, id: str) -> str:
        return self._store.subjects.outbox_item(id)
