"""The request for an intent, as it crosses: CloudEvents 1.0 in binary mode, so that other programs can read it.

Ids, cause and correlation, the actor and the trace cross; other stamps stay in their process.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import blake2b
from math import inf, isnan
from urllib.parse import quote, unquote

import msgspec

from modd.core import Message, wire_name
from modd.cqrs import Actor, Codec, Envelope, Stamp
from modd.cqrs.stamps import Identity
from modd.middleware.trace_context import TraceContext

ACTOR, ASKED, TIMEOUT = "modd-actor", "modd-asked", "modd-timeout"
"""The headers with the actor as JSON, with 1 if the sender waits for the result, and with the seconds it waits."""


_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PLAIN = re.compile(r"[A-Za-z0-9_.:/-]*")
"""Texts that stay as they are, such as most ids; `quote` takes ten times as long as this."""

_PRINTABLE = "!#$&'()*+,/:;=?@[]^`{|}~"


def ask_subject(name: str, kind: str) -> str:
    """Return the subject for intents of a type. name: that of the context. kind: that of the type, or ``>`` for all."""
    if kind == ">" or _TOKEN.fullmatch(kind):
        return f"modd.{name}.ask.{kind}"
    return f"modd.{name}.ask.{blake2b(kind.encode(), digest_size=16).hexdigest()}"


def request_headers(envelope: Envelope, source: str, timeout: float) -> dict[str, str]:
    """Return the headers of a request. source: the name of the sender. timeout: the seconds that it waits."""
    headers = {
        "content-type": "application/json",
        "ce-specversion": "1.0",
        "ce-id": _quoted(envelope.id),
        "ce-source": _quoted(source),
        "ce-type": _quoted(wire_name(type(envelope.message))),
        "ce-time": datetime.fromtimestamp(envelope.at, UTC).isoformat(),
        "ce-correlationid": _quoted(envelope.correlation_id),
        TIMEOUT: f"{timeout:.6f}",
    }
    if envelope.causation_id is not None:
        headers["ce-causationid"] = _quoted(envelope.causation_id)
    if envelope.is_asked:
        headers[ASKED] = "1"
    return headers | _stamp_headers(envelope)


def read_request(headers: Mapping[str, str], body: bytes, codec: Codec) -> Envelope[Message]:
    """Return the envelope of a request, to be dispatched here.

    Without a correlation, as other programs send it, the id is its own. Raises the errors of `Codec.decode_message`,
    and those of Python for headers that are missing or wrong.
    """
    message = codec.decode_message(body)
    id, causation = headers["ce-id"], headers.get("ce-causationid")
    identity = Identity(
        unquote(id),
        unquote(headers.get("ce-correlationid", id)),
        None if causation is None else unquote(causation),
        at=datetime.fromisoformat(headers["ce-time"]).timestamp(),
    )
    return Envelope.restore(message, identity, _stamps_in(headers))


def request_id(headers: Mapping[str, str]) -> str:
    """Return the id of a request, "" if it has none."""
    return unquote(headers.get("ce-id", ""))


def seconds_left(headers: Mapping[str, str]) -> float:
    """Return the seconds that the sender of a request waits; endless if the header is missing or no number."""
    with suppress(ValueError):
        seconds = float(headers.get(TIMEOUT, ""))
        return inf if isnan(seconds) else seconds
    return inf


def _stamp_headers(envelope: Envelope) -> dict[str, str]:
    headers = {}
    actor, trace = envelope.last(Actor), envelope.last(TraceContext)
    if actor is not None:
        headers[ACTOR] = _quoted(msgspec.json.encode(actor).decode())
    if trace is not None:
        headers["traceparent"] = trace.traceparent
        if trace.tracestate:
            headers["tracestate"] = trace.tracestate
    return headers


def _stamps_in(headers: Mapping[str, str]) -> list[Stamp]:
    stamps: list[Stamp] = []
    if ACTOR in headers:
        stamps.append(msgspec.json.decode(unquote(headers[ACTOR]), type=Actor))
    if "traceparent" in headers:
        stamps.append(TraceContext(headers["traceparent"], headers.get("tracestate", "")))
    return stamps


def _quoted(text: str) -> str:
    """Return a text with each character that a header cannot have as ``%`` and hex digits, as CloudEvents says."""
    return text if _PLAIN.fullmatch(text) else quote(text, safe=_PRINTABLE)
