"""Cache keys are equal for equal content only."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, Flag
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from modd.core.message import Message
from modd.core.sensitive import Sensitive
from modd.cqrs import Actor, Envelope, InvalidIntent, Query, QueryBus, Stamp, Tenant
from modd.errors import InvalidOption
from modd.middleware.caching.keys import MAX_PLAIN_BYTES, CacheKeys


class Find(Query[int]):
    words: dict[str, int] = msgspec.field(default_factory=dict)
    among: frozenset[int] = frozenset()
    limit: int | None = None


class Anything(Query[int]):
    what: Any = None


class Login(Query[int]):
    password: Annotated[str, Sensitive]


class Either(Query[int]):
    what: int | str


class Impossible(Query[int]):
    what: UUID | str


class First(msgspec.Struct):
    n: int


class Second(msgspec.Struct):
    n: int


class Filtered(Query[int]):
    by: First | None = None


@dataclass
class Range:
    low: int


class Colour(Enum):
    RED = 1


class Access(Flag):
    READ = 1


class Department(Actor):
    department: str = ""


class Note(Stamp):
    text: str


def key(message: Message, *stamps: Stamp, bus: str = "queries", purpose: str = "cacher", shared: bool = False) -> str:
    envelope = Envelope(message, *stamps)
    envelope.bus = QueryBus(name=bus)
    return CacheKeys(purpose).of_message(envelope, shared)


def chosen(given: Any, *stamps: Stamp, shared: bool = False) -> str:
    envelope = Envelope(Find(), *stamps)
    envelope.bus = QueryBus()
    return CacheKeys("idempotency").of_text(envelope, given, shared)


@pytest.mark.slow
@given(some.dictionaries(some.text(), some.integers()), some.frozensets(some.integers()))
def test_the_order_in_which_content_was_put_together_does_not_count(
    words: dict[str, int], among: frozenset[int]
) -> None:
    # MI-22
    turned = dict(reversed(words.items()))
    assert key(Find(words, among)) == key(Find(turned, frozenset(sorted(among, reverse=True))))
    assert key(Anything([words, among])) == key(Anything([turned, among]))


VALUES: list[Any] = [
    None,
    1,
    1.0,
    True,
    "1",
    b"1",
    Decimal("1"),
    UUID(int=1),
    str(UUID(int=1)),
    Colour.RED,
    Access.READ,
    Access(0),
    [1],
    (1,),
    {1},
    frozenset({1}),
    {1: 1},
    {"1": 1},
    {},
    [],
    First(1),
    Second(1),
    Range(1),
    {"n": 1},
    [[1], []],
    [[], [1]],
    bytearray(b"1"),
    2**70,
]


def test_no_two_contents_have_one_key() -> None:
    # MI-22: nor do values of two types that are encoded alike
    assert len({key(Anything(value)) for value in VALUES}) == len(VALUES)
    assert len({key(Either(value)) for value in (1, "1")}) == 2
    assert len({key(Impossible(value)) for value in (UUID(int=1), str(UUID(int=1)))}) == 2
    assert key(Filtered(First(1))) != key(Filtered(Second(1)))  # type: ignore[arg-type]  # as from untyped code


def test_types_buses_and_purposes_are_told_apart() -> None:
    # MI-22, MI-60
    class Other(Query[int], tag="Find"):
        words: dict[str, int] = msgspec.field(default_factory=dict)
        among: frozenset[int] = frozenset()
        limit: int | None = None

    keys = {key(Find()), key(Other()), key(Find(), bus="others"), key(Find(), purpose="idempotency")}
    assert len(keys) == 4


def test_long_and_unusual_content_is_digested() -> None:
    # MI-22
    assert (
        len(key(Find({"word": 1} | {str(n): n for n in range(MAX_PLAIN_BYTES)}))) < len(key(Find())) + MAX_PLAIN_BYTES
    )
    assert key(Find(limit=2**70)) != key(Find(limit=2**70 + 1))


def test_what_is_sensitive_cannot_be_read_in_a_key() -> None:
    # MI-22
    for text in ("hunter2", b"hunter2".hex()):
        assert text not in key(Login("hunter2"))
        assert text not in key(Find(), Actor(id="ada", claims={"pin": "hunter2"}))


@pytest.mark.parametrize("value", [object(), [object()]])
def test_content_without_an_order_of_its_own_is_refused(value: Any) -> None:
    # MI-22
    with pytest.raises(InvalidIntent, match="its content has no cache key"):
        key(Anything(value))


def test_who_asks_is_told_apart_unless_shared() -> None:
    whos: list[tuple[Stamp, ...]] = [
        (),
        (Actor(id="ada"),),
        (Actor(id="bob"),),
        (Actor(id="ada", roles=("admin",)),),
        (Actor(id="ada", claims={"level": 1}),),
        (Actor(id="ada", claims={"level": "1"}),),
        (Department(id="ada"),),
        (Department(id="ada", department="sales"),),
        (Tenant(id="ada"),),
        (Actor(id="ada"), Tenant(id="acme")),
        (Actor(id="ada"), Tenant(id="other")),
    ]
    assert len({key(Find(), *who) for who in whos}) == len(whos)
    assert len({chosen("pay", *who) for who in whos}) == 6, "by the id of an actor, not by its roles and claims"
    assert len({key(Find(), *who, shared=True) for who in whos}) == 1
    assert len({chosen("pay", *who, shared=True) for who in whos}) == 1


def test_of_several_actors_and_tenants_the_last_ones_count() -> None:
    # MI-22: a middleware adds its own at every pass, to those that were carried over
    ada, bob = Actor(id="ada"), Actor(id="bob")
    assert key(Find(), ada, ada) == key(Find(), bob, ada) == key(Find(), ada)
    assert chosen("pay", bob, ada) == chosen("pay", ada) != chosen("pay", ada, bob)
    acme = Tenant(id="acme")
    assert key(Find(), acme, ada, Tenant(id="other"), acme) == key(Find(), ada, acme)


def test_neither_the_time_of_a_stamp_nor_other_stamps_count() -> None:
    assert key(Find(), Actor(id="ada", at=1.0)) == key(Find(), Actor(id="ada", at=2.0), Note(text="urgent"))
    claims = {"level": 1}
    assert key(Find(), Actor(id="ada", claims=claims, at=1.0)) == key(Find(), Actor(id="ada", claims=claims, at=2.0))
    assert key(Find(), Note(text="urgent")) == key(Find())


@pytest.mark.parametrize("given", ["", 5, True, b"pay"])
def test_a_chosen_key_is_a_text(given: Any) -> None:
    with pytest.raises(InvalidOption, match="a text that is not empty"):
        chosen(given)
