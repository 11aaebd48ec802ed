"""Signing what is sent, so that the receiver can tell that nobody else has sent or changed it (MI-43)."""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from typing import TypeAlias

Signer: TypeAlias = Callable[[str, int, bytes], Mapping[str, str]]
"""Signs in a way of its own: takes the id, the time (seconds since 1970) and the body, gives the headers to send."""


_PREFIX = "whsec_"


def key_of(secret: str) -> bytes:
    """The key in a secret such as ``whsec_MfKQ9r8G...``: base64, with or without the prefix and the padding.

    Raises ``ValueError``, without the secret in its text, for what is not base64 or empty.
    """
    text = secret.removeprefix(_PREFIX)
    try:
        key = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        key = b""
    if not key:
        raise ValueError("not a secret")
    return key


def signature(secret: str, id: str, at: int, body: bytes) -> str:
    """The signature of Standard Webhooks (scheme v1, HMAC-SHA256) over id, time in seconds, and the exact body."""
    signed = hmac.digest(key_of(secret), f"{id}.{at}.".encode() + body, "sha256")
    return f"v1,{b64encode(signed).decode()}"
