"""Calls: commands and queries of clients, for HTTP and WebSocket alike, and the channels that clients may hear."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeAlias
from urllib.parse import quote

import msgspec

from modd.core import Bus, Message
from modd.cqrs import Actor, Dispatched, Envelope, NotAnswered, Queued, Stamp, TypedBus
from modd.cqrs.outcomes import MessageOutcome
from modd.errors import ModdError
from modd.gateway.admission import Admission
from modd.gateway.errors import Refused
from modd.gateway.exposures import Exposure, Forward
from modd.gateway.json_body import read_json
from modd.gateway.limits import Limits, time_limit
from modd.gateway.problems import Problem, Problems
from modd.gateway.query_text import read_query
from modd.gateway.request import Request
from modd.middleware.trace_context import TraceContext

Content: TypeAlias = bytes | Sequence[tuple[str, str]]
"""The fields of a message: JSON, or names and texts of a URL."""

_KEY = re.compile(r"[\x20-\x7e]{1,128}")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Reply(msgspec.Struct, frozen=True):
    """The answer to a command or a query.

    id: the id of its envelope. result: the result; None if there is none yet.
    queued: True if a worker handles it later.
    message: the message that was sent.
    """

    id: str
    result: Any = None
    queued: bool = False
    message: Any = None


class CallFailed(ModdError, RuntimeError):
    """A message of a client was refused or failed; `Calls.problem` knows the response.

    error: the error. message: the message.
    """

    def __init__(self, error: Exception, message: Message) -> None:
        self.error, self.message = error, message
        super().__init__(f"{type(message).__qualname__} failed: {type(error).__name__}")


class Calls:
    """Sends the commands and queries of clients to a bus.

    `problem` turns each error of its methods into what the client gets.

    bus: the bus.
    exposures: the types that clients may send.
    forwards: the types that clients may hear.
    admission: decides who a client is, and what it may do.
    problems: turns errors into problems.
    limits: the limits.
    """

    def __init__(
        self,
        bus: Bus | TypedBus,
        exposures: Sequence[Exposure],
        forwards: Sequence[Forward],
        admission: Admission,
        problems: Problems,
        limits: Limits,
    ) -> None:
        self._bus, self._forwards, self._admission, self._problems = bus, tuple(forwards), admission, problems
        self._exposures: dict[tuple[str, str], Exposure] = {(each.way, each.name): each for each in exposures}
        self._limits = limits

    def problem(self, error: Exception) -> Problem:
        """Return the problem that a client gets for an error of these methods; a 500 is logged."""
        if isinstance(error, CallFailed):
            return self._problems.problem(error.error, (error.message,))
        return self._problems.problem(error)

    def problem_of(self, reply: Reply, outcome: MessageOutcome) -> Problem:
        """Return the problem for a queued command that was rejected or failed; the log of the worker has a failure."""
        return self._problems.problem_of_failure(outcome, reply.id, (reply.message,))

    async def identify(self, request: Request) -> Actor | None:
        """Return the actor of a request; None for no actor. Raises as `Admission.identify` does."""
        with time_limit(self._limits.timeout):
            return await self._admission.identify(request)

    def find(self, way: str, name: str) -> Exposure:
        """Return the exposure of a name. Raises `Refused`, with 404, for a name that is not exposed."""
        exposure = self._exposures.get((way, name))
        if exposure is None:
            raise Refused(404)
        return exposure

    def check_actor(self, exposure: Exposure | Forward, actor: Actor | None) -> None:
        """Raise `Refused`, with 401, if a client without an actor asks for a thing that is not public."""
        if actor is None and not exposure.is_public:
            raise Refused(401)

    async def command(
        self,
        name: str,
        content: Content,
        actor: Actor | None,
        *,
        key: str | None = None,
        traceparent: str | None = None,
    ) -> Reply:
        """Send a command and return its reply.

        name: the name of the command in paths. content: its fields. actor: who sends it.
        key: the idempotency key of the client; None for none.
        traceparent: the header of this name; passed on if it is valid.
        """
        return await self._send("commands", name, content, actor, key, traceparent)

    async def query(self, name: str, content: Content, actor: Actor | None, *, traceparent: str | None = None) -> Reply:
        """Send a query and return its reply; see `command`."""
        return await self._send("queries", name, content, actor, None, traceparent)

    async def forwards_for(self, actor: Actor | None, channel: str) -> tuple[Forward, ...]:
        """Return the forwards whose messages an actor may hear in a channel.

        Raises `RuleFailed`; `Refused`, with 504, if the rules take longer than a request may.
        """
        with time_limit(self._limits.timeout):
            return tuple(
                [each for each in self._forwards if await self._admission.allows_channel(each, actor, channel)]
            )

    async def allows_channel(self, actor: Actor | None, channel: str) -> bool:
        """True if an actor may hear messages in a channel: of one forward at least, see `forwards_for`."""
        return bool(await self.forwards_for(actor, channel))

    async def _send(
        self,
        way: str,
        name: str,
        content: Content,
        actor: Actor | None,
        key: str | None,
        traceparent: str | None,
    ) -> Reply:
        exposure = self.find(way, name)
        self.check_actor(exposure, actor)
        id = _envelope_id(actor, key)
        message = _read(exposure.kind, content)
        try:
            with time_limit(self._limits.timeout):
                if not await self._admission.allows(exposure, actor, message):
                    raise Refused(403)
                stamps = _stamps(actor, traceparent)
                dispatched: Any = await self._bus.dispatch(Envelope(message, id=id), *stamps)
                return _reply(dispatched, self._bus.name)
        except Exception as error:
            raise CallFailed(error, message) from error


def _read(kind: type[Message], content: Content) -> Message:
    return read_json(kind, content) if isinstance(content, bytes) else read_query(kind, content)


def _reply(dispatched: Dispatched[Any], bus: str) -> Reply:
    envelope = dispatched.envelope
    if envelope.has(Queued):
        return Reply(envelope.id, queued=True, message=envelope.message)
    if not dispatched.answered:
        raise NotAnswered(type(envelope.message), bus)
    return Reply(envelope.id, dispatched.result, message=envelope.message)


def _stamps(actor: Actor | None, traceparent: str | None) -> list[Stamp]:
    stamps: list[Stamp] = [] if actor is None else [actor]
    if traceparent is not None and _TRACEPARENT.fullmatch(traceparent):
        stamps.append(TraceContext(traceparent=traceparent))
    return stamps


def _envelope_id(actor: Actor | None, key: str | None) -> str | None:
    """Return the id for an idempotency key, with the actor's id in front, in which the mark between both is escaped."""
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise Refused(400, "An idempotency key has 1 to 128 printable characters of ASCII.")
    if actor is None:
        raise Refused(400, "An idempotency key needs an actor.")
    return f"{quote(actor.id, safe='')}:{key}"
