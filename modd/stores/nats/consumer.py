"""An ordered consumer: the messages of a filter, then all that come, without gaps.

A server sends the messages with heartbeats between them. When a message or a heartbeat is missed, or the connection is
lost, the consumer is made anew, and the reader begins anew with it: it never goes on with less than the server has.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from secrets import token_hex
from typing import NamedTuple, Protocol

import anyio

from modd.concurrency.backoff import DoublingPause
from modd.nats.errors import LinkLost, SlowConsumer
from modd.nats.message import NatsMessage
from modd.ports.errors import StoreError
from modd.stores.nats.jetstream import JetStream
from modd.stores.nats.record import read_time

HEARTBEAT = 1.0
"""Seconds between two heartbeats."""


MISSED = 3.0
"""Seconds of silence after which a heartbeat was missed."""


INACTIVE = 30.0
"""Seconds after which the server removes a consumer that nobody listens to."""


NANOSECONDS = 10**9


class StreamPlace(NamedTuple):
    """The place of a message in a stream, and among those of a consumer.

    sequence: in the stream. number: of the delivery, from 1. at: the server's time at which it was stored.
    pending: the number of messages behind it, as far as the server that sends them knows.
    """

    sequence: int
    number: int
    at: float
    pending: int = 0


class ConsumerReader(Protocol):
    """The reader of a consumer. It awaits nothing."""

    def begin(self, now: float) -> None:
        """Forget everything. now: the time of the server."""
        ...

    def receive(self, message: NatsMessage, delivery: StreamPlace) -> None:
        """Take a message, in the order of sequences."""
        ...

    def complete(self) -> None:
        """Note that all messages were received that the server had at the beginning."""
        ...

    def fail(self, error: Exception) -> None:
        """Note the reason for which there are no messages at the moment."""
        ...


class _Gap(Exception):
    """A message or a heartbeat was missed."""


MOST_WAITING = 2**18
"""Most messages that wait to be read; the server sends up to 32 MiB before it waits, which are more than 65 536."""


LONGEST_ANSWER = 30.0
"""Seconds for an answer, or for the next message, at the beginning: the server looks at each subject of the filter, of
which there may be a million, and each further attempt makes it slower."""


class OrderedConsumer:
    """Follows the messages of a filter.

    stream: the stream. filter: the subjects. reader: gets the messages. title: the words for them in the log.
    """

    def __init__(self, stream: JetStream, filter: str, reader: ConsumerReader, title: str) -> None:
        self._title = title
        self._stream, self._filter, self._reader = stream, filter, reader
        self._number = 0
        """The number of the last delivery."""
        self._sequence = self._received = 0
        self._last = 0
        """The last sequence of the stream at the beginning."""
        self._is_complete = False

    async def run(self) -> None:
        """Follow for ever. Errors are logged and passed to the reader, and it is tried again."""
        pause = DoublingPause(0.01, 2.0)
        while True:
            try:
                await self._follow(pause)
            except Exception as error:
                level = logging.INFO if isinstance(error, _Gap | LinkLost | SlowConsumer) else logging.WARNING
                logging.getLogger("modd.stores").log(level, "%s is read anew: %s", self._title, error)
                self._reader.fail(error)
            await anyio.sleep(pause.next())

    async def _follow(self, pause: DoublingPause) -> None:
        inbox, name = f"_INBOX.{token_hex(12)}", token_hex(12)
        async with self._stream.link.subscribe(inbox, resume=False, max_messages=MOST_WAITING) as messages:
            info = await self._stream.requests.find_stream(self._stream.name, LONGEST_ANSWER)
            if info is None:
                raise StoreError(self._stream.store, f"there is no stream {self._stream.name} any more")
            self._reader.begin(read_time(info["ts"]))
            self._number, self._sequence, self._is_complete = 0, 0, False
            self._last = int(info["state"]["last_seq"])
            try:
                if not await self._create(name, inbox):
                    await self._look_for_end()
                pause.reset()
                await self._read(messages)
            finally:
                await self._delete(name)

    async def _create(self, name: str, inbox: str) -> int:
        """Have a server send the messages, and return their number, as far as that server knows."""
        config = {
            "name": name,
            "deliver_subject": inbox,
            "deliver_policy": "all",  # each subject has one message; "last_per_subject" takes seven times as long
            "filter_subject": self._filter,
            "ack_policy": "none",
            "max_deliver": 1,
            "flow_control": True,
            "idle_heartbeat": int(HEARTBEAT * NANOSECONDS),
            "inactive_threshold": int(INACTIVE * NANOSECONDS),
            "mem_storage": True,
            "num_replicas": 1,
        }
        request = {"stream_name": self._stream.name, "config": config, "action": "create"}
        api = f"CONSUMER.CREATE.{self._stream.name}.{name}"
        return int((await self._stream.requests.ask(api, request, least_timeout=LONGEST_ANSWER))["num_pending"])

    async def _look_for_end(self) -> None:
        """Find out if all messages have come that the server had at the beginning.

        The leader is asked, because the replica that sends them may be behind it.
        """
        if self._is_complete:
            return
        following = await self._stream.next(self._filter, self._sequence)
        if following is None or following.sequence > self._last:
            self._is_complete = True
            self._reader.complete()

    async def _read(self, messages: AsyncIterator[NatsMessage]) -> None:
        error: Exception = _Gap("no heartbeat")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch, tasks.cancel_scope)
            try:
                while True:
                    message = await anext(messages)
                    self._received += 1
                    await self._take(message)
            except Exception as raised:  # as it is, in no group
                error = raised
            tasks.cancel_scope.cancel()
        raise error

    async def _watch(self, scope: anyio.CancelScope) -> None:
        """End the reading when nothing has come for a while, or not what is missing."""
        received, number = -1, -1
        while received != self._received and (self._is_complete or number != self._number):
            received, number = self._received, self._number
            await anyio.sleep(MISSED if self._is_complete else LONGEST_ANSWER)
        scope.cancel()

    async def _take(self, message: NatsMessage) -> None:
        if "Status" in message.headers:
            return await self._take_status(message)
        delivery = read_delivery(message.reply)
        if delivery.number != self._number + 1:
            raise _Gap(f"delivery {delivery.number} after {self._number}")
        self._number, self._sequence = delivery.number, delivery.sequence
        self._reader.receive(message, delivery)
        if not delivery.pending:
            await self._look_for_end()

    async def _take_status(self, message: NatsMessage) -> None:
        headers = message.headers
        if headers["Status"] != "100":
            raise _Gap(f"{headers['Status']} {headers.get('Description')}")
        stalled = message.reply or headers.get("Nats-Consumer-Stalled")
        if stalled:
            await self._stream.link.publish(stalled)
        if int(headers.get("Nats-Last-Consumer", self._number)) != self._number:
            raise _Gap(f"delivery {headers['Nats-Last-Consumer']} was missed")
        await self._look_for_end()  # the number of pending messages may count some that were removed meanwhile

    async def _delete(self, name: str) -> None:
        """Remove the consumer, or leave that to the server."""
        with anyio.move_on_after(0.5, shield=True), suppress(Exception):
            await self._stream.link.publish(f"$JS.API.CONSUMER.DELETE.{self._stream.name}.{name}")


def read_delivery(reply: str) -> StreamPlace:
    """Return what the subject for acknowledgements tells about a message."""
    tokens = reply.split(".")
    first = 4 if len(tokens) < 11 else 6  # with a domain and an account in front
    sequence, number, at, pending = map(int, tokens[first + 1 : first + 5])
    return StreamPlace(sequence, number, at / NANOSECONDS, pending)
