"""Equal is not the same: an instant keeps its offset and fold in keys, stored results and msgpack."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, timezone
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import pytest

from modd.cqrs import Codec, Command, CommandBus, Envelope, Query, QueryBus
from modd.middleware import Cacher, Idempotency

pytestmark = pytest.mark.anyio

NEW_YORK = timezone(timedelta(hours=-5))
EVENING = datetime(2024, 1, 1, 23, 30, tzinfo=NEW_YORK)
IN_UTC = datetime(2024, 1, 2, 4, 30, tzinfo=UTC)
FIRST = datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))


class DayOf(Query[str]):
    at: Any


class TypedDayOf(Query[str]):
    at: datetime


class TimeOf(Query[str]):
    at: time


class Stay(msgspec.Struct):
    at: datetime


@dataclass
class Visit:
    at: datetime


class Slot(NamedTuple):
    at: datetime


EQUAL: list[tuple[type[Query[str]], Any, Any]] = [
    (DayOf, IN_UTC, EVENING),
    (TypedDayOf, IN_UTC, EVENING),
    (DayOf, [Visit(IN_UTC)], [Visit(EVENING)]),
    (TypedDayOf, FIRST, FIRST.replace(fold=1)),
    (TypedDayOf, datetime(2024, 1, 1), datetime(2024, 1, 1, fold=1)),
    (TimeOf, time(4, 30, tzinfo=UTC), time(23, 30, tzinfo=NEW_YORK)),
    (TimeOf, time(4, 30), time(4, 30, fold=1)),
]


@pytest.mark.parametrize(("kind", "one", "other"), EQUAL)
async def test_instants_with_other_offsets_or_folds_are_other_keys(kind: Any, one: Any, other: Any) -> None:
    # DF-22
    def day_of(query: DayOf | TypedDayOf | TimeOf) -> str:
        return repr(query.at)

    queries = QueryBus([day_of], middleware=[Cacher(ttl=60, stale_ttl=0)])
    assert await queries.ask(kind(one)) == repr(one)
    assert await queries.ask(kind(other)) == repr(other)


class Now(Query[datetime]): ...


class Stays(Query[list[Stay]]): ...


class Visits(Query[dict[str, Visit]]): ...


class Slots(Query[tuple[Slot, ...]]): ...


class Instants(Query[set[datetime]]): ...


class ByInstant(Query[dict[datetime, int]]): ...


class Times(Query[time]): ...


RESULTS: list[tuple[Any, Any]] = [
    (Now, EVENING),
    (Now, datetime(2024, 1, 1)),
    (Now, datetime(2024, 1, 1, fold=1)),
    (Now, FIRST.replace(fold=1)),
    (Stays, [Stay(EVENING)]),
    (Visits, {"a": Visit(EVENING)}),
    (Slots, (Slot(EVENING),)),
    (Instants, {EVENING}),
    (ByInstant, {EVENING: 1}),
    (Times, time(23, 30, tzinfo=NEW_YORK)),
    (Times, time(23, 30, fold=1)),
]


def facts(value: Any) -> Any:
    """What a reader sees of the instants in a value: its local time, its offset and its fold."""
    if isinstance(value, (datetime, time)):
        return value.isoformat(), value.fold
    if isinstance(value, (Stay, Visit, Slot)):
        return facts(value.at)
    if isinstance(value, dict):
        return [(facts(key), facts(item)) for key, item in value.items()]
    return [facts(item) for item in value] if isinstance(value, (list, tuple, set)) else value


@pytest.mark.parametrize(("kind", "result"), RESULTS)
async def test_a_stored_result_has_the_offset_and_fold_of_the_fresh_one(kind: Any, result: Any) -> None:
    # DF-22
    def answer(query: Now | Stays | Visits | Slots | Instants | ByInstant | Times) -> Any:
        return result

    queries = QueryBus([answer], middleware=[Cacher(ttl=60, stale_ttl=0)])
    for _ in range(2):
        assert facts(await queries.ask(kind())) == facts(result)


async def test_a_result_that_is_an_instant_is_stored_and_not_asked_for_again() -> None:
    calls: list[Query[Any]] = []

    def now(query: Now) -> datetime:
        calls.append(query)
        return EVENING

    queries = QueryBus([now], middleware=[Cacher(ttl=60, stale_ttl=0)])
    assert [facts(await queries.ask(Now())) for _ in range(3)] == [facts(EVENING)] * 3
    assert len(calls) == 1


class Book(Command[datetime]):
    at: datetime
    data: bytes = b"\xd7\xff"


async def test_idempotency_answers_with_the_offset_of_the_first_result() -> None:
    # DF-22
    def book(command: Book) -> datetime:
        return command.at

    commands = CommandBus([book], middleware=[Idempotency()])
    for _ in range(2):
        dispatched = await commands.dispatch(Envelope(Book(EVENING), id="1"))
        assert facts(dispatched.result) == facts(EVENING)


@pytest.mark.parametrize("format", ["json", "msgpack"])
@pytest.mark.parametrize(
    "at", [EVENING, IN_UTC, datetime(2024, 1, 1), FIRST.replace(fold=1), EVENING.replace(year=2600)]
)
async def test_a_codec_keeps_the_offset_of_an_instant(format: Any, at: datetime) -> None:
    # DF-22
    codec = Codec([Book], format=format)
    message: Any = codec.decode(codec.encode(Envelope(Book(at)))).message
    assert message.at.isoformat() == at.isoformat() and message.data == b"\xd7\xff"


async def test_msgpack_of_before_is_decoded_as_it_was() -> None:
    codec = Codec([Book], format="msgpack")
    data: Any = {
        "identity": {"$stamp": "Identity", "id": "1", "correlation_id": "1", "at": 1.0},
        "message": {"$type": "Book", "at": EVENING},
        "stamps": [],
    }
    message: Any = codec.decode(msgspec.msgpack.encode(data)).message
    assert message.at == EVENING and message.at.tzinfo is UTC
