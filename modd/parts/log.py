"""Log: a log entry for every message (MO-12)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Any

from modd.core import Accepts, Component, Failure, Message, name_of
from modd.errors import InvalidOption
from modd.parts.base import NamedPart, checked_function, narrowed


class Level(IntEnum):
    """How much a log entry matters; the numbers are those of `logging`."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


class Logged(Message, tag="modd.Logged"):
    """A log entry (MO-12): give one back from any component to log, or have `Log` make them; `ConsoleLog` shows them.

    source: what it is about or who says it; the name of a component as a rule.
    """

    level: Level
    text: str
    source: str = ""


class Log(NamedPart):
    """Gives back a `Logged` for each message it is given; a failure is an ERROR (MO-12).

    Use ``Log()`` in a bus to log all that flows there, failures too, without handling them; ``Log(cart)`` in place of
    ``cart`` to log what that component is given. `Filter` chooses what is logged: ``Filter(Log(), deny=Tick)``.

    component: the component to pass messages on to; the boundary of a bus is passed on. None to log only.
    level: the level of the entries, but for failures.
    describe: ``(message) -> str``, the text of an entry; repr masks sensitive fields. Of a failure it is given the
        message that could not be handled, and the error follows. When it raises, the entry says so.

    It never logs a `Logged`. Raises `InvalidOption`, `NotAComponent`, `UnresolvedAnnotation`.
    """

    def __init__(
        self,
        component: Component | None = None,
        *,
        level: Level = Level.INFO,
        describe: Callable[[Any], str] = repr,
    ) -> None:
        around = [] if component is None else [component]
        super().__init__(*around, of=around)
        self._level = checked_level("level", level)
        self._describe = checked_function("describe", describe)
        self._source = name_of(self if component is None else component)

    def __call__(self, message: Any, /) -> Any:
        """Give back the entry, and what the component gives back."""
        if not self._inside:
            return None if isinstance(message, Logged) else self._entry(message)
        return self._inside[0].call(message) if isinstance(message, Logged) else self._around_call(message)

    @property
    def accepts(self) -> Accepts:
        """What the component accepts; without one everything but `Logged`."""
        return super().accepts if self._inside else narrowed(Accepts(everything=True), (Message,), (Logged,))

    def _around_call(self, message: Message) -> Iterator[Any]:
        yield self._entry(message)  # stays, even when the component raises
        yield self._inside[0].call(message)

    def _entry(self, message: Message) -> Logged:
        if isinstance(message, Failure):
            text = f"{self._text(message.message)} failed: {message.error!r}"
            return Logged(Level.ERROR, text, name_of(message.component))
        return Logged(self._level, self._text(message), self._source)

    def _text(self, message: Message) -> str:
        try:
            return self._describe(message)  # type: ignore[no-any-return]
        except Exception as error:  # a log changes no outcome
            return f"{type(message).__name__} that cannot be described ({error!r})"


def checked_level(option: str, given: Any) -> Level:
    """A level, not a number. Raises `InvalidOption`."""
    if not isinstance(given, Level):
        raise InvalidOption(option, given, f"give one of {', '.join(f'Level.{level.name}' for level in Level)}")
    return given
