"""A connection to one server, from its beginning to its end: requests and their replies, and subscriptions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from itertools import count
from typing import Any
from uuid import uuid4

from nats.aio.msg import Msg

from modd.concurrency.loop_thread import LoopTasks
from modd.nats.call import Call
from modd.nats.client import CLOSE_TIMEOUT, NatsClient
from modd.nats.errors import LinkLost, NobodyThere, NotPermitted
from modd.nats.message import NatsMessage
from modd.nats.subscription import Inlet

log = logging.getLogger("modd.nats")

NO_RESPONDERS = "503"
"""The status of the answer that the server gives when nobody subscribes."""


UNLIMITED: dict[str, Any] = {"pending_msgs_limit": 0, "pending_bytes_limit": 0}
"""Have nats-py drop nothing: an `Inlet` counts."""


class Session:
    """A connection to one server; everything here runs in its loop.

    name: the name of the link. server: the address. on_change: called when the session ends or the server asks its
    clients to go. secure: True to send nothing without TLS.
    """

    def __init__(self, name: str, server: str, on_change: Callable[[], object], *, secure: bool) -> None:
        self.server, self._name, self._on_change = server, name, on_change
        self.client = NatsClient(self.end, self._deny, secure=secure)
        self.error: Exception | None = None
        """The reason for the end; None until then."""
        self.is_lame = False
        """True when the server asks its clients to go."""
        self.is_silent = False
        """True when the messages of its subscriptions come by another session already."""
        self._calls: dict[object, Call] = {}
        self._settled = asyncio.Event()
        self._inbox = f"_INBOX.{uuid4().hex}."
        self._numbers = count()
        self._subscriptions: dict[Inlet, Any] = {}
        self.tasks = LoopTasks()
        """Tasks that end with the session, at the latest."""

    @property
    def is_over(self) -> bool:
        """True after the end."""
        return self.error is not None

    @property
    def reason(self) -> str:
        """The reason for the end, as a text."""
        return "" if self.error is None else describe_error(self.error)

    @property
    def discovered(self) -> list[str]:
        """The addresses of the other servers of the cluster, as the server names them."""
        return [each.geturl() for each in self.client.discovered_servers]

    async def open(self, timeout: float, options: dict[str, Any]) -> None:
        """Connect, as `NatsClient.open`."""
        await self.client.open(self.server, timeout, self._be_lame, options)
        await self.client.subscribe(f"{self._inbox}*", cb=self._reply, **UNLIMITED)

    async def close(self) -> None:
        """End the session and its tasks, soon even if the server is gone."""
        self.end(ConnectionError("it was closed"))
        await self.client.end()
        await self.tasks.end(CLOSE_TIMEOUT)

    def end(self, error: Exception) -> None:
        """End the session: calls that wait for an answer fail at once."""
        if self.error is not None:
            return
        self.error = error
        for call in [*self._calls.values()]:
            self._lose(call)
        self._on_change()

    def forget(self, call: Call) -> None:
        """Drop a call whose answer nobody waits for."""
        self._calls.pop(call.token, None)
        self._settled.set()

    async def idle(self) -> None:
        """Wait until no call waits for an answer."""
        while self._calls:
            self._settled.clear()
            await self._settled.wait()

    async def request(self, call: Call, message: NatsMessage) -> None:
        """Send a request; its reply finishes the call."""
        call.token = f"{self._inbox}{next(self._numbers)}"
        self._expect(call)
        await self.client.publish(message.subject, message.body, call.token, message.headers or None)

    async def publish(self, call: Call, message: NatsMessage) -> None:
        """Send a message."""
        await self.client.publish(message.subject, message.body, message.reply, message.headers or None)
        call.finish()

    async def flush(self, call: Call) -> None:
        """Finish the call when the server has had everything that was sent before it."""
        self._finish_after(call, self.client.round_trip())

    async def drain(self, call: Call, inlet: Inlet) -> None:
        """Finish the call when the server sends no further messages of a subscription, and all have come."""
        subscription = self._subscriptions.pop(inlet, None)
        if subscription is None:
            call.finish()
        else:
            self._finish_after(call, subscription.drain())

    def _finish_after(self, call: Call, work: Coroutine[Any, Any, object]) -> None:
        self._expect(call)
        self.tasks.start(self._settle_after(call, work))

    async def subscribe(self, inlet: Inlet, subject: str, queue: str) -> None:
        """Have the messages of a subject put into an inlet."""

        async def put(message: Msg) -> None:
            if not self.is_silent:
                inlet.put(convert(message))

        self._subscriptions[inlet] = await self.client.subscribe(subject, queue, cb=put, **UNLIMITED)

    async def unsubscribe(self, inlet: Inlet) -> None:
        """End a subscription."""
        subscription = self._subscriptions.pop(inlet, None)
        if subscription is not None:
            await subscription.unsubscribe()

    async def _settle_after(self, call: Call, work: Coroutine[Any, Any, object]) -> None:
        with suppress(Exception):  # of nats-py, when the connection ends meanwhile: `end` settles the call
            await work
            self._settle(call)

    async def _reply(self, message: Msg) -> None:
        call = self._calls.get(message.subject)
        if call is None:
            return
        answer = convert(message)
        if answer.headers.get("Status") == NO_RESPONDERS and not answer.body:
            self._settle(call, error=NobodyThere(call.subject))
        else:
            self._settle(call, answer)

    def _expect(self, call: Call) -> None:
        self._calls[call.token], call.session = call, self
        if self.is_over:  # it ended while the call was about to be sent
            self._lose(call)

    def _lose(self, call: Call) -> None:
        self._settle(call, error=LinkLost(self._name, f"the connection was lost ({self.reason})"))

    def _settle(self, call: Call, result: Any = None, error: Exception | None = None) -> None:
        self.forget(call)
        call.finish(result, error)

    def _deny(self, action: str, subject: str) -> None:
        """Have the calls and subscriptions of a subject fail; the server tells it in lower case."""
        log.warning("the server permits the link %r no %s to %r", self._name, action, subject)
        for call in [*self._calls.values()]:
            if call.subject.lower() == subject:
                self._settle(call, error=NotPermitted(action, call.subject))
        for inlet in self._subscriptions if action == "subscription" else ():
            if inlet.subject.lower() == subject:
                inlet.end(NotPermitted(action, inlet.subject))

    def _be_lame(self) -> None:
        self.is_lame = True
        self._on_change()


def convert(message: Msg) -> NatsMessage:
    """Return a message of nats-py as one of modd."""
    return NatsMessage(message.subject, message.data, message.headers or {}, message.reply)


def describe_error(error: BaseException) -> str:
    """Return the text of an error of the network; those of nats-py begin with its name."""
    return str(error).removeprefix("nats: ").strip("'") or type(error).__name__
