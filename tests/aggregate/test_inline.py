"""Inline parts write in the commit of the events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from modd import InvalidOption, Message
from modd.aggregate import CommandRejected, Inline, Instance
from modd.cqrs import Envelope
from tests.aggregate.billing import Invoice, Issue, Issued, Paid, Pay, invoices, recorded
from tests.aggregate.undone import undone

pytestmark = pytest.mark.anyio


class Count:
    """A part that counts events by type in a document."""

    def __init__(self) -> None:
        self.streams = list[str]()

    async def apply(self, store: Any, stream: str, events: Sequence[Message]) -> None:
        """Count events."""
        self.streams.append(stream)
        pairs = [(type(event).__name__, event) for event in events]
        await store.documents("counts").fold(pairs, add, int, lambda count: str(count).encode())


def add(count: int | None, event: Message) -> int:
    return (count or 0) + 1


class Failing:
    """A part that fails."""

    async def apply(self, store: Any, stream: str, events: Sequence[Message]) -> None:
        """Fail."""
        raise ZeroDivisionError


async def counts(store: Any) -> dict[str, int]:
    return {key: int(body) for key, body in await store.documents("counts").items()}


async def test_what_an_inline_part_writes_is_there_when_dispatch_returns(store: Any) -> None:
    # WM-39
    part: Inline = Count()
    aggregate = invoices(store=store, inline=[part])
    await aggregate.dispatch(Issue("7"))
    assert await counts(store) == {"Issued": 1}
    await aggregate.dispatch(Envelope(Issue("7"), id="c-1"))
    await aggregate.dispatch(Envelope(Issue("7"), id="c-1"))
    await aggregate.ask(Pay("7"))
    assert await counts(store) == {"Issued": 2, "Paid": 1}


@pytest.mark.parametrize("immediate", [False, True])
async def test_what_an_inline_part_writes_is_gone_with_a_rollback(immediate: bool, store: Any) -> None:
    # WM-39
    part = Count()
    aggregate = invoices(store=store, inline=[part])
    async with undone(store.transaction(immediate=immediate)):
        await aggregate.dispatch(Issue("7"))
    assert (await counts(store), part.streams) == ({}, ["invoice/7"])
    async with store.transaction(immediate=immediate) as tx:
        async with undone(tx.savepoint()):
            await aggregate.dispatch(Issue("7"))
        await aggregate.dispatch(Issue("8"))
    assert await counts(store) == {"Issued": 1}


async def test_nothing_is_recorded_if_an_inline_part_fails(store: Any) -> None:
    # WM-39
    aggregate = invoices(store=store, inline=[Count(), Failing()])
    with pytest.raises(ZeroDivisionError):
        await aggregate.dispatch(Issue("7"))
    assert (await recorded(aggregate), await counts(store)) == (0, {})


async def test_nothing_is_lost_when_many_commands_meet_in_one_row(stores: Any) -> None:
    # WM-39
    aggregates = [invoices(store=store, inline=[Count()]) for store in stores]
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(aggregates[number % 2].dispatch, Issue(str(number)))
    assert await counts(stores[0]) == {"Issued": 20}


async def test_an_inline_part_sees_neither_rejections_nor_commands_without_events(store: Any) -> None:
    # WM-39
    part = Count()

    def looks(invoice: Instance[Invoice], command: Pay) -> None:
        if invoice.exists():
            raise CommandRejected

    aggregate = invoices(looks, store=store, inline=[part])
    await aggregate.dispatch(Pay("7"))
    await aggregate.record(Issue("7"), Issued("7"), Paid("7"))
    with pytest.raises(CommandRejected):
        await aggregate.dispatch(Pay("7"))
    assert "invoice/7" not in part.streams[1:]


@pytest.mark.parametrize("inline", [[object()], Count(), "counts", None])
def test_what_is_no_inline_part_is_an_error_when_the_aggregate_is_made(inline: Any) -> None:
    # WM-39
    with pytest.raises(InvalidOption, match="inline"):
        invoices(inline=inline)
