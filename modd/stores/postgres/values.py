"""Texts and headers in their stored form: bytes, because a text of PostgreSQL has no NUL and no half characters."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from modd.errors import InvalidOption

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
