"""Processes of a shop on a NATS server."""

from __future__ import annotations

from collections.abc import Sequence

from tests.proofs import server_shop
from tests.proofs.nats_jobs import opened
from tests.proofs.zygote import Outside


async def put(outside: Outside, urls: list[str], name: str, orders: Sequence[int]) -> None:
    """A process that places orders."""
    async with opened(urls, name, 60.0) as store:
        await server_shop.place(store, orders)


async def work(outside: Outside, urls: list[str], name: str, inbox: bool) -> None:
    """A process that works until it is killed."""
    async with opened(urls, name, 60.0) as store:
        await server_shop.work(store, outside, inbox)


async def finish(outside: Outside, urls: list[str], name: str, inbox: bool, orders: int) -> None:
    """A process that does the rest, and tells what there is in the end."""
    async with opened(urls, name, 60.0) as store:
        await server_shop.finish(store, inbox, orders)
        outside.tell(left=await server_shop.left(store, orders), found=await server_shop.found(store))
