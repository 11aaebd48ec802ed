"""The connection of a WebSocket client: its frames, the answers to them, and the events that it hears."""

from __future__ import annotations

from typing import Any, Final

import anyio
from anyio.abc import TaskGroup
from starlette.websockets import WebSocket, WebSocketDisconnect

from modd.cqrs import Actor
from modd.gateway.calls import Calls
from modd.gateway.client_events import ClientEvents, EventId, check_channels
from modd.gateway.client_stream import ClientStream, EndReason
from modd.gateway.errors import Refused
from modd.gateway.frames import (
    BadFrame,
    CallFrame,
    PingFrame,
    SubscribeFrame,
    UnsubscribeFrame,
    delivery_texts,
    pong_text,
    problem_text,
    read_frame,
    reply_text,
    subscribed_text,
)
from modd.gateway.limits import Limits
from modd.gateway.problems import Problem
from modd.gateway.subscription import EventSubscription

MOST_BAD_FRAMES: Final = 10
"""Frames in a row that are none, after which the connection ends."""

NORMAL: Final = 1000


class WebSocketSession:
    """Reads frames of a client and answers them, each as soon as its answer is ready.

    websocket: the connection, accepted. actor: the client; None for no actor. stream: tells when it has to end.
    subscription: the events that the client hears; None without a feed. calls: sends commands and queries. events: the
    channels that it may hear. limits: the limits.
    """

    def __init__(
        self,
        websocket: WebSocket,
        actor: Actor | None,
        stream: ClientStream,
        subscription: EventSubscription | None,
        calls: Calls,
        events: ClientEvents,
        limits: Limits,
    ) -> None:
        self._websocket, self._actor, self._stream, self._subscription = websocket, actor, stream, subscription
        self._calls, self._events, self._limits = calls, events, limits
        self._slots = anyio.Semaphore(limits.in_flight)
        self._send_lock = anyio.Lock()
        self._refs: set[str] = set()
        """The references of commands and queries that are not answered yet."""
        self._bad_frames = 0
        self._is_open = True
        self._waiting = anyio.CancelScope()

    async def run(self) -> int:
        """Serve the client until one side ends the connection; return the code for the end.

        Commands go on without the client, queries do not.
        """
        self._stream.on_end(lambda: self._waiting.cancel())
        async with anyio.create_task_group() as commands, anyio.create_task_group() as session:
            try:
                await self._converse(commands, session)
            finally:
                self._is_open = False  # before the group ends, which takes no answer any more
            session.cancel_scope.cancel()
        return NORMAL if self._stream.reason is None else self._stream.reason

    async def _converse(self, commands: TaskGroup, session: TaskGroup) -> None:
        """Read frames and send events until the client has gone, or the stream has to end and has sent what is due."""
        lifetime = self._events.lifetime(self._actor)
        session.start_soon(self._stream.watch, lifetime, session.cancel_scope, self._limits.timeout)
        if self._subscription is not None:
            session.start_soon(self._send_events, self._subscription)
        await self._read(commands, session)
        if self._stream.reason in (EndReason.STOPPED, EndReason.EXPIRED):
            await self._wait_for_answers()
        if self._stream.reason is not None:
            async with self._send_lock:
                pass  # the frame that is being sent: the code for the end follows it

    async def _read(self, commands: TaskGroup, session: TaskGroup) -> None:
        """Read frames until the client has gone or the stream has to end."""
        while (message := await self._receive()) is not None:
            try:
                await self._take(self._text_of(message), commands, session)
                self._bad_frames = 0
            except BadFrame as error:
                self._bad_frames += 1
                await self._send(problem_text(error.ref, Problem(400, error.reason)))
            if self._bad_frames == MOST_BAD_FRAMES:
                self._stream.end(EndReason.MISUSED)

    async def _receive(self) -> dict[str, Any] | None:
        """Return the next message, as soon as a command or query may begin; None at the end."""
        with anyio.CancelScope() as self._waiting:
            if self._stream.reason is None:
                async with self._slots:
                    pass
                message = dict(await self._websocket.receive())
                return None if message["type"] == "websocket.disconnect" else message
        return None

    def _text_of(self, message: dict[str, Any]) -> str:
        """Return the text of a message. Raises `BadFrame`, and has the stream end, for one that no client sends."""
        text = message.get("text")
        if text is None:
            self._stream.end(EndReason.MISUSED)
            raise BadFrame("Frames are texts.")
        if len(text) > self._limits.body or len(text.encode(errors="replace")) > self._limits.body:
            self._stream.end(EndReason.TOO_LARGE)
            raise BadFrame("The frame is too large.")
        return str(text)

    async def _take(self, text: str, commands: TaskGroup, session: TaskGroup) -> None:
        """Do what a frame asks for, or begin to. Raises `BadFrame`."""
        frame = read_frame(text)
        if isinstance(frame, CallFrame):
            self._begin(frame, commands if frame.way == "commands" else session, session)
        elif isinstance(frame, SubscribeFrame):
            await self._subscribe(frame)
        elif isinstance(frame, UnsubscribeFrame):
            if self._subscription is not None:
                self._subscription.remove(frame.channels)
        elif isinstance(frame, PingFrame):
            await self._send(pong_text(frame.ping))
        else:
            raise BadFrame("A token is for the first frame of a client that is not known.")

    def _begin(self, frame: CallFrame, tasks: TaskGroup, session: TaskGroup) -> None:
        if frame.ref in self._refs:
            raise BadFrame("The ref is in use.")
        self._refs.add(frame.ref)
        self._slots.acquire_nowait()
        tasks.start_soon(self._call, frame, session)

    async def _call(self, frame: CallFrame, session: TaskGroup) -> None:
        """Do a command or a query; its answer belongs to the session, so that it does not keep a connection open."""
        text = await self._answer(frame)
        self._refs.discard(frame.ref)
        if self._is_open:
            session.start_soon(self._send_answer, text)
        else:
            self._slots.release()

    async def _send_answer(self, text: str) -> None:
        await self._send(text)
        self._slots.release()

    async def _answer(self, frame: CallFrame) -> str:
        try:
            if frame.way == "commands":
                reply = await self._calls.command(frame.name, frame.data, self._actor, key=frame.key)
            else:
                reply = await self._calls.query(frame.name, frame.data, self._actor)
            return reply_text(frame.ref, reply)
        except Exception as error:
            return problem_text(frame.ref, self._calls.problem(error))

    async def _subscribe(self, frame: SubscribeFrame) -> None:
        try:
            if self._subscription is None:
                raise Refused(404, "There are no events.")
            check_channels({*self._subscription.channels, *frame.channels})
            topics = await self._events.topics(self._actor, frame.channels)
        except Exception as error:
            await self._send(problem_text(frame.ref, self._calls.problem(error)))
        else:
            self._events.begin(self._subscription, topics, await self._confirm(frame))

    async def _confirm(self, frame: SubscribeFrame) -> EventId | int | None:
        """Answer a subscription with a reference, before its events; return the event after which it begins."""
        if frame.ref is None:
            return frame.after
        begin = self._events.current_id() if frame.after is None else None
        await self._send(subscribed_text(frame.ref, begin))
        return frame.after if begin is None else begin

    async def _send_events(self, subscription: EventSubscription) -> None:
        while self._stream.reason is None:
            for text in delivery_texts(await subscription.receive()):
                await self._send(text)

    async def _send(self, text: str) -> None:
        async with self._send_lock:
            if self._is_open:
                try:
                    await self._stream.send(self._websocket.send_text, text)
                except WebSocketDisconnect:
                    self._is_open = False

    async def _wait_for_answers(self) -> None:
        """Return when no command or query is unanswered."""
        for _ in range(self._limits.in_flight):
            await self._slots.acquire()
