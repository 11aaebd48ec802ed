"""Lines of commands: one at a time for an instance, those of others beside it."""

from __future__ import annotations

import gc
from typing import Any
from weakref import ref

import anyio
import pytest
from anyio.lowlevel import checkpoint

from modd.aggregate import Instance
from modd.aggregate.lines import Lines
from modd.errors import Deadlock
from tests.aggregate.billing import Invoice, Issue, Issued, Paid, Pay, invoices, pay, recorded
from tests.aggregate.undone import undone

pytestmark = pytest.mark.anyio


class Desk:
    """A command that waits until it is told to go on."""

    def __init__(self, store: Any) -> None:
        self.log = list[str]()
        self.entered, self.go_on = anyio.Event(), anyio.Event()
        self.aggregate = invoices(store=store, commands={Issue: self.issue, Pay: self.pay})

    async def issue(self, invoice: Instance[Invoice], command: Issue) -> Issued:
        self.log.append(f"{command.invoice_id} begins")
        self.entered.set()
        await self.go_on.wait()
        self.log.append(f"{command.invoice_id} ends")
        return Issued(command.invoice_id)

    async def pay(self, invoice: Instance[Invoice], command: Pay) -> Paid:
        self.log.append(f"{command.invoice_id} is paid at revision {invoice.revision}")
        return Paid(command.invoice_id)


async def test_commands_of_one_instance_run_one_at_a_time_and_those_of_others_beside_it(store: Any) -> None:
    # WM-30, WK-21
    desk = Desk(store)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(desk.aggregate.dispatch, Issue("7"))
            await desk.entered.wait()
            tasks.start_soon(desk.aggregate.dispatch, Pay("7"))
            await anyio.wait_all_tasks_blocked()
            await desk.aggregate.dispatch(Pay("8"))
            desk.go_on.set()
    assert desk.log == ["7 begins", "8 is paid at revision 0", "7 ends", "7 is paid at revision 1"]


async def test_commands_of_one_instance_are_served_in_the_order_in_which_they_came(store: Any) -> None:
    # WM-30
    served = list[int]()

    async def issue(invoice: Instance[Invoice], command: Issue) -> Issued:
        await checkpoint()
        served.append(command.amount)
        return Issued(command.invoice_id, command.amount)

    aggregate = invoices(store=store, commands={Issue: issue})

    async def dispatch(amount: int, *, task_status: Any) -> None:
        task_status.started()
        await aggregate.dispatch(Issue("7", amount))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for amount in range(10):
                await tasks.start(dispatch, amount)
    assert [change.event.amount async for change in aggregate.history("7")] == served == [*range(10)]


async def test_a_command_that_is_cancelled_while_it_waits_leaves_the_line(store: Any) -> None:
    # WM-30
    desk = Desk(store)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(desk.aggregate.dispatch, Issue("7"))
            await desk.entered.wait()
            with anyio.CancelScope() as scope:
                scope.cancel()
                await desk.aggregate.dispatch(Pay("7"))
            assert scope.cancelled_caught
            desk.go_on.set()
        await desk.aggregate.dispatch(Pay("7"))
    assert desk.log == ["7 begins", "7 ends", "7 is paid at revision 1"]


async def test_a_command_that_is_cancelled_while_it_is_decided_frees_the_line(store: Any) -> None:
    # WM-30
    desk = Desk(store)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(desk.aggregate.dispatch, Issue("7"))
            await desk.entered.wait()
            tasks.cancel_scope.cancel()
        await desk.aggregate.dispatch(Pay("7"))
    assert desk.log == ["7 begins", "7 is paid at revision 0"]


async def test_a_command_for_its_own_instance_or_in_a_circle_is_a_deadlock(store: Any) -> None:
    # WM-30
    async def again(invoice: Instance[Invoice], command: Issue) -> None:
        await aggregate.dispatch(Issue(command.invoice_id, 1))

    async def sends(invoice: Instance[Invoice], command: Pay) -> None:
        await checkpoint()
        await aggregate.dispatch(Pay("8" if command.invoice_id == "7" else "7"))

    aggregate = invoices(sends, store=store, commands={Issue: again, Pay: sends})
    with anyio.fail_after(60):
        with pytest.raises(Deadlock, match="invoice"):
            await aggregate.dispatch(Issue("7"))
        with pytest.raises(Deadlock):
            await aggregate.dispatch(Pay("7"))
        for immediate in (False, True):
            for command in (Issue("7"), Pay("7")):
                with pytest.raises(Deadlock, match="invoice/7"):
                    async with store.transaction(immediate=immediate):
                        await aggregate.dispatch(command)
    assert await recorded(aggregate) == 0


async def test_two_commands_that_wait_for_each_other_are_a_deadlock_for_one_of_them(store: Any) -> None:
    # WM-30
    begun = {id: anyio.Event() for id in ("7", "8")}
    other = {"7": "8", "8": "7"}
    failed = list[str]()

    async def sends(invoice: Instance[Invoice], command: Pay) -> Paid:
        begun[invoice.id].set()
        await begun[other[invoice.id]].wait()
        await aggregate.dispatch(Issue(other[invoice.id]))
        return Paid(invoice.id)

    async def dispatch(id: str) -> None:
        try:
            await aggregate.dispatch(Pay(id))
        except Deadlock:
            failed.append(id)

    aggregate = invoices(sends, store=store)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for id in begun:
                tasks.start_soon(dispatch, id)
    assert len(failed) == 1
    assert [event.stream async for event in store.events.read_all()] == [
        f"invoice/{failed[0]}",
        f"invoice/{other[failed[0]]}",
    ]


async def test_a_transaction_that_is_cancelled_while_it_waits_leaves_all_lines(store: Any) -> None:
    # WM-30
    desk = Desk(store)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(desk.aggregate.dispatch, Issue("7"))
            await desk.entered.wait()
            with anyio.CancelScope() as scope:
                async with store.transaction():
                    await desk.aggregate.dispatch(Pay("8"))
                    scope.cancel()
                    await desk.aggregate.dispatch(Pay("7"))
            assert scope.cancelled_caught
            await desk.aggregate.dispatch(Pay("8"))
            desk.go_on.set()
        await desk.aggregate.dispatch(Pay("7"))
    assert desk.log == [
        "7 begins",
        "8 is paid at revision 0",
        "8 is paid at revision 0",
        "7 ends",
        "7 is paid at revision 1",
    ]


async def test_two_transactions_that_wait_for_each_other_are_a_deadlock_for_one_of_them(store: Any) -> None:
    # WM-30
    aggregate = invoices(store=store)
    first, second = anyio.Event(), anyio.Event()
    failed = list[str]()

    async def both(mine: str, other: str, ready: anyio.Event, other_ready: anyio.Event) -> None:
        try:
            async with store.transaction():
                await aggregate.dispatch(Issue(mine))
                ready.set()
                await other_ready.wait()
                await aggregate.dispatch(Issue(other, 20))
        except Deadlock:
            failed.append(mine)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(both, "7", "8", first, second)
            tasks.start_soon(both, "8", "7", second, first)
    assert len(failed) == 1
    [other] = {"7", "8"} - {*failed}
    assert [event.stream async for event in store.events.read_all()] == [f"invoice/{other}", f"invoice/{failed[0]}"]
    await aggregate.dispatch(Pay("7"))


@pytest.mark.parametrize("immediate", [False, True])
async def test_in_a_transaction_a_command_keeps_its_place_until_that_is_over(immediate: bool, store: Any) -> None:
    # WM-30
    seen = list[int]()

    def counts(invoice: Instance[Invoice], command: Pay) -> None:
        seen.append(invoice.revision)

    aggregate = invoices(counts, pay, store=store)
    found, begun = list[int](), anyio.Event()

    async def pays() -> None:
        await begun.wait()
        found.append(await aggregate.ask(Pay("7")))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pays)
            async with store.transaction(immediate=immediate):
                await aggregate.dispatch(Issue("7", 20))
                begun.set()
                await anyio.wait_all_tasks_blocked()
                assert found == []
                await aggregate.dispatch(Issue("7", 30))
        async with undone(store.transaction(immediate=immediate)):
            await aggregate.dispatch(Issue("7", 40))
        await pays()
    assert (found, seen) == ([30, 30], [2, 3])


@pytest.mark.parametrize("waits", ["before", "beside"])
async def test_an_immediate_transaction_waits_for_no_line_whose_holder_waits_for_it(waits: str, store: Any) -> None:
    # WM-30
    desk = Desk(store)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(desk.aggregate.dispatch, Issue("7"))
            await desk.entered.wait()
            async with store.transaction(immediate=True, max_seconds=30):
                if waits == "before":
                    desk.go_on.set()
                    await anyio.wait_all_tasks_blocked()
                await desk.aggregate.dispatch(Pay("7"))
            desk.go_on.set()
    events = [change.event async for change in desk.aggregate.history("7")]
    assert events == [Paid("7"), Issued("7")]


async def test_the_line_of_an_instance_that_nobody_waits_for_is_forgotten(store: Any) -> None:
    # WM-30
    lines, gates = Lines(0), list[Any]()

    async def enters() -> None:
        async with lines.enter("invoice/7", None):
            gates.append(ref(lines.gate_of("invoice/7")))
        turn = lines.enter_free("invoice/7")
        gates.append(ref(lines.gate_of("invoice/7")))
        assert turn is not None and lines.enter_free("invoice/7") is None
        lines.leave(turn)
        async with store.transaction() as tx:
            for _ in range(2):
                async with lines.enter("invoice/8", tx):
                    gates.append(ref(lines.gate_of("invoice/8")))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(enters)
    await anyio.lowlevel.checkpoint()
    gc.collect()
    assert [gate() for gate in gates] == [None] * 4


def test_lines_that_nobody_is_in_are_kept_for_the_next_command_but_for_those_of_too_many_instances() -> None:
    # WM-30
    lines, gates = Lines(2), dict[str, Any]()
    for id in "abc":
        turn = lines.enter_free(id)
        assert turn is not None
        gates[id] = lines.gate_of(id)
        lines.leave(turn)
    assert [lines.gate_of(id) is gate for id, gate in gates.items()] == [True, True, False]
