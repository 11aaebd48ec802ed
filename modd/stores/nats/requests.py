"""Requests to JetStream: JSON over a link, tried again while the server is away, and the server's errors by name."""

from __future__ import annotations

import re
from random import random
from typing import Any, TypeAlias

import anyio
import msgspec

from modd.nats.errors import LinkLost, NobodyThere, NotPermitted
from modd.nats.link import Link
from modd.nats.message import NatsMessage
from modd.ports.errors import StoreError
from modd.stores.errors import StoreBusy
from modd.stores.nats.errors import TooMany, WrongSequence

Answer: TypeAlias = dict[str, Any]
"""An answer of JetStream."""


NOT_FOUND = 404
"""The code of an answer for something that is not there."""


STREAM_NOT_FOUND = 10059
"""The number of the error for a stream that is not there, or not yet known to the server that a cluster has elected."""


UNAVAILABLE = 503
"""The code of an answer when a server cannot do it now, as while its cluster elects a leader."""


WRONG_SEQUENCE = frozenset((10071, 10164))
"""The numbers of the errors for a condition that does not hold."""


PASSING = frozenset((10158, 10176, 10211))
"""The numbers of errors that pass: a write of this id is under way among the servers of a cluster; too many batches are
under way, and so the beginning of this one was dropped."""


TOO_LARGE_BATCH = 10199
"""The number of the error for a batch of too many messages."""


NO_JETSTREAM = frozenset((10039, 10076))
"""The numbers of the errors for an account, or a server, without JetStream."""


NO_ROOM = frozenset((10023, 10047, 10077))
"""The numbers of the errors for a full stream, account or disk."""


SHORTEST_PAUSE, LONGEST_PAUSE = 0.005, 0.25
"""Seconds between two attempts."""


class TryAgain(Exception):
    """An attempt failed in a way that passes.

    cause: the reason, as an error or a text.
    is_sent: True if it may have had its effect.
    """

    def __init__(self, cause: object, *, is_sent: bool = False) -> None:
        super().__init__(str(cause))
        self.cause, self.is_sent = cause, is_sent


class NoRoom(Exception):
    """A server has no room for a message; the text is that of the server."""


REASONS: dict[type, tuple[str, str]] = {
    NoRoom: (
        "the server has no room for a write, and an acknowledgement is one, too",
        "raise `max_bytes` of the stream with `nats stream edit` or the limits of the account, or give a larger disk",
    ),
    NobodyThere: (
        "no server takes messages of the store: its stream was deleted, or has no leader",
        "look at it with `nats stream info`; opening the store creates a stream that is missing",
    ),
}
"""The problem and the cure of a cause that does not pass."""


UNKNOWN_REASON = (
    "the server does not answer, or other writers are always faster",
    "look at the server, or give the store a longer timeout",
)
"""The problem and the cure of any other cause."""


class StreamMissing(TryAgain):
    """There is no stream, as far as the server that has answered knows."""


class RetryPeriod:
    """The time that a call may take, and its pauses.

    store: the name of the store, for errors. timeout: seconds.
    """

    def __init__(self, store: str, timeout: float) -> None:
        self._store, self._end, self._pause = store, anyio.current_time() + timeout, SHORTEST_PAUSE

    @property
    def is_over(self) -> bool:
        """True if nothing is to be tried any more."""
        return anyio.current_time() >= self._end

    async def pause(self, cause: object) -> None:
        """Wait before the next attempt, for a random time that grows. Raises `StoreBusy` if the time is over."""
        if self.is_over:
            raise StoreBusy(self._store, cause, *REASONS.get(type(cause), UNKNOWN_REASON))
        await anyio.sleep(self._pause * random())
        self._pause = min(2 * self._pause, LONGEST_PAUSE)


class Requests:
    """Sends requests of one store.

    link: the connection.
    store: the name of the store, for errors.
    timeout: seconds to try.
    """

    def __init__(self, link: Link, store: str, timeout: float) -> None:
        self.link, self.store, self.timeout = link, store, timeout

    def retry_period(self) -> RetryPeriod:
        """Return the time in which a call that begins now may be tried again."""
        return RetryPeriod(self.store, self.timeout)

    @property
    def timeout_once(self) -> float:
        """The seconds for one answer."""
        return max(self.timeout / 4, 0.5)

    async def find_stream(self, name: str, least_timeout: float = 0.0) -> Answer | None:
        """Return the answer of ``STREAM.INFO``, or None if there is no stream of this name. Raises as `ask` does.

        least_timeout: seconds that the answer may take at least.
        """
        try:
            return await self.ask(f"STREAM.INFO.{name}", waits_for_stream=False, least_timeout=least_timeout)
        except StreamMissing:
            return None

    async def ask(
        self, api: str, request: Any = None, *, waits_for_stream: bool = True, least_timeout: float = 0.0
    ) -> Answer:
        """Ask an API of JetStream, such as ``STREAM.INFO.MODD_shop``, until there is an answer.

        waits_for_stream: False to have `StreamMissing` raised when the server does not know the stream.
        least_timeout: seconds that each answer may take at least.

        Raises `StoreError` for an error of the server, except for `NOT_FOUND`; `StoreBusy`.
        """
        message = NatsMessage(f"$JS.API.{api}", b"" if request is None else msgspec.json.encode(request))
        period = self.retry_period()
        while True:
            try:
                return await self.attempt(message, least_timeout)
            except TryAgain as problem:
                if isinstance(problem, StreamMissing) and not waits_for_stream:
                    raise
                cause = problem.cause
            await period.pause(cause)

    async def attempt(self, message: NatsMessage, least_timeout: float = 0.0) -> Answer:
        """Send a request once. least_timeout: seconds that the answer may take at least.

        Raises `TryAgain`, `WrongSequence`, `TooMany`, and `StoreError` for any other error of the server.
        """
        try:
            reply = await self.link.request_unchecked(message, max(self.timeout_once, least_timeout))
        except LinkLost as lost:
            raise TryAgain(lost, is_sent=lost.sent) from lost
        except NobodyThere as error:
            raise TryAgain(error) from error
        except NotPermitted as error:
            raise StoreError(self.store, str(error)) from error
        answer: Answer = msgspec.json.decode(reply.body)
        self._check(message, answer)
        return answer

    async def send_all(self, messages: list[NatsMessage]) -> None:
        """Send messages that get no answer. Raises `TryAgain`."""
        try:
            for message in messages:
                await self.link.publish(message.subject, message.body, message.headers, message.reply)
        except LinkLost as lost:
            raise TryAgain(lost) from lost

    def _check(self, message: NatsMessage, answer: Answer) -> None:
        error = answer.get("error")
        if error is None:
            return
        number, text = error.get("err_code"), error.get("description", "")
        if number == STREAM_NOT_FOUND:
            raise StreamMissing(text)
        if error["code"] == NOT_FOUND:
            return
        if number in WRONG_SEQUENCE:
            raise WrongSequence
        if number == TOO_LARGE_BATCH:
            raise TooMany(int(re.sub(r"\D", "", text) or 0))
        if number in NO_ROOM:
            raise TryAgain(NoRoom(text))
        if number in PASSING or (error["code"] == UNAVAILABLE and number not in NO_JETSTREAM):
            raise TryAgain(text)
        raise StoreError(self.store, f"{message.subject}: the server answers {text!r} (error {number})")


def is_refused(error: StoreError, subject: str) -> bool:
    """True for the error of a store whose user may not publish to this subject."""
    cause = error.__cause__
    return isinstance(cause, NotPermitted) and cause.subject == subject


def is_missing(answer: Answer) -> bool:
    """True if a server answers that something is not there."""
    return "error" in answer
