"""What a store has, read from its file; and what can never be there, whatever it was told to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from tests.proofs.power_ledger import Thing
from tests.proofs.power_workload import event_of, item_of

Rows: TypeAlias = list[tuple[Any, ...]]
STATES = ("waiting", "waiting", "waiting", "leased", "retrying", "dead")

TABLES = "SELECT name FROM sqlite_master WHERE name IN ('modd_store', 'accounts')"
ITEMS = "SELECT state, attempts, body FROM modd_items"
EVENTS = "SELECT position, stream, revision, body FROM modd_events ORDER BY position"
OTHERS = """SELECT 'inbox', id, 1 FROM modd_inbox UNION ALL SELECT 'outbox', id, attempts FROM modd_outbox
    UNION ALL SELECT 'cache', key, value FROM modd_cache"""
ACCOUNTS = "SELECT 'account', name, balance FROM accounts"
NEVER = """SELECT 'a key with two heads', key FROM modd_items WHERE key IS NOT NULL AND state IN (0, 3, 4)
        GROUP BY queue, key HAVING count(*) > 1
    UNION ALL SELECT 'a key without a head', key FROM modd_items AS item WHERE key IS NOT NULL AND state = 1 AND
        NOT EXISTS (SELECT 1 FROM modd_items WHERE queue = item.queue AND key = item.key AND state IN (0, 3, 4))
    UNION ALL SELECT 'an item in no queue', queue FROM modd_items WHERE queue NOT IN (SELECT number FROM modd_queues)
    UNION ALL SELECT 'a lease without a token', place FROM modd_items WHERE (state = 3) != (token IS NOT NULL)"""


def wanted(tables: Rows) -> list[str]:
    """The statements whose rows tell what is there, in a file in which `TABLES` has found these."""
    names = [name for [name] in tables]
    return [ITEMS, EVENTS, OTHERS, NEVER, *([ACCOUNTS] if "accounts" in names else [])] if "modd_store" in names else []


def found(rows: Mapping[str, Rows]) -> tuple[dict[Thing, Any], list[str]]:
    """All that is there, and what must not be. rows: those of the statements that are wanted."""
    things = dict(_item(*row) for row in rows.get(ITEMS, []))
    others = [*rows.get(OTHERS, []), *rows.get(ACCOUNTS, [])]
    things |= {(kind, name): value for kind, name, value in others}
    faults = [f"{what}: {which}" for what, which in rows.get(NEVER, [])]
    return things | _streams(rows.get(EVENTS, []), faults), faults


def _item(state: int, attempts: int, body: bytes) -> tuple[Thing, Any]:
    return item_of(body, STATES[state], attempts)


def _streams(rows: Rows, faults: list[str]) -> dict[Thing, Any]:
    streams: dict[Thing, Any] = {}
    for number, (position, stream, revision, body) in enumerate(rows, 1):
        if (number, streams.get(("stream", stream), 0) + 1) != (position, revision):
            faults.append(f"a gap before {stream} {revision} at {position}")
        if body != event_of(stream, revision):
            faults.append(f"not what was recorded: {stream} {revision}")
        streams["stream", stream] = revision
    return streams
