"""Options of timers that cannot work: each is an error when the timer is made."""

from __future__ import annotations

import sys
import zoneinfo
from functools import partial
from math import inf, nan
from typing import Any

import pytest

from modd import Bus, InvalidOption, Message
from modd.app import cron, every
from modd.cqrs import CommandBus, Event, EventBus
from modd.errors import MissingExtra
from modd.stores import MemoryStore
from tests.app.timed import Remind, Times, Unknown

BUS = CommandBus({Remind: print})


class Named(Message, tag="remind-all"):
    pass


class Reminded(Event):
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
        ({"what": Unknown()}, "to"),
        ({"what": Reminded()}, "to"),
        ({"to": EventBus(strict=True), "what": Reminded()}, "to"),
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


def test_the_handler_of_a_base_counts_and_an_event_needs_none() -> None:
    # AP-72
    class Late(Remind):
        pass

    for what, to in [(Late(), BUS), (Reminded(), EventBus()), (Remind, CommandBus())]:
        every(5, (lambda: Remind()) if what is Remind else what, to=to, name="x")


def test_a_message_that_a_typed_bus_would_refuse_is_named_when_the_timer_is_made() -> None:
    # AP-72
    with pytest.raises(InvalidOption, match=r"it has no handler for Unknown; register one before the timer is made"):
        every(5, Unknown(), to=BUS)
    with pytest.raises(InvalidOption, match=r"it takes no Reminded; give a bus that does"):
        cron("0 5 * * *", Reminded(), to=BUS)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("*/90 * * * *", "minute"),
        ("5,10-30/61 * * * *", "minute"),
        ("0 */25 * * *", "hour"),
        ("0 0 */32 * *", "day of the month"),
        ("0 0 1 */13 *", "month"),
        ("0 0 * * */8", "day of the week"),
    ],
)
def test_a_step_that_is_longer_than_its_field_is_an_error(text: str, field: str) -> None:
    # AP-74
    with pytest.raises(InvalidOption, match=rf"a step of the {field} is at most .*; for a period use every\(\)"):
        cron(text, Remind(), to=BUS)


def test_a_step_as_long_as_its_field_is_taken() -> None:
    # AP-74
    cron("*/60 */24 */31 */12 */7", Remind(), to=BUS)


@pytest.mark.parametrize(
    ("tz", "hint"),
    [
        ("Berlin", "; did you mean Europe/Berlin?"),
        ("europe/BERLIN", "; did you mean Europe/Berlin?"),
        ("New York", "; did you mean America/New_York?"),
        ("Europe/Brelin", "; did you mean Europe/Berlin?"),
        ("Mars/Phobos", ""),
        (None, ""),
    ],
)
def test_an_unknown_time_zone_is_compared_with_the_known_ones(tz: Any, hint: str) -> None:
    # AP-73
    with pytest.raises(InvalidOption) as raised:
        cron("0 5 * * *", Remind(), to=BUS, tz=tz)
    assert str(raised.value) == f'tz={tz!r}: give the name of a time zone, such as "Europe/Berlin"{hint}'


def test_without_data_of_time_zones_utc_is_known_and_the_error_says_how_to_get_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # AP-73
    for module in ["tzdata", *(name for name in sys.modules if name.startswith("tzdata."))]:
        monkeypatch.setitem(sys.modules, module, None)
    zones = zoneinfo.TZPATH
    zoneinfo.reset_tzpath(())
    zoneinfo.ZoneInfo.clear_cache()
    try:
        cron("0 5 * * *", Remind(), to=BUS)
        with pytest.raises(InvalidOption, match=r"this system knows none but UTC: pip install tzdata"):
            cron("0 5 * * *", Remind(), to=BUS, tz="Europe/Berlin")
    finally:
        zoneinfo.reset_tzpath(zones)


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


@pytest.mark.parametrize("what", [lambda: Remind(), partial(lambda number: Remind(number), 5)])
def test_a_timer_of_a_lambda_needs_a_name(what: Any) -> None:
    # AP-25
    with pytest.raises(InvalidOption, match=r'^name=None: a lambda has no name; give the timer one: name="..."$'):
        every(5, what, to=BUS)
    assert every(5, what, to=BUS, name="remind").name == "remind"


def test_cron_without_its_extra_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "modd.app.cron_schedule", raising=False)
    monkeypatch.setitem(sys.modules, "cronsim", None)
    with pytest.raises(MissingExtra, match=r"modd.app.cron .*pip install modd\[cron\]"):
        cron("0 5 * * *", Remind(), to=BUS)
