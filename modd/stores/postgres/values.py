"""Texts and headers in their stored form: bytes, because a text of PostgreSQL has no NUL and no half characters."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec

from modd.errors import InvalidOption
from modd.ports.items import Item

LONGEST_KEY = 1_000
"""Most bytes of a text in an index; PostgreSQL takes 2 700 of all columns of an index."""


LARGEST = 2**63 - 1
"""The largest number of a column."""


def checked_bigint(option: str, value: int) -> int:
    """Return a whole number, not below 0, that a column can have. Raises `InvalidOption`."""
    if value > LARGEST:
        raise InvalidOption(option, value, f"give a number of at most 64 bits, up to {LARGEST}")
    return value


def encode_text(text: str) -> bytes:
    """Return a text as it is stored."""
    return text.encode(errors="surrogatepass")


def decode_text(data: bytes) -> str:
    """Return a text from its stored form."""
    return data.decode(errors="surrogatepass")


def encode_key(text: str) -> bytes:
    """Return a text as it is stored where it is only looked up: a digest, which is no text, of one that is long."""
    data = encode_text(text)
    return data if len(data) <= LONGEST_KEY else b"\xff" + sha256(data).digest()


def encode_texts(texts: Iterable[str]) -> list[bytes]:
    """Return texts as they are stored, for an array."""
    return [encode_text(text) for text in texts]


def encode_optional(text: str | None) -> bytes | None:
    """Return a text as it is stored, or NULL for none."""
    return None if text is None else encode_text(text)


def decode_optional(data: bytes | None) -> str | None:
    """Return a text from its stored form; None for NULL."""
    return None if data is None else decode_text(data)


def encode_headers(headers: dict[str, str]) -> bytes | None:
    """Return headers as they are stored: pairs in MessagePack, or NULL for none."""
    return _encode([(encode_text(name), encode_text(value)) for name, value in headers.items()]) if headers else None


def decode_headers(data: bytes | None) -> dict[str, str]:
    """Return headers from their stored form."""
    return {decode_text(name): decode_text(value) for name, value in _decode(data)} if data else {}


_encode = msgspec.msgpack.Encoder().encode


_decode = msgspec.msgpack.Decoder(list[tuple[bytes, bytes]]).decode


class EncodedItem(NamedTuple):
    """The values of an item as they are stored, with an id in any case."""

    id: str
    key: bytes | None
    headers: bytes | None
    body: bytes


def encode_item(item: Item) -> EncodedItem:
    """Return the row of an item, with a new id if it has none."""
    id = uuid4().hex if item.id is None else item.id  # chosen here, so that a second put of the same id is safe
    return EncodedItem(id, encode_optional(item.key), encode_headers(item.headers), item.body)


def item_columns(rows: Iterable[EncodedItem]) -> tuple[list[Any], ...]:
    """Return ids, keys, headers and bodies of rows, for arrays."""
    ids, keys, headers, bodies = zip(*rows, strict=True)
    return encode_texts(ids), [*keys], [*headers], [*bodies]
