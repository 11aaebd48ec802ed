"""Processes of a shop on a PostgreSQL server, whose handlers also write into a table of the application."""

from __future__ import annotations

from collections.abc import Sequence

from modd.stores.postgres.store import PostgresStore
from tests.proofs import server_shop
from tests.proofs.zygote import Outside

TABLE = "CREATE TABLE effects (what text NOT NULL, number integer NOT NULL)"
"""It takes an effect twice, so that the proof finds it."""


INSERT = "INSERT INTO effects VALUES (%s, %s)"


def opened(url: str) -> PostgresStore:
    """Return a store that has patience with a server that is killed."""
    return PostgresStore(url, timeout=60.0, poll=0.1)


def effect_in(store: PostgresStore) -> server_shop.Effect:
    """Return a function that writes into the table, in the transaction that is open."""

    async def effect(what: str, number: int) -> None:
        async with store.transaction() as tx:
            await tx.execute(INSERT, (what, number))

    return effect


async def put(outside: Outside, url: str, orders: Sequence[int]) -> None:
    """A process that places orders."""
    async with opened(url) as store:
        await server_shop.place(store, orders)


async def work(outside: Outside, url: str, inbox: bool) -> None:
    """A process that works until it is killed."""
    async with opened(url) as store:
        await server_shop.work(store, outside, inbox, effect_in(store))


async def finish(outside: Outside, url: str, inbox: bool, orders: int) -> None:
    """A process that does the rest, and tells what there is in the end."""
    async with opened(url) as store:
        await server_shop.finish(store, inbox, orders, effect_in(store))
        async with store.transaction() as tx:
            rows = await tx.fetch("SELECT what, number FROM effects")
        effects = [f"{what} {number}" for what, number in rows]
        outside.tell(left=await server_shop.left(store, orders), found=await server_shop.found(store), effects=effects)
