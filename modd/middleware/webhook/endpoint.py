"""Where a webhook goes (MI-43)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, unquote_plus

from modd.checks import checked_count, checked_span
from modd.concurrency.backoff import Backoff, check_backoff
from modd.core import MASK, Value
from modd.errors import InvalidOption
from modd.middleware.webhook.client import Target
from modd.middleware.webhook.signing import Signer, key_of

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


_OWN = (
    "connection",
    "content-length",
    "host",
    "transfer-encoding",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
)
"""Headers that are made here; one of another's making would break the request or its signature."""


_SHORTEST = 8
"""Shorter values are no secrets, and masking them would garble the text."""


class Endpoint(Value, frozen=True):
    """A receiver of webhooks: ``Endpoint("https://hooks.example.com/orders", secret="whsec_...")``.

    url: http or https, without user and password. method: in capitals. headers: sent in addition to those of the
    webhook, such as ``{"Authorization": "Bearer ..."}``. secret: signs by Standard Webhooks; base64, usually after
    ``whsec_``. sign: signs in another way, in place of a secret: a `Signer`, which gives headers.
    attempts, backoff, multiplier, jitter, timeout: as in `Webhook`, which says what holds where they are None.

    Shown are the host and the names of headers, never the path, values of headers or the secret (an address may be a
    secret itself). Raises `InvalidOption`.
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
        Target(self.url)
        if not (
            isinstance(self.method, str) and self.method.isascii() and self.method.isalpha() and self.method.isupper()
        ):
            raise InvalidOption("method", self.method, 'give an HTTP method in capitals, such as "POST"')
        _check_headers(self.headers)
        _check_signing(self.secret, self.sign)
        _check_tries(self)

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Field names and what of their values may be shown, leaving out what is as by default."""
        shown: dict[str, Any] = {name: getattr(self, name) for name in self.__struct_fields__}
        shown |= {"url": self.shown, "headers": dict.fromkeys(self.headers, MASK)}
        shown["secret"] = self.secret and MASK
        return [(name, value) for name, value in shown.items() if value not in (None, {}) or name == "url"]

    @property
    def shown(self) -> str:
        """What of the URL may be shown: scheme, host and port."""
        return Target(self.url).shown

    def masked(self, text: str) -> str:
        """A text, such as an answer that repeats the request, with ``***`` for all secrets of this endpoint."""
        whole = [self.secret or "", *_parts(Target(self.url).path), *self.headers.values()]
        pieces = {piece for value in whole for piece in (value, *value.split())}
        for piece in sorted(pieces, key=len, reverse=True):
            if len(piece) >= _SHORTEST:
                text = text.replace(piece, "***")
        return text


def check_endpoints(given: Any) -> None:
    """Raise `InvalidOption` for what is no list of endpoints."""
    wrong = [each for each in given if not isinstance(each, Endpoint)] if isinstance(given, (list, tuple)) else [given]
    for each in wrong:  # named by its type alone: an address may be a secret
        raise InvalidOption("endpoints", type(each).__name__, 'give a list: [Endpoint("https://...")]')


def _parts(path: str) -> set[str]:
    """A path with its query, the segments of the path, and the values of the query; as they stand there, and read."""
    segments, _, query = path.partition("?")
    values = [pair.partition("=")[2] or pair for pair in query.split("&")]
    parts = {path, segments, *segments.split("/"), *values}
    return parts | {unquote(part) for part in parts} | {unquote_plus(value) for value in values}


def _check_headers(headers: Any) -> None:
    if not isinstance(headers, Mapping):
        raise InvalidOption("headers", type(headers).__name__, "give a mapping from names to values")
    for name, value in headers.items():
        if not (isinstance(name, str) and _TOKEN.fullmatch(name)) or name.lower() in _OWN:
            raise InvalidOption("headers", name, "no name of a header that may be given")
        if not (isinstance(value, str) and value.isascii() and value.isprintable() and value == value.strip()):
            raise InvalidOption(f"headers[{name!r}]", MASK, "give printable ASCII text without spaces around it")


def _check_signing(secret: Any, sign: Any) -> None:
    if secret is not None:
        try:
            key_of(secret)
        except (ValueError, TypeError, AttributeError):
            raise InvalidOption("secret", MASK, 'give base64, such as "whsec_MfKQ..."') from None
    if sign is not None and (secret is not None or not callable(sign)):
        raise InvalidOption("sign", type(sign).__name__, "give a callable (id, time, body) -> headers, and no secret")


def _check_tries(endpoint: Endpoint) -> None:
    if endpoint.attempts is not None:
        checked_count("attempts", endpoint.attempts)
    if endpoint.timeout is not None:
        checked_span("timeout", endpoint.timeout)
    backoff = "none" if endpoint.backoff is None else endpoint.backoff
    multiplier = 1.0 if endpoint.multiplier is None else endpoint.multiplier
    check_backoff(backoff, multiplier, 0.0 if endpoint.jitter is None else endpoint.jitter)
