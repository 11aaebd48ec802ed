"""One firing of a timer: the messages of the moment, sent to a bus or to a component."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from modd.concurrency.cancellation import call, error_of
from modd.core import Message, accepts_of, keep_all, log_error, name_of
from modd.cqrs.errors import MISUSE, FeatureDisabled, GiveUp
from modd.cqrs.typed_bus import TypedBus
from modd.errors import NoHandler, NotAMessage
from modd.middleware.enqueue import Enqueue
from modd.ports.errors import AlreadyHandled, StoreError
from modd.ports.inbox import Inbox
from modd.ports.transaction import SupportsTransactions
from modd.texts import amount, errors_in, first_cause

PASSING = (FeatureDisabled, GiveUp)
"""Errors of `MISUSE` that depend on the moment: the next firing may succeed."""


LASTING = tuple(kind for kind in MISUSE if kind not in PASSING)
"""Errors that each firing would raise again, because the program is wrong."""


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


log = logging.getLogger("modd.app")


class Firing:
    """The work of a timer at each of its slots.

    name: the name of the timer.
    what: a message, or a function that returns messages.
    to: a typed bus, or a component.
    once: the inbox that slots are noted in; None to note none.
    """

    def __init__(self, name: str, what: Any, to: Any, once: Inbox | None) -> None:
        self._name, self._what, self._to, self._once = name, what, to, once
        self._has_worked = False
        """True from the first message that was sent without an error."""
        self._failures, self._last_error = 0, ""
        """The firings that failed since the last one that did not, and the error of the last."""
        self._has_failed = False
        """True if an error of the firing that is under way was logged."""

    @property
    def problem(self) -> str | None:
        """The words for the failures since the last firing without any; None if there are none."""
        return f"failed {amount(self._failures, 'time')}, last: {self._last_error}" if self._failures else None

    async def fire(self, slot: float, *, is_made_up_for: bool = False) -> None:
        """Send the messages of a slot, unless the inbox has it. Failures are logged.

        is_made_up_for: True for a slot before the start of the timer, which is logged; False by default.

        Raises: an error of misuse, as long as no message was sent without an error: none ever would be.
        """
        id = "" if self._once is None else slot_id(self._name, slot)
        self._has_failed = False
        error = await error_of(self._fire, id, is_made_up_for)
        if isinstance(error, AlreadyHandled) and error.id == id:
            return
        if error is not None:
            self._report(error, self._what)
        self._failures = self._failures + 1 if self._has_failed else 0

    async def _fire(self, id: str, is_made_up_for: bool) -> None:
        once = self._once
        if isinstance(once, SupportsTransactions) and self._is_queued_beside(once):
            async with once.transaction(immediate=True):
                await self._note(once, id, is_made_up_for)
                await self._send(self._what)
            return
        if once is not None:
            await self._note(once, id, is_made_up_for)
        for message in await self._messages():
            error = await error_of(self._send, message)
            if error is not None:
                self._report(error, message)

    async def _note(self, once: Inbox, id: str, is_made_up_for: bool) -> None:
        """Add a slot to the inbox. Raises `AlreadyHandled`."""
        await once.add(id)
        if is_made_up_for:
            log.info("the timer %s makes up for %s", self._name, id.rpartition("/")[2])

    def _is_queued_beside(self, inbox: object) -> bool:
        """True if the message goes into a queue of the inbox's store, so that one commit can have both."""
        store = getattr(inbox, "store", None)
        if store is None or not (isinstance(self._what, Message) and isinstance(self._to, TypedBus)):
            return False
        enqueues = [each for each in self._to.middleware if isinstance(each, Enqueue)]
        return any(getattr(each.queue_of(type(self._what)), "store", None) is store for each in enqueues)

    async def _messages(self) -> Sequence[Message]:
        if isinstance(self._what, Message):
            return (self._what,)
        return await call(_collect, self._what, f"the function of the timer {self._name}")

    async def _send(self, message: Message) -> None:
        if isinstance(self._to, TypedBus):
            await self._to.dispatch(message)
        else:
            accepts = accepts_of(self._to)
            if not accepts.takes(type(message)):
                raise NoHandler(type(message), name_of(self._to), accepts.types)
            await call(_collect, lambda: self._to(message), name_of(self._to))
        self._has_worked = True

    def _report(self, error: Exception, sent: Any) -> None:
        """Log an error, or raise it if each further firing would end with it."""
        if not self._has_worked and any(map(_is_lasting, errors_in(error))):
            raise error
        self._has_failed, self._last_error = True, type(first_cause(error)).__name__
        log_error(log, "the timer %s failed", self._name, error=error, message=sent)


def _is_lasting(error: BaseException) -> bool:
    return isinstance(error, LASTING) or (isinstance(error, StoreError) and error.is_misuse)


def slot_id(name: str, slot: float) -> str:
    """Return the id of a slot of a timer in an inbox; the slot in seconds since 1970."""
    moment = EPOCH + timedelta(microseconds=round(slot * 1e6))
    return f"timer/{name}/{moment:%Y-%m-%dT%H:%M:%S}{f'.{moment.microsecond:06}' if moment.microsecond else ''}Z"


class ReturnedMessages:
    """The messages in a returned value; anything else is refused.

    source: the function that returned the value, as the subject of the error.
    """

    def __init__(self, source: str) -> None:
        self.messages: list[Message] = []
        self._source = source

    def keep(self, messages: Sequence[Message], origin: Any = None) -> None:
        """Take messages."""
        self.messages += messages

    def add(self, component: Any) -> None:
        """Raise `NotAMessage`: there is no bus to add a component to."""
        self.refuse(component)

    def refuse(self, value: Any) -> None:
        """Raise `NotAMessage`."""
        raise NotAMessage(value, self._source)

    async def breathe(self) -> None:
        """Do nothing: a timer has no turn in which other tasks wait."""


async def _collect(function: Callable[[], Any], source: str) -> Sequence[Message]:
    """Call a function, and return the messages in the value that it returns."""
    returned = ReturnedMessages(source)
    await keep_all(function(), returned)
    return returned.messages
