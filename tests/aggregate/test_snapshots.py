"""Snapshots: when they are saved, and which of them are passed over."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from modd import InvalidOption, Value
from modd.aggregate import Instance
from modd.aggregate.fingerprint import fingerprint
from modd.cqrs import Actor, Envelope, Forbidden
from modd.ports import Item
from modd.stores import MemoryStore, SqliteStore
from modd.stores.sqlite.events import SNAPSHOT
from tests.aggregate.billing import Invoice, Issue, Issued, Paid, Pay, invoices, issued, paid, recorded
from tests.aggregate.undone import undone
from tests.stores.sqlite.connections import Watch

pytestmark = pytest.mark.anyio

STREAM = "invoice/7"


class Folds:
    """An event function that counts its calls."""

    def __init__(self) -> None:
        self.amounts = list[int]()

    def __call__(self, state: Invoice, event: Issued) -> Invoice:
        self.amounts.append(event.amount)
        return Invoice(state.amount + event.amount, "issued")


def folding(store: Any, **options: Any) -> tuple[Any, Folds]:
    """Return an aggregate that keeps no state in memory, and its event function."""
    folds = Folds()
    return invoices(
        **{"store": store, "states": 0, "events": {Issued: folds, Paid: paid}, "snapshots": 3} | options
    ), folds


async def issue_to(aggregate: Any, *amounts: int) -> None:
    for amount in amounts:
        await aggregate.dispatch(Issue("7", amount))


async def snapshot_at(store: Any) -> int:
    """Return the revision of the snapshot; 0 without one."""
    saved = await store.events.snapshot(STREAM)
    return 0 if saved is None else saved.revision


async def test_a_snapshot_is_saved_after_so_many_events_since_the_last_one(store: Any) -> None:
    # WM-34, WK-22
    for states in (10, 0):
        aggregate, _ = folding(store, states=states)
        found = list[int]()
        start = await recorded(aggregate)
        for _ in range(7):
            await issue_to(aggregate, 1)
            found.append(await snapshot_at(store) - start)
        assert found == ([0, 0, 3, 3, 3, 6, 6] if states else [-1, 2, 2, 2, 5, 5, 5])


async def test_a_snapshot_is_saved_after_100_events_by_default_and_never_with_0() -> None:
    # WM-34, WK-22
    for options, expected in (({}, 100), ({"snapshots": 0}, 0)):
        store = MemoryStore()
        await store.events.append(STREAM, [Item(b'{"$type":"Paid","invoice_id":"7"}')] * 100, 0)
        assert (await invoices(store=store, **options).get("7")).revision == 100
        assert await snapshot_at(store) == expected
    with pytest.raises(InvalidOption, match="snapshots"):
        invoices(snapshots=-1)


async def test_a_load_goes_on_from_the_snapshot(store: Any) -> None:
    # WM-34
    aggregate, _ = folding(store)
    await issue_to(aggregate, 1, 2, 3, 4)
    fresh, folds = folding(store)
    assert (await fresh.get("7")).state == Invoice(10, "issued")
    assert folds.amounts == [4]
    past, folds = folding(store)
    assert (await past.get("7", revision=2)).state == Invoice(3, "issued")
    assert folds.amounts == [1, 2]


async def test_a_short_stream_is_loaded_without_a_look_for_a_snapshot(tmp_path: Path) -> None:
    # WM-140
    watch = Watch()
    async with SqliteStore(tmp_path / "events.db", connect=watch) as store:
        aggregate, _ = folding(store)
        found = list[int]()
        for amount in range(4):
            await aggregate.get("7")
            found.append(watch.done[SNAPSHOT])
            await store.events.append(STREAM, [Item(b'{"$type":"Issued","invoice_id":"7","amount":1}')], amount)
        assert found == [0, 0, 0, 1]
        for snapshots, expected in ((3, 2), (0, 0)):
            fresh, _ = folding(store, snapshots=snapshots)
            watch.done.clear()
            assert (await fresh.get("7")).state == Invoice(4, "issued")
            assert (await fresh.get("8")).state == Invoice()  # looked for at first, since the other stream had one
            assert watch.done[SNAPSHOT] == expected


async def test_a_snapshot_has_the_owner_and_the_access(store: Any) -> None:
    # WM-34, WM-38
    def gives(invoice: Any, command: Issue) -> Issued:
        invoice.authorize({Pay: "authenticated"})
        invoice.transfer_ownership("bob")
        return Issued(command.invoice_id)

    options: dict[str, Any] = {"store": store, "access": {}, "snapshots": 1, "commands": {Issue: gives, Pay: pays}}
    await invoices(**options).dispatch(Issue("7"), Actor("ada"))
    fresh = invoices(**options)
    await fresh.dispatch(Pay("7"), Actor("eve"))
    assert (await fresh.get("7")).owner == "bob"
    with pytest.raises(Forbidden):
        await fresh.dispatch(Issue("7"), Actor("ada"))


def pays(invoice: Any, command: Pay) -> Paid:
    return Paid(command.invoice_id)


async def test_a_snapshot_of_a_transaction_is_saved_with_it_or_not_at_all(store: Any) -> None:
    # WM-34
    aggregate, _ = folding(store, states=10)
    async with undone(store.transaction()):
        await issue_to(aggregate, 1, 2, 3)
    assert await snapshot_at(store) == 0
    async with store.transaction():
        await issue_to(aggregate, 4, 5, 6)
    assert await snapshot_at(store) == 3
    assert (await folding(store)[0].get("7")).state.amount == 15


class Unsavable(Value, frozen=True):
    """A state that cannot be encoded."""

    inner: object = object()


async def test_a_failure_to_save_a_snapshot_fails_nothing(store: Any, caplog: pytest.LogCaptureFixture) -> None:
    # WM-34
    def keeps(state: Unsavable, event: Issued) -> Unsavable:
        return state

    def issues(invoice: Instance[Unsavable], command: Issue) -> Issued:
        return Issued(command.invoice_id, command.amount)

    options: dict[str, Any] = {"commands": {Issue: issues}, "events": {Issued: keeps}}
    aggregate = invoices(store=store, state=Unsavable, snapshots=1, **options)
    await issue_to(aggregate, 1, 2)
    assert (await recorded(aggregate), await snapshot_at(store)) == (2, 0)
    assert f"no snapshot of {STREAM}" in caplog.text


class Closed(Value, frozen=True):
    """Another state with the fields of an invoice."""

    amount: int = 0
    phase: str = "draft"


def other_issued(state: Invoice, event: Issued) -> Invoice:
    return msgspec.structs.replace(state, amount=event.amount + 1, phase="issued")


def closed(state: Closed, event: Any) -> Closed:
    return Closed(7, "closed")


OTHERS: list[tuple[dict[str, Any], Any]] = [
    ({"events": {Issued: other_issued, Paid: paid}}, Invoice(4, "issued")),
    ({"state": Closed, "commands": {Pay: pays}, "events": {Issued: closed, Paid: closed}}, Closed(7, "closed")),
    ({"version": 2}, Invoice(3, "issued")),
]


@pytest.mark.costly
@pytest.mark.parametrize(("options", "expected"), OTHERS, ids=["code", "state", "version"])
async def test_a_snapshot_of_other_code_is_passed_over_logged_once_and_replaced(
    options: Any, expected: Any, store: Any, caplog: pytest.LogCaptureFixture
) -> None:
    # WM-35
    usual: dict[str, Any] = {"store": store, "snapshots": 3, "states": 0}
    await issue_to(invoices(**usual), 1, 2, 3)
    await invoices(**usual).dispatch(Pay("8"))
    before = await invoices(**usual).get("7")
    assert (before.state, caplog.text) == (Invoice(3, "issued"), "")
    aggregate = invoices(**usual | options)
    assert (await aggregate.get("7")).state == expected
    assert (await aggregate.get("7")).state == expected
    [record] = caplog.records
    assert (record.levelno, record.name) == (logging.WARNING, "modd.invoice")
    assert "made by other code" in record.getMessage()
    caplog.clear()
    assert (await invoices(**usual | options).get("7")).state == expected
    assert caplog.text == ""


@pytest.mark.parametrize("body", [b"{", b'{"state":{"amount":"no"},"ownership":{}}', b"\xff"])
async def test_a_damaged_snapshot_is_passed_over_logged_once_and_replaced(
    body: bytes, store: Any, caplog: pytest.LogCaptureFixture
) -> None:
    # WM-35
    aggregate, _ = folding(store)
    await issue_to(aggregate, 1, 2, 3)
    await aggregate.get("7")
    saved = await store.events.snapshot(STREAM)
    await store.events.save_snapshot(STREAM, 3, Item(body, saved.headers))
    for expected in ([1, 2, 3], []):
        fresh, folds = folding(store)
        assert (await fresh.get("7")).state.amount == 6
        assert (await fresh.get("7")).state.amount == 6
        assert folds.amounts == expected
    [record] = caplog.records
    assert "cannot be decoded" in record.getMessage()
    assert "no" not in record.getMessage().split()


async def test_a_snapshot_ahead_of_its_stream_is_passed_over_logged_once_and_replaced(
    store: Any, caplog: pytest.LogCaptureFixture
) -> None:
    # WM-35
    aggregate, _ = folding(store)
    await issue_to(aggregate, 1, 2, 3)
    await aggregate.get("7")
    saved = await store.events.snapshot(STREAM)
    await store.events.save_snapshot(STREAM, 5, Item(saved.body, saved.headers))
    fresh, _ = folding(store, states=10)
    assert (await fresh.get("7")).state.amount == 6
    await issue_to(fresh, 4)
    [record] = caplog.records
    assert "ahead of its stream" in record.getMessage()
    await issue_to(fresh, 5, 6, 7)
    assert await snapshot_at(store) == 6
    assert (await folding(store)[0].get("7")).state.amount == 28


def test_a_fingerprint_tells_apart_what_a_function_does_and_not_where_it_is() -> None:
    # WM-35
    def of(source: str, name: str = "f") -> str:
        space: dict[str, Any] = {}
        exec(source, space)
        return fingerprint(Invoice, [space[name]], 1)

    plain = "def f(state, event): return g(state, {})"
    texts = [
        of(plain.format(body))
        for body in ("1", "2", "'1'", "event.a", "event.b", "1 in {'a', 'b'}", "[1 for a in event]")
    ]
    texts += [of(plain.format("[2 for a in event]")), of("def f(state, event): return h(state, 1)")]
    assert len({*texts}) == len(texts)
    assert of("\n\n" + plain.format("1")) == of("# comment\n" + plain.format(" 1")) == texts[0]
    assert fingerprint(Invoice, [issued, paid], 1) == fingerprint(Invoice, [paid, issued], 1)
    assert fingerprint(Invoice, [issued], 1) != fingerprint(Invoice, [issued], 2)


class Holder:
    """A state that msgspec has no schema for."""

    amount: complex = 0


class OtherHolder:
    """The same with another field."""

    amount: int = 0


def test_a_fingerprint_of_a_state_without_a_schema_has_its_fields() -> None:
    # WM-35
    one, other = (
        type("Holder", (), {"__annotations__": kind.__annotations__, "__module__": "m"})
        for kind in (Holder, OtherHolder)
    )
    found = {fingerprint(kind, [issued], 1) for kind in (Holder, OtherHolder, dict, one)}
    assert len(found) == 4
    assert fingerprint(one, [issued], 1) != fingerprint(other, [issued], 1)


def decorated(function: Any) -> Any:
    """Return a function that calls another, and itself for lists."""

    def calls(state: Any, event: Any) -> Any:
        return calls(state, event[0]) if isinstance(event, list) else function(state, event)

    return calls


def adding(number: Any) -> Any:
    """Return a function with a value in its closure."""

    def adds(state: Any, event: Any) -> Any:
        return state, number

    return adds


def defaulting(number: Any) -> Any:
    """Return a function with a value among its defaults."""

    def adds(state: Any, event: Any, *, by: int = number) -> Any:
        return state, by

    return adds


def test_a_fingerprint_sees_what_a_function_was_made_with() -> None:
    # WM-35
    callables: list[Any] = [issued, paid]
    functions: list[Any] = [
        *map(decorated, callables),
        *(partial(each) for each in callables),
        partial(callables[0], 1),
        partial(callables[0], event=1),
        *map(adding, (1, 2, "1", (1,), [1], {"a": 1}, Invoice(1), Invoice(2), object(), Invoice, frozenset("ab"))),
        *map(defaulting, (1, 2)),
        Folds().__call__,
        Folds(),
        len,
        abs,
    ]
    found = [fingerprint(Invoice, [function], 1) for function in functions]
    assert len({*found}) == len(found)
    assert found == [fingerprint(Invoice, [function], 1) for function in functions]
    assert fingerprint(Invoice, [Folds()], 1) == fingerprint(Invoice, [Folds()], 1)


async def test_a_duplicate_of_a_command_saves_no_snapshot() -> None:
    # WM-34
    store = MemoryStore()
    aggregate, _ = folding(store, snapshots=2, states=10)
    for _ in range(4):
        await aggregate.dispatch(Envelope(Issue("7"), id="c-1"))
    assert await snapshot_at(store) == 0
