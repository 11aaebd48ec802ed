"""Options of timers that cannot work: each is an error when the timer is made."""

from __future__ import annotations

import sys
from functools import partial
from math import inf, nan
from typing import Any

import pytest

from modd import Bus, InvalidOption, Message
from modd.app import cron, every
from modd.cqrs import CommandBus
from modd.errors import MissingExtra
from modd.stores import MemoryStore
from tests.app.timed import Remind, Times, Unknown

BUS = CommandBus({Remind: print})


class Named(Message, tag="remind-all"):
    pass


def remind_some(number: int = 3) -> Remind:
    return Remind(number)


def remind_one(number: int) -> Remind:
    return Remind(number)


def odd(message: Remind, *, much: int) -> None: ...


class Reminders:
    """Calls with and without a name."""

    def soon(self) -> Remind:
        return Remind()

    def __call__(self) -> Remind:
        return Remind()


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"seconds": 0}, "seconds"),
        ({"seconds": -1}, "seconds"),
        ({"seconds": inf}, "seconds"),
        ({"seconds": nan}, "seconds"),
        ({"seconds": "5"}, "seconds"),
        ({"jitter": -1}, "jitter"),
        ({"jitter": 10}, "jitter"),
        ({"at_once": 1}, "at_once"),
        ({"clock": 5}, "clock"),
        ({"name": ""}, "name"),
        ({"name": 5}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"what": Remind}, "what"),
        ({"what": Reminders}, "what"),
        ({"what": 5}, "what"),
        ({"what": remind_one}, "what"),
        ({"what": lambda: Remind()}, "name"),
        ({"to": 5}, "to"),
        ({"to": Times}, "to"),
        ({"to": odd}, "to"),
        ({"to": Times(), "what": Unknown()}, "to"),
        ({"once": MemoryStore()}, "once"),
        ({"once": 5}, "once"),
    ],
)
def test_an_option_that_cannot_work_is_an_error_when_the_timer_is_made(options: dict[str, Any], name: str) -> None:
    # AP-25
    with pytest.raises(InvalidOption) as raised:
        every(**{"seconds": 10, "what": Remind(), "to": BUS, **options})
    assert raised.value.option == name


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"text": "5 * * *"}, "text"),
        ({"text": "0 5 * * * *"}, "text"),
        ({"text": "61 * * * *"}, "text"),
        ({"text": "0 0 30 2 *"}, "text"),
        ({"text": 5}, "text"),
        ({"tz": "Europe/Nowhere"}, "tz"),
        ({"tz": "Europe"}, "tz"),
        ({"tz": "../UTC"}, "tz"),
        ({"tz": None}, "tz"),
        ({"clock": 5}, "clock"),
        ({"what": Remind}, "what"),
    ],
)
def test_a_cron_text_or_a_time_zone_that_is_unreadable_is_an_error_when_the_timer_is_made(
    options: dict[str, Any], name: str
) -> None:
    # AP-25
    with pytest.raises(InvalidOption) as raised:
        cron(**{"text": "0 5 * * *", "what": Remind(), "to": BUS, **options})
    assert raised.value.option == name


def test_the_error_says_what_the_text_lacks_and_what_a_store_has() -> None:
    with pytest.raises(InvalidOption, match=r"give five fields.*; here: Bad minute"):
        cron("61 * * * *", Remind(), to=BUS)
    with pytest.raises(InvalidOption, match=r"give store\.inbox"):
        every(5, Remind(), to=BUS, once=MemoryStore())  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match=r"did you mean Remind\(\)"):
        every(5, Remind, to=BUS)


@pytest.mark.parametrize(
    ("what", "name"),
    [
        (Remind(), "Remind"),
        (Named(), "remind-all"),
        (remind_some, "remind_some"),
        (partial(remind_one, 5), "remind_one"),
        (Reminders().soon, "soon"),
        (Reminders(), "Reminders"),
        (vars, "vars"),  # tells nothing of its parameters
    ],
)
def test_the_name_is_that_of_the_message_on_the_wire_or_of_the_function(what: Any, name: str) -> None:
    # AP-25
    assert every(5, what, to=Bus()).name == name


def test_cron_without_its_extra_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "modd.app.cron_schedule", raising=False)
    monkeypatch.setitem(sys.modules, "cronsim", None)
    with pytest.raises(MissingExtra, match=r"modd.app.cron .*pip install modd\[cron\]"):
        cron("0 5 * * *", Remind(), to=BUS)
