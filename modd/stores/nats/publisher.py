"""Commits: one write as a message, several as a batch that is stored whole or not at all, and each of them once.

A write whose answer was lost may be stored or not, and may even still be under way. Each has an id (``Nats-Msg-Id``),
of which the server stores one message. So a further message with the same id tells: it is a duplicate, or it takes the
place of the lost write, which can never be stored then.

A server that was restarted has forgotten the ids of messages that a later record has replaced. So if a write is refused
after an attempt whose answer was lost, that attempt may be the reason: the commit is in doubt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from json import dumps
from secrets import token_hex

import anyio

from modd.errors import InvalidOption
from modd.nats.message import NatsMessage
from modd.stores.errors import UnknownOutcome
from modd.stores.nats.batch import SCRATCH_SECONDS, plan_messages
from modd.stores.nats.errors import InDoubt, TooMany, WrongSequence
from modd.stores.nats.record import Guard, Write, write_headers
from modd.stores.nats.requests import Requests, RetryPeriod, TryAgain
from modd.stores.nats.subjects import Subjects

MOST_WRITES = 1_000
"""Most messages of a batch that a server takes by default."""


MOST_BATCHES = 16
"""Most batches of a store that are under way at a time; a server takes 50 for a stream, from all processes."""


MOST_HEADER_BYTES = 65_535
"""Most bytes of the headers of a message that a server stores."""


class Publisher:
    """Stores writes of one store.

    requests: sends the requests.
    stream: the name of the stream.
    """

    def __init__(self, requests: Requests, stream: str) -> None:
        self._requests, self._stream = requests, stream
        self._scratch = Subjects(requests.store).scratch
        self._slots = anyio.Semaphore(MOST_BATCHES)
        self.most = MOST_WRITES
        """Most messages of a batch."""
        self.checks_refusals = False
        """True for a cluster: a server that does not know yet that it leads no more refuses what the leader stores."""

    async def commit(
        self, writes: Sequence[Write], guards: Iterable[Guard], ids: Iterable[str], *, is_claim: bool = False
    ) -> int:
        """Store writes, all or none, and return the sequence of the last one; see `JetStream.commit`."""
        planned = plan_messages(writes, guards, self._scratch(token_hex(12)))
        if len(planned) > self.most:
            raise TooMany(self.most)
        messages = [self._checked_message(write) for write in planned]
        if len(messages) == 1:
            return await self._store_once(messages, tuple(ids), self.checks_refusals and not is_claim)
        sequence = 0
        async with self._slots:
            with anyio.CancelScope(shield=True):  # else the server waits for the rest of the batch
                sequence = await self._store_once(messages, tuple(ids), self.checks_refusals)
        return sequence

    async def _store_once(self, messages: list[NatsMessage], ids: tuple[str, ...], checks_refusal: bool) -> int:
        period, stored, in_doubt = self._requests.retry_period(), None, False
        while stored is None:
            token = token_hex(12)
            try:
                return await self._send(messages, token)
            except TryAgain as problem:
                cause, is_sent = problem.cause, problem.is_sent
            except WrongSequence:
                stored = await self._find(token, period, ids) if checks_refusal else None
                if stored is None:
                    raise InDoubt if in_doubt else WrongSequence from None
                return stored
            if is_sent:
                stored, in_doubt = await self._find(token, period, ids), True
            if stored is None and in_doubt and period.is_over:
                raise UnknownOutcome(self._requests.store, ids)
            if stored is None:
                await period.pause(cause)
        return stored

    async def _send(self, messages: list[NatsMessage], token: str) -> int:
        """Send messages once, and return the sequence of the last one."""
        batch = messages if len(messages) == 1 else _as_batch(messages, token)
        last = _with_headers(batch[-1], {"Nats-Msg-Id": token})
        if len(batch) > 1:
            await self._requests.send_all(batch[:-1])
        return int((await self._requests.attempt(last))["seq"])

    async def _find(self, token: str, period: RetryPeriod, ids: tuple[str, ...]) -> int | None:
        """Return the sequence of a write whose answer was lost; None if it is not known, and never will be stored."""
        headers = {"Nats-Msg-Id": token, "Nats-TTL": f"{SCRATCH_SECONDS:.0f}s"}
        probe = NatsMessage(self._scratch(token), b"", headers)
        while True:
            try:
                answer = await self._requests.attempt(probe)
                is_stored = answer.get("duplicate") and not await self._has_probe(probe.subject, int(answer["seq"]))
                return int(answer["seq"]) if is_stored else None
            except TryAgain as problem:
                if period.is_over:
                    raise UnknownOutcome(self._requests.store, ids) from problem
                cause = problem.cause
            await period.pause(cause)

    async def _has_probe(self, subject: str, sequence: int) -> bool:
        """True if a probe is stored, whose answer was lost, too. sequence: that of the message with its id.

        The answer must be that of a server with this sequence: one that leads no more, and is behind, has no probe.
        Whether the message itself is there tells nothing, because a later record may have replaced it.
        """
        question = NatsMessage(f"$JS.API.STREAM.INFO.{self._stream}", dumps({"subjects_filter": subject}).encode())
        state = (await self._requests.attempt(question)).get("state", {})
        if state.get("last_seq", 0) < sequence:
            raise TryAgain("a server that is behind has answered")
        return subject in (state.get("subjects") or {})

    def _checked_message(self, write: Write) -> NatsMessage:
        """Return the message of a write. Raises `InvalidOption` if it is too large."""
        headers = write_headers(write)
        size = sum(map(len, headers)) + sum(map(len, headers.values())) + 4 * len(headers)  # they are ASCII
        if size > MOST_HEADER_BYTES - 200:  # for those that a batch adds
            raise InvalidOption("headers", size, f"give names and headers of up to {MOST_HEADER_BYTES:,} bytes")
        most = self._requests.link.max_payload - size - 200
        if len(write.body) > most:
            raise InvalidOption("body", len(write.body), f"give up to {most:,} bytes; the server takes no more")
        return NatsMessage(write.subject, write.body, headers)


def _as_batch(messages: list[NatsMessage], token: str) -> list[NatsMessage]:
    """Return the messages as those of one batch."""
    headers = ({"Nats-Batch-Id": token, "Nats-Batch-Sequence": str(place)} for place in range(1, len(messages) + 1))
    *first, last = [_with_headers(message, each) for message, each in zip(messages, headers, strict=True)]
    return [*first, _with_headers(last, {"Nats-Batch-Commit": "1"})]


def _with_headers(message: NatsMessage, headers: dict[str, str]) -> NatsMessage:
    return NatsMessage(message.subject, message.body, message.headers | headers)
