"""The parts of an app: what they have to have, their labels, and what they tell about themselves."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from modd.checks import checked_list
from modd.core import Bus
from modd.cqrs import TypedBus
from modd.cqrs.enclosing import open_bus
from modd.errors import InvalidOption
from modd.worker import Worker
from modd.worker.member import check_runnable

_NEXT_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class AppPart:
    """A part of an app: an object with ``run()`` and ``stop()``, and what it tells about itself.

    part: the object. label: its label, which no second part has. is_timer: True for a timer.
    """

    def __init__(self, part: Any, label: str, *, is_timer: bool = False) -> None:
        self.part, self.label, self.is_timer = part, label, is_timer
        self.stops_first = is_timer or getattr(part, "stops_first", False) is True

    @property
    def is_gateway(self) -> bool:
        """True if it has to have ended before workers are told to stop, because it gives them work."""
        return self.stops_first and not self.is_timer

    def buses(self) -> list[AbstractAsyncContextManager[None]]:
        """Return the buses that have to be open while it runs, as contexts that do nothing for an open bus."""
        if isinstance(self.part, Worker):
            return [self.part.open_bus()]
        to = getattr(self.part, "to", None) if self.is_timer else None
        return [open_bus(to)] if isinstance(to, (Bus, TypedBus)) else []

    def problem(self) -> str | None:
        """Return the words for what is wrong with it at the moment, as it tells them; None if it is well."""
        tell = getattr(self.part, "problem", None)
        if not callable(tell):
            return None
        try:
            words = tell()
        except Exception as error:
            return type(error).__name__
        return None if words is None else str(words)


def named_parts(parts: Sequence[Any], timers: Any) -> list[AppPart]:
    """Return the parts and the timers of an app, each with a unique label.

    Raises: `InvalidOption` for an object that cannot be run and stopped, for one that is given twice, for two timers
    of one name, and if there is none.
    """
    timers = list(checked_list("timers", timers))
    for part in parts:
        check_runnable("parts", part, "give parts one by one, each with run() and stop(): App(name, worker, relay)")
    for timer in timers:
        check_runnable("timers", timer, "give timers, as every() and cron() return them")
        if getattr(timer, "stops_first", False) is not True:
            raise InvalidOption("timers", timer, "it is no timer; give it before the options, as one of the parts")
    _check_twice([*parts, *timers], [getattr(timer, "name", None) for timer in timers])
    counts = Counter[str]()
    return [
        AppPart(each, _unique(_label_of(each), counts), is_timer=number >= len(parts))
        for number, each in enumerate([*parts, *timers])
    ]


def _check_twice(parts: Sequence[Any], names: Iterable[Any]) -> None:
    if not parts:
        raise InvalidOption("parts", (), "give at least one part or timer: without any, the app would end at once")
    for each, count in Counter(map(id, parts)).items():
        if count > 1:
            part = next(part for part in parts if id(part) == each)
            raise InvalidOption("parts", part, "it is given twice; give each object once")
    for name, count in Counter(name for name in names if name is not None).items():
        if count > 1:
            raise InvalidOption("timers", name, 'two timers have this name; give one a name of its own: name="..."')


def _label_of(part: Any) -> str:
    """Return the label that a part has, or its class in lower-case words."""
    label = getattr(part, "label", None)
    return label if isinstance(label, str) and label else _NEXT_WORD.sub(" ", type(part).__name__).lower()


def _unique(label: str, counts: Counter[str]) -> str:
    """Return a label, with a number if earlier parts have it."""
    counts[label] += 1
    number = counts[label]
    return label if number == 1 else _unique(f"{label} {number}", counts)
