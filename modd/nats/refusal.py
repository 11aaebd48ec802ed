"""Errors of a connection that tell that the server, or this side, will not have the other."""

from __future__ import annotations

from ssl import SSLEOFError, SSLError, SSLZeroReturnError

from nats import errors

from modd.nats.client import TlsMissing


def is_refusal(error: Exception) -> bool:
    """Return True if another attempt with the same options cannot succeed."""
    if isinstance(error, SSLError):
        return not isinstance(error, (SSLEOFError, SSLZeroReturnError))
    if isinstance(error, OSError):  # with the name of a file: that of credentials, which cannot be read
        return error.filename is not None
    if isinstance(error, errors.Error) and not isinstance(error, TlsMissing):
        return "authorization" in str(error).lower() or "authentication" in str(error).lower()
    return True
