"""The SQL of queues, and the states of an item.

Theory of operation: lanes of keys
----------------------------------

Items of one key form a lane, in which they are handled one at a time, in the order of their places. One item of a lane
at most is its head: it is READY, LEASED or RETRYING, which the unique index ``items_head`` guarantees. The items behind
it are BLOCKED. A DELAYED item is not in the lane before it is due, and a DEAD one has left it. An item without a key is
never BLOCKED.

Two statements keep a lane in order, run for the keys of every change:

- PROMOTE makes the first BLOCKED item READY, if the lane has no head.
- GIVE_WAY makes a READY head BLOCKED again, if no attempt of it counts. Run before PROMOTE, it lets an item that has
  come into the lane overtake a head that was put later. A head with an attempt keeps its lane: half of its work may be
  done.

Several processes change lanes at once. Whatever adds an item to a lane, removes its head or changes the order takes the
lock of the lane, and looks at the lane in statements after that one, which see what was committed before. A claim, an
extension and a retry leave the head where it is and need no lock.

When a delay ends, nothing runs; the next claim of the queue makes due items READY, as far as it gets their rows and
lanes without waiting: what it leaves, another transaction has in its hands. A claim never waits for another claim.

An item whose lease ended stays LEASED, and its token stays valid until the next claim replaces it. It is a suspect:
claimed and never settled. A claim takes one suspect if nothing is READY, or before all that is READY: the one that was
claimed last, because it is the likeliest to have ended its process. The token of such a claim is negative: if it is not
settled either, the item itself has ended its process, so that the next claim counts it as an attempt.

READY items are claimed in the order of ``rank``: the microsecond at which they were put, or at which the delay or the
backoff ended. So a hundred items that fail again and again are behind an item that was put meanwhile.
"""

from __future__ import annotations

from modd.stores.postgres.base import NOW

READY, BLOCKED, DELAYED, LEASED, RETRYING, DEAD = range(6)
"""READY: can be claimed. BLOCKED: behind the head of its lane. DELAYED: put with a delay that is not over. LEASED:
claimed. RETRYING: waits for its next attempt. DEAD: a dead letter."""


HEAD = f"({READY}, {LEASED}, {RETRYING})"
"""The states of a head."""


DUE_BATCH = 1000
"""Most items that become READY in one claim, so that a million items that are due at once block no caller for long."""


# as a value of the whole statement, by which an index can be searched
TIME = f"(SELECT {NOW})"


MICROSECONDS = f"({TIME} * 1000000)::bigint"


REGISTER = "INSERT INTO modd.queues (number, name) VALUES (%s, %s) ON CONFLICT DO NOTHING"


INSERT = f"""INSERT INTO modd.items (queue, state, rank, due, id, key, headers, body)
    SELECT %s::bigint, state, {MICROSECONDS}, {TIME} + delay, id, key, headers, body
    FROM unnest(%s::smallint[], %s::double precision[], %s::bytea[], %s::bytea[], %s::bytea[], %s::bytea[])
    WITH ORDINALITY AS item (state, delay, id, key, headers, body, number) ORDER BY number RETURNING place"""


# by the id in the table, or by the place in an id that the queue has chosen
FIND = """SELECT id, place, key, attempts FROM modd.items WHERE queue = %s AND id = ANY(%s::bytea[])
    UNION ALL SELECT id, place, key, attempts FROM modd.items
    WHERE place = ANY(%s::bigint[]) AND queue = %s AND id IS NULL"""


# in subqueries with a limit, each a look at one row of an index however the tables have grown
HAS_HEAD = f"""SELECT lane.key FROM unnest(%s::bytea[]) AS lane (key) WHERE (SELECT place FROM modd.items AS head
    WHERE head.queue = %s AND head.key = lane.key AND head.state IN {HEAD} LIMIT 1) IS NOT NULL"""


PROMOTE = f"""UPDATE modd.items SET state = {READY} WHERE place = ANY(ARRAY(
    SELECT (SELECT place FROM modd.items AS behind WHERE behind.queue = %s AND behind.key = lane.key
        AND behind.state = {BLOCKED} ORDER BY place LIMIT 1)
    FROM unnest(%s::bytea[]) AS lane (key) WHERE (SELECT place FROM modd.items AS head
        WHERE head.queue = %s AND head.key = lane.key AND head.state IN {HEAD} LIMIT 1) IS NULL))"""


# but for a head that is being claimed
GIVE_WAY = f"""UPDATE modd.items SET state = {BLOCKED} WHERE place = ANY(ARRAY(
    SELECT place FROM modd.items WHERE queue = %s AND key = ANY(%s::bytea[]) AND state IN {HEAD}
    AND state = {READY} AND attempts = 0 FOR UPDATE SKIP LOCKED))"""


# the first row of an index, and no comparison with the time, which PostgreSQL takes to be true of a third of all rows
FIRST_DUE = "(SELECT due FROM modd.items WHERE queue = %s AND state = {} AND due IS NOT NULL ORDER BY due LIMIT 1)"


IS_DUE = f"coalesce(least({FIRST_DUE.format(DELAYED)}, {FIRST_DUE.format(RETRYING)}) <= {TIME}, false)"


HAS_SUSPECT = f"coalesce({FIRST_DUE.format(LEASED)} <= {TIME}, false)"


NEXT_SUSPECT = f"""SELECT place FROM modd.items WHERE queue = %s AND state = {LEASED} AND due IS NOT NULL
    AND due <= {TIME} ORDER BY due DESC, place DESC LIMIT 1"""


CLAIMED = "item.rank, item.place, item.id, item.key, item.headers, item.attempts, item.body"
"""The columns of a claimed item; the first two are its order."""


LEASE = f"UPDATE modd.items AS item SET state = {LEASED}, due = {TIME} + %s, attempts = attempts + 1, token = %s"


# one statement for most claims; nothing is leased if other items go before
CLAIM = f"""WITH look AS MATERIALIZED (
        SELECT {IS_DUE} AS due, {HAS_SUSPECT} AS suspect
    ), leased AS (
        {LEASE} WHERE place = ANY(ARRAY(SELECT place FROM modd.items WHERE queue = %s AND state = {READY}
            AND (SELECT NOT (due AND %s OR suspect AND %s) FROM look)
            ORDER BY rank, place LIMIT %s FOR UPDATE SKIP LOCKED))
        RETURNING {CLAIMED}
    ) SELECT look.due, look.suspect, item.* FROM look LEFT JOIN leased AS item ON true ORDER BY rank, place"""


CLAIM_SUSPECT = f"""UPDATE modd.items AS item SET due = {TIME} + %s,
    attempts = attempts + CASE WHEN token < 0 THEN 1 ELSE 0 END, token = %s
    WHERE place = ({NEXT_SUSPECT} FOR UPDATE SKIP LOCKED) RETURNING {CLAIMED}"""


DUE = f"""SELECT place, key FROM modd.items WHERE queue = %s AND state = {DELAYED} AND due IS NOT NULL
    AND due <= {TIME} ORDER BY due LIMIT {DUE_BATCH} FOR UPDATE SKIP LOCKED"""


COME_DUE = "rank = greatest(rank, (due * 1000000)::bigint), due = NULL"


MAKE_READY = f"""UPDATE modd.items SET state = CASE WHEN key IS NULL THEN {READY} ELSE {BLOCKED} END, {COME_DUE}
    WHERE place = ANY(%s::bigint[]) AND state = {DELAYED}"""


RETRY_DUE = f"""UPDATE modd.items SET state = {READY}, {COME_DUE} WHERE place = ANY(ARRAY(
    SELECT place FROM modd.items WHERE queue = %s AND state = {RETRYING} AND due IS NOT NULL
    AND due <= {TIME} ORDER BY due LIMIT {DUE_BATCH} FOR UPDATE SKIP LOCKED))"""


ACK = """DELETE FROM modd.items WHERE place = ANY(%s::bigint[]) AND token = ANY(%s::bigint[])
    RETURNING place, token"""


IS_LEASED = "place = %s AND token = %s"
"""The condition for a leased row, given its position and number."""


EXTEND = f"UPDATE modd.items SET due = {TIME} + %s WHERE {IS_LEASED}"


KEYS = "SELECT DISTINCT key FROM modd.items WHERE queue = %s AND key IS NOT NULL"


CLEAR = "DELETE FROM modd.items WHERE queue = %s"


CLEAR_LEFT = "DELETE FROM modd.left_items WHERE queue = %s"


DELETE_LEFT = "DELETE FROM modd.left_items WHERE place = ANY(%s::bigint[])"


RETRY = f"UPDATE modd.items SET token = NULL, state = {RETRYING}, due = {TIME} + %s WHERE {IS_LEASED}"


RETRY_NOW = f"""UPDATE modd.items SET token = NULL, state = {READY}, due = NULL, rank = greatest(rank, {MICROSECONDS})
    WHERE {IS_LEASED}"""


# a suspect stays one
RELEASE = f"""UPDATE modd.items SET token = NULL, due = CASE WHEN token < 0 THEN {TIME} END,
    attempts = attempts - CASE WHEN token < 0 THEN 0 ELSE 1 END,
    state = CASE WHEN token < 0 THEN {LEASED} WHEN key IS NOT NULL AND attempts = 1 THEN {BLOCKED} ELSE {READY} END
    WHERE {IS_LEASED}"""


# of dead letters the column due has the order in which they were buried
BURY = f"""UPDATE modd.items AS item SET token = NULL, state = {DEAD}, reason = %s, due = 1 + coalesce(
    (SELECT other.due FROM modd.items AS other WHERE other.queue = item.queue AND other.state = {DEAD}
    AND other.due IS NOT NULL ORDER BY other.due DESC LIMIT 1), 0) WHERE {IS_LEASED}"""


UNCLAIMED = f"attempts = 0 AND state IN ({READY}, {BLOCKED}, {DELAYED}, {RETRYING})"
"""The condition for an item that was never claimed, as far as attempts count."""


IS_DEAD = f"state = {DEAD}"


CANCELLABLE = f"""SELECT place FROM modd.items WHERE queue = %s AND id = %s AND {UNCLAIMED}
    UNION ALL SELECT place FROM modd.items WHERE place = %s AND queue = %s AND id IS NULL AND {UNCLAIMED}
    ORDER BY place"""


DELETE = "DELETE FROM modd.items WHERE place = ANY(%s::bigint[]) AND {} RETURNING place"


REDRIVE = f"""UPDATE modd.items SET place = DEFAULT, id = %s, state = CASE WHEN key IS NULL THEN {READY}
    ELSE {BLOCKED} END, attempts = 0, due = NULL, rank = {MICROSECONDS}, reason = NULL
    WHERE place = %s AND {IS_DEAD}"""


DEAD_LETTERS = f"""SELECT place, id, body, headers, reason, attempts FROM modd.items
    WHERE queue = %s AND {IS_DEAD} AND due IS NOT NULL ORDER BY due, place LIMIT %s"""


NEXT = f"""SELECT CASE WHEN (SELECT place FROM modd.items WHERE queue = %s AND state = {READY}
    ORDER BY rank, place LIMIT 1) IS NOT NULL THEN 0
    ELSE least({FIRST_DUE.format(DELAYED)}, {FIRST_DUE.format(RETRYING)},
    CASE WHEN %s THEN {FIRST_DUE.format(LEASED)} END) - {TIME} END"""
"""The seconds until there is something to claim; NULL if nobody knows."""


AT = "(SELECT at FROM time)"


LEFT_COUNT = f"""SELECT count(*) FROM modd.left_items AS left_item JOIN modd.items AS item USING (place)
    WHERE left_item.queue = %s AND item.state = {RETRYING} AND item.due = left_item.due AND item.due > {AT}"""


# each from an index alone; the time is a value, so that a transaction can find out if the counts have changed
COUNTS = f"""WITH time AS MATERIALIZED (SELECT %s::double precision AS at), later AS MATERIALIZED (
        SELECT count(*) FILTER (WHERE state IN ({DELAYED}, {LEASED}, {RETRYING}) AND due <= {AT}) AS due,
        count(*) FILTER (WHERE state IN ({DELAYED}, {RETRYING}) AND due > {AT}) AS delayed,
        count(*) FILTER (WHERE state = {LEASED} AND due > {AT}) AS leased,
        count(*) FILTER (WHERE state = {DEAD}) AS dead,
        count(*) FILTER (WHERE state = {LEASED} AND due <= {AT}) AS suspects
        FROM modd.items WHERE queue = %s AND due IS NOT NULL
    ), left_items AS MATERIALIZED ({LEFT_COUNT})
    SELECT later.due + (SELECT count(*) FROM modd.items WHERE queue = %s AND state = {READY})
    + (SELECT count(*) FROM modd.items WHERE queue = %s AND state = {BLOCKED} AND key IS NOT NULL),
    later.delayed - left_items.count, later.leased, later.dead, left_items.count, later.suspects
    FROM later, left_items"""
"""Items that are ready, delayed, leased, dead, left and suspects, in this order, by the time that is given."""
