"""The account of a queue on NATS servers that are killed: what was put and claimed, and what of it cannot be."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal, TypeAlias

import msgspec

PutOutcome: TypeAlias = Literal["stored", "unknown", "not stored"]
Settled: TypeAlias = Literal["acked", "released", "lease lost", "unknown"]


class Put(msgspec.Struct, frozen=True):
    """A put. names: those of its items. outcome: what the store has told of it. calls: the calls that it took.

    Items that were put again with their ids come again if they were handled meanwhile. A put of which nothing is known
    may be stored much later, so that its items are out of order.
    """

    names: list[str]
    outcome: PutOutcome
    calls: int = 1


class Had(msgspec.Struct, frozen=True):
    """A claim, with times of the machine.

    name, key: those of the item. asked, received: when it was asked for, and when it was there.
    settling, settled: when it was about to be settled, and when that had ended. outcome: how it ended.
    """

    name: str
    key: str | None
    asked: float
    received: float
    settling: float
    settled: float
    outcome: Settled

    def free_at(self, lease: float) -> float:
        """Return the first moment at which another claim can have been given."""
        return min(self.asked + lease, self.settling)


def find_problems(puts: Iterable[Put], claims: Iterable[Had], lease: float) -> list[str]:
    """Return what cannot be, of a queue that is empty at the end. lease: seconds of each lease."""
    puts, ordered = [*puts], sorted(claims, key=lambda each: each.received)
    repeated = {name for put in puts if put.calls > 1 for name in put.names}
    once = [each for each in ordered if each.name not in repeated]
    return [
        *_lost(puts, ordered),
        *_settled_wrongly(once, lease),
        *_claimed_twice(once, lease),
        *_disordered(puts, once),
    ]


def _lost(puts: Iterable[Put], claims: Sequence[Had]) -> Iterable[str]:
    claimed = {each.name for each in claims}
    for put in puts:
        there = [name for name in put.names if name in claimed]
        if put.outcome == "stored" and len(there) < len(put.names):
            yield f"{put.names} were put, and only {there} came"
        elif put.outcome == "not stored" and there:
            yield f"{put.names} were not put, and {there} came"
        elif 0 < len(there) < len(put.names):
            yield f"{put.names} were put together, and only {there} came"


def _settled_wrongly(claims: Iterable[Had], lease: float) -> Iterable[str]:
    acked = Counter(each.name for each in claims if each.outcome == "acked")
    yield from (f"{name} was acknowledged {times} times" for name, times in acked.items() if times > 1)
    for each in claims:
        if each.outcome == "lease lost" and each.settled < each.asked + lease:
            yield f"the lease of {each.name} was lost after {each.settled - each.asked:.3f} s"


def _claimed_twice(claims: Iterable[Had], lease: float) -> Iterable[str]:
    """Find claims of an item, or of a key, before the one before was over, behind an acknowledgement, out of order."""
    of_name, of_key = dict[str, Had](), defaultdict[str | None, list[Had]](list)
    acked: dict[str, float] = {}
    for each in claims:
        if each.asked > acked.get(each.name, each.asked):
            yield f"{each.name} was claimed {each.asked - acked[each.name]:.3f} s after its acknowledgement"
        before = of_name.get(each.name)
        if before is not None and each.received < before.free_at(lease):
            yield f"{each.name} was claimed again {each.received - before.asked:.3f} s after it was claimed"
        if each.outcome == "acked":
            acked[each.name] = each.settled
        of_name[each.name] = each
        if each.key is not None:
            of_key[each.key].append(each)
    for key, those in of_key.items():
        yield from _overlaps(key, those, lease)


def _overlaps(key: str | None, claims: Sequence[Had], lease: float) -> Iterable[str]:
    for before, after in pairwise(claims):
        if before.name != after.name and after.received < before.free_at(lease):
            yield f"{after.name} was claimed while {before.name} of the key {key} was"


def _disordered(puts: Iterable[Put], claims: Iterable[Had]) -> Iterable[str]:
    late = {name for put in puts if put.outcome == "unknown" for name in put.names}
    last: dict[str, Had] = {}
    for each in claims:
        if each.key is not None and each.name not in late:
            before = last.setdefault(each.key, each)
            if number_of(each.name) < number_of(before.name):
                yield f"{each.name} was claimed after {before.name} of the key {each.key}"
            last[each.key] = each


def number_of(name: str) -> int:
    """Return the place of an item among those of its writer."""
    return int(name.rpartition("-")[2])
