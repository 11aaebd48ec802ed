"""The attempts to deliver one message to one endpoint."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from email.utils import mktime_tz, parsedate_tz
from hashlib import sha256
from typing import Any

import anyio
import msgspec

from modd.concurrency.backoff import delays
from modd.concurrency.cancellation import call
from modd.core import wire_name
from modd.cqrs.envelope import Envelope
from modd.cqrs.stamps import WebhookCalled
from modd.middleware.webhook.addresses import AddressRefused
from modd.middleware.webhook.client import NETWORK_ERRORS, HttpRequest, HttpResponse, Send
from modd.middleware.webhook.endpoint import Endpoint
from modd.texts import text_of

MAX_TEXT = 4096
"""The most characters of a response in a stamp."""


class DeliveryTools(msgspec.Struct, frozen=True):
    """The client, clock, sleep and random numbers that deliveries use."""

    send: Send
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    random: Callable[[], float]


class Payload(msgspec.Struct, frozen=True):
    """The content of a delivery: an id, the same at every attempt, and the body."""

    id: str
    body: bytes


class WebhookDelivery:
    """Sends a payload to an endpoint until the endpoint accepts it or no attempt is left. Raises no errors.

    options: the options of the webhook, for options of the endpoint that are None.
    """

    def __init__(self, payload: Payload, endpoint: Endpoint, options: Mapping[str, Any], tools: DeliveryTools) -> None:
        self.endpoint = endpoint
        self._payload, self._tools = payload, tools
        own = {name: getattr(endpoint, name) for name in ("attempts", "backoff", "multiplier", "jitter", "timeout")}
        merged = {name: options[name] if value is None else value for name, value in own.items()}
        self._attempts, self._timeout = merged["attempts"], merged["timeout"]
        self._max_delay = options["max_delay"]
        self._delays = delays(merged["backoff"], merged["multiplier"], merged["jitter"], tools.random)

    async def run(self) -> WebhookCalled:
        """Deliver the payload, and return a stamp with the outcome."""
        attempt = 1
        response = await self._try()
        while not (is_success(response.status) or response.final or attempt == self._attempts):
            await self._wait(response)
            attempt += 1
            response = await self._try()
        text = self.endpoint.mask_secrets(response.text)[:MAX_TEXT]
        return WebhookCalled(attempt, text, response.status, at=self._tools.clock())

    async def _wait(self, response: HttpResponse) -> None:
        retry_after = seconds_of(response.retry_after, self._tools.clock())
        await self._tools.sleep(min(max(next(self._delays), retry_after), self._max_delay))

    async def _try(self) -> HttpResponse:
        try:
            with anyio.fail_after(self._timeout):
                return await call(self._tools.send, self._request())
        except AddressRefused as refused:
            return HttpResponse(0, str(refused), final=True)
        except TimeoutError:
            return HttpResponse(0, f"no response within {self._timeout:g} s")
        except NETWORK_ERRORS as error:
            return HttpResponse(0, text_of(error))
        except Exception as error:  # its text may repeat parts of the request
            return HttpResponse(0, type(error).__name__)

    def _request(self) -> HttpRequest:
        endpoint, body = self.endpoint, self._payload.body
        headers = {"content-type": "application/json", "user-agent": "modd", "accept-encoding": "identity"}
        headers |= endpoint.signed_headers(self._payload.id, int(self._tools.clock()), body)
        return HttpRequest(endpoint.method, endpoint.url, headers, body, self._timeout)


def is_success(status: int) -> bool:
    """True if an endpoint with this status has accepted the payload."""
    return 200 <= status < 300


def body_of(envelope: Envelope[Any]) -> bytes:
    """Return the body for an envelope: the same bytes at every attempt."""
    identity = envelope.identity
    body = {
        "id": identity.id,
        "type": wire_name(type(envelope.message)),
        "timestamp": datetime.fromtimestamp(identity.at, UTC),
        "correlation_id": identity.correlation_id,
        "data": envelope.message,
    }
    return msgspec.json.encode(body)


def payload_for(endpoint: Endpoint, envelope: Envelope[Any], body: bytes) -> Payload:
    """Return a body with its id at this endpoint, which stays the same if the envelope is dispatched again."""
    parts = (envelope.bus.name, envelope.id, endpoint.method, endpoint.url)
    return Payload(f"msg_{sha256(msgspec.json.encode(parts)).hexdigest()[:32]}", body)


def seconds_of(retry_after: str, now: float) -> float:
    """Return the seconds of a ``Retry-After`` header, a number or a date; 0 if it is neither."""
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        date = parsedate_tz(retry_after)
        return 0.0 if date is None else max(0.0, mktime_tz(date) - now)
    except (ValueError, OverflowError):
        return 0.0
