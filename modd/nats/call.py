"""A call that crosses from the caller's loop to the loop of the connection, and its outcome on the way back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from modd.concurrency.loop_thread import Crossing
from modd.concurrency.signals import Signal, set_signal, signals


class Call:
    """A call under way: made in the caller's loop, done in that of the connection.

    home: calls functions in the caller's loop.
    send: sends it over a session, in the loop of the connection.
    subject: the subject that it publishes to; empty if it does not publish.
    """

    __slots__ = ("_signal", "done", "error", "home", "result", "send", "session", "subject", "timer", "token")

    def __init__(self, home: Crossing, send: Callable[[Any, Call], Awaitable[None]], subject: str = "") -> None:
        self.home, self.send, self.subject = home, send, subject
        self._signal: Signal = None
        self.done = False
        self.result: Any = None
        self.error: Exception | None = None
        self.timer: Any = None
        self.session: Any = None
        """The session that waits for the answer; None before the call is sent."""
        self.token: object = self
        """The name of the answer in that session."""

    def forget(self) -> None:
        """Have no session wait for an answer; in the loop of the connection."""
        if self.session is not None:
            self.session.forget(self)

    def finish(self, result: Any = None, error: Exception | None = None) -> None:
        """Set the outcome, unless it has one, and wake the caller; in the loop of the connection."""
        if self.done:
            return
        self.done, self.result, self.error = True, result, error
        if self.timer is not None:
            self.timer.cancel()
        self.home.call(self._wake)

    async def outcome(self) -> Any:
        """Wait for the outcome in the caller's loop: return the result, or raise the error."""
        while not self.done:  # a cancellation ends the signal, and not the call
            self._signal = signals()()
            await self._signal
        error, self.error = self.error, None  # so that error, frame and call form no cycle
        if error is not None:
            raise error
        return self.result

    def _wake(self) -> None:
        if self._signal is not None:
            set_signal(self._signal)
