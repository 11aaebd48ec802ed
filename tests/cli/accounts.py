"""Accounts, whose events are in the files of these tests."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from modd import Bus, Message, Sensitive, Value
from modd.aggregate import Aggregate, Instance
from modd.cqrs import Actor, Codec, Command, Envelope, Event, Tenant
from modd.ports import Item, Tagged
from modd.stores.sqlite.store import SqliteStore

SECRET = "DE02-1203"


class Account(Value, frozen=True):
    """An account. The note is not marked, although the event function copies a secret into it."""

    balance: int = 0
    iban: Annotated[str, Sensitive] = ""
    note: str = ""


class Open(Command[None]):
    account: str
    iban: Annotated[str, Sensitive] = SECRET


class Deposit(Command[None]):
    account: str
    amount: int = 10


class Opened(Event):
    iban: Annotated[str, Sensitive]


class Deposited(Event):
    schema_version = 2
    amount: int


def open_account(account: Instance[Account], command: Open) -> Opened:
    return Opened(command.iban)


def deposit(account: Instance[Account], command: Deposit) -> Deposited:
    return Deposited(command.amount)


def opened(state: Account, event: Opened) -> Account:
    return msgspec.structs.replace(state, iban=event.iban, note=f"opened for {event.iban}")


def deposited(state: Account, event: Deposited) -> Account:
    if event.amount < 0:
        raise ValueError(f"no deposit: {event.amount}")
    return msgspec.structs.replace(state, balance=state.balance + event.amount)


codec = Codec([Opened, Deposited], upcasters={Deposited: {1: lambda old: {"amount": old["cents"] // 100}}})
accounts = Aggregate(
    "account",
    state=Account,
    identity="account",
    commands={Open: open_account, Deposit: deposit},
    events={Opened: opened, Deposited: deposited},
    codec=codec,
)
bank = Bus([accounts], name="bank")


class Grow(Command[None]):
    tree: str


class Grown(Event):
    branches: Any = ()


def grow(tree: Instance[Tree], command: Grow) -> Grown:
    return Grown()


class Tree(Value, frozen=True):
    """A tree without a limit."""

    branches: Any = ()


def grown(state: Tree, event: Grown) -> Tree:
    branches = event.branches or ()
    for _ in range(0 if event.branches else 2000):
        branches = (branches,)
    return Tree(branches)


trees = Aggregate(
    "tree",
    state=Tree,
    identity="tree",
    commands={Grow: grow},
    events={Grown: grown},
)
audits = Aggregate(
    "audit",
    state=Account,
    boundary=lambda command: Tagged("all"),
    tags=lambda event: ["all"],
    commands={Open: open_account},
    events={Opened: opened},
)


def body(event: Message) -> bytes:
    """Return an event as an aggregate records it."""
    return codec.encode_message(event)


async def record(store: SqliteStore) -> None:
    """Record the events of two accounts, one of them of a tenant, and events that no aggregate has recorded."""
    stored = accounts.stored(store)
    await stored.dispatch(Envelope(Open("7"), Actor(id="ada"), id="open-1"))
    await stored.dispatch(Envelope(Deposit("7", 30), Actor(id="ada"), id="deposit-1"))
    await stored.dispatch(Deposit("8"), Tenant("north"))
    await store.events.append("account/old", [b'{"$type":"Deposited","cents":500}', body(Deposited(7))], 0)
    await store.events.append("account/bad", [body(Deposited(1)), body(Deposited(-17)), body(Deposited(2))], 0)
    await store.events.append("audit", [body(Opened(SECRET))], 0)
    await store.events.append(
        "raw", [Item(b"\xff\xfe", {"type": "Blob", "who": SECRET, "stamps": SECRET}), b'{"a":"b"}'], 0
    )
