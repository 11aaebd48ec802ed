"""Endpoints that webhooks are sent to, and the signature of Standard Webhooks."""

from __future__ import annotations

import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import unquote, unquote_plus

from modd.checks import checked_count, checked_span
from modd.concurrency.backoff import Backoff, check_backoff
from modd.core import MASK, Value
from modd.errors import InvalidOption
from modd.middleware.webhook.client import ParsedUrl

Signer: TypeAlias = Callable[[str, int, bytes], Mapping[str, str]]
"""Takes the id, the time (seconds since 1970) and the body, and returns the headers of a signature."""


_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


_RESERVED_HEADERS = (
    "connection",
    "content-length",
    "host",
    "transfer-encoding",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
)
"""Headers that the webhook sets itself; other values would break the request or its signature."""


_SHORTEST_SECRET = 8
"""Characters; a shorter text is no secret, and masking it would garble the text around it."""


_SECRET_PREFIX = "whsec_"


class Endpoint(Value, frozen=True):
    """A receiver of webhooks: ``Endpoint("https://hooks.example.com/orders", secret="whsec_...")``.

    The repr shows the host and the names of headers, but no path, values of headers or secret, because a URL may itself
    be a secret.

    url: the address, http or https, without user and password.
    method: an HTTP method in capitals, POST by default.
    headers: sent in addition to the headers of the webhook, such as ``{"Authorization": "Bearer ..."}``; by default
        none.
    secret: the secret for a signature by Standard Webhooks: base64, usually after ``whsec_``; None, the default, for no
        signature.
    sign: a `Signer` for another signature, in place of a secret; None by default.
    attempts: the number of attempts in all.
    backoff: the delays between attempts: ``"exponential"``, ``"fibonacci"`` or ``"none"``.
    multiplier: the factor from one delay to the next; only for exponential.
    jitter: the share by which delays vary at random, from 0 to 1.
    timeout: seconds for one attempt.

    None, the default, for one of the last five fields is the option of the webhook.

    Raises:
        InvalidOption: a field has a value that cannot work.
    """

    url: str
    method: str = "POST"
    headers: Mapping[str, str] = {}
    secret: str | None = None
    sign: Signer | None = None
    attempts: int | None = None
    backoff: Backoff | None = None
    multiplier: float | None = None
    jitter: float | None = None
    timeout: float | None = None

    def __post_init__(self) -> None:
        ParsedUrl(self.url)
        if not (
            isinstance(self.method, str) and self.method.isascii() and self.method.isalpha() and self.method.isupper()
        ):
            raise InvalidOption("method", self.method, 'give an HTTP method in capitals, such as "POST"')
        _check_headers(self.headers)
        _check_signing(self.secret, self.sign)
        _check_attempts(self)

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Return names and values of the fields for the repr, without secrets and without defaults."""
        shown: dict[str, Any] = {name: getattr(self, name) for name in self.__struct_fields__}
        shown |= {"url": self.origin, "headers": dict.fromkeys(self.headers, MASK)}
        shown["secret"] = self.secret and MASK
        return [(name, value) for name, value in shown.items() if value not in (None, {}) or name == "url"]

    @property
    def origin(self) -> str:
        """The part of the URL that may be shown: scheme, host and port."""
        return ParsedUrl(self.url).origin

    def signed_headers(self, id: str, at: int, body: bytes) -> dict[str, str]:
        """Return the headers of the endpoint and of a request: its id, its time in seconds, and its signature."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        headers |= {"webhook-id": id, "webhook-timestamp": str(at)}
        if self.secret is not None:
            headers["webhook-signature"] = signature(self.secret, id, at, body)
        if self.sign is not None:
            headers |= {name.lower(): value for name, value in self.sign(id, at, body).items()}
        return headers

    def mask_secrets(self, text: str) -> str:
        """Return a text, such as a response that repeats the request, with ``***`` for secrets of this endpoint."""
        secrets = [self.secret or "", *_parts(ParsedUrl(self.url).path), *self.headers.values()]
        pieces = {piece for value in secrets for piece in (value, *value.split())}
        for piece in sorted(pieces, key=len, reverse=True):
            if len(piece) >= _SHORTEST_SECRET:
                text = text.replace(piece, "***")
        return text


def check_endpoints(value: Any) -> None:
    """Raise `InvalidOption` unless the value is a list of endpoints."""
    wrong = [each for each in value if not isinstance(each, Endpoint)] if isinstance(value, (list, tuple)) else [value]
    for each in wrong:  # the error shows the type only, because a URL may be a secret
        raise InvalidOption("endpoints", type(each).__name__, 'give a list: [Endpoint("https://...")]')


def _parts(path: str) -> set[str]:
    """Return a path with its query, the segments of the path, and the values of the query; each raw and decoded."""
    segments, _, query = path.partition("?")
    values = [pair.partition("=")[2] or pair for pair in query.split("&")]
    parts = {path, segments, *segments.split("/"), *values}
    return parts | {unquote(part) for part in parts} | {unquote_plus(value) for value in values}


def _check_headers(headers: Any) -> None:
    if not isinstance(headers, Mapping):
        raise InvalidOption("headers", type(headers).__name__, "give a mapping from names to values")
    for name, value in headers.items():
        if not (isinstance(name, str) and _HEADER_NAME.fullmatch(name)) or name.lower() in _RESERVED_HEADERS:
            raise InvalidOption("headers", name, "give a name of a header that the webhook does not set itself")
        if not (isinstance(value, str) and value.isascii() and value.isprintable() and value == value.strip()):
            raise InvalidOption(f"headers[{name!r}]", MASK, "give printable ASCII text, without spaces at its ends")


def _check_signing(secret: Any, sign: Any) -> None:
    if secret is not None:
        try:
            decode_secret(secret)
        except (ValueError, TypeError, AttributeError):
            raise InvalidOption("secret", MASK, 'give base64, such as "whsec_MfKQ..."') from None
    if sign is not None and (secret is not None or not callable(sign)):
        raise InvalidOption("sign", type(sign).__name__, "give a callable (id, time, body) -> headers, and no secret")


def _check_attempts(endpoint: Endpoint) -> None:
    if endpoint.attempts is not None:
        checked_count("attempts", endpoint.attempts)
    if endpoint.timeout is not None:
        checked_span("timeout", endpoint.timeout)
    backoff = "none" if endpoint.backoff is None else endpoint.backoff
    multiplier = 1.0 if endpoint.multiplier is None else endpoint.multiplier
    check_backoff(backoff, multiplier, 0.0 if endpoint.jitter is None else endpoint.jitter)


def decode_secret(secret: str) -> bytes:
    """Return the key in a secret such as ``whsec_MfKQ9r8G...``: base64, with or without prefix and padding.

    Raises ``ValueError``, without the secret in its text, if the secret is empty or no base64.
    """
    text = secret.removeprefix(_SECRET_PREFIX)
    try:
        key = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        key = b""
    if not key:
        raise ValueError("not a secret")
    return key


def signature(secret: str, id: str, at: int, body: bytes) -> str:
    """Return the signature of Standard Webhooks (v1, HMAC-SHA256) over id, time in seconds, and body."""
    content = f"{id}.{at}.".encode() + body
    return f"v1,{b64encode(hmac.digest(decode_secret(secret), content, 'sha256')).decode()}"
