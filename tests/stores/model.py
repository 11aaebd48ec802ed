"""What a queue must do, looked up in a plain list each time: the model of the property test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modd.ports import Item, LeaseLost, PutResult, Stats


@dataclass(eq=False)
class Entry:
    """An item. due: when its delay or its lease ends. claim: the number of the last one, until that is settled.

    since: when it became due, as what is no suspect. leased: whether its last claim was never settled. alone: whether
    that was the claim of a suspect.
    """

    id: str
    key: str | None
    due: float
    attempts: int = 0
    claim: int | None = None
    reason: str | None = None
    since: float = 0.0
    leased: bool = False
    alone: bool = False

    def __post_init__(self) -> None:
        self.since = self.due


class ModelQueue:
    """Claims are numbers here; the list is the order of the items."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.entries: list[Entry] = []
        self.claims: list[str] = []
        self.buried: list[Entry] = []

    def put(self, *items: Item) -> list[PutResult]:
        return [PutResult(str(item.id), not self.add(item)) for item in items]

    def add(self, item: Item) -> bool:
        """Add an item, unless one with its id keeps it out."""
        same = [entry for entry in self.entries if entry.id == item.id]
        if same and (item.unique == "until-done" or not all(entry.attempts for entry in same)):
            return False
        self.entries.append(Entry(str(item.id), item.key, self.now + item.delay))
        return True

    def may_be_claimed(self, entry: Entry) -> bool:
        alive = [each for each in self.entries if each.reason is None]
        if entry not in alive or entry.due > self.now:
            return False
        lane = [each for each in alive if entry.key is not None and each.key == entry.key]
        begun = [each for each in lane if each.attempts]
        due = [each for each in lane if each.due <= self.now]
        return not lane or entry is (begun or due)[0]

    def suspects(self) -> list[Entry]:
        found = [each for each in self.entries if each.leased and self.may_be_claimed(each)]
        return sorted(found, key=due_of)[::-1]

    def claim(self, limit: int, lease: float, suspects: str = "last") -> list[tuple[str, int, bool]]:
        taken: list[Entry] = []
        if suspects == "first" and self.suspects():
            limit = 0
        for entry in sorted(self.entries, key=since_of):
            if len(taken) < limit and not entry.leased and self.may_be_claimed(entry):
                self.take(entry, lease, attempts=1)
                taken.append(entry)
        for entry in [] if taken or suspects == "none" else self.suspects()[:1]:
            self.take(entry, lease, attempts=int(entry.alone))
            entry.alone = True
            taken.append(entry)
        return [(entry.id, entry.attempts, entry.alone) for entry in taken]

    def take(self, entry: Entry, lease: float, attempts: int) -> None:
        entry.attempts += attempts
        entry.due, entry.claim, entry.leased = self.now + lease, len(self.claims), True
        self.claims.append(entry.id)

    def held(self, *claims: int) -> list[Entry]:
        held = [entry for claim in claims for entry in self.entries if entry.claim == claim]
        if len(held) < len(claims):
            raise LeaseLost([self.claims[claim] for claim in claims if claim not in [each.claim for each in held]])
        return held

    def extend(self, claim: int, lease: float) -> None:
        self.held(claim)[0].due = self.now + lease

    def ack(self, *claims: int) -> None:
        done = self.held(*claims)
        self.entries = [entry for entry in self.entries if entry not in done]

    def settle(self, claim: int, **changes: Any) -> None:
        [entry] = self.held(claim)
        for name, value in {"claim": None, "due": self.now, "leased": False, "alone": False, **changes}.items():
            setattr(entry, name, value)

    def retry(self, claim: int, delay: float) -> None:
        self.settle(claim, due=self.now + delay, since=self.now + delay)

    def release(self, claim: int) -> None:
        [entry] = self.held(claim)
        self.settle(claim, attempts=entry.attempts - (not entry.alone), leased=entry.alone)

    def bury(self, claim: int, reason: str) -> None:
        [entry] = self.held(claim)
        self.settle(claim, reason=reason)
        self.buried = [*self.buried, entry]

    def cancel(self, *names: str) -> list[str]:
        gone = [entry for entry in self.entries if entry.id in names and not entry.attempts]
        self.entries = [entry for entry in self.entries if entry not in gone]
        return [entry.id for entry in gone]

    def dead(self) -> list[tuple[str, str | None, int]]:
        return [(entry.id, entry.reason, entry.attempts) for entry in self.buried]

    def exhume(self, *names: str) -> list[Entry]:
        found = [entry for entry in self.entries if entry in self.buried and entry.id in names]
        self.buried = [entry for entry in self.buried if entry not in found]
        self.entries = [entry for entry in self.entries if entry not in found]
        return found

    def redrive(self, name: str) -> list[str]:
        found = self.exhume(name)
        self.entries += [Entry(entry.id, entry.key, self.now) for entry in found]
        return [entry.id for entry in found]

    def discard(self, *names: str) -> list[str]:
        return [entry.id for entry in self.exhume(*names)]

    def stats(self) -> Stats:
        alive = [entry for entry in self.entries if entry.reason is None]
        later = [entry for entry in alive if entry.due > self.now]
        leased = sum(entry.leased for entry in later)
        suspects = sum(entry.leased for entry in alive) - leased
        return Stats(len(alive) - len(later), len(later) - leased, leased, len(self.buried), suspects=suspects)

    def left(self) -> list[tuple[str, str | None, int, str | None, float | None]]:
        """Each item, with the end of its lease."""
        return [
            (entry.id, entry.key, entry.attempts, entry.reason, entry.due if entry.leased else None)
            for entry in self.entries
        ]


def since_of(entry: Entry) -> float:
    return entry.since


def due_of(entry: Entry) -> float:
    return entry.due
