"""Messages that a server takes: checked before they are sent, because a server ends the connection for a wrong one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from modd.checks import check_headers, is_encodable
from modd.errors import InvalidOption
from modd.nats.message import NatsMessage

_PART = r"[^\x00-\x20\x7f.]+"
_SUBJECT = re.compile(rf"(?!(?:.*\.)?[*>](?:\.|\Z)){_PART}(?:\.{_PART})*\Z")
_PATTERN = re.compile(rf"(?!(?:.*\.)?>\.){_PART}(?:\.{_PART})*\Z")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")

OVERHEAD = len("NATS/1.0\r\n\r\n")
"""The bytes of headers beside the lines of each."""


MOST_HEADERS = 64 * 1024
"""The most bytes of headers."""


def checked_message(subject: Any, body: Any, headers: Any, reply: Any, max_payload: int) -> NatsMessage:
    """Return a message that the server takes. Raises `InvalidOption`."""
    checked_subject("subject", subject)
    if reply:
        checked_subject("reply", reply)
    if not isinstance(body, bytes):
        raise InvalidOption("body", type(body), "give bytes")
    size = len(body)
    if headers:
        headers = checked_headers(headers)
        in_headers = OVERHEAD + sum(len(name) + len(value.encode()) + 4 for name, value in headers.items())
        if in_headers > MOST_HEADERS:
            raise InvalidOption("headers", f"{in_headers} bytes", f"give {MOST_HEADERS} bytes at most")
        size += in_headers
    if size > max_payload:
        raise InvalidOption(
            "body", f"{size} bytes", f"the server takes {max_payload} bytes at most, headers included (max_payload)"
        )
    return NatsMessage(subject, body, headers or {}, reply)


def checked_subject(option: str, subject: Any) -> str:
    """Return a subject to publish to."""
    if not isinstance(subject, str) or not _SUBJECT.match(subject) or not is_encodable(subject):
        raise InvalidOption(
            option, subject, 'give parts joined by dots, such as "orders.paid", without spaces and wildcards'
        )
    return subject


def checked_token(option: str, name: Any, example: str) -> str:
    """Return a name that is a part of subjects and of the names of streams. Raises `InvalidOption`.

    option: the name of the option. example: a value that works, for the error.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidOption(option, name, f"give 1 to 64 letters, digits, - and _, such as {example}")
    return name


def checked_pattern(subject: Any, queue: Any) -> None:
    """Raise `InvalidOption` unless the values are a subject to subscribe to, and the name of a group or None."""
    if not isinstance(subject, str) or not _PATTERN.match(subject) or not is_encodable(subject):
        raise InvalidOption("subject", subject, 'give parts joined by dots, such as "orders.*" or "orders.>"')
    if queue is not None and not (isinstance(queue, str) and _SUBJECT.match(queue) and is_encodable(queue)):
        raise InvalidOption("queue", queue, "give the name of a group, without spaces, or None")


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers that arrive as they are."""
    if isinstance(headers, Mapping):
        headers = dict(headers)
    check_headers(headers)
    for name, value in headers.items():
        if not _HEADER_NAME.match(name):
            raise InvalidOption("headers", name, "give names of ASCII letters, digits and signs such as -")
        if value != value.strip() or "\n" in value or "\r" in value:
            raise InvalidOption("headers", name, "give values of one line, without spaces around them")
    return headers
