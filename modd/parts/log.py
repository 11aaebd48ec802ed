"""Log: a part that returns a log entry for each message."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Any

from modd.core import Accepts, Component, Failure, Message, name_of
from modd.errors import InvalidOption
from modd.parts.base import NamedPart, checked_function, narrow


class Level(IntEnum):
    """The severity of a log entry, DEBUG, INFO, WARNING or ERROR, with the numbers of `logging` (10 to 40)."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


class Logged(Message, tag="modd.Logged"):
    """A log entry: return one from any component to log, or use `Log`; `ConsoleLog` prints them.

    level: the severity, a `Level`.
    text: the entry, as a text of one line or more.
    source: the origin of the entry, as a rule the name of a component; empty by default.
    """

    level: Level
    text: str
    source: str = ""


class Log(NamedPart):
    """Returns a `Logged` for each message that it receives; failures are logged as ERROR.

    Use ``Log()`` in a bus to log all messages there, failures too, which it does not handle. Use ``Log(cart)`` in place
    of ``cart`` to log the messages for that component only. To log fewer messages: ``Filter(Log(), deny=Tick)``.

    component: the component that gets the messages; the boundary of a bus is passed on. None, the default, only logs.
    level: the level of the entries, INFO by default; failures are always ERROR.
    describe: ``(message) -> str``, the text of an entry; by default repr, which masks sensitive fields. For a failure
        it gets the message that could not be handled, and the error is appended. If it raises, the entry says so.

    A `Logged` message is never logged itself.

    Raises:
        InvalidOption: ``level`` is no `Level`, or ``describe`` is no function of one argument.
        NotAComponent: ``component`` cannot take a message.
        UnresolvedAnnotation: the annotation of its parameter cannot be resolved.
    """

    def __init__(
        self,
        component: Component | None = None,
        *,
        level: Level = Level.INFO,
        describe: Callable[[Any], str] = repr,
    ) -> None:
        components = [] if component is None else [component]
        super().__init__(*components, of=components)
        self._level = checked_level("level", level)
        self._describe = checked_function("describe", describe)
        self._source = name_of(self if component is None else component)

    def __call__(self, message: Any, /) -> Any:
        """Return the entry, and the result of the component if there is one."""
        if not self._inside:
            return None if isinstance(message, Logged) else self._entry(message)
        return self._inside[0].call(message) if isinstance(message, Logged) else self._log_and_call(message)

    @property
    def accepts(self) -> Accepts:
        """The types that the component accepts; without one all types but `Logged`."""
        return super().accepts if self._inside else narrow(Accepts(everything=True), (Message,), (Logged,))

    def _log_and_call(self, message: Message) -> Iterator[Any]:
        yield self._entry(message)  # is logged even if the component raises
        yield self._inside[0].call(message)

    def _entry(self, message: Message) -> Logged:
        if isinstance(message, Failure):
            text = f"{self._text(message.message)} failed: {message.error!r}"
            return Logged(Level.ERROR, text, name_of(message.component))
        return Logged(self._level, self._text(message), self._source)

    def _text(self, message: Message) -> str:
        try:
            return self._describe(message)  # type: ignore[no-any-return]
        except Exception as error:  # logging must not fail the turn
            return f"{type(message).__name__} that cannot be described ({error!r})"


def checked_level(option: str, value: Any) -> Level:
    """Return a `Level`; a plain number is refused. Raises `InvalidOption`."""
    if not isinstance(value, Level):
        raise InvalidOption(option, value, f"give one of {', '.join(f'Level.{level.name}' for level in Level)}")
    return value
