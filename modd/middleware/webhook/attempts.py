"""One message on its way to one endpoint (MI-45)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from email.utils import mktime_tz, parsedate_tz
from hashlib import sha256
from typing import Any

import anyio
import msgspec

from modd.concurrency.backoff import delays
from modd.core import wire_name
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import text_of
from modd.cqrs.stamps import WebhookCalled
from modd.middleware.webhook.addresses import AddressRefused
from modd.middleware.webhook.client import NETWORK_ERRORS, Answer, Call, Caller
from modd.middleware.webhook.endpoint import Endpoint
from modd.middleware.webhook.signing import signature

TEXT = 4096
"""How many characters of an answer are kept."""


class Tools(msgspec.Struct, frozen=True):
    """What deliveries are made with."""

    call: Caller
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    random: Callable[[], float]


class Parcel(msgspec.Struct, frozen=True):
    """What is delivered: its id, the same at every try, and the exact bytes."""

    id: str
    body: bytes


class Delivery:
    """Tries to deliver to an endpoint until it has taken it, or the attempts are used up. Raises nothing.

    parcel: what is delivered. endpoint: where to. options: of the webhook, for what the endpoint leaves open.
    """

    def __init__(self, parcel: Parcel, endpoint: Endpoint, options: Mapping[str, Any], tools: Tools) -> None:
        self.endpoint = endpoint
        self._parcel, self._tools = parcel, tools
        own = {name: getattr(endpoint, name) for name in ("attempts", "backoff", "multiplier", "jitter", "timeout")}
        chosen = {name: options[name] if value is None else value for name, value in own.items()}
        self._attempts, self._timeout = chosen["attempts"], chosen["timeout"]
        self._longest = options["max_delay"]
        self._delays = delays(chosen["backoff"], chosen["multiplier"], chosen["jitter"], tools.random)

    async def run(self) -> WebhookCalled:
        """Deliver; the stamp says how that went."""
        attempt = 1
        answer = await self._try()
        while not (taken(answer.status) or answer.final or attempt == self._attempts):
            await self._wait(answer)
            attempt += 1
            answer = await self._try()
        text = self.endpoint.masked(answer.text)[:TEXT]
        return WebhookCalled(attempt, text, answer.status, at=self._tools.clock())

    async def _wait(self, answer: Answer) -> None:
        wanted = seconds_of(answer.retry_after, self._tools.clock())
        await self._tools.sleep(min(max(next(self._delays), wanted), self._longest))

    async def _try(self) -> Answer:
        try:
            with anyio.fail_after(self._timeout):
                return await self._tools.call(self._signed())
        except AddressRefused as refused:
            return Answer(0, str(refused), final=True)
        except TimeoutError:
            return Answer(0, f"no answer within {self._timeout:g} s")
        except NETWORK_ERRORS as error:
            return Answer(0, text_of(error))
        except Exception as error:  # its text may have parts of the request in it
            return Answer(0, type(error).__name__)

    def _signed(self) -> Call:
        endpoint, id, body, at = self.endpoint, self._parcel.id, self._parcel.body, int(self._tools.clock())
        headers = {"content-type": "application/json", "user-agent": "modd", "accept-encoding": "identity"}
        headers |= {name.lower(): value for name, value in endpoint.headers.items()}
        headers |= {"webhook-id": id, "webhook-timestamp": str(at)}
        if endpoint.secret is not None:
            headers["webhook-signature"] = signature(endpoint.secret, id, at, body)
        if endpoint.sign is not None:
            headers |= {name.lower(): value for name, value in endpoint.sign(id, at, body).items()}
        return Call(endpoint.method, endpoint.url, headers, body, self._timeout)


def taken(status: int) -> bool:
    """Whether a status says that the endpoint has taken what was sent."""
    return 200 <= status < 300


def body_of(envelope: Envelope[Any]) -> bytes:
    """What is sent for an envelope: the same bytes at every try."""
    identity = envelope.identity
    body = {
        "id": identity.id,
        "type": wire_name(type(envelope.message)),
        "timestamp": datetime.fromtimestamp(identity.at, UTC),
        "correlation_id": identity.correlation_id,
        "data": envelope.message,
    }
    return msgspec.json.encode(body)


def parcel_for(endpoint: Endpoint, envelope: Envelope[Any], body: bytes) -> Parcel:
    """A body with the id that it has at this endpoint, however often it is tried or dispatched anew."""
    parts = (envelope.bus.name, envelope.id, endpoint.method, endpoint.url)
    return Parcel(f"msg_{sha256(msgspec.json.encode(parts)).hexdigest()[:32]}", body)


def seconds_of(retry_after: str, now: float) -> float:
    """The seconds that a ``Retry-After`` asks for, as a number or as a date; 0 when it says nothing of use."""
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        date = parsedate_tz(retry_after)
        return 0.0 if date is None else max(0.0, mktime_tz(date) - now)
    except (ValueError, OverflowError):
        return 0.0
