"""The feeds of a file, as the doctor shows them."""

from __future__ import annotations

from collections.abc import Sequence

from modd.cli.formats import format_age
from modd.cli.inspection import Inspector
from modd.cli.reports import FeedHealth
from modd.stores.sqlite.damage import Columns
from modd.texts import amount

FEEDS = """SELECT name, first,
    max(last, coalesce((SELECT max(position) FROM modd_feed_items WHERE feed = number), 0)),
    (SELECT at FROM modd_feed_items WHERE feed = number ORDER BY position LIMIT 1) FROM modd_feeds ORDER BY name"""


COLUMNS = Columns(name=str, first=int, last=int, oldest=float | None)


def examine_feeds(inspector: Inspector) -> list[FeedHealth]:
    """Return the feeds of a file, sorted by name. Raises `Damage`."""
    rows = inspector.rows(FEEDS, columns=COLUMNS) if inspector.version > 1 else []
    now = inspector.clock()
    return [
        FeedHealth(name, last - first, last, None if oldest is None else max(0.0, now - oldest))
        for name, first, last, oldest in rows
    ]


def describe_feeds(feeds: Sequence[FeedHealth]) -> str:
    """Return a line for each feed."""
    return "\n".join(map(_describe, feeds)) or "none"


def _describe(feed: FeedHealth) -> str:
    oldest = "" if feed.oldest is None else f", the oldest put {format_age(feed.oldest)}"
    return f"{feed.name}: {amount(feed.items, 'item')} up to position {feed.last}{oldest}"
