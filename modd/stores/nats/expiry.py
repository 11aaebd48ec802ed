"""Records with an end: what is over is over by the server's clock; the server removes it a little later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modd.stores.nats.overlay import Overlay
from modd.stores.nats.record import Record, Write

LONGEST = 10 * 365 * 86_400.0
"""Seconds; a record with a later end is not removed by the server."""


def write_until(overlay: Overlay, subject: str, seconds: float, meta: Mapping[str, Any], body: bytes = b"") -> None:
    """Write a record that is over after these seconds."""
    ttl = seconds if seconds < LONGEST else None
    overlay.write(Write(subject, {**meta, "seconds": min(seconds, LONGEST)}, body, ttl))


async def get_current(overlay: Overlay, subject: str) -> Record | None:
    """Return the record of a subject; None if there is none or it is over."""
    record = await overlay.get(subject)
    return None if record is None or record.at + record.meta["seconds"] <= overlay.clock() else record
