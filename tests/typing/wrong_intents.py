# pyright: reportUnnecessaryTypeIgnoreComment=true
"""What type checkers must refuse of typed buses; it does not run (see wrong.py)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, assert_type

from modd import Bus
from modd.cqrs import Ask, Command, CommandBus, Emit, Envelope, EventBus, Next, Query, QueryBus
from modd.testing import given
from tests.typing.intents import (
    CreateUser,
    Names,
    PriceOf,
    Priority,
    RemoveUser,
    Session,
    UserCreated,
    create,
    names,
    passing,
    price_of,
    remove,
    welcome,
)

commands, queries, events = CommandBus(), QueryBus(), EventBus()


# A handler's result is that of the intent, no more and no less.
async def no_int(message: CreateUser) -> str:
    return message.name


def no_int_now(message: CreateUser) -> str:
    return message.name


async def maybe_int(message: CreateUser) -> int | None:
    return None


async def no_result(message: CreateUser) -> None: ...


async def no_int_with_envelope(envelope: Envelope[CreateUser]) -> str:
    return envelope.id


async def no_int_with_more(message: CreateUser, session: Session, emit: Emit) -> str:
    return message.name


async def int_of_remove(message: RemoveUser) -> int:
    return message.id


def numbers(query: Names) -> list[int]:
    return []


commands.register(CreateUser, no_int)  # type: ignore[call-overload]
commands.register(CreateUser, no_int_now)  # type: ignore[call-overload]
commands.register(CreateUser, maybe_int)  # type: ignore[call-overload]
commands.register(CreateUser, no_result)  # type: ignore[call-overload]
commands.register(CreateUser, no_int_with_envelope)  # type: ignore[call-overload]
commands.register(CreateUser, no_int_with_more)  # type: ignore[call-overload]
commands.register(RemoveUser, int_of_remove)  # type: ignore[call-overload]
queries.register(Names, numbers)  # type: ignore[call-overload]


# A handler takes the intent, or its envelope, first.
async def of_another_envelope(envelope: Envelope[RemoveUser]) -> int:
    return 1


def nothing() -> int:
    return 1


commands.register(CreateUser, nothing)  # type: ignore[call-overload]
commands.register(CreateUser, of_another_envelope)  # type: ignore[call-overload]
commands.register(CreateUser, remove)  # type: ignore[call-overload]
queries.register(PriceOf, names)  # type: ignore[call-overload]
commands.register(CreateUser, 3)  # type: ignore[call-overload]
commands.register("CreateUser", create)  # type: ignore[call-overload]
events.register(UserCreated, create)  # type: ignore[arg-type]
events.register("UserCreated", welcome)  # type: ignore[arg-type]


@commands.handles(CreateUser)  # type: ignore[arg-type]
async def wrong_result(message: CreateUser) -> str:
    return message.name


@commands.handles(CreateUser)  # type: ignore[arg-type]
async def wrong_message(message: RemoveUser) -> int:
    return message.id


@queries.handles(PriceOf)  # type: ignore[arg-type]
def wrong_envelope(envelope: Envelope[PriceOf]) -> str:
    return envelope.id


# What comes back has the type of the result.
async def use() -> None:
    assert_type((await commands.dispatch(CreateUser("Ada"))).result, str)  # type: ignore[assert-type]
    assert_type(await queries.ask(PriceOf("yoyo")), Decimal)  # type: ignore[assert-type]
    print((await queries.ask(PriceOf("yoyo"))) + 1)  # type: ignore[operator]
    await queries.ask(Names)  # type: ignore[arg-type]
    await queries.ask(UserCreated("Ada"))  # type: ignore[arg-type]
    await commands.dispatch(CreateUser)  # type: ignore[call-overload]
    await commands.dispatch(CreateUser("Ada"), "urgent")  # type: ignore[call-overload]
    await Bus([commands]).ask(UserCreated("Ada"))  # type: ignore[arg-type]
    assert_type(await Bus([queries]).ask(Names()), list[int])  # type: ignore[assert-type]


async def ask_around(message: CreateUser, ask: Ask, emit: Emit) -> int:
    assert_type(await ask(Names()), str)  # type: ignore[assert-type]
    await ask(UserCreated("Ada"))  # type: ignore[arg-type]
    emit("UserCreated")  # type: ignore[arg-type]
    emit(UserCreated)  # type: ignore[arg-type]
    price = await ask(PriceOf("yoyo"))
    return price  # type: ignore[return-value]


# Envelopes, stamps, middleware.
Envelope("Ada")  # type: ignore[type-var]
Envelope(CreateUser("Ada"), "urgent")  # type: ignore[arg-type]
Envelope(CreateUser("Ada"), id=3)  # type: ignore[arg-type]
Envelope(CreateUser("Ada")).add(Priority)  # type: ignore[arg-type]
Envelope(CreateUser("Ada")).first(int)  # type: ignore[type-var]
Priority(1).level = 2  # type: ignore[misc]
Priority("high")  # type: ignore[arg-type]
print(Envelope(CreateUser("Ada")).message.id)  # type: ignore[attr-defined]


async def too_much(envelope: Envelope[Any], call_next: Next) -> None:
    await call_next()  # type: ignore[call-arg]
    await call_next(CreateUser("Ada"))  # type: ignore[arg-type]
    await passing(envelope)  # type: ignore[call-arg]


class TwoResults(Command[int, str]):  # type: ignore[type-arg]
    """A command has one result."""


class TwoAnswers(Query[int, str]):  # type: ignore[type-arg]
    """So has a query."""


print(price_of(Names()))  # type: ignore[arg-type]
CommandBus(concurent=False)  # type: ignore[call-arg]
EventBus(concurent=False)  # type: ignore[call-arg]
CommandBus(name=3)  # type: ignore[arg-type]
CommandBus(create)  # type: ignore[arg-type]
CommandBus(middleware=passing)  # type: ignore[arg-type]
CommandBus(middleware=[create])  # type: ignore[list-item]
EventBus(middleware=[create])  # type: ignore[list-item]
CommandBus().use(create)  # type: ignore[arg-type]
assert_type(commands.create(CreateUser, {}), RemoveUser)  # type: ignore[assert-type]
commands.create(CreateUser("Ada"), {})  # type: ignore[call-overload]
given(commands, "Ada")  # type: ignore[call-overload]
given(commands).when(CreateUser("Ada"), by="ada")  # type: ignore[arg-type]
given(commands).when(CreateUser("Ada"), stamps=["acme"])  # type: ignore[list-item]
assert_type(Bus().find("billing", CommandBus), QueryBus)  # type: ignore[assert-type]
