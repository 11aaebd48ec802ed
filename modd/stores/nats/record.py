"""Records: one message of the stream is the present state of one thing. Metadata is JSON in one header."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from json import dumps
from math import ceil
from typing import Any, NamedTuple

import msgspec

META = "Modd"
"""The header with the metadata of a record."""


GONE: dict[str, Any] = {"gone": True}
"""The metadata of a tombstone, which stands for a record that was removed."""


PUT = "put"
"""The field of the metadata with the token of the commit that has added an item, which its later records keep."""


TOMBSTONE_SECONDS = 60.0
"""Seconds for which a tombstone is stored, so that each process that follows the records sees it."""


PENDING = 2**62
"""Records that a transaction has written and not committed have sequences from here on."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """A stored message.

    subject, sequence: its place in the stream.
    at: the server's time at which it was stored, in seconds since 1970.
    meta: its metadata.
    body: its payload.
    """

    subject: str
    sequence: int
    at: float
    meta: dict[str, Any]
    body: bytes = b""

    @property
    def is_gone(self) -> bool:
        """True for a tombstone."""
        return self.meta.get("gone") is True


class Guard(NamedTuple):
    """A condition of a commit: the last message of a subject or of a filter has this sequence, 0 if there is none."""

    filter: str
    sequence: int


class Write(msgspec.Struct, frozen=True, gc=False):
    """A message to store.

    subject: its subject.
    meta: its metadata.
    body: its payload.
    ttl: seconds after which the server removes it, rounded up to whole ones; None to leave it.
    rollup: True to remove the earlier messages of the subject.
    expected: the sequence that the last message of ``expected_of`` must have, 0 for none; None for no condition.
    expected_of: a subject or a filter; None for the subject of the message.
    """

    subject: str
    meta: Mapping[str, Any]
    body: bytes = b""
    ttl: float | None = None
    rollup: bool = True
    expected: int | None = None
    expected_of: str | None = None

    @property
    def guard(self) -> Guard | None:
        """The condition of the write; None if it has none."""
        return None if self.expected is None else Guard(self.expected_of or self.subject, self.expected)

    def with_guard(self, guard: Guard) -> Write:
        """Return the same write on a condition."""
        return msgspec.structs.replace(self, expected=guard.sequence, expected_of=guard.filter)


def tombstone(subject: str, expected: int | None = None, meta: Mapping[str, Any] = GONE) -> Write:
    """Return the write that removes a record. meta: with more than ``gone``, such as a token to recognise."""
    return Write(subject, meta, ttl=TOMBSTONE_SECONDS, expected=expected)


def item_tombstone(subject: str, put: int, expected: int | None = None) -> Write:
    """Return the write that removes the record of an item. put: the token of the commit that has added it."""
    return tombstone(subject, expected, {**GONE, PUT: put})


def write_headers(write: Write) -> dict[str, str]:
    """Return the headers of a write."""
    headers = {META: encode_meta(write.meta)} if write.meta else {}
    if write.rollup:
        headers["Nats-Rollup"] = "sub"
    if write.ttl is not None:
        headers["Nats-TTL"] = f"{max(1, ceil(write.ttl))}s"
    if write.expected is not None:
        headers["Nats-Expected-Last-Subject-Sequence"] = str(write.expected)
        if write.expected_of is not None and write.expected_of != write.subject:
            headers["Nats-Expected-Last-Subject-Sequence-Subject"] = write.expected_of
    return headers


def encode_meta(meta: Mapping[str, Any]) -> str:
    """Return metadata as JSON in ASCII, at a fifth of the time of `json`, which writes other texts."""
    encoded = msgspec.json.encode(meta)
    return encoded.decode() if encoded.isascii() else dumps(meta, separators=(",", ":"))


def read_meta(headers: Mapping[str, str]) -> dict[str, Any]:
    """Return the metadata in the headers of a message."""
    text = headers.get(META)
    meta: dict[str, Any] = {} if text is None else msgspec.json.decode(text)
    return meta


def read_time(text: str) -> float:
    """Return a time of the server, such as ``2026-11-29T10:10:10.265344221Z``, in seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()
