"""The SQL of queues, and the states of an item.

Theory of operation: lanes of keys
----------------------------------

Items of one key form a lane, in which they are handled one at a time, in the order of their positions (the column
``place``). One item of a lane at most is its head: it is READY, LEASED or RETRYING. The items behind it are BLOCKED. A
DELAYED item is not in the lane before it is due, and a DEAD one has left it. An item without a key is never BLOCKED.

Two statements keep a lane in order, run for the keys of every change:

- PROMOTE makes the first BLOCKED item READY, if the lane has no head.
- GIVE_WAY makes a READY head BLOCKED again, if no attempt of it counts. Run before PROMOTE, it lets an item that has
  come into the lane overtake a head that was put later. A head with an attempt keeps its lane: half of its work may be
  done.

Example: items 1 to 4 have one key; 1 is put with a delay of 60 seconds. R = READY, B = BLOCKED, D = DELAYED,
L = LEASED, Y = RETRYING, - = deleted; the digit is the number of attempts.

==========================  =====  =====  =====  =====  ==================================================
step                          1      2      3      4    statements
==========================  =====  =====  =====  =====  ==================================================
put                          D0     R0     B0     B0    PROMOTE: the lane has no head, 2 is the first
claim                        D0     L1     B0     B0    2 has the lane
release of 2                 D0     R0     B0     B0    2 becomes B0; PROMOTE makes it READY again
60 seconds pass, claim       L1     B0     B0     B0    1 is due and B0; GIVE_WAY: 2 is B0; PROMOTE: 1
retry of 1 in 5 seconds      Y1     B0     B0     B0    1 keeps the lane, and nothing can be claimed
5 seconds pass, claim        L2     B0     B0     B0    1 is due and R1, a head already; then it is claimed
bury of 1                   dead    R0     B0     B0    PROMOTE: 2
claim, ack of 2             dead     -     R0     B0    PROMOTE: 3
==========================  =====  =====  =====  =====  ==================================================

When a delay ends, nothing runs; the next claim of the queue makes due items READY. An item whose lease ended stays
LEASED, and its token stays valid until the next claim replaces it. It is a suspect: claimed and never settled. A claim
takes one suspect if nothing is READY, or before all that is READY: the one that was claimed last, because it is the
likeliest to have ended its process. The token of such a claim is negative: if it is not settled either, the item itself
has ended its process, so that the next claim counts it as an attempt.

READY items are claimed by the time at which they became due. That is their place, which is the time at which they were
put, or their ``rank``: the end of the delay or the backoff, on the scale of places. So a hundred items that
fail again and again are behind an item that was put meanwhile, and one index has the whole order.
"""

from __future__ import annotations

from modd.stores.sqlite.damage import Columns
from modd.stores.sqlite.lease import LEASED as IS_LEASED
from modd.stores.sqlite.positions import MICROSECONDS
from modd.stores.sqlite.sql import BulkStatement

# READY is 0 and BLOCKED is 1, so that a condition such as `key IS NOT NULL` can be the new state
READY, BLOCKED, DELAYED, LEASED, RETRYING, DEAD = range(6)
"""READY: can be claimed. BLOCKED: behind the head of its lane. DELAYED: put with a delay that is not over. LEASED:
claimed. RETRYING: waits for its next attempt. DEAD: a dead letter."""


DUE_BATCH = 1000
"""Most items that become READY in one claim, so that a million items that are due at once block no caller for long."""


DUE = "queue = :queue AND state = :state AND due IS NOT NULL AND due <= :now"


ANY_DUE = " OR ".join(
    f"EXISTS (SELECT 1 FROM modd_items WHERE {DUE.replace(':state', str(state))})" for state in (DELAYED, RETRYING)
)


NEXT_SUSPECT = f"""SELECT place FROM modd_items WHERE queue = :queue AND state = {LEASED}
    AND due IS NOT NULL AND due <= :now ORDER BY due DESC, place DESC LIMIT 1"""


LOOK = f"SELECT {ANY_DUE}, EXISTS ({NEXT_SUSPECT})"
"""Tells whether items came due, and whether there is a suspect."""


# not before its place, which is ahead of the time if the clock was set back
RANK = f"max(place, CAST({{}} * {MICROSECONDS} AS INTEGER))"


COME_DUE = f"""UPDATE modd_items SET state = (state = {DELAYED} AND key IS NOT NULL), rank = {RANK.format("due")},
    due = NULL WHERE place IN (SELECT place FROM modd_items WHERE {DUE} ORDER BY due LIMIT {DUE_BATCH})
    RETURNING state, key"""


OF_KEY = "queue = :queue AND key = :key AND key IS NOT NULL"


GIVE_WAY = f"UPDATE modd_items SET state = {BLOCKED} WHERE {OF_KEY} AND state = {READY} AND attempts = 0"


PROMOTE = f"""UPDATE modd_items SET state = {READY} WHERE place = (
    SELECT place FROM modd_items WHERE {OF_KEY} AND state = {BLOCKED} ORDER BY place LIMIT 1)
    AND NOT EXISTS (SELECT 1 FROM modd_items WHERE {OF_KEY} AND state IN ({READY}, {LEASED}, {RETRYING}))"""


LEASE = f"UPDATE modd_items SET state = {LEASED}, due = ?, attempts = attempts + 1, token = ?"


LEASE_MANY = BulkStatement(f"{LEASE} WHERE place IN (", "?", ")")


CLAIMED = Columns(place=int, id=str | None, key=str | None, headers=bytes | None, attempts=int, body=bytes)
"""The columns of a claimed item."""


CLAIMED_NAMES = "place, id, key, headers, attempts, body"


# read before they are leased: to return them from the UPDATE takes a third more time, and has no order
NEXT_READY = f"""SELECT place, id, key, headers, attempts + 1, body FROM modd_items
    WHERE queue = :queue AND state = {READY} ORDER BY coalesce(rank, place), place LIMIT :limit"""


CLAIM_SUSPECT = f"""UPDATE modd_items SET due = :until, attempts = attempts + coalesce(token < 0, 0), token = :token
    WHERE place = ({NEXT_SUSPECT}) RETURNING {CLAIMED_NAMES}"""


ACK = f"DELETE FROM modd_items WHERE {IS_LEASED}"


ACK_MANY = BulkStatement("DELETE FROM modd_items WHERE token = ? AND place IN (", "?", ")")


EXTEND = f"UPDATE modd_items SET state = {LEASED}, due = ? WHERE {IS_LEASED}"


RETRY = f"UPDATE modd_items SET token = NULL, state = {RETRYING}, due = ? WHERE {IS_LEASED}"


RETRY_NOW = f"""UPDATE modd_items SET token = NULL, state = {READY}, due = NULL, rank = {RANK.format("?")}
    WHERE {IS_LEASED}"""


# a suspect stays one
RELEASE = f"""UPDATE modd_items SET token = NULL, due = CASE WHEN token < 0 THEN ? END,
    attempts = attempts - (token >= 0),
    state = CASE WHEN token < 0 THEN {LEASED} ELSE (key IS NOT NULL AND attempts = 1) END WHERE {IS_LEASED}"""


UNCLAIMED = f"attempts = 0 AND state IN ({READY}, {BLOCKED}, {DELAYED}, {RETRYING})"
"""The condition for an item that was never claimed, as far as attempts count."""


CANCELLABLE = f"""SELECT place FROM modd_items WHERE queue = :queue AND id = :id AND {UNCLAIMED}
    UNION ALL SELECT place FROM modd_items WHERE place = :place AND queue = :queue AND id IS NULL AND {UNCLAIMED}"""


# of dead letters the column due has the order in which they were buried
BURY = f"""UPDATE modd_items SET token = NULL, state = {DEAD}, reason = ?,
    due = (SELECT coalesce(max(due), 0) + 1 FROM modd_items AS other
    WHERE other.queue = modd_items.queue AND other.state = {DEAD} AND other.due IS NOT NULL) WHERE {IS_LEASED}"""


REDRIVE = f"""UPDATE modd_items SET place = ?, id = ?, state = (key IS NOT NULL), attempts = 0, due = NULL,
    rank = NULL, reason = NULL WHERE place = ? AND state = {DEAD} RETURNING key"""


IS_CLAIMABLE = f"""SELECT EXISTS (SELECT 1 FROM modd_items WHERE queue = :queue AND state = {READY}) OR {ANY_DUE}
    OR (:suspects AND EXISTS ({NEXT_SUSPECT}))"""


DEAD_LETTERS = f"""SELECT place, id, body, headers, reason, attempts FROM modd_items
    WHERE queue = ? AND state = {DEAD} AND due IS NOT NULL ORDER BY due LIMIT ?"""


_COUNT = "SELECT count(*) FROM modd_items WHERE queue = :queue AND due IS NOT NULL"


LEFT_COUNT = f"""(SELECT count(*) FROM modd_left CROSS JOIN modd_items AS item USING (place)
    WHERE modd_left.queue = :queue AND item.state = {RETRYING} AND item.due = modd_left.due AND item.due > :now)"""


DEAD_COLUMNS = Columns(place=int, id=str | None, body=bytes, headers=bytes | None, reason=str, attempts=int)


COUNTS = f"""SELECT
    (SELECT count(*) FROM modd_items WHERE queue = :queue AND state = {READY})
    + (SELECT count(*) FROM modd_items WHERE queue = :queue AND state = {BLOCKED} AND key IS NOT NULL)
    + {" + ".join(f"({_COUNT} AND state = {state} AND due <= :now)" for state in (DELAYED, LEASED, RETRYING))},
    ({_COUNT} AND state = {DELAYED} AND due > :now) + ({_COUNT} AND state = {RETRYING} AND due > :now) - {LEFT_COUNT},
    ({_COUNT} AND state = {LEASED} AND due > :now),
    ({_COUNT} AND state = {DEAD}),
    {LEFT_COUNT},
    ({_COUNT} AND state = {LEASED} AND due <= :now)"""
"""Items that are ready, delayed, leased, dead, left and suspects, in this order."""
